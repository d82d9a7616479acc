"""Verdicts and numbers in words: the last step, of which nothing is read back."""

import math
from collections import Counter
from dataclasses import replace

import numpy as np

from reproduce.claims.case import Case
from reproduce.claims.evidence import Judgement, Margin, Measurement, Reason, Spread, Unit
from reproduce.claims.registry import Claim
from reproduce.claims.statistics import FEWEST_SEEDS
from reproduce.claims.verdicts import Verdict
from reproduce.results import words

_MOST_DETAILS = 24  # beyond which they are counted
_REASONS = {
    Reason.WITHIN: "the interval lies within the limit ({margin})",
    Reason.OUTSIDE: "the interval lies outside the limit ({margin})",
    Reason.ACROSS: "the interval crosses the limit ({margin})",
    Reason.COUNTED: "{margin} would reproduce it, more than half that fail refute it",
    Reason.NEGATIVE: "regret is negative, which has no exponent",
    Reason.NEGATIVE_ALLOWED: "regret ends negative, as a bound from above allows",
    Reason.DEAD: "the network learns nothing: its loss stays, its regret is rounding",
    Reason.DIVERGED: "a run diverged",
    Reason.NOT_CERTIFIED: "most optima have no certificate",
    Reason.NO_FIT: "no exponent could be fitted",
    Reason.NO_GAP: "the Taylor optimum does not lie below the loss: there is no gap to compare",
    Reason.NO_OPTIMUM: "the Taylor optimum is zero throughout: nothing better can be revealed",
    Reason.NO_THEOREM: "the theorem bounds regret with one V for all rounds, each of one example",
    Reason.ENDED: "training has ended: the loss is all but zero at too many checkpoints",
    Reason.EVERYWHERE: "it must be {margin} at every checkpoint, to within rounding",
    Reason.OTHER_STEPS: "the bound is not the linearized regret: training took other steps than "
    "those of its recorded gradients",
    Reason.TOO_FEW: "too few neurons, epochs or checkpoints",
    Reason.MISSING: "needs {needs}",
    Reason.PARTS: "not all of it was measured",
}
# Reasons that a number with its interval shows by itself.
_PLAIN = {
    Reason.WITHIN,
    Reason.OUTSIDE,
    Reason.ACROSS,
    Reason.COUNTED,
    Reason.EVERYWHERE,
    Reason.MISSING,
}
_UNITS = {
    Unit.EXPONENT: "{:.2f}",
    Unit.SHARE: "{:.3g}%",
    Unit.FACTOR: "{:.3g}x",
    Unit.LOSS: "{:.3g}",
    Unit.LOG_VOLUME: "{:.1f}",
    Unit.COUNT: "{:.0f}",
}


def reason(judged: Judgement, claim: Claim, case: Case | None) -> str:
    """Why a verdict is what it is.

    Args:
        judged: A `Judgement`.
        claim: The `Claim`.
        case: The `Case` that was judged; None where there is none.

    Returns:
        One phrase: the rule that decided, what the interval rests on, and on how many examples
        it was judged where the training was not at the paper's scale.
    """
    measured = judged.measurement
    limits = margin(judged.margin, measured.unit)
    text = _REASONS[judged.reason].format(margin=limits, needs=claim.needs.words)
    phrases = (text, _rests_on(measured), _smaller(case))
    return "; ".join(phrase for phrase in phrases if phrase)


def number(value: float, low: float, high: float, unit: Unit) -> str:
    """A number with its interval.

    Args:
        value: The number.
        low: Lower end, NaN without an interval.
        high: Upper end.
        unit: A `Unit`.

    Returns:
        Text, empty when there is no number.

    Examples:

    >>> number(0.523, 0.5, 0.546, Unit.EXPONENT)
    '0.52 [0.50, 0.55]'
    >>> number(-0.0206, float("nan"), float("nan"), Unit.SHARE)
    '-2.06%'
    """
    if not math.isfinite(value):
        return ""
    text = _one(value, unit)
    if math.isnan(low):
        return text
    return f"{text} [{_one(low, unit)}, {_one(high, unit)}]"


def margin(limits: Margin, unit: Unit) -> str:
    """Where a number must lie.

    Args:
        limits: A `Margin`.
        unit: A `Unit`.

    Returns:
        One phrase.

    Example:

    >>> margin(Margin(high=0.6), Unit.EXPONENT)
    'at most 0.60'
    """
    if not math.isfinite(limits.high):
        return f"at least {_one(limits.low, unit)}" if math.isfinite(limits.low) else ""
    if not math.isfinite(limits.low):
        return f"at most {_one(limits.high, unit)}"
    return f"{_one(limits.low, unit)} to {_one(limits.high, unit)}"


def subject(measurement: Measurement, task: str) -> str:
    """What a number is of: optimizers and the scope.

    Args:
        measurement: A `Measurement`.
        task: Name of the task.

    Returns:
        One phrase, such as `"SGD lr=1.0 against Adam, dense_3"`.
    """
    names = [words.label(one, task) for one in (measurement.optimizer, measurement.against) if one]
    return ", ".join(text for text in (" against ".join(names), measurement.scope) if text)


def details(judged: Judgement, task: str) -> str:
    """The numbers that a judgement is made of.

    Args:
        judged: A `Judgement`.
        task: Name of the task.

    Returns:
        One phrase a quantity and scope, or counts where there are very many.
    """
    leaves = [leaf for leaf in judged.leaves if leaf.measurement.quantity]
    if len(leaves) > _MOST_DETAILS:
        return "; ".join(_counts(leaves, task))
    groups: dict[tuple[str, str], list[Judgement]] = {}
    for leaf in leaves:
        groups.setdefault((leaf.measurement.quantity, leaf.measurement.scope), []).append(leaf)
    return "; ".join(_detail(*key, group, task) for key, group in groups.items())


def data(case: Case) -> str:
    """How many examples of which data a claim was judged on.

    Args:
        case: A `Case`.

    Returns:
        One phrase, with seeds.
    """
    return words.summary(case.tables.runs)


def _one(value: float, unit: Unit) -> str:
    return _UNITS[unit].format(100 * value if unit == Unit.SHARE else value)


def _detail(quantity: str, scope: str, leaves: list[Judgement], task: str) -> str:
    """The numbers of one quantity in one scope: an optimizer each."""
    texts = []
    for leaf in leaves:
        measured = leaf.measurement
        name = subject(replace(measured, scope=""), task)
        text = number(measured.value, measured.low, measured.high, measured.unit)
        why = "" if leaf.reason in _PLAIN else f": {_REASONS[leaf.reason]}"
        shown = " ".join(part for part in (name, text) if part)
        texts.append(f"{shown} ({leaf.verdict.value}{why})")
    where = f"{quantity}, {scope}" if scope else quantity
    return f"{where}: {', '.join(texts)}"


def _counts(leaves: list[Judgement], task: str) -> list[str]:
    """How many scopes of each optimizer had which verdict, and their median exponent."""
    texts = []
    for optimizer in dict.fromkeys(leaf.measurement.optimizer for leaf in leaves):
        of_optimizer = [leaf for leaf in leaves if leaf.measurement.optimizer == optimizer]
        counts = Counter(leaf.verdict for leaf in of_optimizer)
        exponents = [
            leaf.measurement.value
            for leaf in of_optimizer
            if leaf.measurement.unit == Unit.EXPONENT
        ]
        shown = [f"{counts[verdict]} {verdict.value}" for verdict in Verdict if counts[verdict]]
        if exponents:
            shown.append(f"median exponent {np.median(exponents):.2f} of {len(exponents)}")
        negative = sum(
            leaf.reason in (Reason.NEGATIVE, Reason.NEGATIVE_ALLOWED) for leaf in of_optimizer
        )
        if negative:
            shown.append(f"{negative} with negative regret")
        name = words.label(optimizer, task) if optimizer else ""
        texts.append(f"{name}: {', '.join(shown)}")
    return texts


def _rests_on(measurement: Measurement) -> str:
    """Where an interval comes from; one or two seeds are always named."""
    count = len(measurement.seeds)
    if not count:
        return ""
    if count >= FEWEST_SEEDS:
        return f"{count} seeds"
    few = "one seed" if count == 1 else f"{count} seeds"
    if measurement.spread == Spread.FIT:
        return f"{few}, interval of the fit"
    if measurement.spread == Spread.NEURONS:
        return f"{few}, interval over neurons"
    if measurement.spread == Spread.ASSUMED:
        of_what = "of logarithms " if measurement.unit == Unit.FACTOR else ""
        return f"{few}, assumed deviation {of_what}over seeds {measurement.assumed:.2g}"
    return few


def _smaller(case: Case | None) -> str:
    """On how many examples a claim was judged that did not have the paper's."""
    if case is None or case.config["scale"] == "paper":
        return ""
    return f"on {case.config['data']['examples']:,} examples only"
