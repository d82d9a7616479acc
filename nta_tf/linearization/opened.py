"""A Keras model opened into its calls, run in inference mode at any weights.

Everything that looks inside a network stands on this: taps on preactivations
(`TappedModel`), and the rectifiers whose bits are activation configurations.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import keras
import tensorflow as tf

from nta_tf.linearization.graph import Graph, LayerCall

Weights = Mapping[str, tf.Tensor] | Sequence[tf.Tensor]


class OpenedModel:
    """A Keras model with one output, whose calls can be evaluated one by one.

    Args:
        model: A functional or sequential `keras.Model` with one output.

    Attributes:
        name: Name of the model.
        calls: Every `LayerCall` of the graph, nested models opened, in order.
        inputs: The symbolic inputs.
        output: The symbolic output.
        input_names: What the inputs are called in a dictionary of inputs.
        variables: All weights of the model.

    Raises:
        ValueError: If the model is no graph of layers, or has several outputs.
    """

    def __init__(self, model: keras.Model) -> None:
        self._graph = Graph(model)
        self.name = model.name
        self.calls = self._graph.calls
        self.inputs = self._graph.inputs
        self.output = self._graph.output
        # Keras flattens dictionaries in the order of their sorted keys.
        structure = getattr(model, "input", None)
        by_key = sorted(structure) if isinstance(structure, dict) else None
        self.input_names = by_key or [symbol.name for symbol in model.inputs]
        self.variables = list(model.weights)

    def run(
        self,
        inputs: tf.Tensor | Sequence[tf.Tensor],
        evaluate: Callable[[LayerCall, Any, Any], Any],
        weights: Weights | None = None,
    ) -> Any:
        """Runs the calls of the graph in inference mode.

        Args:
            inputs: A batch of inputs; a list of tensors if the model has several.
            evaluate: Function of (call, args, kwargs) that returns the call's output.
            weights: Tensors to be used in the place of the model's variables: a dictionary
                by `variable.path`, of those that differ, or a list like `variables`. None
                is the live variables.

        Returns:
            The output.
        """
        inputs = list(inputs) if isinstance(inputs, (list, tuple)) else [inputs]
        scope = contextlib.nullcontext()
        if weights is not None:
            scope = keras.StatelessScope(state_mapping=self._mapping(weights))
        with scope:
            return _Inference(lambda tensors: self._graph.run(tensors, evaluate))(
                inputs, training=False
            )

    def values(self, inputs: tf.Tensor | Sequence[tf.Tensor]) -> list[tuple[LayerCall, Any]]:
        """What every call of the graph returns, as pairs (LayerCall, output), in order."""
        pairs = []

        def evaluate(call, args, kwargs):
            pairs.append((call, call.layer(*args, **kwargs)))
            return pairs[-1][1]

        self.run(inputs, evaluate)
        return pairs

    def snapshot(self) -> list[tf.Tensor]:
        """Copies of all weights as they are now, in the order of `variables`."""
        return [tf.identity(variable.value) for variable in self.variables]

    def _mapping(self, weights):
        if not isinstance(weights, dict):
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


def names_of(calls: Iterable[LayerCall]) -> list[str]:
    """What each call's layer is called: its name, or its path where two layers share a name."""
    owners: dict[str, set[int]] = {}
    for call in calls:
        owners.setdefault(call.layer.name, set()).add(id(call.layer))
    return [call.layer.name if len(owners[call.layer.name]) == 1 else call.path for call in calls]


class _Inference(keras.layers.Layer):
    """Calls a function in inference mode, as Keras calls the layers of a model."""

    def __init__(self, function):
        super().__init__(name="inference", autocast=False)
        self.function = function
        self.built = True

    def call(self, inputs, training=None):
        return self.function(inputs)
