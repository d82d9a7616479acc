"""Which compiler trains a model faster: `tf.function` alone, or XLA after it."""

from __future__ import annotations

import keras
import tensorflow as tf

from nta_tf import precision
from nta_tf.variables import LOW_PRECISION

# XLA takes a second to compile a training: of a short one nothing is left to gain.
_SHORT = 5_000  # steps


def xla_is_faster(model: keras.Model, steps: int, dtype_policy: str | None = None) -> bool:
    """Whether XLA trains a model faster, by a rule, so that two calls never differ.

    It does where at least 5,000 steps are planned on CPUs and all weights are those of `Dense`
    layers: such steps take four to nine tenths of the time (docs/speed.md). XLA's convolutions
    are slower there than those of TensorFlow and take minutes to compile; what it makes of other
    layers, of low precision and of GPUs has not been measured.

    Args:
        model: A `keras.Model`.
        steps: How many training steps are planned.
        dtype_policy: Name of the Keras dtype policy in which steps compute, or None for that of
            each layer.

    Returns:
        True or False.

    Examples:

    >>> import nta_tf as nta
    >>> nta.compilers.xla_is_faster(nta.models.autoencoder(), steps=90_000)
    True
    >>> nta.compilers.xla_is_faster(nta.models.autoencoder(), steps=300)
    False
    >>> nta.compilers.xla_is_faster(nta.models.convnet(), steps=90_000)
    False
    """
    if steps < _SHORT or tf.config.list_logical_devices("GPU"):
        return False
    if precision.low_precision_layers([model]):
        return False
    if dtype_policy is not None and keras.DTypePolicy(dtype_policy).compute_dtype in LOW_PRECISION:
        return False
    layers = model._flatten_layers(include_self=False)
    of_dense = {
        id(variable)
        for layer in layers
        if type(layer) is keras.layers.Dense
        for variable in layer.variables
    }
    return all(id(variable) in of_dense for variable in model.variables)
