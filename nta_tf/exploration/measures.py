"""The three measures of exploration of section 3.3, on packed bits (Figure 5)."""

import functools
from collections.abc import Sequence
from typing import TypeAlias

import numpy as np

from nta_tf._types import ArrayLike, PathLike
from nta_tf.exploration import bit_counts
from nta_tf.exploration.configurations import Configurations, as_configurations, words
from nta_tf.trace import Run

Measurable: TypeAlias = ArrayLike | Run | PathLike | Configurations
Layers: TypeAlias = str | Sequence[str] | None

# Singular values below this count as this. The Gram matrix is exact, and its eigenvalues are
# found to about 1e-15 of the largest, which is at most N D / 4: singular values as small as
# this are told from zero up to N D = 1e9.
FLOOR = 1e-3


def minimum_hamming(
    configurations: Measurable,
    layers: Layers = None,
    *,
    record: str = "activations",
    units: int | None = None,
) -> np.ndarray:
    """How new each activation configuration is (Figure 5a).

    min over k < n of ||A_n - A_k||_F^2, as a fraction of the D M bits.

    Args:
        configurations: (N, D, M) boolean, the same packed (uint8), a run or its directory, or
            `nta.exploration.Configurations` made of these.
        layers: Of a run, the layers whose units count. Defaults to all.
        record: Of a run, the name of the record.
        units: Of a packed array, M.

    Returns:
        NumPy array (N,), float64; the first is NaN, since nothing lies before it.

    Raises:
        ValueError: If these are no configurations of at least two rounds.

    Example:

    >>> import numpy as np
    >>> import nta_tf as nta
    >>> bits = np.zeros((3, 5, 4), bool)
    >>> bits[1] = True  # and back again
    >>> nta.exploration.minimum_hamming(bits)
    array([nan, 1., 0.])
    """
    configurations = as_configurations(configurations, layers, record, units)
    total = np.zeros((configurations.rounds,) * 2, np.uint64)
    for block in configurations.blocks():
        total += bit_counts.distances(words(block))
    distance = total / (configurations.points * configurations.units)
    distance[np.triu_indices_from(distance)] = np.inf
    smallest = distance.min(axis=1)
    smallest[0] = np.nan
    return smallest


def switches(
    configurations: Measurable,
    layers: Layers = None,
    *,
    record: str = "activations",
    units: int | None = None,
) -> np.ndarray:
    """How often each data point switches activation states (Figure 5b).

    sum over n of ||A_n[d] - A_{n-1}[d]||^2, as a fraction of the (N - 1) M that are possible.
    Figure 5(b) shows it sorted.

    Args:
        configurations: As for `minimum_hamming`, as are the others.
        layers: Of a run, the layers whose units count. Defaults to all.
        record: Of a run, the name of the record.
        units: Of a packed array, M.

    Returns:
        NumPy array (D,), float64, in the order of the data points.

    Raises:
        ValueError: If these are no configurations of at least two rounds.

    Example:

    >>> import numpy as np
    >>> import nta_tf as nta
    >>> bits = np.zeros((3, 2, 4), bool)
    >>> bits[1, 0] = True  # the first data point switches all units on and off again
    >>> nta.exploration.switches(bits)
    array([1., 0.])
    """
    configurations = as_configurations(configurations, layers, record, units)
    counts = [
        bit_counts.changes(block.reshape(len(block), -1))
        .reshape(block.shape[1:])
        .sum(axis=1, dtype=np.int64)
        for block in configurations.blocks()
    ]
    possible = (configurations.rounds - 1) * configurations.units
    return np.concatenate(counts) / possible


def singular_values(
    configurations: Measurable,
    layers: Layers = None,
    *,
    rounds: int = 50,
    record: str = "activations",
    units: int | None = None,
) -> np.ndarray:
    """Singular values of each unit's responses, without their time-average (footnote 3).

    For unit m the matrix A[:, :, m] of the first rounds, from each of whose columns (data
    points) the mean over the rounds is subtracted. Its Gram matrix is counted in integers;
    eigenvalues are found in float64.

    Args:
        configurations: As for `minimum_hamming`, as are the others.
        layers: Of a run, the layers whose units count. Defaults to all.
        rounds: How many of the first rounds; all, where there are fewer.
        record: Of a run, the name of the record.
        units: Of a packed array, M.

    Returns:
        NumPy array (M, rounds), float64, descending. The last is zero in exact arithmetic.

    Raises:
        ValueError: If these are no configurations of at least two rounds.

    Example:

    >>> import numpy as np
    >>> import nta_tf as nta
    >>> bits = np.random.default_rng(0).random((10, 400, 3)) < 0.5
    >>> nta.exploration.singular_values(bits).shape
    (3, 10)
    """
    if not (isinstance(rounds, (int, np.integer)) and rounds >= 2):
        raise ValueError(f"rounds must be a whole number of at least 2. Received: {rounds!r}")
    configurations = as_configurations(configurations, layers, record, units)
    rounds = min(rounds, configurations.rounds)
    counts = (bit_counts.grams(block) for block in configurations.blocks(rounds))
    grams = functools.reduce(np.add, counts)[configurations.unit_bits()]
    values = np.empty((len(grams), rounds))
    for unit, gram in enumerate(grams):
        values[unit] = np.linalg.eigvalsh(_centred(gram))[::-1]
    return np.sqrt(np.maximum(values, 0.0))


def log_volume(
    configurations: Measurable,
    layers: Layers = None,
    *,
    rounds: int = 50,
    values: int = 50,
    floor: float = FLOOR,
    record: str = "activations",
    units: int | None = None,
) -> np.ndarray:
    """The logarithm of the volume of configurations that each unit covers (Figure 5c).

    The sum of the logarithms of the first singular values of `singular_values`. Those below
    the floor count as the floor; there is always at least one where `values` is not less
    than `rounds`, since subtracting the time-average costs a rank.

    Args:
        configurations: As for `minimum_hamming`, as are the others.
        layers: Of a run, the layers whose units count. Defaults to all.
        rounds: How many of the first rounds; all, where there are fewer.
        values: How many singular values; as many as there are rounds, where those are fewer.
        floor: What a singular value counts at least.
        record: Of a run, the name of the record.
        units: Of a packed array, M.

    Returns:
        NumPy array (M,), float64. Figure 5(c) shows it sorted.

    Raises:
        ValueError: If these are no configurations of at least two rounds, the floor is not
            positive and finite, or `values` is no positive whole number.

    Example:

    >>> import numpy as np
    >>> import nta_tf as nta
    >>> bits = np.random.default_rng(0).random((10, 400, 3)) < 0.5
    >>> bits[:, :, 2] = True  # a unit that never changes
    >>> nta.exploration.log_volume(bits)
    array([ 13.76,  13.74, -69.07])
    """
    singular = singular_values(configurations, layers, rounds=rounds, record=record, units=units)
    return volumes(singular, values, floor)


def volumes(singular: ArrayLike, values: int = 50, floor: float = FLOOR) -> np.ndarray:
    """`log_volume` of singular values that are known already.

    Args:
        singular: (M, rounds), of `singular_values`.
        values: How many of them.
        floor: What a singular value counts at least.

    Returns:
        NumPy array (M,).

    Raises:
        ValueError: If the floor is not positive and finite, or `values` no positive whole number.

    Example:

    >>> import nta_tf as nta
    >>> nta.exploration.volumes([[2.718281828, 1.0, 0.0]], floor=0.1)
    array([-1.3])
    """
    _check_floor(floor)
    whole = isinstance(values, (int, np.integer)) and not isinstance(values, bool)
    if not (whole and values >= 1):
        raise ValueError(f"values must be a whole number of at least 1. Received: {values!r}")
    largest = np.asarray(singular, np.float64)[:, :values]
    return np.log(np.maximum(largest, floor)).sum(axis=1)


def ranks(singular: ArrayLike, floor: float = FLOOR) -> np.ndarray:
    """How many singular values of each unit lie above the floor.

    Args:
        singular: (M, rounds), of `singular_values`.
        floor: The floor of `log_volume`.

    Returns:
        NumPy array (M,) of integers.

    Raises:
        ValueError: If the floor is not positive and finite.

    Example:

    >>> import nta_tf as nta
    >>> nta.exploration.ranks([[5.0, 2.0, 0.0]])
    array([2])
    """
    _check_floor(floor)
    return (np.asarray(singular) > floor).sum(axis=1)


def _check_floor(floor: float) -> None:
    number = isinstance(floor, (int, float, np.number)) and not isinstance(floor, bool)
    if not (number and 0 < floor < np.inf):
        raise ValueError(f"The floor must be positive and finite. Received: {floor!r}")


def _centred(gram):
    """C K C with C = I - 11^T / N, from integers: rounded once, at the end."""
    count = len(gram)
    sums = gram.sum(axis=0)
    centred = count * count * gram - count * (sums[:, None] + sums[None, :]) + sums.sum()
    return centred / (count * count)
