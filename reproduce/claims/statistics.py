"""Statistics by which claims are judged, over seeds; NumPy and SciPy alone.

The seed is the unit. Tests are one-sided or two one-sided tests whose p-values are doubled, so
that p < 0.05 says exactly that the 95% interval lies where the claim wants it.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import bdtrc, stdtr

from reproduce.results import intervals
from reproduce.results.intervals import FEWEST_SEEDS, LEVEL


@dataclass(frozen=True)
class Interval:
    """A mean with the interval that decides.

    Attributes:
        value: The mean.
        low: Lower end, NaN where there is no interval.
        high: Upper end.
        count: How many numbers it is the mean of.
    """

    value: float
    low: float
    high: float
    count: int


@dataclass(frozen=True)
class Signs:
    """Counts of a sign test with a tolerance.

    Attributes:
        above: How many numbers lie above the tolerance.
        within: How many within it, which have no sign.
        below: How many below minus the tolerance.
        p: Of at least so many above among those with a sign, were both as likely.
    """

    above: int
    within: int
    below: int
    p: float


def t_interval(values: ArrayLike, level: float = LEVEL) -> Interval:
    """Student's t-interval of a mean.

    Args:
        values: Numbers, one a seed.
        level: Probability that it covers the mean.

    Returns:
        An `Interval`, with NaN for ends below three numbers.

    Example:

    >>> t_interval([1.0, 2.0, 3.0])
    Interval(value=2.0, low=-0.48, high=4.48, count=3)
    """
    numbers = np.asarray(values, float)
    low, high = intervals.t_interval(numbers, level)
    return Interval(float(numbers.mean()), low, high, len(numbers))


def paired(first: Mapping[int, float], second: Mapping[int, float]) -> dict[int, float]:
    """Differences by seed: runs of one seed share initial weights and minibatches.

    Args:
        first: {seed: number}.
        second: {seed: number}.

    Returns:
        {seed: first - second} of the seeds that both have.

    Example:

    >>> paired({0: 3.0, 1: 5.0}, {1: 4.0, 2: 7.0})
    {1: 1.0}
    """
    return {seed: first[seed] - second[seed] for seed in sorted(first.keys() & second.keys())}


def equivalence(values: ArrayLike, low: float, high: float) -> float:
    """Two one-sided tests that a mean lies between two limits.

    Args:
        values: Numbers, one a seed.
        low: Lower limit; minus infinity leaves the test from above alone.
        high: Upper limit, likewise.

    Returns:
        Twice the larger p-value: below 0.05 the 95% interval lies within the limits. NaN below
        three numbers.

    Examples:

    >>> round(equivalence([0.49, 0.5, 0.52, 0.51], 0.4, 0.6), 4)
    0.0007
    >>> round(equivalence([0.3, 0.31, 0.29, 0.3], 0.4, 0.6), 4)
    1.0
    """
    numbers = np.asarray(values, float)
    if len(numbers) < FEWEST_SEEDS:
        return float("nan")
    error = max(_error(numbers), np.finfo(float).tiny)
    mean = numbers.mean()
    larger = max(
        stdtr(len(numbers) - 1, -(mean - low) / error),
        stdtr(len(numbers) - 1, -(high - mean) / error),
    )
    return float(min(2 * larger, 1.0))


def sign_test(values: ArrayLike, tolerance: float) -> Signs:
    """How many numbers are positive by more than a tolerance.

    Args:
        values: Numbers.
        tolerance: Numbers no larger than this in size have no sign.

    Returns:
        `Signs`.

    Example:

    >>> sign_test([0.2, 0.3, 0.1, 1e-9, -0.4], 1e-6)
    Signs(above=3, within=1, below=1, p=0.3125)
    """
    numbers = np.asarray(values, float)
    above, below = int((numbers > tolerance).sum()), int((numbers < -tolerance).sum())
    signed = above + below
    p = float(bdtrc(above - 1, signed, 0.5)) if above else 1.0
    return Signs(above, len(numbers) - signed, below, p)


def share(part: float, whole: float) -> float:
    """An effect as a share of what it is an effect on.

    Args:
        part: Such as regret.
        whole: Such as the cumulative loss.

    Returns:
        The quotient; NaN of nothing.

    Example:

    >>> share(0.5, 20.0)
    0.025
    """
    return float(part / whole) if whole else float("nan")


def holm(p: ArrayLike) -> list[float]:
    """Holm's adjustment of p-values of several claims.

    Args:
        p: p-values; those that are NaN stay so and are not counted.

    Returns:
        A list of adjusted p-values in the same order.

    Example:

    >>> holm([0.01, 0.04, float("nan"), 0.03])
    [0.03, 0.06, nan, 0.06]
    """
    numbers = np.asarray(p, float)
    order = [int(at) for at in np.argsort(numbers) if np.isfinite(numbers[at])]
    adjusted, largest = np.full(len(numbers), np.nan), 0.0
    for rank, at in enumerate(order):
        largest = max(largest, min(float(numbers[at]) * (len(order) - rank), 1.0))
        adjusted[at] = largest
    return adjusted.tolist()


def _error(numbers: np.ndarray) -> float:
    """Standard error of the mean."""
    return float(numbers.std(ddof=1) / len(numbers) ** 0.5)
