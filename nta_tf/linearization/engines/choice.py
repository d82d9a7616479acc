"""Which engine linearizes a model."""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from typing import Any, cast

import keras
import numpy as np

from nta_tf.linearization import methods
from nta_tf.linearization.called import CalledModel, structure_of
from nta_tf.linearization.chain import find_chain
from nta_tf.linearization.engines.base import Engine
from nta_tf.linearization.engines.chain import ChainEngine
from nta_tf.linearization.engines.tape import TapeEngine
from nta_tf.linearization.evaluated import EvaluatedModel, Outputs
from nta_tf.linearization.graph import is_graph
from nta_tf.linearization.opened import OpenedModel
from nta_tf.linearization.probe import without_unsure_taps
from nta_tf.linearization.taps import TappedModel
from nta_tf.linearization.weights import Weight, reachable, selected, weights_of
from nta_tf.variables import moving_variables

# The engines of each model by their settings, so that a second call of linearize on the same
# model neither opens nor traces it again.
_ENGINES: weakref.WeakKeyDictionary = weakref.WeakKeyDictionary()


def engine_of(
    model: keras.Model,
    x: Any,
    layers: str | Sequence[str] | None = None,
    method: str = "auto",
    outputs: Outputs = None,
) -> Engine:
    """The engine of a model, made at the first call.

    Args:
        model: A `keras.Model`.
        x: A minibatch: it builds a model that is not built, and tells how inputs are nested.
        layers: Names of layers and variables, or None for every weight that multiplies.
        method: `"auto"`, `"per_output"` or `"pfor"`.
        outputs: Name or position of an output, or a list of them; None is the only one.

    Returns:
        An `Engine`.

    Raises:
        ValueError: If a layer or an output cannot be had, or the method is unknown.
    """
    methods.check_method(method)
    if not isinstance(model, keras.Model):
        raise ValueError(f"The model must be a keras.Model. Received: {model!r}")
    if isinstance(model, keras.Sequential) and not model.built:
        model.build((None, *np.shape(x)[1:]))  # a graph from now on
    by_settings = _ENGINES.setdefault(model, {})
    if "graph" not in by_settings:  # asking takes longer than J of a layer
        by_settings["graph"] = is_graph(model)
    nesting = None if by_settings["graph"] else repr(structure_of(x))
    names = None if layers is None else tuple(np.atleast_1d(layers))
    chosen = tuple(outputs) if isinstance(outputs, list) else outputs
    # A layer that was frozen or thawed since is another model to us.
    trainable = tuple(variable.trainable for variable in model.variables)
    key = (names, method, chosen, nesting, trainable)
    if key not in by_settings:
        by_settings[key] = _choose(model, x, names, method, chosen)
    return by_settings[key]


def tape_engine_of(
    model: keras.Model, x: Any, layers: str | Sequence[str] | None = None, training: bool = False
) -> TapeEngine:
    """An engine of a model that can be asked at any weights, as recorders do.

    Args:
        model: A `keras.Model`.
        x: Two examples or more, as for `engine_of`.
        layers: As for `engine_of`.
        training: Whether the model is run in training mode, with the masks of dropout.

    Returns:
        A `TapeEngine` of the model's only output.

    Raises:
        ValueError: As `engine_of`; and if in training mode a layer would mix the examples.
    """
    if training:
        _refuse_statistics(model)
    names = None if layers is None else tuple(np.atleast_1d(layers))
    return cast(TapeEngine, _choose(model, x, names, "auto", None, training))


def _refuse_statistics(model: keras.Model) -> None:
    moving = [v.path for v in moving_variables(model) if not v.trainable]
    if moving:
        raise ValueError(
            f"Model {model.name!r} cannot be linearized in training mode: {moving} are statistics "
            "of layers that mix the examples of a minibatch there, so that no example has a G of "
            "its own. Record it in inference mode (training_mode=False)."
        )


def _choose(
    model: keras.Model,
    x: Any,
    layers: Sequence[str] | None,
    method: str,
    outputs: Outputs,
    training: bool | None = None,
) -> Engine:
    """The engine; for recorders, which say whether it is in training mode, one with a tape."""
    evaluated: EvaluatedModel
    if is_graph(model):
        evaluated = OpenedModel(model, outputs, bool(training))
    else:
        evaluated = CalledModel(model, x, outputs, bool(training))
    weights = weights_of(model, evaluated)
    names = selected(model.name, weights, layers)
    free = reachable(weights) if layers is None else []
    # The biases of wanted kernels may vary with them, as pairs (kernel, bias).
    beside = {id(weights[name].tap) for name in names if weights[name].tap is not None}
    weights = {
        name: weight
        for name, weight in weights.items()
        if name in {*names, *free} or (weight.is_bias and id(weight.tap) in beside)
    }
    if method == "auto" and isinstance(evaluated, OpenedModel) and training is None:
        chain = _chain_engine(model, weights, names)
        if chain is not None:
            return chain
    if all(weight.tap is None or weight.direct for weight in weights.values()):
        return TapeEngine(evaluated, weights, names, method)
    weights = without_unsure_taps(evaluated, weights, evaluated.checked(x))
    return TapeEngine(evaluated, weights, names, method)


def _chain_engine(
    model: keras.Model, weights: dict[str, Weight], names: list[str]
) -> ChainEngine | None:
    try:  # a chain is one as a whole, however few of its layers are wanted
        whole = TappedModel(model)
    except (ValueError, NotImplementedError):  # some layer has no rule, or is shared
        return None
    chain = find_chain(whole)
    if chain is None or any(weight.tap is None for weight in weights.values()):
        return None
    return ChainEngine(whole, chain, weights, names)
