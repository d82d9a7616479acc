"""Claims 3, 4, 12: how the regret of layers grows (Figure 4)."""

import math
from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd

from reproduce import paper
from reproduce.claims import spreads
from reproduce.claims.case import Case, Method, each_seed
from reproduce.claims.evidence import (
    Judgement,
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
    unusable,
)
from reproduce.claims.margins import (
    MORE,
    SQUARE_ROOT,
)
from reproduce.claims.registry import Needs, claim
from reproduce.claims.verdicts import Verdict

_FARTHEST = "the exponent of regret farthest from 1/2, of the three methods"
_ON_CIFAR10 = Needs(
    ("convnet",), "regret of the convnet's layers on CIFAR-10", ("cifar10",), ("layer",)
)
_ON_DIGITS = Needs(("convnet",), "regret of the convnet's layers on MNIST", ("mnist",), ("layer",))
_AUTOENCODER = Needs(("autoencoder",), "regret of the autoencoder's layers", scales=("layer",))


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
    return of_methods(case, [case.figure_4_layer])


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
    layer, methods = case.figure_4_layer, case.methods
    unfit = [judged for one in methods.values() if (judged := unusable(case, one, layer))]
    if unfit:
        return together(unfit)
    sgd = _variations(case, methods["sgd"], layer)
    parts = []
    for optimizer in (methods["rmsprop"], methods["adam"]):
        adaptive = _variations(case, optimizer, layer)
        factors = {seed: sgd[seed] / adaptive[seed] for seed in sgd.keys() & adaptive.keys()}
        parts.append(_compared(case, factors, optimizer))
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
    return of_methods(case, [case.figure_4_layer])


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
    return of_methods(case, [case.figure_4_layer])


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


def _others(case: Case) -> list[str]:
    return [scope for scope in case.scopes if scope != case.figure_4_layer]


def _variations(case: Case, optimizer: Method, layer: str) -> dict[int, float]:
    by_seed = {seed: variation(rows) for seed, rows in each_seed(case.rows(optimizer, layer))}
    return {seed: value for seed, value in by_seed.items() if value > 0}


def _compared(case: Case, factors: dict[int, float], optimizer: Method) -> Judgement:
    where: dict[str, Any] = {"optimizer": case.methods["sgd"], "against": optimizer}
    where["scope"] = case.figure_4_layer
    if not factors:
        nothing = Measurement("variation of regret", math.nan, unit=Unit.FACTOR, **where)
        return Judgement(Verdict.INCONCLUSIVE, Reason.ENDED, nothing)
    assumed = spreads.assumed("variation", case.task)
    factor = over_seeds("variation of regret", factors, Unit.FACTOR, assumed, **where)
    return judge(factor, MORE)


# Standard deviation of normal numbers over the median of their sizes.
_NORMAL = 1.4826
# A loss this small a share of its mean so far has all but reached zero.
_ENDED = 0.05
