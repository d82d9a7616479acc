"""Any graph of layers, differentiated by TensorFlow's tape."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from nta_tf.linearization import methods
from nta_tf.linearization.engines.base import Engine, Snapshot, contraction
from nta_tf.linearization.taps import TappedModel

_METHODS = {"per_output": methods.per_output, "pfor": methods.pfor, "auto": methods.sweep}


class TapeEngine(Engine):
    """Linearizes any model whose calls can be opened, with backward passes.

    Args:
        tapped: `TappedModel` of the wanted layers.
        method: `"auto"`, `"per_output"` or `"pfor"`: see `nta_tf.linearization.methods`.
    """

    def __init__(self, tapped: TappedModel, method: str) -> None:
        self.tapped = tapped
        self.taps = tapped.taps
        self._jacobians = _METHODS[method]
        # Nothing here has Python control flow that depends on tensors.
        self.evaluate = tf.function(tapped.__call__, autograph=False)
        self.evaluate_with_jacobians = tf.function(self._with_jacobians, autograph=False)
        self.mean_gradient_tensors = tf.function(self._means, autograph=False)

    def snapshot(self, inputs: list[tf.Tensor]) -> TapeSnapshot:
        return TapeSnapshot(self, inputs)

    def _with_jacobians(self, inputs: list[tf.Tensor], weights: list[tf.Tensor]) -> Any:
        # Both run the network forward; in one graph TensorFlow does it once.
        jacobians = self._jacobians(self.tapped, inputs, list(self.taps), weights)
        return *self.tapped(inputs, weights), jacobians

    def _means(self, inputs: list[tf.Tensor], weights: list[tf.Tensor]) -> dict[str, tf.Tensor]:
        return methods.mean_gradient_tensors(self.tapped, inputs, list(self.taps), weights)


class TapeSnapshot(Snapshot):
    """A graph of layers on one minibatch, evaluated when it is asked."""

    def __init__(self, engine: TapeEngine, inputs: list[tf.Tensor]) -> None:
        super().__init__(engine.taps)
        self._engine = engine
        self._inputs = inputs
        self._all_weights = engine.tapped.snapshot()
        self._forward: Any = None
        self._jacobians: dict[str, tf.Tensor] = {}
        self._means: dict[str, tf.Tensor] = {}

    @property
    def outputs(self) -> tf.Tensor:
        return self._evaluated()[0]

    def layer_input(self, name: str) -> tf.Tensor:
        return self._evaluated()[1][name]

    def preactivation(self, name: str) -> tf.Tensor:
        return self._evaluated()[2][name]

    def jacobian(self, name: str) -> tf.Tensor:
        if not self._jacobians:  # all at once: they share every backward pass
            *self._forward, self._jacobians = self._engine.evaluate_with_jacobians(
                self._inputs, self._all_weights
            )
        return self._jacobians[name]

    def mean_gradient_tensor(self, name: str) -> tf.Tensor:
        if not self._means:
            self._means = self._engine.mean_gradient_tensors(self._inputs, self._all_weights)
        return self._means[name]

    def contract(self, changes: Mapping[str, tf.Tensor]) -> tf.Tensor:
        outputs = self.outputs
        total = tf.zeros_like(outputs)
        for name, change in changes.items():
            total += contraction(self.jacobian(name), change, outputs.dtype)
        return total

    def _evaluated(self) -> Any:
        if self._forward is None:
            self._forward = self._engine.evaluate(self._inputs, self._all_weights)
        return self._forward
