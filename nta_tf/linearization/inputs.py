"""The check of what is fed into a model."""

from __future__ import annotations

import collections.abc
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import tensorflow as tf

from nta_tf.variables import LOW_PRECISION

if TYPE_CHECKING:
    from nta_tf.linearization.opened import OpenedModel


def checked_inputs(model: OpenedModel, x: Any) -> list[tf.Tensor]:
    """The inputs as a list of tensors of the model's dtypes.

    Args:
        model: An `OpenedModel`.
        x: A batch; a list, tuple or dictionary of batches if the model has several inputs.

    Returns:
        A list of tensors, one an input of the model.

    Raises:
        ValueError: If inputs are missing, have wrong shapes, or hold NaN or infinities.
    """
    given = _as_list(model, x)
    inputs = [
        tf.cast(tf.convert_to_tensor(tensor), _dtype(symbol.dtype))
        for tensor, symbol in zip(given, model.inputs)
    ]
    fit = len(given) == len(model.inputs) and all(
        tensor.shape.is_compatible_with(symbol.shape)
        for tensor, symbol in zip(inputs, model.inputs)
    )
    if not fit or len({tensor.shape[0] for tensor in inputs}) != 1:
        expected = [tuple(symbol.shape) for symbol in model.inputs]
        received = [tuple(np.shape(tensor)) for tensor in given]
        several = len(expected) > 1
        raise ValueError(
            f"Inputs must have shape {expected if several else expected[0]}, batch first"
            f"{', as many examples in each of the list' if several else ''}. "
            f"Received: {received if len(received) > 1 else received[0]}"
        )
    check_finite(inputs)
    return inputs


def check_finite(inputs: Sequence[tf.Tensor]) -> None:
    """Raises if an input holds NaN or infinite values."""
    for tensor in inputs:
        if tensor.dtype.is_floating and not np.isfinite(np.asarray(tensor)).all():
            raise ValueError("The inputs hold NaN or infinite values; remove them first.")


def _dtype(name: str) -> str:
    """Models that compute in less are linearized in float32."""
    return "float32" if name in LOW_PRECISION else name


def _as_list(model, x):
    if isinstance(x, collections.abc.Mapping):
        names = model.input_names
        if set(x) != set(names):
            raise ValueError(f"The model's inputs are called {names}. Received: {list(x)}")
        return [x[name] for name in names]
    if not isinstance(x, (list, tuple)):
        return [x]
    # With one input a list may also be the batch itself, as NumPy would read it.
    rank = len(model.inputs[0].shape)
    alone = len(model.inputs) == 1 and not (len(x) == 1 and np.ndim(x[0]) == rank)
    return [x] if alone else list(x)
