"""Chains of Dense layers: products of kernels and masks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf

from nta_tf.compiling import compiled
from nta_tf.linearization.chain import (
    DenseChain,
    Evaluation,
    directional_derivative,
    jacobian,
)
from nta_tf.linearization.engines.base import Engine, Snapshot
from nta_tf.linearization.taps import TappedModel
from nta_tf.linearization.weights import Weight


class ChainEngine(Engine):
    """Linearizes a chain of Dense layers through its structure (section 2.3).

    The whole chain is evaluated at once, however few of its layers are wanted.

    Args:
        whole: `TappedModel` of all layers.
        chain: The `DenseChain` that it is.
        weights: The `Weight`s that may vary, by name.
        layers: Names of those that were asked for.
    """

    def __init__(
        self,
        whole: TappedModel,
        chain: DenseChain,
        weights: Mapping[str, Weight],
        layers: Sequence[str],
    ) -> None:
        super().__init__(whole, weights, layers)
        self.chain = chain
        self._whole = whole
        self._positions = {id(layer): place for place, layer in enumerate(chain.layers)}
        # Nothing here has Python control flow that depends on tensors.
        self._evaluate = compiled(self._evaluate_chain, autograph=False)
        self._compiled: dict[int, Any] = {}

    def snapshot(self, inputs: list[tf.Tensor]) -> ChainSnapshot:
        return ChainSnapshot(self, Evaluation(**self._evaluate(inputs)))

    def position(self, name: str) -> int:
        """Which layer of the chain a weight belongs to, 0 for l = 1."""
        return self._positions[id(self.weights[name].reached.layer)]

    def jacobian(self, evaluation: Evaluation, position: int) -> tf.Tensor:
        """J_l of a layer, by a function that is compiled once a layer.

        It takes the layers from l on only: TensorFlow looks at each argument of each call.
        """
        if position not in self._compiled:
            self._compiled[position] = compiled(
                lambda parts: jacobian(Evaluation(layer_inputs=[], **parts), 0), autograph=False
            )
        return self._compiled[position](
            {
                "preactivations": evaluation.preactivations[position:][:1],
                "slopes": evaluation.slopes[position:],
                "kernels": evaluation.kernels[position:],
                "outputs": evaluation.outputs,
            }
        )

    def _evaluate_chain(self, inputs: list[tf.Tensor]) -> dict[str, Any]:
        # What comes before the first Dense layer may be anything without weights.
        _, layer_inputs, _ = self._whole(inputs)
        first = layer_inputs[self.chain.names[0]]
        return vars(self.chain.evaluate(first, *self.chain.weights()))


class ChainSnapshot(Snapshot):
    """A chain evaluated on one minibatch."""

    _engine: ChainEngine

    def __init__(self, engine: ChainEngine, evaluation: Evaluation) -> None:
        super().__init__(engine)
        self._evaluation = evaluation
        self._jacobians: dict[int, tf.Tensor] = {}
        self._means: dict[str, tf.Tensor] = {}

    @property
    def outputs(self) -> tf.Tensor:
        return self._evaluation.outputs

    def layer_input(self, name: str) -> tf.Tensor:
        return self._evaluation.layer_inputs[self._engine.position(name)]

    def preactivation(self, name: str) -> tf.Tensor:
        return self._evaluation.preactivations[self._engine.position(name)]

    def jacobian(self, name: str) -> tf.Tensor:
        position = self._engine.position(name)
        if position not in self._jacobians:
            self._jacobians[position] = self._engine.jacobian(self._evaluation, position)
        return self._jacobians[position]

    def gradient_tensor(self, name: str, neuron: int | None = None) -> tf.Tensor:
        return self.tapped_gradient_tensor(name, neuron)

    def mean_gradient_tensor(self, name: str) -> tf.Tensor:
        if name not in self._means:
            weight = self._engine.weights[name]
            if weight.is_bias:
                self._means[name] = tf.reduce_mean(self.gradient_tensor(name), axis=0)
            else:
                self._means[name] = weight.reached.rule.mean_gradient_tensor(
                    weight.reached.layer, self.jacobian(name), self.layer_input(name)
                )
        return self._means[name]

    def change(self, changes: Mapping[str, tf.Tensor]) -> tf.Tensor:
        moved: list[tf.Tensor | None] = [None] * len(self._engine.chain.layers)
        for name, change in self.preactivation_changes(changes).items():
            moved[self._engine.position(name)] = change
        return directional_derivative(self._evaluation, moved)
