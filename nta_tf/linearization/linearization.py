"""The neural Taylor approximation of a model on one minibatch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from nta_tf.linearization.engines import Engine
from nta_tf.linearization.engines.base import contraction

REDUCTIONS = ("per_example", "batch_mean")


class Linearization:
    """The neural Taylor approximation of a model around its weights, on one minibatch.

    Made by `nta.linearize`. It belongs to the weights that the model had then: what it
    returns does not change when the model trains on.

    Args:
        engine: The `Engine` of the model.
        inputs: The minibatch, a list of tensors.
        reduction: `"per_example"` or `"batch_mean"`.

    Attributes:
        layers: Names of the linearized layers, from the input to the output.
        reduction: `"per_example"` or `"batch_mean"`.
    """

    def __init__(self, engine: Engine, inputs: list[tf.Tensor], reduction: str) -> None:
        self.reduction = reduction
        self._engine = engine
        self._snapshot = engine.snapshot(inputs)
        self._examples = inputs[0].shape[0]
        self.layers = list(engine.taps)

    def __repr__(self) -> str:
        kernels = ", ".join(f"{name} {tuple(self.kernel(name).shape)}" for name in self.layers)
        return (
            f"<Linearization of {self._engine.tapped.name!r} on {self._examples} examples, "
            f"{self.reduction}, by {type(self._engine).__name__}; kernels: {kernels}>"
        )

    @property
    def outputs(self) -> tf.Tensor:
        """f_W(x_0), (B, p_L)."""
        return self._snapshot.outputs

    def kernel(self, layer: str) -> tf.Tensor:
        """W_l, the kernel around which the layer was linearized."""
        return self._snapshot.weights[self._known(layer)][0]

    def layer_input(self, layer: str) -> tf.Tensor:
        """x_{l-1}, (B, ..., p_{l-1})."""
        return self._snapshot.layer_input(self._known(layer))

    def preactivation(self, layer: str) -> tf.Tensor:
        """a_l, (B, ..., p_l)."""
        return self._snapshot.preactivation(self._known(layer))

    def jacobian(self, layer: str) -> tf.Tensor:
        """J_l^L, the Jacobian of the outputs with respect to the layer's preactivation.

        The first call computes it for all linearized layers, unless the model is a chain
        of Dense layers; name the layers that you want in `nta.linearize`.

        Args:
            layer: Name of the layer.

        Returns:
            Tensor of shape (B, p_L, *preactivation.shape[1:]).
        """
        return self._snapshot.jacobian(self._known(layer))

    def gradient_tensor(self, layer: str, neuron: int | None = None) -> tf.Tensor:
        """G_l = J_l^L (x) x_{l-1}, the Jacobian tensor of Definition 1.

        Args:
            layer: Name of the layer.
            neuron: Index alpha of a neuron, or None for the whole layer.

        Returns:
            Tensor of shape (B, p_L, *kernel.shape), or (B, p_L, *kernel.shape[:-1]) for
            one neuron; without the leading B under the `batch_mean` reduction.
        """
        layer = self._known(layer)
        if neuron is not None:
            neuron = self._known_neuron(layer, neuron)
        if self.reduction == "per_example":
            return self._snapshot.gradient_tensor(layer, neuron)
        mean = self._snapshot.mean_gradient_tensor(layer)
        return mean if neuron is None else mean[..., neuron]

    def predict(self, kernels: Mapping[str, Any]) -> tf.Tensor:
        """T(V), the neural Taylor approximation at other weights (Definition 1).

        Args:
            kernels: Dictionary from layer names to kernels V_l, or to pairs (kernel,
                bias). Layers that are not named, and biases, stay at their values W.

        Returns:
            Tensor of shape (B, p_L).
        """
        changes = {name: self._change(name, new) for name, new in kernels.items()}
        if self.reduction == "batch_mean":
            return self.outputs + self._mean_change(changes)
        return self.outputs + self._snapshot.contract(
            {
                name: self._snapshot.preactivation_change(name, *change)
                for name, change in changes.items()
            }
        )

    def _mean_change(self, changes: Mapping[str, Any]) -> tf.Tensor:
        total = tf.zeros_like(self.outputs[:1])
        for name, (kernel, bias) in changes.items():
            gradient = self._snapshot.mean_gradient_tensor(name)
            kernel = tf.cast(kernel, gradient.dtype)
            total += tf.cast(tf.tensordot(gradient, kernel, kernel.shape.rank), total.dtype)
            if bias is not None:
                spread = tf.broadcast_to(bias, tf.shape(self.preactivation(name)))
                moved = contraction(self.jacobian(name), spread, total.dtype)
                total += tf.reduce_mean(moved, axis=0)
        return total

    def _change(self, name: str, new: Any) -> tuple[tf.Tensor, tf.Tensor | None]:
        """(V - W, change of the bias or None), checked against the layer's shapes."""
        old = self._snapshot.weights[self._known(name)]
        new = list(new) if isinstance(new, (tuple, list)) else [new]
        if len(new) > len(old):
            raise ValueError(f"Layer {name!r} has {len(old)} weights. Received: {len(new)} for it")
        changes = []
        for value, weight in zip(new, old):
            value = tf.cast(tf.convert_to_tensor(value), weight.dtype)
            if value.shape != weight.shape:
                raise ValueError(
                    f"Weights for layer {name!r} must have shape {weight.shape}. "
                    f"Received: shape {value.shape}"
                )
            changes.append(value - weight)
        return tuple(changes + [None] * (2 - len(changes)))

    def _known(self, layer: str) -> str:
        if layer not in self.layers:
            raise ValueError(f"Linearized layers are {self.layers}. Received: layer={layer!r}")
        return layer

    def _known_neuron(self, layer: str, neuron: int) -> int:
        count = self.kernel(layer).shape[-1]
        if not 0 <= neuron < count:
            raise ValueError(
                f"Layer {layer!r} has neurons 0 to {count - 1}. Received: neuron={neuron}"
            )
        return int(neuron)
