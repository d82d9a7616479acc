"""The precision in which training steps compute; variables stay as they are."""

import contextlib
from collections.abc import Iterable, Iterator
from typing import Any

import keras
import tensorflow as tf

from nta_tf.variables import LOW_PRECISION


@contextlib.contextmanager
def computing_in(
    model: keras.Model, dtype_policy: str | keras.DTypePolicy | None
) -> Iterator[None]:
    """Traces the calls of a model's layers under another Keras dtype policy.

    Policies are read when a layer is called, so a `tf.function` that is traced inside this
    context computes in the policy's compute dtype ever after, while the layers themselves,
    and everything traced outside, stay as they were. The layer that makes the model's output
    keeps its own policy, so that losses keep their precision.

    Args:
        model: A `keras.Model`.
        dtype_policy: Name of a policy such as `"mixed_bfloat16"`, or None for the layers' own.

    Raises:
        ValueError: If the policy's variables are of another dtype than the model's.

    Example:

    >>> import nta_tf as nta
    >>> model = nta.models.autoencoder(seed=0)
    >>> with nta.precision.computing_in(model, "mixed_bfloat16"):
    ...     model.get_layer("dense_3").compute_dtype
    'bfloat16'
    >>> model.get_layer("dense_3").compute_dtype
    'float32'
    """
    if dtype_policy is None:
        yield
        return
    policy = check_policy(model, dtype_policy)
    layers = [layer for layer in _leaves(model) if not _makes_output(layer, model)]
    before = [layer.dtype_policy for layer in layers]
    try:
        for layer in layers:
            layer.dtype_policy = policy
        yield
    finally:
        for layer, own in zip(layers, before):
            layer.dtype_policy = own


@contextlib.contextmanager
def in_single_precision(layers: Iterable[keras.layers.Layer]) -> Iterator[None]:
    """Has layers compute in float32 while they are called.

    Args:
        layers: Layers, as `low_precision_layers` finds them.
    """
    layers = list(layers)
    before = [layer.dtype_policy for layer in layers]
    try:
        for layer in layers:
            layer.dtype_policy = keras.DTypePolicy("float32")
        yield
    finally:
        for layer, own in zip(layers, before):
            layer.dtype_policy = own


def low_precision_layers(roots: Iterable[Any]) -> list[keras.layers.Layer]:
    """Layers that compute in float16 or bfloat16, among layers and all that lie in them.

    Args:
        roots: Layers; anything else is passed over.

    Returns:
        A list of layers, each once.
    """
    found = {
        id(layer): layer
        for root in roots
        if isinstance(root, keras.layers.Layer)
        for layer in [root, *root._flatten_layers(include_self=False)]
    }
    return [layer for layer in found.values() if layer.compute_dtype in LOW_PRECISION]


def at_least_single(value: tf.Tensor) -> tf.Tensor:
    """A tensor in float32 if it was in float16 or bfloat16, and otherwise as it is."""
    return tf.cast(value, tf.float32) if value.dtype.name in LOW_PRECISION else value


def check_name(dtype_policy: str) -> None:
    """Raises unless Keras has a dtype policy of that name.

    Args:
        dtype_policy: The name.

    Raises:
        ValueError: If it has none.
    """
    try:
        if not isinstance(dtype_policy, str):
            raise TypeError
        keras.dtype_policies.get(dtype_policy)
    except (TypeError, ValueError, AttributeError):
        raise ValueError(
            "A dtype policy is a name that Keras knows, such as 'float32' or 'mixed_bfloat16'. "
            f"Received: {dtype_policy!r}"
        ) from None


def check_policy(model: keras.Model, dtype_policy: str | keras.DTypePolicy) -> keras.DTypePolicy:
    """The Keras policy of that name, if the model's variables can be trained under it.

    Args:
        model: A `keras.Model`.
        dtype_policy: Name of a policy, or a `keras.DTypePolicy`.

    Returns:
        A `keras.DTypePolicy`.

    Raises:
        ValueError: If the policy needs a scaled loss, or variables of another dtype.

    Example:

    >>> import nta_tf as nta
    >>> nta.precision.check_policy(nta.models.autoencoder(seed=0), "mixed_bfloat16").name
    'mixed_bfloat16'
    """
    policy = keras.dtype_policies.get(dtype_policy)
    dtypes = {variable.dtype for variable in model.trainable_variables}
    if policy.compute_dtype == "float16" or dtypes != {policy.variable_dtype}:
        raise ValueError(
            f"Training steps can compute under 'mixed_bfloat16', with variables of float32, or "
            f"under the policies that the layers have (dtype_policy=None). Received: "
            f"dtype_policy={policy.name!r} for variables of {sorted(dtypes)}"
        )
    return policy


def _leaves(model):
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            yield from _leaves(layer)
        else:
            yield layer


def _makes_output(layer, model):
    try:
        return any(layer.output is output for output in model.outputs)
    except AttributeError:  # called in several places, or never
        return False
