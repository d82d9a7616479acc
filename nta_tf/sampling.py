"""Every seeded choice: of units, of examples, of neurons."""

from __future__ import annotations

import math
import zlib
from collections.abc import Sequence

import numpy as np


def draw(total: int, count: int, seed: int | Sequence[int]) -> np.ndarray:
    """Some of the numbers below `total`, each at most once.

    Args:
        total: How many there are to choose from.
        count: How many are chosen.
        seed: A seed of `numpy.random.default_rng`.

    Returns:
        NumPy array (count,), sorted.

    Example:

    >>> import nta_tf as nta
    >>> nta.sampling.draw(5, 5, seed=0)
    array([0, 1, 2, 3, 4])
    """
    return np.sort(np.random.default_rng(seed).choice(total, count, replace=False))


def chosen_units(layer: str, shape: Sequence[int], count: int | None, seed: int) -> np.ndarray:
    """Which units of a rectifier layer are recorded (appendix A6 takes 10,000).

    Args:
        layer: Its name, so that layers do not share a choice.
        shape: Shape of its units.
        count: At most how many units are taken; None for all.
        seed: Seed of the recorder.

    Returns:
        NumPy array of sorted positions among the flattened units.

    Example:

    >>> import nta_tf as nta
    >>> nta.sampling.chosen_units("conv2d_1", (32, 32, 64), 10_000, seed=0).shape
    (10000,)
    """
    total = math.prod(shape)
    if count is None or count >= total:
        return np.arange(total)
    return draw(total, count, [seed, zlib.crc32(layer.encode())])


def chosen_examples(batch_size: int, examples: int | None, seed: Sequence[int]) -> np.ndarray:
    """Positions in a minibatch of the examples that a round takes, in order.

    Args:
        batch_size: Examples in the minibatch.
        examples: How many are taken, or None for all.
        seed: Seed, a sequence of integers: that of the recorder, the epoch and the step.

    Returns:
        NumPy array of positions, sorted.

    Example:

    >>> import nta_tf as nta
    >>> nta.sampling.chosen_examples(128, 4, (0, 3, 96)).shape
    (4,)
    """
    if examples is None:
        return np.arange(batch_size)
    return draw(batch_size, examples, list(seed))


def sample_neurons(layer: str, units: int, count: int, seed: int = 0) -> list[int]:
    """Neurons of a layer, as the 50 a layer of Figure 3.

    Args:
        layer: Name of the layer; every layer has a choice of its own.
        units: Number of neurons that it has.
        count: How many are chosen; all of them where there are no more.
        seed: Seed of the choice.

    Returns:
        A sorted list of indices.

    Example:

    >>> import nta_tf as nta
    >>> len(nta.sampling.sample_neurons("conv2d_2", units=64, count=50))
    50
    """
    return draw(units, min(count, units), [seed, *layer.encode()]).tolist()
