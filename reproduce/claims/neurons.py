"""Claims 1, 2, 12, 15: single neurons of the convnet's layers (Figure 3)."""

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from reproduce import paper
from reproduce.claims import statistics
from reproduce.claims.case import Case, Method, each_seed, last_rows
from reproduce.claims.evidence import (
    Judgement,
    Margin,
    Measurement,
    Reason,
    Spread,
    Unit,
    judge,
    over_seeds,
    together,
)
from reproduce.claims.exponents import (
    EXPONENT,
    distance_from,
    growth,
    regret_share,
    unusable,
)
from reproduce.claims.margins import SIGN, SQUARE_ROOT, VISIBLE
from reproduce.claims.registry import Needs, claim
from reproduce.claims.run_growth import is_negative
from reproduce.claims.theorem import counted
from reproduce.claims.verdicts import MOST, Verdict, all_of, most_of

_RESAMPLES = 1000
# The losses of neurons and network are sums over the same minibatches; where a record keeps a
# few examples of each, they differ by what the sample does, about as much as this.
_SAMPLED_SPREAD = 0.05
_SHOWN = paper.CONVOLUTIONS[:2]  # in Figure 3(b) and (c)
_ON_CIFAR10 = Needs(
    ("convnet",), "regret of the convnet's neurons on CIFAR-10", ("cifar10",), ("neuron",)
)
_ON_DIGITS = Needs(
    ("convnet",), "regret of the convnet's neurons on MNIST", ("mnist",), ("neuron",)
)
_AVERAGE = "RMSProp's exponent of the average neuron's regret, in the layer farthest from 1/2"


@claim(
    1,
    part="on average",
    title="neurons: like sqrt(N)",
    statement="The average regret of neurons grows like sqrt(N) in each convolutional layer",
    place="2.4, Figure 3(a)",
    primary=_AVERAGE,
    needs=_ON_CIFAR10,
)
def on_average(case: Case) -> Judgement:
    """Claim 1, the mean over the neurons of each layer under RMSProp."""
    return _in_layers(case, paper.CONVOLUTIONS, average_growth)


@claim(
    1,
    part="individually",
    statement="Importantly, regret behaves so individually, neuron by neuron",
    place="2.4, Figure 3(a)",
    primary="the smallest share of a layer's neurons whose regret grows like sqrt(N)",
    needs=_ON_CIFAR10,
)
def individually(case: Case) -> Judgement:
    """Claim 1, the neurons one by one under RMSProp."""
    return _in_layers(case, paper.CONVOLUTIONS, individual_growth)


@claim(
    2,
    title="neurons: loss above optimum",
    statement="The loss of neurons lies above their Taylor optimum, regret between",
    place="2.4, Figure 3(b), (c)",
    primary="RMSProp's smallest regret as a share of the loss, of the layers' average neurons",
    needs=_ON_CIFAR10,
    remark="A gap below 2% of the loss could not be seen in Figure 3.",
)
def loss_above_optimum(case: Case) -> Judgement:
    """Claim 2, for the average neuron, and for most of the neurons one by one."""
    return _in_layers(case, _SHOWN, bounded_loss)


@claim(
    12,
    part="neurons",
    title="MNIST convnets behave alike",
    statement="Similar behaviour was observed for convnets trained on MNIST: neurons",
    place="2.4",
    primary=_AVERAGE,
    needs=_ON_DIGITS,
)
def digits_on_average(case: Case) -> Judgement:
    """Claim 12, the mean over the neurons of each layer under RMSProp."""
    return _in_layers(case, paper.CONVOLUTIONS, average_growth)


@claim(
    15,
    title="neuron loss is not network's",
    statement="The loss of neurons differs from the cumulative loss of the network",
    place="2.4, Figure 3(b), (c)",
    primary="the smallest difference of neurons' loss and network's, as a share of the latter",
    needs=_ON_CIFAR10,
    remark=(
        "Every neuron's Taylor loss at W^n is the network's loss: the two differ only where a "
        "record keeps some of a minibatch's examples, and then by the sample alone."
    ),
)
def loss_differs_from_networks(case: Case) -> Judgement:
    """Claim 15, under RMSProp, at the last checkpoint."""
    return _in_layers(case, _SHOWN, _difference_from_network)


def average_growth(case: Case, optimizer: Method, layer: str) -> Judgement:
    """Whether the mean regret of a layer's neurons grows like sqrt(N).

    Args:
        case: A `Case`.
        optimizer: A method.
        layer: Name of the layer.

    Returns:
        A `Judgement`. The exponent is the slope of log mean regret against log N. With fewer
        than three seeds its interval comes from drawing the neurons of a network again, and says
        how much the choice of neurons matters.
    """
    neurons = case.neurons(layer)
    where: dict[str, Any] = {"optimizer": optimizer, "scope": f"neurons of {layer}"}
    rows = case.window(optimizer, neurons)
    share = regret_share(case.growths(optimizer, neurons), case.task, **where)
    fits = {seed: _average_exponent(table) for seed, table in each_seed(rows)}
    found = {seed: fit for seed, fit in fits.items() if fit is not None}
    if any(fit is None for fit in fits.values()):
        mean = rows.groupby(["seed", "round"])[["regret", "gap", "cumulative_loss"]].mean()
        if is_negative(mean).any():
            return Judgement(Verdict.NOT_REPRODUCED, Reason.NEGATIVE, share)
        return Judgement(Verdict.INCONCLUSIVE, Reason.NO_FIT, share)
    exponents = {seed: fit[0] for seed, fit in found.items()}
    measured = over_seeds(EXPONENT, exponents, Unit.EXPONENT, math.nan, **where)
    if len(found) < statistics.FEWEST_SEEDS:
        low, high = min(fit[1] for fit in found.values()), max(fit[2] for fit in found.values())
        measured = replace(measured, low=low, high=high, spread=Spread.NEURONS)
    return judge(measured, SQUARE_ROOT)


def individual_growth(case: Case, optimizer: Method, layer: str) -> Judgement:
    """Whether the regret of most neurons of a layer grows like sqrt(N).

    Args:
        case: A `Case`.
        optimizer: A method.
        layer: Name of the layer.

    Returns:
        A `Judgement` whose number is the share of neurons for which it does.
    """
    verdicts = [growth(case, optimizer, scope).verdict for scope in case.neurons(layer)]
    where: dict[str, Any] = {"optimizer": optimizer, "scope": f"neurons of {layer}"}
    share = counted("neurons like sqrt(N)", verdicts, seeds=case.seeds, **where)
    return Judgement(most_of(verdicts), Reason.COUNTED, share, Margin(low=MOST))


def bounded_loss(case: Case, optimizer: Method, layer: str) -> Judgement:
    """Whether the losses of a layer's neurons lie visibly above their Taylor optima.

    Args:
        case: A `Case`.
        optimizer: A method.
        layer: Name of the layer.

    Returns:
        A `Judgement`: regret of the average neuron is at least 2% of its loss at the last
        checkpoint, and at all checkpoints it is positive and no larger than the loss for the
        average and for most of the neurons.
    """
    neurons = case.neurons(layer)
    where: dict[str, Any] = {"optimizer": optimizer, "scope": f"neurons of {layer}"}
    rows = case.window(optimizer, neurons)
    gap = judge(regret_share(case.growths(optimizer, neurons), case.task, **where), VISIBLE)
    share = rows["regret"] / rows["cumulative_loss"]
    least = share.groupby([rows["run"], rows["scope"]]).min()
    most = share.groupby([rows["run"], rows["scope"]]).max()
    signs = statistics.sign_test(least.to_numpy(float), SIGN)
    held = float(((least > SIGN) & (most <= 1)).mean())
    signed = Measurement(
        "neurons whose regret is positive throughout", held, seeds=gap.measurement.seeds, **where
    )
    verdicts = [Verdict.REPRODUCED] * signs.above + [Verdict.INCONCLUSIVE] * signs.within
    verdicts += [Verdict.NOT_REPRODUCED] * signs.below
    individually = Judgement(most_of(verdicts), Reason.COUNTED, signed, Margin(low=MOST))
    verdict = all_of([gap.verdict, individually.verdict])
    reason = gap.reason if gap.verdict == verdict else individually.reason
    return replace(gap, verdict=verdict, reason=reason, parts=(gap, individually))


def _difference_from_network(case: Case, optimizer: Method, layer: str) -> Judgement:
    """How far the neurons' cumulative loss is from the network's, either way."""
    rows = case.window(optimizer, case.neurons(layer))
    by_seed = {
        seed: float((last["cumulative_loss"] / last["network_loss"] - 1).abs().mean())
        for seed, last in each_seed(last_rows(rows))
    }
    sampled = case.record.get("examples") is not None
    measured = over_seeds(
        "neurons' loss from the network's",
        by_seed,
        Unit.SHARE,
        _SAMPLED_SPREAD if sampled else 0.0,
        optimizer=optimizer,
        scope=f"neurons of {layer}",
    )
    return judge(measured, VISIBLE)


def _in_layers(
    case: Case,
    layers: tuple[str, ...],
    judge_layer: Callable[[Case, Method, str], Judgement],
) -> Judgement:
    """A claim on RMSProp's neurons, which must hold in every layer."""
    optimizer, parts = case.named(paper.FIGURE_3_OPTIMIZER), []
    for layer in layers:
        scopes = case.neurons(layer)
        unfit = unusable(case, optimizer, scopes, f"neurons of {layer}")
        parts.append(unfit or judge_layer(case, optimizer, layer))
    return together(parts, _order)


def _order(measurement: Measurement) -> float:
    """Exponents: the farthest from one half decides; shares: the smallest."""
    if measurement.unit == Unit.EXPONENT:
        return distance_from(SQUARE_ROOT)(measurement)
    return measurement.value


def _average_exponent(rows: pd.DataFrame) -> tuple[float, float, float] | None:
    """Exponent of the mean over neurons of one run, with the interval from drawing them again."""
    grid = rows.pivot(index="round", columns="scope", values="regret").dropna()
    mean = grid.mean(axis=1)
    if len(grid) < 3 or (mean <= 0).any():
        return None
    rounds, neurons = np.log(grid.index.to_numpy(float)), grid.to_numpy()
    drawn = np.random.default_rng(0).integers(0, neurons.shape[1], (_RESAMPLES, neurons.shape[1]))
    means = neurons[:, drawn].mean(axis=2)
    slopes = np.polyfit(rounds, np.log(means[:, (means > 0).all(axis=0)]), 1)[0]
    low, high = np.quantile(slopes, [0.025, 0.975])
    return float(np.polyfit(rounds, np.log(mean), 1)[0]), float(low), float(high)
