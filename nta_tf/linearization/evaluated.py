"""What every model offers to linearization, whether its graph can be opened or not."""

from __future__ import annotations

import abc
import contextlib
import math
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import tensorflow as tf

from nta_tf.linearization.taking_over import by_their_rules

Weights = Mapping[str, tf.Tensor] | Sequence[tf.Tensor]
Outputs = int | str | Sequence[int | str] | None


class EvaluatedModel(abc.ABC):
    """A Keras model that is run in inference mode at any weights.

    Attributes:
        name: Name of the model.
        variables: All weights of the model.
        grouped: Its grouped convolutions, which are computed by their rule.
    """

    name: str
    variables: list[keras.Variable]
    grouped: list[keras.layers.Layer]

    @abc.abstractmethod
    def checked(self, x: Any) -> list[tf.Tensor]:
        """The minibatch as a list of tensors; raises if it does not fit the model."""

    @abc.abstractmethod
    def chosen_outputs(self, inputs: Sequence[tf.Tensor], weights: Weights | None) -> list:
        """The chosen outputs on a minibatch, each (B, ...)."""

    def rows(self, inputs: Sequence[tf.Tensor], weights: Weights | None = None) -> tf.Tensor:
        """The chosen outputs of each example in one row, (B, p_L)."""
        with by_their_rules(self.grouped):
            outputs = self.chosen_outputs(inputs, weights)
        if len(outputs) == 1 and outputs[0].shape.rank == 2:
            return outputs[0]
        rows = [
            tf.reshape(output, (tf.shape(output)[0], math.prod(output.shape[1:])))
            for output in outputs
        ]
        return rows[0] if len(rows) == 1 else tf.concat(rows, axis=1)

    def snapshot(self) -> list[tf.Tensor]:
        """Copies of all weights as they are now, in the order of `variables`."""
        return [tf.identity(variable.value) for variable in self.variables]

    def at(self, weights: Weights | None) -> contextlib.AbstractContextManager:
        """A scope in which the model's variables have the given values.

        Args:
            weights: A dictionary by `variable.path`, of those that differ, or a list like
                `variables`. None is the live variables.
        """
        if weights is None:
            return contextlib.nullcontext()
        return keras.StatelessScope(state_mapping=self._mapping(weights))

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
