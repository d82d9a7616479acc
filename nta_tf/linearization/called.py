"""Keras models that are no graph of layers: called as a whole."""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from nta_tf import precision
from nta_tf.linearization.evaluated import EvaluatedModel, Outputs, Weights, chosen
from nta_tf.linearization.inputs import check_finite
from nta_tf.linearization.taking_over import grouped
from nta_tf.variables import LOW_PRECISION, seed_states


class CalledModel(EvaluatedModel):
    """Any callable Keras model, subclassed or with a `call` of its own.

    The caller keeps the model alive.

    Args:
        model: A `keras.Model`, which is built by calling it on one example if need be.
        x: A minibatch, in the structure in which the model takes it.
        outputs: Name (key) or position of an output, or a list of them; None is the only one.
        training: Whether it is run in training mode.

    Attributes:
        name: Name of the model.
        variables: All weights of the model; in training mode also the states of its seeds.
    """

    def __init__(
        self, model: keras.Model, x: Any, outputs: Outputs = None, training: bool = False
    ) -> None:
        self._model = weakref.ref(model)
        self.name = model.name
        low = model.compute_dtype in LOW_PRECISION
        self._dtype = "float32" if low else model.compute_dtype
        self.training = training
        self._structure = structure_of(x)
        first = [tensor[:1] for tensor in self.checked(x)]
        results = model(self._packed(first), training=False)  # builds it
        names = sorted(results) if isinstance(results, dict) else None
        count = len(keras.tree.flatten(results))
        self._chosen = chosen(model.name, names or [f"output_{n}" for n in range(count)], outputs)
        self._seeds = seed_states(model) if training else []
        self.variables = [*model.weights, *self._seeds]
        self.grouped = grouped(model._flatten_layers(include_self=False))
        self.low = precision.low_precision_layers([model])

    def checked(self, x: Any) -> list[tf.Tensor]:
        leaves = [tf.convert_to_tensor(leaf) for leaf in keras.tree.flatten(as_arrays(x))]
        shapes = [tuple(leaf.shape) for leaf in leaves]
        if not leaves or len({shape[:1] for shape in shapes}) != 1 or not shapes[0]:
            raise ValueError(
                "Inputs must have the examples on their first axis, as many of them in each. "
                f"Received: inputs of shapes {shapes}"
            )
        check_finite(leaves)
        return [tf.cast(x, self._dtype) if x.dtype.is_floating else x for x in leaves]

    def chosen_outputs(self, inputs: Sequence[tf.Tensor], weights: Weights | None) -> list:
        model = self._alive()
        with self.at(weights) as scope:
            results = model(self._packed(inputs), training=self.training)
            if scope is not None:
                given = {id(variable): value for variable, value in self._mapping(weights or {})}
                _check_nothing_trained(model, scope, given, self._seeds)
        leaves = keras.tree.flatten(results)
        return [leaves[position] for position in self._chosen]

    def _alive(self) -> keras.Model:
        model = self._model()
        if model is None:
            raise ReferenceError(f"Model {self.name!r} is gone; keep a reference to it.")
        return model

    def _packed(self, inputs: Sequence[tf.Tensor]) -> Any:
        return keras.tree.pack_sequence_as(self._structure, list(inputs))


def as_arrays(x: Any) -> Any:
    """The inputs with arrays as leaves: a list of numbers is read as one array."""
    leaves = keras.tree.flatten(x)
    if any(np.ndim(leaf) == 0 for leaf in leaves) and not isinstance(x, dict):
        return np.asarray(x)
    return x


def structure_of(x: Any) -> Any:
    """How inputs are nested, with zeros in the place of arrays."""
    return keras.tree.map_structure(lambda _: 0, as_arrays(x))


def _check_nothing_trained(
    model: keras.Model, scope: Any, given: dict[int, Any], seeds: list[keras.Variable]
) -> None:
    """Raises if the call moved a state of the model, as layers in training mode do."""
    metrics = {id(variable) for variable in [*getattr(model, "metrics_variables", []), *seeds]}
    for variable in model.variables:
        value = scope.get_current_value(variable)
        if value is None or id(variable) in metrics or value is given.get(id(variable)):
            continue
        raise ValueError(
            f"Model {model.name!r} calls a layer in training mode: {variable.path!r} moves "
            "although the model is called with training=False. linearize evaluates in inference "
            "mode, where no layer mixes the examples of a minibatch or draws random numbers. "
            "Pass the model's `training` on to its layers."
        )
