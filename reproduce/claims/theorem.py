"""Claim 11: the bound of Theorem 2, and the rate at which regret falls (2.3, 2.4)."""

import math
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from reproduce import paper
from reproduce.claims.case import Case, Method
from reproduce.claims.evidence import Judgement, Margin, Measurement, Reason, Unit, together
from reproduce.claims.exponents import distance_from, growth, regret_share, unusable
from reproduce.claims.margins import AT_MOST_SQUARE_ROOT, SQUARE_ROOT
from reproduce.claims.registry import SCALES, Needs, claim
from reproduce.claims.verdicts import MOST, Verdict, most_of
from reproduce.optimizers import Optimizer

_ANY_SCALE = Needs(paper.TASKS, "regret of the network, of layers and of neurons", scales=SCALES)
_SUPPOSES = (
    "Theorem 2 supposes an optimizer whose regret is at most of the order of sqrt(N) and names "
    "gradient descent (proved for steps that decrease like 1/sqrt(n); here the rate is constant), "
    "AdaGrad, Adam (whose proof Reddi et al. 2018 dispute) and mirror descent; RMSProp is not "
    "in its list."
)


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
    primary="the exponent of regret farthest from 1/2, of the three methods",
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


def _bounded(case: Case, optimizer: Method, scope: str) -> Judgement:
    """Whether regret grows no faster than sqrt(N); regret that ends negative does not."""
    unfit = unusable(case, optimizer, scope)
    if unfit:
        return unfit
    runs = case.growths(optimizer, scope)
    if all(run.ends_negative for run in runs):
        share = regret_share(runs, case.task, optimizer=optimizer, scope=scope)
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


def _solved(case: Case, methods: Iterable[Optimizer]) -> list[tuple[Optimizer, str]]:
    """Pairs of optimizers and the scopes in which they were solved."""
    return [
        (optimizer, scope)
        for optimizer in methods
        for scope in case.scopes
        if case.growths(optimizer, scope)
    ]
