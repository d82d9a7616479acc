"""Measured numbers and what is judged of them: typed fields, which `report` puts into words."""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any

import numpy as np

from reproduce.claims import statistics
from reproduce.claims.verdicts import SEVEREST_FIRST, Verdict, all_of
from reproduce.optimizers import Optimizer


class Unit(Enum):
    """How a number is read."""

    EXPONENT = auto()  # of growth
    SHARE = auto()  # of a whole
    FACTOR = auto()  # how many times; compared on a logarithmic scale
    LOSS = auto()
    LOG_VOLUME = auto()
    COUNT = auto()


class Spread(Enum):
    """Where an interval comes from."""

    NONE = auto()
    SEEDS = auto()  # t-interval over seeds
    ASSUMED = auto()  # too few seeds: of a spread over seeds that is assumed
    FIT = auto()  # too few seeds: of the fit of an exponent, of one run
    NEURONS = auto()  # too few seeds: from drawing the neurons of one network again


class Reason(Enum):
    """Why a verdict is what it is."""

    WITHIN = auto()  # the interval lies where the claim wants it
    OUTSIDE = auto()  # the interval lies outside
    ACROSS = auto()  # the interval holds a limit
    COUNTED = auto()  # a share of members decides
    NEGATIVE = auto()  # regret is negative, so that it has no exponent
    NEGATIVE_ALLOWED = auto()  # regret is negative, as a bound from above allows
    DEAD = auto()  # the network learns nothing
    DIVERGED = auto()
    NOT_CERTIFIED = auto()  # too few optima have a certificate
    NO_FIT = auto()  # too few points, or regret at zero
    NO_GAP = auto()  # the optimum does not lie below the loss
    NO_OPTIMUM = auto()  # the optimum is zero already
    NO_THEOREM = auto()  # the theorem does not speak of such rounds
    ENDED = auto()  # the loss is zero before there is enough to measure
    EVERYWHERE = auto()  # a bound holds at every checkpoint, or it does not hold
    OTHER_STEPS = auto()  # the bound is not that of the steps that training took
    TOO_FEW = auto()  # neurons, epochs or checkpoints
    MISSING = auto()  # not trained, or not solved
    PARTS = auto()  # some parts are missing


@dataclass(frozen=True)
class Margin:
    """Where a number must lie for a claim to hold.

    Attributes:
        low: Lower limit.
        high: Upper limit.
    """

    low: float = -math.inf
    high: float = math.inf


@dataclass(frozen=True)
class Measurement:
    """A number, its interval, and what it is of.

    Attributes:
        quantity: What was measured, a noun phrase.
        value: The number; the mean over seeds.
        low: Lower end of its 95% interval, NaN without one.
        high: Upper end.
        unit: A `Unit`.
        spread: Where the interval comes from.
        seeds: Seeds behind the number.
        by_seed: The number of each of these seeds, in its own unit.
        assumed: Standard deviation over seeds that was assumed; of logarithms for factors.
        optimizer: Whose number it is.
        against: The optimizer that it is compared with.
        scope: Where: a layer, a neuron, or a measure of exploration.
    """

    quantity: str
    value: float
    low: float = math.nan
    high: float = math.nan
    unit: Unit = Unit.SHARE
    spread: Spread = Spread.NONE
    seeds: tuple[int, ...] = ()
    by_seed: tuple[float, ...] = ()
    assumed: float = math.nan
    optimizer: Optimizer | None = None
    against: Optimizer | None = None
    scope: str = ""

    @property
    def there(self) -> bool:
        """Whether there is a number."""
        return math.isfinite(self.value)

    def p(self, margin: Margin) -> float:
        """Of two one-sided tests over seeds that it lies within a margin, doubled; NaN else."""
        if self.spread != Spread.SEEDS:
            return math.nan
        limits = (margin.low, margin.high)
        if self.unit != Unit.FACTOR:
            return statistics.equivalence(self.by_seed, *limits)
        return statistics.equivalence(np.log(self.by_seed), *map(_log, limits))


NOTHING = Measurement("", math.nan)


@dataclass(frozen=True)
class Judgement:
    """A verdict, why, and the number that decides.

    Attributes:
        verdict: A `Verdict`.
        reason: A `Reason`.
        measurement: The number that decides; its value is NaN where there is none.
        margin: Where it had to lie.
        p: p-value of the claim over seeds; NaN where seeds are too few.
        parts: What it is made of; those may be made of parts themselves.
    """

    verdict: Verdict
    reason: Reason
    measurement: Measurement = field(default_factory=lambda: NOTHING)
    margin: Margin = field(default_factory=Margin)
    p: float = math.nan
    parts: tuple["Judgement", ...] = ()

    @property
    def leaves(self) -> list["Judgement"]:
        """The judgements that have no parts."""
        return [leaf for part in self.parts for leaf in part.leaves] if self.parts else [self]


def over_seeds(
    quantity: str,
    by_seed: Mapping[int, float],
    unit: Unit,
    assumed: float,
    **where: Any,
) -> Measurement:
    """A number with its interval over seeds, or that of an assumed spread.

    Args:
        quantity: What it is.
        by_seed: {seed: number}; of factors, positive ones.
        unit: A `Unit`; factors are averaged by their logarithms.
        assumed: Standard deviation over seeds that is plausible where there are too few (of
            logarithms for factors). The interval is then so wide that only an effect far
            beyond it settles anything.
        **where: Further fields of the `Measurement`.

    Returns:
        A `Measurement`.

    Example:

    >>> one = over_seeds("loss", {0: 1.2}, Unit.FACTOR, 0.1)
    >>> one.spread.name, round(one.low, 2), round(one.high, 2)
    ('ASSUMED', 0.89, 1.62)
    """
    seeds, numbers = tuple(sorted(by_seed)), [by_seed[seed] for seed in sorted(by_seed)]
    there, back = (np.log, math.exp) if unit == Unit.FACTOR else (np.asarray, float)
    interval = statistics.t_interval(there(numbers))
    if interval.count >= statistics.FEWEST_SEEDS:
        low, high, spread, assumed = interval.low, interval.high, Spread.SEEDS, math.nan
    else:
        half = _FAR_BEYOND * assumed
        low, high, spread = interval.value - half, interval.value + half, Spread.ASSUMED
    return Measurement(
        quantity,
        back(interval.value),
        back(low),
        back(high),
        unit,
        spread,
        seeds,
        tuple(map(float, numbers)),
        assumed,
        **where,
    )


def judge(measurement: Measurement, margin: Margin) -> Judgement:
    """Whether a number lies where a claim wants it, by its interval.

    Args:
        measurement: A `Measurement`.
        margin: A `Margin`.

    Returns:
        A `Judgement`: reproduced when the interval lies within the margin, not reproduced when
        it lies outside, otherwise inconclusive.

    Example:

    >>> number = Measurement("exponent", 0.3, 0.25, 0.35)
    >>> judge(number, Margin(0.4, 0.6)).verdict.name
    'NOT_REPRODUCED'
    """
    low, high = measurement.low, measurement.high
    if low >= margin.low and high <= margin.high:
        verdict, reason = Verdict.REPRODUCED, Reason.WITHIN
    elif high < margin.low or low > margin.high:
        verdict, reason = Verdict.NOT_REPRODUCED, Reason.OUTSIDE
    else:
        verdict, reason = Verdict.INCONCLUSIVE, Reason.ACROSS
    return Judgement(verdict, reason, measurement, margin, measurement.p(margin))


def together(
    parts: Iterable[Judgement], order: Callable[[Measurement], float] | None = None
) -> Judgement:
    """A claim that holds when every part holds.

    Args:
        parts: Judgements of the parts.
        order: Function of a measurement that is smallest for the number that decides among
            parts of the same verdict. By default the part that is nearest to its limits.

    Returns:
        A `Judgement` with the number of the part that decides. Its p-value is the largest of
        the parts': a claim that needs every part needs no correction for their number.
    """
    parts = tuple(parts)
    if not parts:
        return Judgement(Verdict.NOT_MEASURED, Reason.MISSING)

    def place(part: Judgement) -> tuple[int, float]:
        measurement = part.measurement
        if not measurement.there:
            return (SEVEREST_FIRST.index(part.verdict), 0.0)
        distance = order(measurement) if order else _slack(measurement, part.margin)
        return (SEVEREST_FIRST.index(part.verdict), distance)

    severest = min(parts, key=place)
    shown = min([part for part in parts if part.measurement.there] or [severest], key=place)
    verdict = all_of(part.verdict for part in parts)
    reason = severest.reason if severest.verdict == verdict else Reason.PARTS
    applicable = [part.p for part in parts if part.verdict != Verdict.NOT_APPLICABLE]
    p = max(applicable) if applicable and np.isfinite(applicable).all() else math.nan
    return Judgement(verdict, reason, shown.measurement, shown.margin, p, parts)


def _slack(measurement: Measurement, margin: Margin) -> float:
    """How far within its limits a number is; negative outside."""
    return min(measurement.value - margin.low, margin.high - measurement.value)


def _log(number: float) -> float:
    return math.log(number) if number > 0 else -math.inf


# With too few seeds an effect settles something beyond so many assumed deviations: about as far
# as the 95% interval of three seeds reaches.
_FAR_BEYOND = 3.0
