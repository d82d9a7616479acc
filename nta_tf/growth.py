"""How fast a cumulative quantity grows: exponents whose intervals cover what they promise."""

from __future__ import annotations

import dataclasses
import functools
import math

import numpy as np
import pandas as pd

# What the noise of increments may be like. The posterior is summed over all pairs, equal weights
# before the data: a single estimate of the correlation from ten points would be too sure of itself.
CORRELATIONS = (0.0, 0.2, 0.4, 0.6, 0.8)
SHRINKAGES = (0.0, 1.0, 2.0)
RANGE = (-1.5, 3.0)
_FEWEST, _MOST = 8, 200
_GRID = 401


@dataclasses.dataclass(frozen=True)
class GrowthExponent:
    """Exponent e of a fit `quantity ~ N^e`, with an interval.

    Attributes:
        exponent: Median of the exponents that explain the increments.
        low: Lower end of the interval.
        high: Upper end of the interval.
        first_epoch: First epoch of the fit.
        last_epoch: Last epoch of the fit.
        status: "fitted", or why there is no exponent.
    """

    exponent: float
    low: float
    high: float
    first_epoch: float
    last_epoch: float
    status: str


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


def growth_exponent(
    table: pd.DataFrame,
    column: str = "regret",
    first_epoch: float = 20,
    confidence: float = 0.95,
) -> GrowthExponent:
    r"""Fits how a cumulative quantity grows with N: 0.5 is the sqrt(N) of Theorem 2.

    Points of a cumulative curve share their noise, its increments do not. The increments between
    the checkpoints that remain after the first epochs (the paper's Figure 4 begins at epoch 20),
    and the value at the first of them, which is the sum of all increments up to there, are
    modelled as

        R(N_k) - R(N_{k-1}) = c (N_k^e - N_{k-1}^e) + noise_k,

    Gaussian noise with standard deviation `s N^{-q/2}` a round and correlation `r^{|j-k|}`. The
    interval holds the central `confidence` of the posterior of e: c and s are integrated out
    exactly (flat in c > 0, in log s and in e from -1.5 to 3), r over 0 to 0.8 and q over 0, 1
    and 2 as sums. Nothing is drawn at random.

    Coverage of nominal 95% intervals, least and mean over exponents of 0.5, 0 and 1, noise at the
    end of 3% and 20% of the curve, whole tables and tables from epoch 20 on (500 curves each, of
    which those count that stay positive; `tests/test_growth.py`, marked slow, prints it):

    ========================  ===============  ===============  ===============
    noise of the increments   10 checkpoints   20 checkpoints   100 checkpoints
    ========================  ===============  ===============  ===============
    independent               0.99, 1.00       0.99, 0.99       0.93, 0.96
    autocorrelated (0.5)      0.96, 0.98       0.96, 0.98       0.94, 0.96
    shrinking like N^-1/2     0.99, 1.00       0.97, 0.99       0.96, 0.97
    shrinking like N^-1       0.97, 0.99       0.97, 0.98       0.94, 0.96
    autocorrelated, N^-1/2    0.95, 0.97       0.94, 0.96       0.94, 0.96
    ========================  ===============  ===============  ===============

    Args:
        table: A table of `nta.regret` with one radius, or any with columns `round` and `epoch`.
            Of more than 200 checkpoints 200 are taken, evenly spaced.
        column: Which column to fit.
        first_epoch: Checkpoints before this epoch are left out.
        confidence: Coverage of the interval.

    Returns:
        A `GrowthExponent`; its numbers are NaN, and its status says why, when the quantity
        is not positive and finite, rounds do not increase from row to row (as in a table of several
        curves) or fewer than eight checkpoints are left.

    Raises:
        ValueError: If `confidence` is not between 0 and 1, or what a column holds are no numbers.

    Example:

    >>> import numpy as np, pandas as pd
    >>> import nta_tf as nta
    >>> n = np.arange(1, 101)
    >>> table = pd.DataFrame({"round": n, "epoch": n, "regret": 0.3 * np.sqrt(n)})
    >>> round(nta.growth_exponent(table).exponent, 6)
    0.5
    """
    if not 0 < confidence < 1:
        raise ValueError(f"confidence is a share between 0 and 1. Received: {confidence}")
    status, span, exponents, below = _fit(table, column, first_epoch)
    tail = (1 - confidence) / 2
    low, middle, high = np.interp([tail, 0.5, 1 - tail], below, exponents)
    return GrowthExponent(float(middle), float(low), float(high), *span, status)


def growth_equivalence(
    table: pd.DataFrame,
    column: str = "regret",
    first_epoch: float = 20,
    power: float = 0.5,
    margin: float = 0.1,
    level: float = 0.05,
) -> Equivalence:
    """Tests that one curve grows like N^power, up to a margin of the exponent.

    Two one-sided tests on the posterior of `growth_exponent`: the curve grows like N^power if
    both "the exponent is at most power - margin" and "it is at least power + margin" have a
    probability of at most `level`, that is, if the interval of confidence 1 - 2 level lies inside.
    A wide interval does not pass, and neither does a narrow one that is far away.

    How many of 200 simulated curves with 3% noise pass as "like sqrt(N)" from epoch 20 on, most
    and mean over the kinds of noise and the lengths of `growth_exponent`:

    ==============  ======  ======
    curve           most    mean
    ==============  ======  ======
    N^0.3           0.00    0.00
    N^0.4           0.06    0.02
    N^0.5           1.00    0.77
    N^0.6           0.05    0.02
    N^0.7           0.00    0.00
    ==============  ======  ======

    Args:
        table: As for `growth_exponent`.
        column: Which column to fit.
        first_epoch: Checkpoints before this epoch are left out.
        power: Exponent of the statement; 0.5 is "like sqrt(N)".
        margin: How far an exponent may be from it and still count as the same.
        level: Chance of a false statement that is accepted.

    Returns:
        A `nta.statistics.Equivalence`; all NaN and not equivalent where there is no exponent.

    Raises:
        ValueError: If `margin` is not positive.

    Example:

    >>> import numpy as np, pandas as pd
    >>> import nta_tf as nta
    >>> n = np.arange(1, 101)
    >>> table = pd.DataFrame({"round": n, "epoch": n, "regret": n**0.7})
    >>> nta.growth_equivalence(table).equivalent
    False
    """
    if not margin > 0:
        raise ValueError(f"margin is a positive distance of exponents. Received: {margin}")
    status, _, exponents, below = _fit(table, column, first_epoch)
    low, middle, high = np.interp([level, 0.5, 1 - level], below, exponents).tolist()
    bounds = (power - margin, power + margin)
    too_low, not_too_high = np.interp(bounds, exponents, below, left=0.0, right=1.0)
    p_value = float(max(too_low, 1 - not_too_high)) if status == "fitted" else math.nan
    return Equivalence(middle, low, high, *bounds, p_value, level)


def _fit(
    table: pd.DataFrame, column: str, first_epoch: float
) -> tuple[str, tuple[float, float], np.ndarray, np.ndarray]:
    """Status, epochs and posterior of the exponent; the posterior is NaN where there is none."""
    _check_numbers(table, column)
    table = table[table["epoch"] >= first_epoch]
    span = (float(first_epoch), float(table["epoch"].max()) if len(table) else math.nan)
    status = _why_no_exponent(table, column)
    if status:
        nothing = np.full(2, math.nan)
        return status, span, nothing, np.array([0.0, 1.0])
    return "fitted", span, *_posterior(table, column)


def _check_numbers(table: pd.DataFrame, column: str) -> None:
    for name in ("round", "epoch", column):
        try:
            table[name].to_numpy(np.float64)
        except (TypeError, ValueError) as error:
            raise ValueError(f"Column {name!r} must hold numbers. Received: {error}") from None


def _why_no_exponent(table: pd.DataFrame, column: str) -> str:
    if len(table) < _FEWEST:
        return f"only {len(table)} checkpoints, {_FEWEST} are needed"
    values, rounds = (table[name].to_numpy(np.float64) for name in (column, "round"))
    for wrong, what in ((~(values > 0), "not positive"), (np.isinf(values), "infinite")):
        if wrong.any():
            epoch = table["epoch"].to_numpy()[wrong][0]
            when = f"from epoch {epoch:g} on" if wrong.all() else f"at epoch {epoch:g}"
            return f"{column} is {what} {when}"
    if not (rounds[0] > 0 and np.isfinite(rounds).all() and (np.diff(rounds) > 0).all()):
        return "rounds do not increase from row to row"
    return ""


def _posterior(table: pd.DataFrame, column: str) -> tuple[np.ndarray, np.ndarray]:
    """Exponents and the probability that e lies below each, on a grid fitted to the bulk."""
    rows = np.unique(np.linspace(0, len(table) - 1, min(len(table), _MOST)).round().astype(int))
    rounds = table["round"].to_numpy(np.float64)[rows]
    rounds = rounds / rounds[-1]
    increments = np.diff(table[column].to_numpy(np.float64)[rows], prepend=0.0)
    increments /= np.abs(increments).max()
    models = _noise_models(tuple(rounds.tolist()))
    low, high = RANGE
    while True:
        exponents = np.linspace(low, high, _GRID)
        weights = _weights(rounds, increments, models, exponents)
        below = (np.cumsum(weights) - weights / 2) / weights.sum()
        left, right = np.interp([1e-5, 1 - 1e-5], below, exponents)
        if right - left > (high - low) / 4 or high - low < 1e-9:
            return exponents, below
        room = (right - left) / 4 + 2 * (high - low) / _GRID
        low, high = left - room, right + room


def _weights(
    rounds: np.ndarray,
    increments: np.ndarray,
    models: list[tuple[np.ndarray, float]],
    exponents: np.ndarray,
) -> np.ndarray:
    """Posterior density of each exponent, up to a factor; c and the noise's size integrated out."""
    growth = np.diff(rounds[:, None] ** exponents, axis=0, prepend=0.0)
    logs = []
    for whiten, log_determinant in models:
        x, y = whiten @ growth, whiten @ increments
        square = np.sum(x**2, axis=0)
        scale = y @ x / square
        # Residuals one by one: y^2 - (xy)^2 / x^2 loses all digits of an exact power.
        residual = np.sum((y[:, None] - scale * x) ** 2, axis=0)
        log = -log_determinant - np.log(square) / 2
        log -= (len(y) - 1) / 2 * np.log(np.maximum(residual, 1e-300))
        logs.append(np.where(scale > 0, log, -np.inf))
    stacked = np.array(logs)
    return np.exp(stacked - stacked.max()).sum(axis=0)


@functools.lru_cache(maxsize=16)  # all scopes of a run have the same checkpoints
def _noise_models(ends_kept: tuple[float, ...]) -> list[tuple[np.ndarray, float]]:
    """Whitening matrices of the increments' noise and log determinants of its factors.

    The first increment is the sum of all up to the first checkpoint that is kept, of the length
    that the later ones have.
    """
    rounds = np.array(ends_kept)
    count = max(1, round(rounds[0] / np.median(np.diff(rounds))))
    ends = np.concatenate([rounds[0] * np.arange(1, count + 1) / count, rounds[1:]])
    lengths = np.diff(ends, prepend=0.0)
    middles = ends - lengths / 2
    sums = np.zeros((len(rounds), len(ends)))
    sums[0, :count] = 1
    sums[1:, count:] = np.eye(len(rounds) - 1)
    apart = np.abs(np.subtract.outer(np.arange(len(ends)), np.arange(len(ends))))
    models = []
    for shrinkage in SHRINKAGES:
        deviations = np.sqrt(lengths * middles**-shrinkage)
        for correlation in CORRELATIONS:
            covariance = correlation**apart * np.outer(deviations, deviations)
            factor = np.linalg.cholesky(sums @ covariance @ sums.T)
            whiten = np.linalg.solve(factor, np.eye(len(rounds)))
            models.append((whiten, float(np.log(np.diag(factor)).sum())))
    return models
