"""What every model offers to linearization, whether its graph can be opened or not."""

from __future__ import annotations

import abc
import contextlib
import math
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import tensorflow as tf

from nta_tf import precision
from nta_tf.linearization.taking_over import by_their_rules
from nta_tf.variables import LOW_PRECISION

Weights = Mapping[str, tf.Tensor] | Sequence[tf.Tensor]
Outputs = int | str | Sequence[int | str] | None


class EvaluatedModel(abc.ABC):
    """A Keras model that is run at any weights, in float32 at least.

    Attributes:
        name: Name of the model.
        variables: All weights of the model; in training mode also the states of its seeds.
        grouped: Its grouped convolutions, which are computed by their rule.
        low: Its layers that compute in float16 or bfloat16, which is too coarse for derivatives.
        training: Whether it is run in training mode, in which dropout draws masks.
    """

    name: str
    variables: list[keras.Variable]
    grouped: list[keras.layers.Layer]
    low: list[keras.layers.Layer]
    training: bool = False
    _is_exact = False

    @abc.abstractmethod
    def checked(self, x: Any) -> list[tf.Tensor]:
        """The minibatch as a list of tensors; raises if it does not fit the model."""

    @abc.abstractmethod
    def chosen_outputs(self, inputs: Sequence[tf.Tensor], weights: Weights | None) -> list:
        """The chosen outputs on a minibatch, each (B, ...)."""

    def rows(self, inputs: Sequence[tf.Tensor], weights: Weights | None = None) -> tf.Tensor:
        """The chosen outputs of each example in one row, (B, p_L)."""
        outputs = self.exact_outputs(inputs, weights)
        if len(outputs) == 1 and outputs[0].shape.rank == 2:
            return outputs[0]
        rows = [
            tf.reshape(output, (tf.shape(output)[0], math.prod(output.shape[1:])))
            for output in outputs
        ]
        return rows[0] if len(rows) == 1 else tf.concat(rows, axis=1)

    def exact_outputs(self, inputs: Sequence[tf.Tensor], weights: Weights | None = None) -> list:
        """The chosen outputs, each (B, ...), in float32 at least and as their rules have them."""
        if self.low:
            weights = self._in_single_precision(weights)
        self._is_exact = True
        try:
            with by_their_rules(self.grouped), precision.in_single_precision(self.low):
                return self.chosen_outputs(inputs, weights)
        finally:
            self._is_exact = False

    def places(self) -> dict[int, int]:
        """Where each variable stands in `variables`, by its id."""
        return {id(variable): place for place, variable in enumerate(self.variables)}

    def snapshot(self) -> list[tf.Tensor]:
        """All weights as they are now, in the order of `variables`."""
        return [precision.at_least_single(_read(variable)) for variable in self.variables]

    def at(self, weights: Weights | None) -> contextlib.AbstractContextManager:
        """A scope in which the model's variables have the given values.

        Args:
            weights: A dictionary by `variable.path`, of those that differ, or a list like
                `variables`. None is the live variables.
        """
        if weights is None:
            return contextlib.nullcontext()
        mapping = self._mapping(weights)
        return _exact_scope(mapping) if self._is_exact else keras.StatelessScope(mapping)

    def _in_single_precision(self, weights: Weights | None) -> list[tf.Tensor]:
        given = {} if weights is None else {id(v): value for v, value in self._mapping(weights)}
        values = [given.get(id(variable), variable.value) for variable in self.variables]
        return [precision.at_least_single(tf.convert_to_tensor(value)) for value in values]

    def _mapping(self, weights: Weights) -> list[tuple[keras.Variable, tf.Tensor]]:
        if not isinstance(weights, Mapping):
            return list(zip(self.variables, weights, strict=True))
        paths = [variable.path for variable in self.variables]
        unclear = [path for path in weights if paths.count(path) != 1]
        if unclear:
            raise ValueError(
                "Weights must be given by variable.path, each the path of one variable of "
                f"the model; its paths are {paths}. Received: {unclear}; where layers of "
                "nested models share a name, give a list of tensors like `variables`."
            )
        return [(self.variables[paths.index(path)], value) for path, value in weights.items()]


def _read(variable: keras.Variable) -> tf.Tensor:
    """What a variable holds now: TensorFlow copies it when the variable moves on, not before.

    A third of the time of `tf.identity`, which reads it as well.
    """
    value = variable.value
    return value.value() if isinstance(value, tf.Variable) else value


def _exact_scope(mapping: Sequence[tuple[keras.Variable, tf.Tensor]]) -> keras.StatelessScope:
    """A scope in which variables have values, those of float16 and bfloat16 in float32."""
    low = [variable.dtype in LOW_PRECISION for variable, _ in mapping]
    scope = keras.StatelessScope([pair for pair, short in zip(mapping, low) if not short])
    for pair, short in zip(mapping, low):
        if short:  # the scope's constructor would round it
            scope.add_update(pair)
    return scope


def chosen(model: str, names: Sequence[str], outputs: Outputs) -> list[int]:
    """Positions of the outputs that are meant.

    Args:
        model: Name of the model.
        names: Names of its outputs.
        outputs: Name or position of an output, a list of them, or None for the only one.

    Returns:
        A list of positions.

    Raises:
        ValueError: If there is no such output, or several and none is named.
    """
    if outputs is None:
        if len(names) != 1:
            raise ValueError(
                "The model must have one output, or outputs= must choose some of them by name "
                f"or position. Received: {model!r} with {len(names)} outputs, {list(names)}"
            )
        return [0]
    wanted = list(outputs) if isinstance(outputs, (list, tuple)) else [outputs]
    positions = []
    for output in wanted:
        if isinstance(output, str) and output in names:
            positions.append(list(names).index(output))
        elif isinstance(output, int) and 0 <= output < len(names):
            positions.append(output)
        else:
            break
    if not wanted or len(positions) != len(wanted):
        raise ValueError(
            f"Outputs of model {model!r} are {list(names)}, or 0 to {len(names) - 1}. "
            f"Received: outputs={outputs!r}"
        )
    return positions
