"""Claims 5, 13, 16, 18: losses, Taylor optima and the gap between them (Figure 4, 2.3, 2.4)."""

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import pandas as pd

from reproduce import paper
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
from reproduce.claims.exponents import REGRET_SHARE, regret_share, unusable
from reproduce.claims.margins import (
    MORE,
    NOT_BEATEN,
    SIGN,
)
from reproduce.claims.registry import Needs, claim
from reproduce.claims.statistics import paired, share
from reproduce.claims.verdicts import Verdict
from reproduce.optimizers import Optimizer

_AUTOENCODER = Needs(("autoencoder",), "regret of the autoencoder's layer 3", scales=("layer",))
_ON_CIFAR10 = Needs(
    ("convnet",), "regret of the convnet's layers on CIFAR-10", ("cifar10",), ("layer",)
)
_LAYERS = Needs(paper.TASKS, "regret of layers", scales=("layer",))
_LAYERS_AND_NEURONS = Needs(paper.TASKS, "regret of layers and neurons", scales=("layer", "neuron"))


@claim(
    5,
    part="losses",
    title="adaptive: lower loss and gap",
    statement="The adaptive optimizers incur lower losses than SGD",
    place="2.4, Figure 4(c)",
    primary="SGD's cumulative loss over the larger of the adaptive optimizers'",
    needs=_AUTOENCODER,
)
def lower_losses(case: Case) -> Judgement:
    """Claim 5, cumulative losses in the layer of Figure 4(c), at the last common round."""
    spread = spreads.assumed("loss", case.task)
    return _against_sgd(case, partial(_factor, case, "cumulative_loss", spread))


@claim(
    5,
    part="gaps",
    statement="The gap between incurred and optimal loss is smaller for adaptive optimizers",
    place="2.4, Figure 4(c)",
    primary="SGD's gap as a share of its loss, less the larger of the adaptive optimizers'",
    needs=_AUTOENCODER,
)
def smaller_gaps(case: Case) -> Judgement:
    """Claim 5, gaps as shares of the losses; without a gap there is nothing to compare."""
    return _against_sgd(case, partial(_smaller_gap, case))


@claim(
    13,
    title="SGD's regret is larger (4a)",
    statement="SGD's regret in the convnet's layer 2 is larger than Adam's and RMSProp's",
    place="2.4, Figure 4(a)",
    primary="SGD's regret over the larger of the adaptive optimizers'",
    needs=_ON_CIFAR10,
)
def larger_regret_of_sgd(case: Case) -> Judgement:
    """Claim 13, at the last common round."""
    spread = spreads.assumed("regret", case.task)
    return _against_sgd(case, partial(_factor, case, "regret", spread))


@claim(
    16,
    title="Taylor optimum: tough target",
    statement="The Taylor optimum is a tough target: no optimizer ends below it",
    place="2.3",
    primary="the smallest regret as a share of the cumulative loss, of methods, layers, neurons",
    needs=_LAYERS_AND_NEURONS,
)
def tough_target(case: Case) -> Judgement:
    """Claim 16, for each layer, or for the average neuron of each layer."""
    if case.scale == "layer":
        places = {scope: [scope] for scope in case.scopes}
    else:
        layers = dict.fromkeys(scope.rpartition(":")[0] for scope in case.scopes)
        places = {f"neurons of {layer}": case.neurons(layer) for layer in layers}
    methods = list(filter(None, case.methods.values()))
    return together(
        _not_beaten(case, optimizer, name, scopes)
        for name, scopes in places.items()
        for optimizer in methods
        if case.growths(optimizer, scopes)
    )


@claim(
    18,
    title="better Taylor losses revealed",
    statement="The landscape keeps revealing Taylor losses with better solutions",
    place="2.4",
    primary="the Taylor optimum a round of the first half of training over the second half's",
    needs=_LAYERS,
    remark=(
        "Halves are those of the epochs from 20 on. That the optimum improves does not say why "
        "regret grows."
    ),
)
def better_losses_revealed(case: Case) -> Judgement:
    """Claim 18, in the layer of Figure 4, for each of the three methods."""
    layer = case.figure_4_layer
    return together(_revealed(case, one, layer) for one in case.methods.values())


def _against_sgd(case: Case, compare: Callable[[Method, Method], Judgement]) -> Judgement:
    """Compares the best SGD with RMSProp and Adam in the layer of Figure 4."""
    layer, methods = case.figure_4_layer, case.methods
    unfit = [judged for one in methods.values() if (judged := unusable(case, one, layer))]
    if unfit:
        return together(unfit)
    return together(compare(methods["sgd"], methods[name]) for name in ("rmsprop", "adam"))


def _factor(case: Case, column: str, assumed: float, sgd: Method, optimizer: Method) -> Judgement:
    """How many times as large SGD's number is as an adaptive optimizer's, seed by seed."""
    layer = case.figure_4_layer
    where: dict[str, Any] = {"optimizer": sgd, "against": optimizer, "scope": layer}
    quantity = column.replace("_", " ")
    larger, smaller = (_at_last(case, one, column) for one in (sgd, optimizer))
    factors = {seed: larger[seed] / smaller[seed] for seed in larger.keys() & smaller.keys()}
    if not factors or min(*larger.values(), *smaller.values()) <= 0:
        nothing = Measurement(quantity, math.nan, unit=Unit.FACTOR, **where)
        return Judgement(Verdict.INCONCLUSIVE, Reason.NO_GAP, nothing)
    return judge(over_seeds(quantity, factors, Unit.FACTOR, assumed, **where), MORE)


def _smaller_gap(case: Case, sgd: Method, optimizer: Method) -> Judgement:
    layer = case.figure_4_layer
    shares = [_shares(case, one) for one in (sgd, optimizer)]
    for one, by_seed in zip((sgd, optimizer), shares):
        spread = spreads.of_share(sum(by_seed.values()) / len(by_seed), case.task)
        gap = over_seeds(REGRET_SHARE, by_seed, Unit.SHARE, spread, optimizer=one, scope=layer)
        if gap.value < -SIGN:
            return Judgement(Verdict.INCONCLUSIVE, Reason.NO_GAP, gap)
    where: dict[str, Any] = {"optimizer": sgd, "against": optimizer, "scope": layer}
    differences = paired(*shares)
    largest = max(abs(value) for by_seed in shares for value in by_seed.values())
    spread = spreads.of_share(largest, case.task)
    gap = over_seeds("difference of regret / loss", differences, Unit.SHARE, spread, **where)
    return judge(gap, Margin(low=SIGN))


def _at_last(case: Case, optimizer: Method, column: str) -> dict[int, float]:
    """{seed: a number at the last round that the three methods have in common}."""
    layer = case.figure_4_layer
    rows = case.rows(optimizer, layer)
    rows = rows[rows["round"] == case.last_common_round]
    return {int(seed): float(value) for seed, value in zip(rows["seed"], rows[column])}


def _shares(case: Case, optimizer: Method) -> dict[int, float]:
    gaps, losses = (_at_last(case, optimizer, name) for name in ("regret", "cumulative_loss"))
    return {seed: share(gaps[seed], losses[seed]) for seed in gaps}


def _not_beaten(case: Case, optimizer: Optimizer, name: str, scopes: Sequence[str]) -> Judgement:
    unfit = unusable(case, optimizer, scopes, name)
    if unfit:
        return unfit
    measured = regret_share(
        case.growths(optimizer, scopes), case.task, optimizer=optimizer, scope=name
    )
    return judge(measured, NOT_BEATEN)


def _revealed(case: Case, optimizer: Method, layer: str) -> Judgement:
    unfit = unusable(case, optimizer, layer)
    if unfit:
        return unfit
    window = case.window(optimizer, layer)
    where: dict[str, Any] = {"optimizer": optimizer, "scope": layer}
    quantity = "Taylor optimum a round, first half over second"
    halves = {seed: pair for seed, rows in each_seed(window) if (pair := _halves(rows))}
    nothing = Measurement(quantity, math.nan, unit=Unit.FACTOR, **where)
    if len(halves) < window["seed"].nunique():
        return Judgement(Verdict.INCONCLUSIVE, Reason.TOO_FEW, nothing)
    floor = {
        seed: SIGN * float(rows["cumulative_loss"].max() / rows["round"].max())
        for seed, rows in each_seed(window)
    }
    if any(max(pair) <= floor[seed] for seed, pair in halves.items()):
        return Judgement(Verdict.NOT_APPLICABLE, Reason.NO_OPTIMUM, nothing)
    factors = {seed: pair[0] / max(pair[1], floor[seed]) for seed, pair in halves.items()}
    spread = spreads.assumed("loss", case.task)
    return judge(over_seeds(quantity, factors, Unit.FACTOR, spread, **where), MORE)


def _halves(table: pd.DataFrame) -> tuple[float, float] | None:
    """The optimum's increase a round over each half of the checkpoints; None below three."""
    table = table.sort_values("round")
    if len(table) < 3:
        return None
    middle = (table["epoch"].iloc[0] + table["epoch"].iloc[-1]) / 2
    at = [0, int((table["epoch"] - middle).abs().to_numpy().argmin()), len(table) - 1]
    rounds, optima = (table[name].to_numpy(float)[at] for name in ("round", "taylor_optimum"))
    first, second = (optima[1:] - optima[:-1]) / (rounds[1:] - rounds[:-1])
    return float(first), float(second)
