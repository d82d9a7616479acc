"""Chains of Dense layers: products of kernels and masks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import tensorflow as tf

from nta_tf.compiling import at_once, by_shapes, compiled
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
        self._first = whole.taps[chain.names[0]].layer_input
        self._positions = {id(layer): place for place, layer in enumerate(chain.layers)}
        places = whole.places()
        self._kernels = [places[id(layer.kernel)] for layer in chain.layers]
        self._biases = [
            places[id(layer.bias)] if layer.use_bias else None for layer in chain.layers
        ]
        self._read: Any = None
        self._evaluate = by_shapes(self._parts)
        self._at_once: dict[int, Callable] = {}
        self._after: dict[int, Callable] = {}

    def snapshot(self, inputs: list[tf.Tensor]) -> ChainSnapshot:
        if self._read is None:  # compiled: a hundred layers are read in a fifth of the time
            read: Any = compiled(self._whole.snapshot, autograph=False)
            self._read = at_once(read.get_concrete_function())
        return ChainSnapshot(self, inputs, self._read())

    def position(self, name: str) -> int:
        """Which layer of the chain a weight belongs to, 0 for l = 1."""
        return self._positions[id(self.weights[name].reached.layer)]

    def evaluate(self, inputs: list[tf.Tensor], weights: list[tf.Tensor]) -> Evaluation:
        """The chain on a minibatch, at the values of all variables of the model."""
        return self._evaluation(self._evaluate(inputs, weights), weights)

    def evaluate_with_jacobian(
        self, inputs: list[tf.Tensor], weights: list[tf.Tensor], position: int
    ) -> tuple[Evaluation, tf.Tensor]:
        """The same, and J_l of a layer, in one call."""
        if position not in self._at_once:

            def both(inputs: list[tf.Tensor], weights: list[tf.Tensor]) -> tuple:
                parts = self._parts(inputs, weights)
                return parts, jacobian(self._evaluation(parts, weights), position)

            self._at_once[position] = by_shapes(both)
        parts, tensor = self._at_once[position](inputs, weights)
        return self._evaluation(parts, weights), tensor

    def jacobian(self, evaluation: Evaluation, position: int) -> tf.Tensor:
        """J_l of a layer of a chain that has been evaluated.

        It takes the layers from l on only: TensorFlow looks at each argument of each call.
        """
        if position not in self._after:
            self._after[position] = compiled(
                lambda parts: jacobian(Evaluation(layer_inputs=[], **parts), 0), autograph=False
            )
        return self._after[position](
            {
                "preactivations": evaluation.preactivations[position:][:1],
                "slopes": evaluation.slopes[position:],
                "kernels": evaluation.kernels[position:],
                "outputs": evaluation.outputs,
            }
        )

    def _parts(self, inputs: list[tf.Tensor], weights: list[tf.Tensor]) -> dict[str, Any]:
        """What an `Evaluation` holds but for the kernels."""
        kernels = [weights[place] for place in self._kernels]
        biases = [None if place is None else weights[place] for place in self._biases]
        # What comes before the first Dense layer may be anything without weights.
        first = tf.cast(self._whole.reached(inputs, self._first), kernels[0].dtype)
        parts = vars(self.chain.evaluate(first, kernels, biases))
        return {name: part for name, part in parts.items() if name != "kernels"}

    def _evaluation(self, parts: dict[str, Any], weights: list[tf.Tensor]) -> Evaluation:
        return Evaluation(kernels=[weights[place] for place in self._kernels], **parts)


class ChainSnapshot(Snapshot):
    """A chain on one minibatch, evaluated when it is asked."""

    _engine: ChainEngine

    def __init__(
        self, engine: ChainEngine, inputs: list[tf.Tensor], weights: list[tf.Tensor]
    ) -> None:
        super().__init__(engine, inputs, weights)
        self._known: Evaluation | None = None
        self._jacobians: dict[int, tf.Tensor] = {}
        self._means: dict[str, tf.Tensor] = {}

    @property
    def outputs(self) -> tf.Tensor:
        return self._evaluated().outputs

    def layer_input(self, name: str) -> tf.Tensor:
        return self._evaluated().layer_inputs[self._engine.position(name)]

    def preactivation(self, name: str) -> tf.Tensor:
        return self._evaluated().preactivations[self._engine.position(name)]

    def jacobian(self, name: str) -> tf.Tensor:
        position = self._engine.position(name)
        if self._known is None:  # J brings the forward pass along
            self._known, self._jacobians[position] = self._engine.evaluate_with_jacobian(
                self._inputs, self._weights, position
            )
        elif position not in self._jacobians:
            self._jacobians[position] = self._engine.jacobian(self._known, position)
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
        return directional_derivative(self._evaluated(), moved)

    def _evaluated(self) -> Evaluation:
        if self._known is None:
            self._known = self._engine.evaluate(self._inputs, self._weights)
        return self._known
