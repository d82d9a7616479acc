"""Claims 9, 10, 14: training losses and accuracies (Figure 6, 2.4, 3.3)."""

import math
from typing import Any

import numpy as np
import pandas as pd

from reproduce import optimizers
from reproduce.claims import spreads
from reproduce.claims.case import Case, Method, each_seed
from reproduce.claims.evidence import (
    Judgement,
    Margin,
    Measurement,
    Reason,
    Unit,
    judge,
    over_seeds,
    together,
)
from reproduce.claims.margins import (
    ACCURATE,
    MORE,
    SAME_ACCURACY,
    SAME_LOSS,
    SMALL_LOSS,
    WELL_ABOVE,
)
from reproduce.claims.registry import Needs, claim
from reproduce.claims.statistics import paired
from reproduce.claims.verdicts import Verdict

# Epochs at the end over which a convnet's noise is measured: the last fifth of the paper's 100.
LAST_EPOCHS = 20
_AUTOENCODER = Needs(("autoencoder",), "finished runs of the autoencoder: RMSProp, Adam and SGD")
_ON_CIFAR10 = Needs(("convnet",), "finished runs of the convnet on CIFAR-10", ("cifar10",))
_FINAL_LOSS, _ACCURACY = "training loss of the last epoch", "training accuracy"
_PAIRS = (("rmsprop", "adam"), ("rmsprop", "sgd"), ("adam", "sgd"))


@claim(
    9,
    part="Adam lowest",
    title="autoencoder: losses as ordered",
    statement="Adam achieves the best performance on the autoencoder",
    place="3.3, Figure 6(c)",
    primary="the lower of RMSProp's and SGD's last losses over Adam's",
    needs=_AUTOENCODER,
)
def adam_lowest(case: Case) -> Judgement:
    """Claim 9, Adam against both others."""
    methods = case.methods
    return together(
        _times(case, methods[name], methods["adam"], MORE) for name in ("rmsprop", "sgd")
    )


@claim(
    9,
    part="SGD significantly worse",
    statement="SGD with the best rate performs significantly worse than the adaptive optimizers",
    place="2.4, 3.3, Figure 6(c)",
    primary="SGD's last loss over the higher of the adaptive optimizers'",
    needs=_AUTOENCODER,
)
def sgd_worse(case: Case) -> Judgement:
    """Claim 9, SGD against both others."""
    methods = case.methods
    return together(
        _times(case, methods["sgd"], methods[name], WELL_ABOVE) for name in ("rmsprop", "adam")
    )


@claim(
    10,
    part="accuracy",
    title="convnet: small loss, >= 99%",
    statement="All three methods reach an accuracy of at least 99% on the training set",
    place="2.4, Figure 6(b)",
    primary="the lowest training accuracy of the three methods",
    needs=_ON_CIFAR10,
)
def accurate(case: Case) -> Judgement:
    """Claim 10, accuracy of the last epoch."""
    return together(
        _alone(case, one, "accuracy", ACCURATE, Unit.SHARE, "accuracy")
        for one in case.methods.values()
    )


@claim(
    10,
    part="loss",
    statement="All three methods achieve a small loss",
    place="2.4, Figure 6(b)",
    primary="the largest training loss of the last epoch of the three methods",
    needs=_ON_CIFAR10,
)
def small_loss(case: Case) -> Judgement:
    """Claim 10, loss of the last epoch."""
    return together(
        _alone(case, one, "loss", SMALL_LOSS, Unit.LOSS, "small loss")
        for one in case.methods.values()
    )


@claim(
    10,
    part="SGD noisier",
    statement="SGD exhibits slightly more variance",
    place="2.4, Figure 6(b)",
    primary="SGD's noise of the last epochs over the larger of the adaptive optimizers'",
    needs=_ON_CIFAR10,
)
def sgd_noisier(case: Case) -> Judgement:
    """Claim 10, deviation of the last losses from a straight line."""
    methods = case.methods
    parts = []
    for name in ("rmsprop", "adam"):
        unfit = _unfit(case, methods["sgd"]) or _unfit(case, methods[name])
        parts.append(unfit or _noisier(case, methods["sgd"], methods[name]))
    return together(parts)


@claim(
    14,
    part="accuracy",
    title="CIFAR-10: all methods equal",
    statement="For the convnet all three methods perform equally well: accuracy",
    place="2.4, 3.3",
    primary="the largest difference of two methods' training accuracies",
    needs=_ON_CIFAR10,
)
def same_accuracy(case: Case) -> Judgement:
    """Claim 14, an equivalence of accuracies."""
    return _same(case, "accuracy", SAME_ACCURACY, Unit.SHARE, "accuracy")


@claim(
    14,
    part="loss",
    statement="For the convnet all three methods perform equally well: training loss",
    place="2.4, 3.3, Figure 6(b)",
    primary="the largest difference of two methods' training losses",
    needs=_ON_CIFAR10,
    remark="Equal as far as the paper's axis of 0 to 2.5 can show.",
)
def same_loss(case: Case) -> Judgement:
    """Claim 14, an equivalence of losses."""
    return _same(case, "loss", SAME_LOSS, Unit.LOSS, "small loss")


def noise(losses: pd.DataFrame) -> float:
    """Standard deviation of a run's last losses about a straight line.

    Args:
        losses: Rows of `load.read_losses` of one run.

    Returns:
        A number, NaN below three epochs.
    """
    last = losses.sort_values("epoch").tail(LAST_EPOCHS)
    if len(last) < 3:
        return math.nan
    line = np.polyval(np.polyfit(last["epoch"], last["loss"], 1), last["epoch"])
    return float((last["loss"] - line).std(ddof=2))


def final(losses: pd.DataFrame, optimizer: Method, column: str = "loss") -> dict[int, float]:
    """The last epoch of each seed of an optimizer.

    Args:
        losses: Frame of `load.read_losses`.
        optimizer: A method.
        column: `"loss"` or `"accuracy"`.

    Returns:
        {seed: number}, without those that were not measured.
    """
    if optimizer is None:
        return {}
    rows = optimizers.rows(losses, optimizer)
    last = rows.loc[rows.groupby("run")["epoch"].idxmax()].dropna(subset=[column])
    return {int(seed): float(value) for seed, value in zip(last["seed"], last[column])}


def _unfit(case: Case, optimizer: Method, column: str = "loss") -> Judgement | None:
    """Why an optimizer's last epoch settles nothing; None when it may."""
    nothing = Measurement(_FINAL_LOSS, math.nan, unit=Unit.LOSS, optimizer=optimizer)
    if optimizer is None:
        return Judgement(Verdict.NOT_MEASURED, Reason.MISSING, nothing)
    if case.diverged(optimizer):
        return Judgement(Verdict.INCONCLUSIVE, Reason.DIVERGED, nothing)
    if not final(case.losses, optimizer, column):
        return Judgement(Verdict.NOT_MEASURED, Reason.MISSING, nothing)
    return None


def _times(case: Case, higher: Method, lower: Method, margin: Margin) -> Judgement:
    """How many times as large one optimizer's last loss is as another's, seed by seed."""
    unfit = _unfit(case, higher) or _unfit(case, lower)
    if unfit:
        return unfit
    above, below = (final(case.losses, one) for one in (higher, lower))
    factors = {seed: above[seed] / below[seed] for seed in above.keys() & below.keys()}
    if not factors:
        return Judgement(Verdict.NOT_MEASURED, Reason.MISSING)
    spread = spreads.assumed("loss", case.task)
    where: dict[str, Any] = {"optimizer": higher, "against": lower}
    return judge(over_seeds(_FINAL_LOSS, factors, Unit.FACTOR, spread, **where), margin)


def _alone(
    case: Case,
    optimizer: Method,
    column: str,
    margin: Margin,
    unit: Unit,
    spread: str,
) -> Judgement:
    if optimizer is not None and case.diverged(optimizer):  # it reaches no loss at all
        nothing = Measurement(_FINAL_LOSS, math.nan, unit=unit, optimizer=optimizer)
        return Judgement(Verdict.NOT_REPRODUCED, Reason.DIVERGED, nothing)
    unfit = _unfit(case, optimizer, column)
    if unfit:
        return unfit
    quantity = _FINAL_LOSS if column == "loss" else _ACCURACY
    by_seed, assumed = final(case.losses, optimizer, column), spreads.assumed(spread, case.task)
    return judge(over_seeds(quantity, by_seed, unit, assumed, optimizer=optimizer), margin)


def _noisier(case: Case, sgd: Method, optimizer: Method) -> Judgement:
    both = [
        {seed: noise(rows) for seed, rows in each_seed(optimizers.rows(case.losses, one))}
        for one in (sgd, optimizer)
        if one
    ]
    factors = {
        seed: both[0][seed] / both[1][seed]
        for seed in both[0].keys() & both[1].keys()
        if both[0][seed] > 0 and both[1][seed] > 0
    }
    where: dict[str, Any] = {"optimizer": sgd, "against": optimizer}
    quantity = "noise of the last losses"
    if not factors:
        nothing = Measurement(quantity, math.nan, unit=Unit.FACTOR, **where)
        return Judgement(Verdict.INCONCLUSIVE, Reason.TOO_FEW, nothing)
    assumed = spreads.assumed("variation", case.task)
    return judge(over_seeds(quantity, factors, Unit.FACTOR, assumed, **where), MORE)


def _same(case: Case, column: str, margin: Margin, unit: Unit, spread: str) -> Judgement:
    methods, parts, assumed = case.methods, [], spreads.assumed(spread, case.task)
    quantity = f"difference of {_FINAL_LOSS if column == 'loss' else _ACCURACY}"
    for pair in _PAIRS:
        first, second = (methods[name] for name in pair)
        unfit = _unfit(case, first, column) or _unfit(case, second, column)
        if unfit:
            parts.append(unfit)
            continue
        apart = paired(*(final(case.losses, one, column) for one in (first, second)))
        where: dict[str, Any] = {"optimizer": first, "against": second}
        parts.append(judge(over_seeds(quantity, apart, unit, assumed, **where), margin))
    return together(parts)
