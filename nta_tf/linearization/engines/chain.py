"""Chains of Dense layers: products of kernels and masks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from nta_tf.linearization.chain import (
    DenseChain,
    Evaluation,
    directional_derivative,
    jacobian,
)
from nta_tf.linearization.engines.base import Engine, Snapshot
from nta_tf.linearization.taps import Tap, TappedModel


class ChainEngine(Engine):
    """Linearizes a chain of Dense layers through its structure (section 2.3).

    The whole chain is evaluated at once, however few of its layers are wanted.

    Args:
        whole: `TappedModel` of all layers.
        chain: The `DenseChain` that it is.
        names: Names of the wanted layers.
    """

    def __init__(self, whole: TappedModel, chain: DenseChain, names: list[str]) -> None:
        self.tapped = whole
        self.chain = chain
        self.taps = {name: whole.taps[name] for name in names}
        # Nothing here has Python control flow that depends on tensors.
        self._evaluate = tf.function(self._evaluate_chain, autograph=False)
        self._compiled: dict[str, Any] = {}

    def snapshot(self, inputs: list[tf.Tensor]) -> ChainSnapshot:
        return ChainSnapshot(self, Evaluation(**self._evaluate(inputs)))

    def jacobian(self, evaluation: Evaluation, name: str) -> tf.Tensor:
        """J_l of the layer called `name`, by a function that is compiled once a layer."""
        if name not in self._compiled:
            index = self.chain.names.index(name)
            self._compiled[name] = tf.function(
                lambda parts: jacobian(Evaluation(**parts), index), autograph=False
            )
        return self._compiled[name](vars(evaluation))

    def _evaluate_chain(self, inputs: list[tf.Tensor]) -> dict[str, Any]:
        # What comes before the first Dense layer, which may be anything without weights.
        _, layer_inputs, _ = self.tapped(inputs)
        first = layer_inputs[self.chain.names[0]]
        return vars(self.chain.evaluate(first, *self.chain.weights()))


class ChainSnapshot(Snapshot):
    """A chain evaluated on one minibatch."""

    def __init__(self, engine: ChainEngine, evaluation: Evaluation) -> None:
        super().__init__(engine.taps)
        self._engine = engine
        self._evaluation = evaluation
        self._names = engine.chain.names
        self._jacobians: dict[str, tf.Tensor] = {}
        self._means: dict[str, tf.Tensor] = {}

    @property
    def outputs(self) -> tf.Tensor:
        return self._evaluation.outputs

    def layer_input(self, name: str) -> tf.Tensor:
        return self._evaluation.layer_inputs[self._names.index(name)]

    def preactivation(self, name: str) -> tf.Tensor:
        return self._evaluation.preactivations[self._names.index(name)]

    def jacobian(self, name: str) -> tf.Tensor:
        if name not in self._jacobians:
            self._jacobians[name] = self._engine.jacobian(self._evaluation, name)
        return self._jacobians[name]

    def mean_gradient_tensor(self, name: str) -> tf.Tensor:
        if name not in self._means:
            tap: Tap = self._engine.taps[name]
            self._means[name] = tap.rule.mean_gradient_tensor(
                tap.layer, self.jacobian(name), self.layer_input(name)
            )
        return self._means[name]

    def contract(self, changes: Mapping[str, tf.Tensor]) -> tf.Tensor:
        return directional_derivative(self._evaluation, [changes.get(name) for name in self._names])
