"""The neural Taylor approximation of a model on one minibatch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
import tensorflow as tf

from nta_tf.linearization.engines import Engine
from nta_tf.linearization.softmax import refuse_softmax

REDUCTIONS = ("per_example", "batch_mean")
_SHOWN = 10  # kernels in a representation


class Linearization:
    """The neural Taylor approximation of a model around its weights, on one minibatch.

    Made by `nta.linearize`. It belongs to the weights that the model had then: what it
    returns does not change when the model trains on.

    Args:
        model: The Keras model, kept alive.
        engine: The `Engine` of the model.
        inputs: The minibatch, a list of tensors.
        reduction: `"per_example"` or `"batch_mean"`.

    Attributes:
        layers: Names of what varies, from the input to the output: layers, whose name stands
            for their kernel, and paths of other variables.
        reduction: `"per_example"` or `"batch_mean"`.
    """

    def __init__(
        self, model: keras.Model, engine: Engine, inputs: list[tf.Tensor], reduction: str
    ) -> None:
        self._model = model
        self.reduction = reduction
        self._engine = engine
        self._snapshot = engine.snapshot(inputs)
        self._inputs = inputs
        self._by_path = {weight.variable.path: n for n, weight in engine.weights.items()}
        self.layers = list(engine.layers)

    def __repr__(self) -> str:
        shown = self.layers if len(self.layers) <= _SHOWN else self.layers[: _SHOWN - 1]
        kernels = ", ".join(f"{name} {tuple(self.kernel(name).shape)}" for name in shown)
        if len(shown) < len(self.layers):
            kernels += f", and {len(self.layers) - len(shown)} more"
        return (
            f"<Linearization of {self._model.name!r} on {self._inputs[0].shape[0]} examples, "
            f"{self.reduction}, by {type(self._engine).__name__}; kernels: {kernels}>"
        )

    @property
    def outputs(self) -> tf.Tensor:
        """f_W(x_0), (B, p_L)."""
        return self._snapshot.outputs

    def kernel(self, layer: str) -> tf.Tensor:
        """W_l, the kernel (or other variable) around which the model was linearized."""
        return self._snapshot.values[self._known(layer)]

    def variable(self, layer: str) -> keras.Variable:
        """The model's own variable, which may have moved on since."""
        return self._engine.weights[self._known(layer)].variable

    def how(self, layer: str) -> str:
        """How the outputs are differentiated: the name of the layer's rule, or `"general"`."""
        weight = self._engine.weights[self._known(layer)]
        return "general" if weight.tap is None else type(weight.tap.rule).__name__

    def layer_input(self, layer: str) -> tf.Tensor:
        """x_{l-1}, (B, ..., p_{l-1})."""
        return self._snapshot.layer_input(self._tapped(layer))

    def preactivation(self, layer: str) -> tf.Tensor:
        """a_l, (B, ..., p_l)."""
        return self._snapshot.preactivation(self._tapped(layer))

    def jacobian(self, layer: str) -> tf.Tensor:
        """J_l^L, the Jacobian of the outputs with respect to the layer's preactivation.

        The first call computes it for all linearized layers, unless the model is a chain
        of Dense layers; name the layers that you want in `nta.linearize`.

        Args:
            layer: Name of the layer.

        Returns:
            Tensor of shape (B, p_L, *preactivation.shape[1:]).

        Raises:
            ValueError: If the layer has no preactivation of its own, as where it is used
                twice, or no rule knows it: then `gradient_tensor` differentiates with respect
                to the variable itself.
        """
        return self._snapshot.jacobian(self._tapped(layer))

    def gradient_tensor(self, layer: str, neuron: int | None = None) -> tf.Tensor:
        """G_l = J_l^L (x) x_{l-1}, the Jacobian tensor of Definition 1.

        Args:
            layer: Name of the layer.
            neuron: Index alpha of a neuron, on the last axis of the kernel, or None for the
                whole layer.

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
            kernels: Dictionary from names to kernels (or other variables) V, or to pairs
                (kernel, bias). What is not named stays at its value W.

        Returns:
            Tensor of shape (B, p_L).
        """
        changes: dict[str, tf.Tensor] = {}
        for name, new in kernels.items():
            self._add_changes(changes, self._known(name), new)
        change = self._snapshot.change(changes)
        if self.reduction == "batch_mean":  # <mean of G, V> is the mean of <G, V>
            change = tf.reduce_mean(change, axis=0)
        return self.outputs + change

    def network_outputs(self) -> tf.Tensor:
        """Outputs of the model itself on the same minibatch, at its weights as they are now."""
        return self._engine.model.rows(self._inputs)

    def check_logits(self) -> None:
        """Raises if the model ends in a softmax, so that its outputs are no logits."""
        if self._engine.ends_in_softmax(self._inputs):
            refuse_softmax(self._model.name)

    def _add_changes(self, changes: dict[str, tf.Tensor], name: str, new: Any) -> None:
        """Adds V - W of a variable, or of a kernel and its bias, checked against their shapes."""
        names, values = [name], [new]
        if isinstance(new, (tuple, list)):
            bias = self._engine.bias_of(name)
            names, values = [name] + ([bias] if bias else []), list(new)
        if len(values) > len(names):
            raise ValueError(
                f"Layer {name!r} has {len(names)} weights. Received: {len(values)} for it"
            )
        for place, value in zip(names, values):
            old = self._snapshot.values[place]
            value = tf.cast(tf.convert_to_tensor(value), old.dtype)
            if value.shape != old.shape:
                raise ValueError(
                    f"Weights for layer {place!r} must have shape {old.shape}. "
                    f"Received: shape {value.shape}"
                )
            changes[place] = value - old

    def _known(self, layer: str) -> str:
        name = layer if layer in self._engine.weights else self._by_path.get(layer)
        if name is None:
            raise ValueError(f"Linearized layers are {self.layers}. Received: layer={layer!r}")
        return name

    def _tapped(self, layer: str) -> str:
        name = self._known(layer)
        if not self._engine.is_tapped(name):
            raise ValueError(
                f"{name!r} has no preactivation of its own: its layer has no rule, is used more "
                "than once, or is called inside a loop. Its gradient_tensor and predict are there. "
                f"Received: layer={layer!r}"
            )
        return name

    def _known_neuron(self, layer: str, neuron: int) -> int:
        shape = self.kernel(layer).shape
        count = shape[-1] if shape.rank else 0
        if not 0 <= neuron < count:
            raise ValueError(
                f"Layer {layer!r} has neurons 0 to {count - 1}. Received: neuron={neuron}"
            )
        return int(neuron)
