"""Exponents of the growth of regret: those of the saved tables, over seeds, with what has none."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from reproduce.claims import spreads, statistics
from reproduce.claims.case import Case, Method
from reproduce.claims.evidence import (
    Judgement,
    Margin,
    Measurement,
    Reason,
    Spread,
    Unit,
    judge,
    over_seeds,
)
from reproduce.claims.margins import CERTIFIED_SHARE, SIGN, SQUARE_ROOT
from reproduce.claims.run_growth import RunGrowth
from reproduce.claims.verdicts import Verdict

EXPONENT = "exponent of regret"
REGRET_SHARE = "regret / cumulative loss"


def growth(case: Case, optimizer: Method, scope: str, margin: Margin = SQUARE_ROOT) -> Judgement:
    """Whether the regret of one optimizer in one scope grows like sqrt(N).

    An equivalence: the 95% interval of the exponent must lie within the margin. It is a
    t-interval over seeds where there are three, otherwise that of the fit. Negative regret has
    no exponent: the claim fails where it ends negative by more than its spread over seeds.

    Args:
        case: A `Case`.
        optimizer: A method.
        scope: Name of the scope.
        margin: Where the exponent must lie.

    Returns:
        A `Judgement`.
    """
    unfit = unusable(case, optimizer, scope)
    if unfit:
        return unfit
    runs = case.growths(optimizer, scope)
    where: dict[str, Any] = {"optimizer": optimizer, "scope": scope}
    if all(run.negative for run in runs):
        share = regret_share(runs, case.task, **where)
        sure = share.high < -SIGN
        verdict = Verdict.NOT_REPRODUCED if sure else Verdict.INCONCLUSIVE
        return Judgement(verdict, Reason.NEGATIVE, share)
    fitted = [run for run in runs if np.isfinite(run.exponent) and not run.negative]
    if not fitted:
        return Judgement(
            Verdict.INCONCLUSIVE, Reason.NO_FIT, regret_share(runs, case.task, **where)
        )
    judged = judge(exponent_over_seeds(fitted, **where), margin)
    if any(run.negative for run in runs):
        return _partly_negative(judged, fitted, margin)
    return judged


def unusable(
    case: Case, optimizer: Method, scope: str | Sequence[str], name: str = ""
) -> Judgement | None:
    """Why the regret of an optimizer in a scope settles nothing; None when it may.

    Args:
        case: A `Case`.
        optimizer: A method.
        scope: Name of the scope, or names of several that are judged as one.
        name: What those are called together.

    Returns:
        A `Judgement` or None.
    """
    where: dict[str, Any] = {"optimizer": optimizer, "scope": name or str(scope)}
    nothing = Measurement(REGRET_SHARE, np.nan, **where)
    if optimizer and case.diverged(optimizer):  # the regret of its last rounds means nothing
        return Judgement(Verdict.INCONCLUSIVE, Reason.DIVERGED, nothing)
    runs = case.growths(optimizer, scope) if optimizer else []
    if not runs:
        return Judgement(Verdict.NOT_MEASURED, Reason.MISSING, nothing)
    if case.dead(optimizer):
        return Judgement(
            Verdict.NOT_APPLICABLE, Reason.DEAD, regret_share(runs, case.task, **where)
        )
    counts = [run.checkpoints for run in runs]
    if not sum(counts):
        return Judgement(Verdict.INCONCLUSIVE, Reason.TOO_FEW, nothing)
    if np.average([run.certified for run in runs], weights=counts) < CERTIFIED_SHARE:
        share = regret_share(runs, case.task, **where)
        return Judgement(Verdict.INCONCLUSIVE, Reason.NOT_CERTIFIED, share)
    return None


def regret_share(runs: Sequence[RunGrowth], task: str, **where: Any) -> Measurement:
    """Regret as a share of the cumulative loss, at the last checkpoint of each seed.

    Args:
        runs: Runs of one optimizer in one scope, or in several, over which it is averaged.
        task: Name of the task.
        **where: Further fields of the `Measurement`.

    Returns:
        A `Measurement`.
    """
    shares: dict[int, list[float]] = {}
    for run in runs:
        shares.setdefault(run.seed, []).append(run.share)
    by_seed = {seed: float(np.mean(values)) for seed, values in shares.items()}
    spread = spreads.of_share(float(np.mean(list(by_seed.values()))), task)
    return over_seeds(REGRET_SHARE, by_seed, Unit.SHARE, spread, **where)


def exponent_over_seeds(fitted: Sequence[RunGrowth], **where: Any) -> Measurement:
    """An exponent with its interval: over seeds, or that of the fits where those are too few.

    Args:
        fitted: Runs with an exponent, one a seed.
        **where: Further fields of the `Measurement`.

    Returns:
        A `Measurement`. The interval of two seeds spans those of their fits.
    """
    by_seed = {run.seed: run.exponent for run in fitted}
    measurement = over_seeds(EXPONENT, by_seed, Unit.EXPONENT, np.nan, **where)
    if len(by_seed) >= statistics.FEWEST_SEEDS:
        return measurement
    low, high = min(run.low for run in fitted), max(run.high for run in fitted)
    return replace(measurement, low=low, high=high, spread=Spread.FIT, assumed=np.nan)


def distance_from(margin: Margin) -> Callable[[Measurement], float]:
    """Order of measurements by which the exponent farthest from a margin's middle decides.

    Args:
        margin: A `Margin`; of one with a single limit the largest number decides.

    Returns:
        A function of a `Measurement`, smallest for the one that decides.
    """
    middle = (margin.low + margin.high) / 2

    def order(measurement: Measurement) -> float:
        bounded_below = np.isfinite(middle)
        if measurement.unit != Unit.EXPONENT:  # negative regret has none: it grows most slowly
            return -np.inf if bounded_below else np.inf
        return -abs(measurement.value - middle) if bounded_below else -measurement.value

    return order


def _partly_negative(judged: Judgement, fitted: Sequence[RunGrowth], margin: Margin) -> Judgement:
    """Where regret of some seeds is negative, growth fails if it does in every other seed."""
    outside = all(run.high < margin.low or run.low > margin.high for run in fitted)
    verdict = Verdict.NOT_REPRODUCED if outside else Verdict.INCONCLUSIVE
    return replace(judged, verdict=verdict, reason=Reason.NEGATIVE, p=np.nan)
