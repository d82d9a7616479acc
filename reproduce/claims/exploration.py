"""Claims 6, 7, 8: how the optimizers explore activation configurations (Figure 5)."""

import math
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from reproduce import optimizers, paper
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
    FAR_MORE,
    MORE,
    SHARP,
    SUBSTANTIALLY_ABOVE,
    far_volume,
    volume_factor,
)
from reproduce.claims.registry import Needs, claim
from reproduce.claims.statistics import paired
from reproduce.claims.verdicts import Verdict

# Claim 8 speaks of Adam's 40 most exploratory neurons and of a drop from neuron 60 on ...
MATCHING, DROP = 40, 60
# ... which shows within so many neurons.
WINDOW = 20

_HAMMING_AND_SWITCHES = paper.MEASURES[:2]
_NEEDS = Needs(
    paper.TASKS, "activation configurations of the convnet and the autoencoder", activations=True
)
_AUTOENCODER = Needs(
    ("autoencoder",), "activation configurations of the autoencoder", activations=True
)
_AXES = (
    "Figure 5 of the convnet: the published axes, 0 to 1,000 data points and 0 to 3,000 neurons, "
    "fit neither the 500 images nor the 24,288 units that appendix A6 describes."
)


@claim(
    6,
    title="RMSProp explores far more",
    statement="RMSProp explores far more than SGD: three measures, two tasks, every rate of SGD",
    place="3.3, Figure 5",
    primary="the smallest factor between RMSProp and SGD, of three measures and all rates",
    needs=_NEEDS,
    remark=_AXES,
)
def far_more(case: Case) -> Judgement:
    """Claim 6, RMSProp against SGD at every rate by every measure."""
    rmsprop, parts = case.named("rmsprop"), []
    for measure in paper.MEASURES:
        parts += [_times(case, rmsprop, sgd, measure, FAR_MORE) for sgd in _every_sgd(case)]
    return together(parts)


@claim(
    7,
    part="less than RMSProp",
    title="Adam explores in between",
    statement="Adam explores substantially less than RMSProp by Hamming distance and switches",
    place="3.3, Figure 5(a), (b)",
    primary="the smaller factor between RMSProp and Adam, of the two measures",
    needs=_NEEDS,
    remark=_AXES,
)
def substantially_less(case: Case) -> Judgement:
    """Claim 7, Adam below RMSProp by at least a fifth."""
    rmsprop, adam = case.named("rmsprop"), case.named("adam")
    return together(
        _times(case, rmsprop, adam, measure, SUBSTANTIALLY_ABOVE)
        for measure in _HAMMING_AND_SWITCHES
    )


@claim(
    7,
    part="more than SGD",
    statement="Adam still explores more than SGD by Hamming distance and switches",
    place="3.3, Figure 5(a), (b)",
    primary="the smallest factor between Adam and SGD, of the two measures and all rates",
    needs=_NEEDS,
    remark=_AXES,
)
def more_than_sgd(case: Case) -> Judgement:
    """Claim 7, Adam above SGD at every rate."""
    adam = case.named("adam")
    return together(
        _times(case, adam, sgd, measure, MORE)
        for measure in _HAMMING_AND_SWITCHES
        for sgd in _every_sgd(case)
    )


@claim(
    8,
    part="match",
    title="Adam's exploration: targeted",
    statement="Adam's about 40 most exploratory neurons match the behaviour of RMSProp's",
    place="3.3, Figure 5(c)",
    primary="mean distance of the first 40 sorted log-volumes of Adam and RMSProp",
    needs=_AUTOENCODER,
)
def first_neurons_match(case: Case) -> Judgement:
    """Claim 8, the first 40 neurons."""
    return _of_sorted_volumes(case, _match)


@claim(
    8,
    part="drop",
    statement="Adam's log-volumes drop off from neuron 60 onwards, below RMSProp's",
    place="3.3, Figure 5(c)",
    primary="RMSProp's log-volume of neuron 80 less Adam's",
    needs=_AUTOENCODER,
)
def dropoff(case: Case) -> Judgement:
    """Claim 8, how far Adam lies below RMSProp after the drop."""
    return _of_sorted_volumes(case, _below)


@claim(
    8,
    part="sharp",
    statement="The drop from neuron 60 onwards is sharp: three times as steep as the curve before",
    place="3.3, Figure 5(c)",
    primary="Adam's fall from neuron 60 to 80 beyond three times the one before it",
    needs=_AUTOENCODER,
)
def sharp_dropoff(case: Case) -> Judgement:
    """Claim 8, how steep the drop is."""
    return _of_sorted_volumes(case, _steepness)


def _every_sgd(case: Case) -> list[Method]:
    """SGD at every rate; one that was not trained where there is none."""
    return [*case.every_sgd] or [None]


def _times(
    case: Case,
    more: Method,
    less: Method,
    measure: str,
    margin: Margin,
) -> Judgement:
    """How many times as much one optimizer explores as another, seed by seed."""
    where: dict[str, Any] = {"optimizer": more, "against": less, "scope": measure}
    nothing = Measurement("exploration", math.nan, unit=Unit.FACTOR, **where)
    unfit = _unfit(case, (more, less), nothing)
    if unfit:
        return unfit
    above, below = (_totals(case, one, measure) for one in (more, less))
    if not above.keys() & below.keys():
        return Judgement(Verdict.NOT_MEASURED, Reason.MISSING, nothing)
    if measure == "log_volume":
        values = _singular_values(case)
        apart = paired(above, below)
        factors = {seed: volume_factor(value, values) for seed, value in apart.items()}
    else:
        factors = {seed: above[seed] / below[seed] for seed in above.keys() & below.keys()}
    assumed = spreads.assumed(measure, case.task)
    return judge(over_seeds("exploration", factors, Unit.FACTOR, assumed, **where), margin)


def _unfit(case: Case, compared: Iterable[Method], nothing: Measurement) -> Judgement | None:
    """Why exploration of some optimizers cannot be compared; None when it can."""
    for optimizer in compared:
        if optimizer is None:
            return Judgement(Verdict.NOT_MEASURED, Reason.MISSING, nothing)
        if case.all_diverged(optimizer):  # of fewer epochs than the other
            return Judgement(Verdict.INCONCLUSIVE, Reason.DIVERGED, nothing)
        if case.dead(optimizer):  # a network that learns nothing explores nothing
            return Judgement(Verdict.NOT_APPLICABLE, Reason.DEAD, nothing)
    return None


def _totals(case: Case, optimizer: Method, measure: str) -> dict[int, float]:
    """{seed: total of a measure over the network}, of the runs that may be compared."""
    if optimizer is None:
        return {}
    table = optimizers.rows(case.tables.exploration["totals"], optimizer)
    table = table[(table["scope"] == "network") & (table["measure"] == measure)]
    table = table[table["run"].isin(case.comparable_runs)]
    return {int(seed): float(total) for seed, total in zip(table["seed"], table["total"])}


def _singular_values(case: Case) -> float:
    totals = case.tables.exploration["totals"]
    return float(totals[totals["measure"] == "log_volume"]["values"].max())


def _of_sorted_volumes(
    case: Case, judge_both: Callable[[dict, float, dict], Judgement]
) -> Judgement:
    """Judges the sorted log-volumes of Adam and RMSProp, of the seeds that both have."""
    adam, rmsprop = case.named("adam"), case.named("rmsprop")
    where: dict[str, Any] = {"optimizer": adam, "against": rmsprop}
    nothing = Measurement("log-volumes", math.nan, unit=Unit.LOG_VOLUME, **where)
    unfit = _unfit(case, (adam, rmsprop), nothing)
    if unfit:
        return unfit
    both = [_sorted_volumes(case, one) for one in (adam, rmsprop)]
    seeds = sorted(both[0].keys() & both[1].keys())
    if not seeds:
        return Judgement(Verdict.NOT_MEASURED, Reason.MISSING, nothing)
    pairs = {seed: (both[0][seed], both[1][seed]) for seed in seeds}
    if min(len(curve) for pair in pairs.values() for curve in pair) < DROP + WINDOW:
        return Judgement(Verdict.INCONCLUSIVE, Reason.TOO_FEW, nothing)
    return judge_both(pairs, _singular_values(case), where)


def _sorted_volumes(case: Case, optimizer: Method) -> dict[int, np.ndarray]:
    """{seed: log-volume of the first, second, ... neuron} of the whole network."""
    if optimizer is None:
        return {}
    table = optimizers.rows(case.tables.exploration["log_volume"], optimizer)
    table = table[(table["scope"] == "network") & table["run"].isin(case.comparable_runs)]
    curves = {}
    for seed, rows in each_seed(table.sort_values("position")):
        neurons = np.arange(1, int(rows["position"].max()) + 1)
        curves[seed] = np.interp(neurons, rows["position"], rows["log_volume"])
    return curves


def _match(pairs: dict, values: float, where: dict) -> Judgement:
    apart = {
        seed: float(np.abs(adam[:MATCHING] - rmsprop[:MATCHING]).mean())
        for seed, (adam, rmsprop) in pairs.items()
    }
    return _volumes("distance of the first 40", apart, Margin(high=far_volume(values)), where)


def _below(pairs: dict, values: float, where: dict) -> Judgement:
    at = DROP + WINDOW - 1
    below = {seed: float(rmsprop[at] - adam[at]) for seed, (adam, rmsprop) in pairs.items()}
    return _volumes("below RMSProp at neuron 80", below, Margin(low=far_volume(values)), where)


def _volumes(quantity: str, by_seed: dict, margin: Margin, where: dict) -> Judgement:
    assumed = spreads.assumed("volume of a neuron", "autoencoder")
    return judge(over_seeds(quantity, by_seed, Unit.LOG_VOLUME, assumed, **where), margin)


def _steepness(pairs: dict, values: float, where: dict) -> Judgement:
    """By how much more than three times as steeply Adam's curve falls after neuron 60."""
    steeper = {}
    for seed, (adam, _) in pairs.items():
        after = (adam[DROP - 1] - adam[DROP + WINDOW - 1]) / WINDOW
        before = (adam[WINDOW - 1] - adam[DROP - 1]) / (DROP - WINDOW)
        steeper[seed] = float(after - SHARP * before) * WINDOW
    quantity = f"fall from neuron 60 to 80 beyond {SHARP:g} times the one before"
    return _volumes(quantity, steeper, Margin(low=0.0), {"optimizer": where["optimizer"]})
