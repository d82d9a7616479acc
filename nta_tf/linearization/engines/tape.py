"""Any model, differentiated by TensorFlow's tape."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf

from nta_tf.compiling import compiled
from nta_tf.linearization import methods
from nta_tf.linearization.derivatives import Derivatives
from nta_tf.linearization.engines.base import Engine, Snapshot
from nta_tf.linearization.evaluated import EvaluatedModel
from nta_tf.linearization.taps import Tapped
from nta_tf.linearization.weights import Weight

_METHODS = {"per_output": methods.per_output, "pfor": methods.pfor, "auto": methods.sweep}

_TOGETHER_BYTES = 2**30  # what the J of all layers may take, to be made in one sweep


class TapeEngine(Engine):
    """Linearizes any model, with backward passes.

    Where a rule knows the layer of a weight, passes end at its preactivation, and J_l and
    x_{l-1} make G; elsewhere the outputs are differentiated with respect to the variable.

    Args:
        model: The model.
        weights: The `Weight`s that may vary, by name.
        layers: Names of those that were asked for.
        method: `"auto"`, `"per_output"` or `"pfor"`: see `nta_tf.linearization.methods`.
    """

    def __init__(
        self,
        model: EvaluatedModel,
        weights: Mapping[str, Weight],
        layers: Sequence[str],
        method: str,
    ) -> None:
        super().__init__(model, weights, layers)
        self.tapped = Tapped(model, self.taps)
        self.derivatives = Derivatives(
            model, {name: weight.variable for name, weight in self.weights.items()}
        )
        self._jacobians = _METHODS[method]
        # Nothing here has Python control flow that depends on tensors.
        self.evaluate = compiled(self.tapped.__call__, autograph=False)
        self.evaluate_with_jacobians = compiled(self._with_jacobians, autograph=False)
        self.mean_gradient_tensors = compiled(self._means, autograph=False)

    def snapshot(self, inputs: list[tf.Tensor]) -> TapeSnapshot:
        return TapeSnapshot(self, inputs)

    def asked_places(self) -> list[str]:
        """Names of the taps of the weights that were asked for."""
        return list(dict.fromkeys(self.place(n) for n in self.layers if self.is_tapped(n)))

    def _with_jacobians(self, inputs: list, weights: list, names: tuple[str, ...]) -> Any:
        # Both run the network forward; in one graph TensorFlow does it once.
        jacobians = self._jacobians(self.tapped, inputs, list(names), weights)
        return *self.tapped(inputs, weights), jacobians

    def _means(self, inputs: list, weights: list, names: tuple[str, ...]) -> dict[str, tf.Tensor]:
        return methods.mean_gradient_tensors(self.tapped, inputs, list(names), weights)


class TapeSnapshot(Snapshot):
    """A model on one minibatch, evaluated when it is asked."""

    _engine: TapeEngine

    def __init__(self, engine: TapeEngine, inputs: list[tf.Tensor]) -> None:
        super().__init__(engine, inputs, engine.model.snapshot())
        self._forward: Any = None
        self._jacobians: dict[str, tf.Tensor] = {}
        self._means: dict[str, tf.Tensor] = {}

    @property
    def outputs(self) -> tf.Tensor:
        return self._evaluated()[0]

    def layer_input(self, name: str) -> tf.Tensor:
        return self._evaluated()[1][self._engine.place(name)]

    def preactivation(self, name: str) -> tf.Tensor:
        return self._evaluated()[2][self._engine.place(name)]

    def jacobian(self, name: str) -> tf.Tensor:
        place = self._engine.place(name)
        if place not in self._jacobians:
            names = self._together(place)
            *self._forward, jacobians = self._engine.evaluate_with_jacobians(
                self._inputs, self._weights, names
            )
            self._jacobians |= jacobians
        return self._jacobians[place]

    def gradient_tensor(self, name: str, neuron: int | None = None) -> tf.Tensor:
        if self._engine.is_tapped(name):
            return self.tapped_gradient_tensor(name, neuron)
        tensor = self._engine.derivatives.gradient_tensor(self._inputs, self._weights, name)
        return tensor if neuron is None else tensor[..., neuron]

    def mean_gradient_tensor(self, name: str) -> tf.Tensor:
        if name not in self._means:
            kernels = self._kernels_together(name)
            if kernels:
                self._means |= self._engine.mean_gradient_tensors(
                    self._inputs, self._weights, kernels
                )
            else:
                self._means[name] = self._engine.derivatives.mean_gradient_tensor(
                    self._inputs, self._weights, name
                )
        return self._means[name]

    def change(self, changes: Mapping[str, tf.Tensor]) -> tf.Tensor:
        tapped = [name for name in changes if self._engine.is_tapped(name)]
        places = {self._engine.place(name) for name in tapped}
        if len(tapped) < len(changes) or len(places) > 1:  # a forward derivative: no J and no G
            return self._engine.derivatives.push(self._inputs, self._weights, dict(changes))
        total = tf.zeros_like(self.outputs)
        for place, change in self.preactivation_changes(changes).items():
            total += _contraction(self.jacobian(place), change, total.dtype)
        return total

    def _together(self, place: str) -> tuple[str, ...]:
        """The taps whose J are made in one sweep with that of `place`: they share passes."""
        places = self._engine.asked_places()
        _, _, preactivations = self._evaluated() if len(places) > 8 else (None, None, {})
        units = sum(math.prod(a.shape[1:]) for a in preactivations.values())
        size = units * math.prod(self.outputs.shape) * self.outputs.dtype.size if units else 0
        return tuple(places) if place in places and size <= _TOGETHER_BYTES else (place,)

    def _kernels_together(self, name: str) -> tuple[str, ...]:
        """The kernels whose mean G are made in the same passes; none if no rule knows it."""
        weights = self._engine.weights
        kernels = [n for n in self._engine.layers if n in self._engine.taps]
        kernels = [n for n in kernels if not weights[n].is_bias]
        size = sum(math.prod(self.values[n].shape) for n in kernels) * self.outputs.shape[1]
        if name in kernels and size * self.outputs.dtype.size <= _TOGETHER_BYTES:
            return tuple(kernels)
        tapped = name in self._engine.taps and not weights[name].is_bias
        return (name,) if tapped else ()

    def _evaluated(self) -> Any:
        if self._forward is None:
            self._forward = self._engine.evaluate(self._inputs, self._weights)
        return self._forward


def _contraction(jacobian: tf.Tensor, change: tf.Tensor, dtype: tf.DType) -> tf.Tensor:
    """<J_i, change_i> over all axes of the preactivation: (B, p_L)."""
    batch, components = tf.shape(jacobian)[0], tf.shape(jacobian)[1]
    flat = tf.reshape(jacobian, (batch, components, -1))
    return tf.cast(tf.linalg.matvec(flat, tf.reshape(change, (batch, -1))), dtype)
