"""Which engine linearizes a model."""

from __future__ import annotations

import weakref
from collections.abc import Sequence

import keras
import numpy as np

from nta_tf.linearization import methods
from nta_tf.linearization.chain import find_chain
from nta_tf.linearization.engines.base import Engine
from nta_tf.linearization.engines.chain import ChainEngine
from nta_tf.linearization.engines.tape import TapeEngine
from nta_tf.linearization.taps import TappedModel

# The engines of each model by their settings, so that a second call of linearize on the same
# model neither opens nor traces it again.
_ENGINES: weakref.WeakKeyDictionary = weakref.WeakKeyDictionary()


def engine_of(model: keras.Model, layers: str | Sequence[str] | None, method: str) -> Engine:
    """The engine of a model, made at the first call.

    Args:
        model: A `keras.Model`.
        layers: Names of layers, or None for every layer with a kernel.
        method: `"auto"`, `"per_output"` or `"pfor"`.

    Returns:
        An `Engine`.

    Raises:
        ValueError: If a layer cannot be had, or the method is unknown.
        NotImplementedError: If a kernel of the model has no rule.
    """
    key = (None if layers is None else tuple(np.atleast_1d(layers)), method)
    by_settings = _ENGINES.setdefault(model, {})
    if key not in by_settings:
        by_settings[key] = _choose(model, layers, method)
    return by_settings[key]


def _choose(model: keras.Model, layers: str | Sequence[str] | None, method: str) -> Engine:
    methods.check_method(method)
    tapped = TappedModel(model, layers)
    if method != "auto":
        return TapeEngine(tapped, method)
    try:  # a chain is one as a whole, however few of its layers are wanted
        whole = tapped if layers is None else TappedModel(model)
    except (ValueError, NotImplementedError):  # some layer has no rule, or is shared
        return TapeEngine(tapped, method)
    chain = find_chain(whole)
    if chain is None:
        return TapeEngine(tapped, method)
    return ChainEngine(whole, chain, list(tapped.taps))
