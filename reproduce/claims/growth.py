"""Claims 3, 4, 11, 12: how the regret of layers grows (Figure 4, Theorem 2)."""

import math
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from reproduce import paper
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
from reproduce.claims.exponents import (
    distance_from,
    growth,
    regret_share,
    unusable,
)
from reproduce.claims.margins import (
    AT_MOST_SQUARE_ROOT,
    MORE,
    SQUARE_ROOT,
    VARIATION_SPREAD,
)
from reproduce.claims.registry import SCALES, Needs, claim
from reproduce.claims.verdicts import MOST, Verdict, most_of
from reproduce.optimizers import Optimizer

_FARTHEST = "the exponent of regret farthest from 1/2, of the three methods"
_ON_CIFAR10 = Needs(
    ("convnet",), "regret of the convnet's layers on CIFAR-10", ("cifar10",), ("layer",)
)
_ON_DIGITS = Needs(("convnet",), "regret of the convnet's layers on MNIST", ("mnist",), ("layer",))
_AUTOENCODER = Needs(("autoencoder",), "regret of the autoencoder's layers", scales=("layer",))
_ANY_SCALE = Needs(paper.TASKS, "regret of the network, of layers and of neurons", scales=SCALES)
_SUPPOSES = (
    "Theorem 2 supposes an optimizer whose regret is at most of the order of sqrt(N) and names "
    "gradient descent (proved for steps that decrease like 1/sqrt(n); here the rate is constant), "
    "AdaGrad, Adam (whose proof Reddi et al. 2018 dispute) and mirror descent; RMSProp is not "
    "in its list."
)


def of_methods(case: Case, scopes: Iterable[str]) -> Judgement:
    """Whether regret grows like sqrt(N) for RMSProp, Adam and the best SGD in every scope.

    Args:
        case: A `Case`.
        scopes: Names of scopes.

    Returns:
        A `Judgement`; the exponent farthest from one half decides.
    """
    methods = case.methods.values()
    parts = [growth(case, optimizer, scope) for scope in scopes for optimizer in methods]
    return together(parts, distance_from(SQUARE_ROOT))


@claim(
    3,
    part="layer 2",
    title="convnet, layer 2: like sqrt(N)",
    statement="The convnet's layer-2 regret grows like sqrt(N) for Adam, RMSProp and SGD",
    place="2.4, Figure 4(a)",
    primary=_FARTHEST,
    needs=_ON_CIFAR10,
)
def convnet_layer(case: Case) -> Judgement:
    """Claim 3 in the layer of Figure 4(a)."""
    return of_methods(case, [paper.FIGURE_4_LAYER["convnet"]])


@claim(
    3,
    part="other layers",
    statement="Similar behaviour was observed in the other layers of the convnet",
    place="2.4",
    primary=_FARTHEST,
    needs=_ON_CIFAR10,
)
def convnet_other_layers(case: Case) -> Judgement:
    """Claim 3 in the layers that Figure 4(a) does not show."""
    return of_methods(case, _others(case))


@claim(
    3,
    part="SGD varies most",
    statement="SGD exhibits additional variance",
    place="2.4, Figure 4(a)",
    primary="SGD's variation of regret over the larger of the adaptive optimizers'",
    needs=_ON_CIFAR10,
)
def sgd_varies_most(case: Case) -> Judgement:
    """Claim 3, the unevenness of regret in the layer of Figure 4(a)."""
    layer, methods = paper.FIGURE_4_LAYER["convnet"], case.methods
    unfit = [judged for one in methods.values() if (judged := unusable(case, one, layer))]
    if unfit:
        return together(unfit)
    sgd = _variations(case, methods["sgd"], layer)
    parts = []
    for optimizer in (methods["rmsprop"], methods["adam"]):
        adaptive = _variations(case, optimizer, layer)
        factors = {seed: sgd[seed] / adaptive[seed] for seed in sgd.keys() & adaptive.keys()}
        parts.append(_compared(factors, methods["sgd"], optimizer, layer))
    return together(parts)


@claim(
    4,
    part="layer 3",
    title="autoencoder: like sqrt(N)",
    statement="The autoencoder's layer-3 regret grows like sqrt(N) for Adam, RMSProp and SGD",
    place="2.4, Figure 4(b)",
    primary=_FARTHEST,
    needs=_AUTOENCODER,
)
def autoencoder_layer(case: Case) -> Judgement:
    """Claim 4 in the layer of Figure 4(b)."""
    return of_methods(case, [paper.FIGURE_4_LAYER["autoencoder"]])


@claim(
    4,
    part="other layers",
    statement="This also holds for the other layers of the autoencoder",
    place="2.4",
    primary=_FARTHEST,
    needs=_AUTOENCODER,
)
def autoencoder_other_layers(case: Case) -> Judgement:
    """Claim 4 in the layers that Figure 4(b) does not show."""
    return of_methods(case, _others(case))


@claim(
    11,
    part="bound",
    title="the bound of Theorem 2 holds",
    statement="Regret stays within the bound of Theorem 2: it grows no faster than sqrt(N)",
    place="2.3, Theorem 2",
    primary="the largest exponent of regret, of the three methods and all scopes of a scale",
    needs=_ANY_SCALE,
    remark=_SUPPOSES,
)
def bound_holds(case: Case) -> Judgement:
    """Claim 11, a bound from above, where the theorem speaks of the rounds that were recorded."""
    return bounded(case, filter(None, case.methods.values()))


@claim(
    11,
    part="rate",
    title="the rate 1/sqrt(N) is attained",
    statement="Regret / N falls like 1/sqrt(N), at network, layer and neuron scale",
    place="2.4",
    primary=_FARTHEST,
    needs=_ANY_SCALE,
    remark=_SUPPOSES,
)
def rate_is_attained(case: Case) -> Judgement:
    """Claim 11, that the worst case is what happens."""
    return _at_scale(
        case,
        [growth(case, *pair) for pair in _solved(case, filter(None, case.methods.values()))],
        SQUARE_ROOT,
    )


@claim(
    12,
    part="layer 2",
    title="MNIST convnets behave alike",
    statement="Similar behaviour was observed for convnets trained on MNIST: layer 2",
    place="2.4",
    primary=_FARTHEST,
    needs=_ON_DIGITS,
)
def digits_layer(case: Case) -> Judgement:
    """Claim 12 in the layer of Figure 4(a)."""
    return of_methods(case, [paper.FIGURE_4_LAYER["convnet"]])


@claim(
    12,
    part="other layers",
    statement="Similar behaviour was observed for convnets trained on MNIST: other layers",
    place="2.4",
    primary=_FARTHEST,
    needs=_ON_DIGITS,
)
def digits_other_layers(case: Case) -> Judgement:
    """Claim 12 in the layers that Figure 4(a) does not show."""
    return of_methods(case, _others(case))


def bounded(case: Case, methods: Iterable[Optimizer]) -> Judgement:
    """Whether regret stays within the bound of Theorem 2 at one scale.

    Args:
        case: A `Case`.
        methods: Optimizers.

    Returns:
        A `Judgement`; the claim does not apply where the theorem does not: to rounds that are
        means over a minibatch, and to another comparator than one V for all rounds.
    """
    static = case.reading.comparator == "static"
    if not static or case.record["reduction"] != "per_example":
        return Judgement(Verdict.NOT_APPLICABLE, Reason.NO_THEOREM)
    parts = [_bounded(case, *pair) for pair in _solved(case, methods)]
    return _at_scale(case, parts, AT_MOST_SQUARE_ROOT)


def variation(regret: pd.DataFrame, first_epoch: float = paper.FIRST_EPOCH) -> float:
    """How unevenly regret grows: what "varies most" is measured by.

    Args:
        regret: Rows of `load.read_regret` of one run and scope.
        first_epoch: Checkpoints before this epoch are left out.

    Returns:
        Typical distance of regret from the straight line in sqrt(N) through its two neighbours,
        as a share of the mean size of regret; NaN with fewer than four checkpoints while there
        is a loss to regret. The median makes it blind to a single kink.

    Example:

    >>> n = np.arange(20, 101, 5)
    >>> table = pd.DataFrame({"round": n, "epoch": n, "regret": 0.3 * np.sqrt(n)})
    >>> table["cumulative_loss"] = 2.0 * n
    >>> bool(variation(table) < 1e-12)
    True
    """
    table = _while_training(regret.dropna(subset=["regret"]).sort_values("round"))
    table = table[table["epoch"] >= first_epoch]
    if len(table) < 4:
        return math.nan
    root, values = np.sqrt(table["round"].to_numpy(float)), table["regret"].to_numpy(float)
    place = (root[1:-1] - root[:-2]) / (root[2:] - root[:-2])
    apart = values[1:-1] - (1 - place) * values[:-2] - place * values[2:]
    apart /= np.sqrt(1 + place**2 + (1 - place) ** 2)  # as wide as the noise of one value
    return float(_NORMAL * np.median(np.abs(apart)) / np.abs(values).mean())


def _while_training(regret: pd.DataFrame) -> pd.DataFrame:
    """The checkpoints of a run until its loss has all but reached zero: training has ended."""
    rounds, losses = (regret[name].to_numpy(float) for name in ("round", "cumulative_loss"))
    since = np.diff(losses, prepend=0.0) / np.diff(rounds, prepend=0.0)
    return regret[since > _ENDED * losses / rounds]


def _bounded(case: Case, optimizer: Method, scope: str) -> Judgement:
    """Whether regret grows no faster than sqrt(N); regret that ends negative does not."""
    unfit = unusable(case, optimizer, scope)
    if unfit:
        return unfit
    runs = case.growths(optimizer, scope)
    if all(run.ends_negative for run in runs):
        share = regret_share(runs, optimizer=optimizer, scope=scope)
        return Judgement(Verdict.REPRODUCED, Reason.NEGATIVE_ALLOWED, share)
    judged = growth(case, optimizer, scope, AT_MOST_SQUARE_ROOT)
    if judged.reason == Reason.NEGATIVE:  # it changes its sign, or does in some seeds
        fitted = judged.measurement.unit == Unit.EXPONENT
        if fitted and judged.measurement.high <= AT_MOST_SQUARE_ROOT.high:
            return replace(judged, verdict=Verdict.REPRODUCED, reason=Reason.NEGATIVE_ALLOWED)
        return replace(judged, verdict=Verdict.INCONCLUSIVE)
    return judged


def _at_scale(case: Case, parts: list[Judgement], margin: Margin) -> Judgement:
    """Every scope must hold; of neurons, of which the paper shows a sample, most."""
    judged = together(parts, distance_from(margin))
    if case.scale != "neuron" or not parts:
        return judged
    verdicts = [part.verdict for part in parts]
    verdict = most_of(verdicts)
    if verdict in (Verdict.NOT_APPLICABLE, Verdict.NOT_MEASURED):
        return judged
    return replace(
        judged,
        verdict=verdict,
        reason=Reason.COUNTED,
        measurement=counted("neurons for which it holds", verdicts, seeds=case.seeds),
        margin=Margin(low=MOST),
        p=math.nan,
    )


def counted(quantity: str, verdicts: list[Verdict], **where: Any) -> Measurement:
    """The share of members for which a claim holds, of those that it applies to.

    Args:
        quantity: What is counted.
        verdicts: One a member.
        **where: Further fields of the `Measurement`.

    Returns:
        A `Measurement` without an interval.
    """
    applies = [verdict for verdict in verdicts if verdict != Verdict.NOT_APPLICABLE]
    held = applies.count(Verdict.REPRODUCED) / len(applies) if applies else math.nan
    return Measurement(quantity, held, **where)


def _solved(case: Case, methods: Iterable[Optimizer]) -> list[tuple[Optimizer, str]]:
    """Pairs of optimizers and the scopes in which they were solved."""
    return [
        (optimizer, scope)
        for optimizer in methods
        for scope in case.scopes
        if case.growths(optimizer, scope)
    ]


def _others(case: Case) -> list[str]:
    return [scope for scope in case.scopes if scope != paper.FIGURE_4_LAYER[case.task]]


def _variations(case: Case, optimizer: Method, layer: str) -> dict[int, float]:
    by_seed = {seed: variation(rows) for seed, rows in each_seed(case.rows(optimizer, layer))}
    return {seed: value for seed, value in by_seed.items() if value > 0}


def _compared(factors: dict[int, float], sgd: Method, optimizer: Method, layer: str) -> Judgement:
    where: dict[str, Any] = {"optimizer": sgd, "against": optimizer, "scope": layer}
    if not factors:
        nothing = Measurement("variation of regret", math.nan, unit=Unit.FACTOR, **where)
        return Judgement(Verdict.INCONCLUSIVE, Reason.ENDED, nothing)
    factor = over_seeds("variation of regret", factors, Unit.FACTOR, VARIATION_SPREAD, **where)
    return judge(factor, MORE)


# Standard deviation of normal numbers over the median of their sizes.
_NORMAL = 1.4826
# A loss this small a share of its mean so far has all but reached zero.
_ENDED = 0.05
