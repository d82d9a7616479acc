"""Statements across seeds: intervals, differences, equivalence, signs, sizes, many at once.

The unit is the seed: `values` holds one number a run. A single run says nothing about the spread,
so that its interval is the whole line and its p-value is one: it can neither pass nor fail.
Every test returns a small record of numbers; what they mean for a claim is decided elsewhere.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

Alternative = Literal["two-sided", "greater", "less"]


@dataclasses.dataclass(frozen=True)
class MeanInterval:
    """A mean with its t-interval.

    Attributes:
        mean: The mean.
        low: Lower end of the interval.
        high: Upper end of the interval.
        count: How many values there were.
        confidence: Coverage of the interval.
    """

    mean: float
    low: float
    high: float
    count: int
    confidence: float


@dataclasses.dataclass(frozen=True)
class PairedDifference:
    """Mean of first - second over pairs, with its t-interval and test.

    Attributes:
        difference: Mean of first - second.
        low: Lower end of the two-sided interval.
        high: Upper end of it.
        p_value: Of the t-test of a difference of zero against `alternative`.
        alternative: "two-sided", "greater" (first > second) or "less".
        count: How many pairs there were.
        confidence: Coverage of the interval.
    """

    difference: float
    low: float
    high: float
    p_value: float
    alternative: str
    count: int
    confidence: float


@dataclasses.dataclass(frozen=True)
class Equivalence:
    """Two one-sided tests of `lower_bound < estimate < upper_bound`.

    Attributes:
        estimate: What was estimated.
        low: Lower end of its interval of confidence 1 - 2 level.
        high: Upper end of that interval.
        lower_bound: Smallest value that still counts as the same.
        upper_bound: Largest value that does.
        p_value: The larger one of the two one-sided tests.
        level: Chance of a false statement that is accepted.
    """

    estimate: float
    low: float
    high: float
    lower_bound: float
    upper_bound: float
    p_value: float
    level: float

    @property
    def equivalent(self) -> bool:
        """Whether both tests reject: the estimate is shown to lie between the bounds."""
        return self.p_value <= self.level

    @property
    def different(self) -> bool:
        """Whether the interval lies outside the bounds; if it does neither, nothing is shown."""
        return self.high < self.lower_bound or self.low > self.upper_bound


@dataclasses.dataclass(frozen=True)
class SignTest:
    """How many values lie beyond a tolerance on either side of zero.

    Attributes:
        positive: Values above the tolerance.
        negative: Values below minus the tolerance.
        within: Values that are zero up to the tolerance; they say nothing.
        tolerance: The tolerance.
        p_value: Of the binomial test of equal chances against `alternative`.
        alternative: "greater" (mostly positive), "less" or "two-sided".
    """

    positive: int
    negative: int
    within: int
    tolerance: float
    p_value: float
    alternative: str

    @property
    def applicable(self) -> bool:
        """Whether there was anything beyond the tolerance."""
        return self.positive + self.negative > 0


@dataclasses.dataclass(frozen=True)
class EffectSize:
    """How large a gap is as a share of a whole, with its t-interval.

    Attributes:
        share: Mean of gap / whole.
        low: Lower end of the interval.
        high: Upper end of the interval.
        count: How many pairs there were.
        confidence: Coverage of the interval.
    """

    share: float
    low: float
    high: float
    count: int
    confidence: float


@dataclasses.dataclass(frozen=True)
class Holm:
    """P-values of several statements, adjusted by Holm's method.

    Attributes:
        adjusted: Adjusted p-values, in the order given; NaN where a test did not apply.
        rejected: Whether each null hypothesis is rejected.
        level: Chance of any false rejection among them that is accepted.
    """

    adjusted: tuple[float, ...]
    rejected: tuple[bool, ...]
    level: float


def mean_interval(values: ArrayLike, confidence: float = 0.95) -> MeanInterval:
    """Student's t-interval of a mean.

    Args:
        values: One number a seed.
        confidence: Coverage of the interval.

    Returns:
        A `MeanInterval`; of a single value it is the whole line.

    Raises:
        ValueError: If there are no values, or some are not finite.

    Example:

    >>> import nta_tf as nta
    >>> nta.statistics.mean_interval([4.2, 4.6, 4.4])
    MeanInterval(mean=4.4, low=3.903, high=4.897, count=3, confidence=0.95)
    """
    checked = _values(values, "values")
    mean, error = _mean_and_error(checked)
    half = _quantile((1 + confidence) / 2, len(checked)) * error
    return MeanInterval(mean, mean - half, mean + half, len(checked), confidence)


def paired_difference(
    first: ArrayLike,
    second: ArrayLike,
    confidence: float = 0.95,
    alternative: Alternative = "two-sided",
) -> PairedDifference:
    """Compares two optimizers on the same seeds.

    Runs of one seed share initial weights and minibatches, so that differences within a seed
    vary less than the runs do.

    Args:
        first: One number a seed.
        second: The other's number of the same seeds, in the same order.
        confidence: Coverage of the interval.
        alternative: What is to be shown: "greater" is first > second.

    Returns:
        A `PairedDifference`.

    Raises:
        ValueError: If lengths differ, there are no values, or some are not finite.

    Example:

    >>> import nta_tf as nta
    >>> adam, sgd = [2.0, 2.3, 2.1], [3.1, 3.2, 3.1]
    >>> nta.statistics.paired_difference(adam, sgd, alternative="less").p_value
    0.00166
    """
    differences = np.subtract(*_pairs(first, second))
    interval = mean_interval(differences, confidence)
    mean, error = _mean_and_error(differences)
    above, below = _tails(mean, error, len(differences))
    p_values = {"greater": above, "less": below, "two-sided": min(1.0, 2 * min(above, below))}
    if alternative not in p_values:
        raise ValueError(f"alternative is one of {list(p_values)}. Received: {alternative!r}")
    return PairedDifference(
        mean,
        interval.low,
        interval.high,
        p_values[alternative],
        alternative,
        interval.count,
        confidence,
    )


def equivalence(
    values: ArrayLike, lower_bound: float, upper_bound: float, level: float = 0.05
) -> Equivalence:
    """Tests that a mean lies between two bounds: that it is the same, not that it may be.

    Args:
        values: One number a seed, such as growth exponents or paired differences.
        lower_bound: Smallest value that still counts as the same.
        upper_bound: Largest value that does.
        level: Chance of a false statement that is accepted.

    Returns:
        An `Equivalence`: two one-sided t-tests, passed if the t-interval of confidence
        1 - 2 level lies between the bounds.

    Raises:
        ValueError: If the bounds are not in order, there are no values, or some are not finite.

    Example:

    >>> import nta_tf as nta
    >>> exponents = [0.47, 0.52, 0.49, 0.51]
    >>> nta.statistics.equivalence(exponents, 0.4, 0.6).equivalent
    True
    >>> nta.statistics.equivalence([0.5], 0.4, 0.6).equivalent
    False
    """
    if not lower_bound < upper_bound:
        raise ValueError(
            f"The lower bound lies below the upper one. Received: {lower_bound}, {upper_bound}"
        )
    checked = _values(values, "values")
    mean, error = _mean_and_error(checked)
    above, _ = _tails(mean - lower_bound, error, len(checked))
    _, below = _tails(mean - upper_bound, error, len(checked))
    half = _quantile(1 - level, len(checked)) * error
    p_value = max(above, below)
    return Equivalence(mean, mean - half, mean + half, lower_bound, upper_bound, p_value, level)


def sign_test(
    values: ArrayLike, tolerance: float, alternative: Alternative = "greater"
) -> SignTest:
    """Tests on which side of zero values lie, where those within a tolerance say nothing.

    A dead network has a regret of rounding errors, 1e-7 and of either sign: without a tolerance
    that would be a result.

    Args:
        values: One number a seed (a neuron, a checkpoint, ...).
        tolerance: Up to which size a value counts as zero.
        alternative: What is to be shown: "greater" is that most are positive.

    Returns:
        A `SignTest`; `applicable` is False if all values lie within the tolerance.

    Raises:
        ValueError: If the tolerance is negative, there are no values, or some are not finite.

    Example:

    >>> import nta_tf as nta
    >>> nta.statistics.sign_test([0.3, 0.2, 0.4, -1e-9, 0.1], tolerance=1e-6)
    SignTest(positive=4, negative=0, within=1, tolerance=1e-06, p_value=0.0625,
             alternative='greater')
    """
    if not tolerance >= 0:
        raise ValueError(f"A tolerance is not negative. Received: {tolerance}")
    checked = _values(values, "values")
    positive = int(np.sum(checked > tolerance))
    negative = int(np.sum(checked < -tolerance))
    p_value = 1.0
    if positive + negative:
        test = stats.binomtest(positive, positive + negative, alternative=alternative)
        p_value = float(test.pvalue)
    within = len(checked) - positive - negative
    return SignTest(positive, negative, within, float(tolerance), p_value, alternative)


def effect_size(gaps: ArrayLike, wholes: ArrayLike, confidence: float = 0.95) -> EffectSize:
    """A gap as a share of a whole: how much, where a test says only whether.

    Args:
        gaps: One number a seed, such as regret, or one optimizer's loss less another's.
        wholes: What it is a share of, such as the loss, positive, for the same seeds.
        confidence: Coverage of the interval.

    Returns:
        An `EffectSize`: the mean of gap / whole over seeds and its t-interval.

    Raises:
        ValueError: If lengths differ, there are no values, or a whole is not positive.

    Example:

    >>> import nta_tf as nta
    >>> nta.statistics.effect_size([0.1, 0.3], [2.0, 3.0]).share
    0.075
    """
    parts, totals = _pairs(gaps, wholes)
    if not (totals > 0).all():
        raise ValueError(f"A share is one of a positive whole. Received: {totals.tolist()}")
    interval = mean_interval(parts / totals, confidence)
    return EffectSize(interval.mean, interval.low, interval.high, interval.count, confidence)


def holm(p_values: Sequence[float], level: float = 0.05) -> Holm:
    """Holm's correction: several statements, and one chance of any false one among them.

    Args:
        p_values: One a statement. NaN stands for a test that did not apply, and counts for none.
        level: Chance of any false rejection that is accepted.

    Returns:
        A `Holm` with adjusted p-values in the order given.

    Raises:
        ValueError: If a p-value is not between 0 and 1.

    Example:

    >>> import nta_tf as nta
    >>> nta.statistics.holm([0.01, 0.04, 0.03]).adjusted
    (0.03, 0.06, 0.06)
    """
    given = np.asarray(p_values, np.float64)
    tested = np.flatnonzero(~np.isnan(given))
    if ((given[tested] < 0) | (given[tested] > 1)).any():
        raise ValueError(f"P-values lie between 0 and 1. Received: {given.tolist()}")
    order = tested[np.argsort(given[tested], kind="stable")]
    adjusted = np.full(len(given), math.nan)
    factors = np.arange(len(order), 0, -1)
    adjusted[order] = np.minimum(np.maximum.accumulate(given[order] * factors), 1.0)
    rejected = tuple(bool(value <= level) for value in adjusted)
    return Holm(tuple(adjusted.tolist()), rejected, level)


def _values(values: ArrayLike, name: str) -> np.ndarray:
    checked = np.asarray(values, np.float64)
    if checked.ndim != 1 or not len(checked) or not np.isfinite(checked).all():
        raise ValueError(
            f"{name} is a list of at least one finite number, one a seed; leave out runs that "
            f"diverged. Received: {checked.tolist()}"
        )
    return checked


def _pairs(first: ArrayLike, second: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    one, other = _values(first, "first"), _values(second, "second")
    if len(one) != len(other):
        raise ValueError(
            f"Pairs are of the same seeds, in the same order. Received: {len(one)} and "
            f"{len(other)} values"
        )
    return one, other


def _mean_and_error(values: np.ndarray) -> tuple[float, float]:
    """Mean and its standard error; of a single value the error is infinite."""
    mean = float(values.mean())
    if len(values) == 1:
        return mean, math.inf
    return mean, float(values.std(ddof=1)) / math.sqrt(len(values))


def _quantile(probability: float, count: int) -> float:
    return float(stats.t.ppf(probability, max(count - 1, 1)))


def _tails(difference: float, error: float, count: int) -> tuple[float, float]:
    """P-values of "greater than zero" and of "less than zero"."""
    if math.isinf(error):
        return 1.0, 1.0
    if error == 0:
        return float(difference <= 0), float(difference >= 0)
    statistic = difference / error
    return (
        float(stats.t.sf(statistic, count - 1)),
        float(stats.t.cdf(statistic, count - 1)),
    )
