"""How fast a cumulative quantity grows: exponents with bootstrap intervals."""

import dataclasses
import math

import numpy as np


@dataclasses.dataclass(frozen=True)
class GrowthExponent:
    """Exponent e of a fit `quantity ~ N^e`, with a bootstrap interval.

    Attributes:
        exponent: Least-squares slope of log quantity against log N.
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


def growth_exponent(
    table,
    column="regret",
    first_epoch=20,
    confidence=0.95,
    resamples=2000,
    block=None,
    seed=0,
):
    """Fits how a cumulative quantity grows with N: 0.5 is the sqrt(N) of Theorem 2.

    The slope of log quantity against log N is fitted to the increments that remain after
    the first epochs (the paper's Figure 4 begins at epoch 20). Residuals of a cumulative
    quantity are strongly dependent, so that the interval comes from a moving-block
    bootstrap of the residuals.

    Args:
        table: A table of `nta.regret` with one radius.
        column: Which column to fit.
        first_epoch: Checkpoints before this epoch are left out.
        confidence: Coverage of the interval.
        resamples: Number of bootstrap samples.
        block: Length of a block of residuals. Defaults to the cube root rule, at least 4.
        seed: Seed of the bootstrap.

    Returns:
        A `GrowthExponent`; its numbers are NaN, and its status says why, when the quantity
        is not positive or fewer than eight checkpoints are left.

    Example:

    >>> import numpy as np, pandas as pd
    >>> import nta_tf as nta
    >>> n = np.arange(1, 101)
    >>> table = pd.DataFrame({"round": n, "epoch": n, "regret": 0.3 * np.sqrt(n)})
    >>> round(nta.growth_exponent(table).exponent, 6)
    0.5
    """
    table = table[table["epoch"] >= first_epoch]
    values = table[column].to_numpy(np.float64)
    span = (
        (float(first_epoch), float(table["epoch"].max()))
        if len(table)
        else (
            float(first_epoch),
            math.nan,
        )
    )
    status = _why_no_exponent(table, column, values)
    if status:
        return GrowthExponent(math.nan, math.nan, math.nan, *span, status)
    log_rounds, log_values = np.log(table["round"].to_numpy(float)), np.log(values)
    slope, intercept = np.polyfit(log_rounds, log_values, 1)
    fitted = slope * log_rounds + intercept
    block = block or max(4, round(2 * len(values) ** (1 / 3)))
    samples = _moving_blocks(log_values - fitted, min(block, len(values)), resamples, seed)
    slopes = np.polyfit(log_rounds, (fitted + samples).T, 1)[0]
    tail = (1 - confidence) / 2
    low, high = np.quantile(slopes, [tail, 1 - tail])
    return GrowthExponent(float(slope), float(low), float(high), *span, "fitted")


def _why_no_exponent(table, column, values):
    if len(values) < 8:
        return f"only {len(values)} checkpoints, 8 are needed"
    wrong = ~(values > 0)
    if wrong.any():
        epoch = table["epoch"].to_numpy()[wrong][0]
        return (
            f"{column} is not positive from epoch {epoch:g} on"
            if wrong.all()
            else (f"{column} is not positive at epoch {epoch:g}")
        )
    return ""


def _moving_blocks(residuals, block, resamples, seed):
    """Resampled residuals (resamples, n), in blocks that keep their dependence."""
    generator = np.random.default_rng(seed)
    count = -(-len(residuals) // block)
    starts = generator.integers(0, len(residuals) - block + 1, (resamples, count))
    index = starts[..., None] + np.arange(block)
    return residuals[index.reshape(resamples, -1)[:, : len(residuals)]]
