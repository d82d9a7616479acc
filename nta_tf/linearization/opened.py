"""A Keras model opened into its calls, run in inference mode at any weights.

Everything that looks inside a network stands on this: taps on preactivations
(`TappedModel`), and the rectifiers whose bits are activation configurations.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import keras
import tensorflow as tf

from nta_tf import precision
from nta_tf.linearization.evaluated import EvaluatedModel, Outputs, Weights, chosen
from nta_tf.linearization.graph import Graph, LayerCall
from nta_tf.linearization.inputs import checked_inputs
from nta_tf.linearization.taking_over import by_their_rules, grouped
from nta_tf.variables import seed_states


class OpenedModel(EvaluatedModel):
    """A Keras model whose calls can be evaluated one by one.

    Args:
        model: A functional or sequential `keras.Model`.
        outputs: Name or position of an output, or a list of them; None is the only one.
        training: Whether it is run in training mode.

    Attributes:
        name: Name of the model.
        calls: Every `LayerCall` of the graph, nested models opened, in order.
        inputs: The symbolic inputs.
        output: The symbolic output, the first of those that are chosen.
        input_names: What the inputs are called in a dictionary of inputs.
        variables: All weights of the model; in training mode also the states of its seeds.

    Raises:
        ValueError: If the model is no graph of layers, or an output is unknown.
    """

    def __init__(self, model: keras.Model, outputs: Outputs = None, training: bool = False) -> None:
        self._graph = Graph(model)
        self.name = model.name
        self.calls = self._graph.calls
        self.inputs = self._graph.inputs
        self._chosen = chosen(model.name, _output_names(model), outputs)
        self.output = self._graph.outputs[self._chosen[0]]
        # Keras flattens dictionaries in the order of their sorted keys.
        structure = getattr(model, "input", None)
        by_key = sorted(structure) if isinstance(structure, dict) else None
        self.input_names = by_key or [symbol.name for symbol in model.inputs]
        self.training = training
        self.variables = [*model.weights, *(seed_states(model) if training else [])]
        self.grouped = grouped(call.layer for call in self.calls)
        self.low = precision.low_precision_layers(call.layer for call in self.calls)

    def checked(self, x: Any) -> list[tf.Tensor]:
        return checked_inputs(self, x)

    def chosen_outputs(self, inputs: Any, weights: Weights | None = None) -> list:
        return self._run(inputs, _call_as_it_is, weights)

    def run(
        self,
        inputs: tf.Tensor | Sequence[tf.Tensor],
        evaluate: Callable[[LayerCall, Any, Any], Any],
        weights: Weights | None = None,
    ) -> Any:
        """Runs the calls of the graph, in inference mode unless it was opened for training.

        Args:
            inputs: A batch of inputs; a list of tensors if the model has several.
            evaluate: Function of (call, args, kwargs) that returns the call's output.
            weights: Tensors to be used in the place of the model's variables: a dictionary
                by `variable.path`, of those that differ, or a list like `variables`. None
                is the live variables.

        Returns:
            The (first chosen) output.
        """
        return self._run(inputs, evaluate, weights)[0]

    def values(self, inputs: tf.Tensor | Sequence[tf.Tensor]) -> list[tuple[LayerCall, Any]]:
        """What every call of the graph returns, as pairs (LayerCall, output), in order."""
        pairs = []

        def evaluate(call, args, kwargs):
            pairs.append((call, call.layer(*args, **kwargs)))
            return pairs[-1][1]

        self.run(inputs, evaluate)
        return pairs

    def reached(self, inputs: Sequence[tf.Tensor], symbol: keras.KerasTensor) -> tf.Tensor:
        """What stands for a symbolic tensor, in inference mode; what comes after is not run."""
        with by_their_rules(self.grouped), precision.in_single_precision(self.low):
            return _Inference(lambda tensors: self._graph.run(tensors, _call_as_it_is, symbol)[0])(
                list(inputs), training=False
            )

    def _run(self, inputs: Any, evaluate: Callable, weights: Weights | None) -> list:
        inputs = list(inputs) if isinstance(inputs, (list, tuple)) else [inputs]

        def in_mode(call, args, kwargs):
            # The graph has written down the mode in which it was built.
            kwargs = {name: value for name, value in kwargs.items() if name != "training"}
            return evaluate(call, args, kwargs)

        run = in_mode if self.training else evaluate
        with self.at(weights):
            outputs = _Inference(lambda tensors: self._graph.run(tensors, run))(
                inputs, training=self.training
            )
        return [outputs[position] for position in self._chosen]


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


def _output_names(model: keras.Model) -> list[str]:
    names = getattr(model, "output_names", None)  # a sequential model has none
    return list(names or [f"output_{place}" for place in range(len(model.outputs))])


def _call_as_it_is(call: LayerCall, args: Any, kwargs: Any) -> Any:
    return call.layer(*args, **kwargs)
