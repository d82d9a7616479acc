"""Which compiler trains a model faster on this device: `tf.function` alone, or XLA after it."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence

import keras
import tensorflow as tf

# XLA takes seconds to compile a training: of a short one nothing is left to gain.
_SHORT = 5_000  # steps
_TRIED = 20  # steps of a trial
_TRIALS = 5
_WORTH = 0.9  # XLA must take at most so much of the time: trials are noisy


def worth_trying(model: keras.Model, steps: int) -> bool:
    """Whether XLA may train the model faster, by a rule.

    It may not where few steps are planned, or on a CPU where kernels have more than two axes: XLA's
    convolutions there are slower than those of TensorFlow, and take a minute to compile.

    Args:
        model: A `keras.Model`.
        steps: How many training steps are planned.

    Returns:
        True or False.

    Example:

    >>> import nta_tf as nta
    >>> nta.compilers.worth_trying(nta.models.autoencoder(), steps=90_000)
    True
    >>> nta.compilers.worth_trying(nta.models.autoencoder(), steps=300)
    False
    """
    if steps < _SHORT:
        return False
    on_cpu = not tf.config.list_logical_devices("GPU")
    return not (on_cpu and any(len(v.shape) > 2 for v in model.trainable_variables))


def xla_is_faster(
    plain: Callable, xla: Callable, variables: Sequence[keras.Variable], steps: int
) -> bool:
    """Whether XLA trains faster, by a short trial of both.

    Args:
        plain: Function that trains so many steps, compiled without XLA.
        xla: The same, compiled with XLA.
        variables: All variables that they change, which are put back.
        steps: How many steps a call may train at most.

    Returns:
        True if XLA takes at most nine tenths of the time; False too where it cannot compile.
    """
    before = [tf.identity(variable.value) for variable in variables]
    steps = min(_TRIED, steps)
    try:
        return _seconds(xla, steps) <= _WORTH * _seconds(plain, steps)
    except (tf.errors.InvalidArgumentError, tf.errors.UnimplementedError, tf.errors.NotFoundError):
        return False
    finally:
        for variable, value in zip(variables, before):
            variable.assign(value)


def _seconds(train: Callable, steps: int) -> float:
    train(steps)  # compiles
    seconds = []
    for _ in range(_TRIALS):
        start = time.perf_counter()
        train(steps)
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds)
