"""Verdicts, and how those of parts combine."""

from collections.abc import Iterable
from enum import StrEnum

# "Individually": at least this share of a layer's neurons behaves so. With fewer than FEW of
# them the claim is refuted; between the two, 50 neurons do not settle it.
MOST, FEW = 0.8, 0.5


class Verdict(StrEnum):
    """What the results say of a claim."""

    REPRODUCED = "reproduced"
    NOT_REPRODUCED = "not reproduced"
    INCONCLUSIVE = "inconclusive"
    NOT_APPLICABLE = "not applicable"
    NOT_MEASURED = "not measured"


# A part that fails decides; one that is open, or missing beside others, leaves the whole open.
SEVEREST_FIRST = (
    Verdict.NOT_REPRODUCED,
    Verdict.INCONCLUSIVE,
    Verdict.NOT_MEASURED,
    Verdict.REPRODUCED,
    Verdict.NOT_APPLICABLE,
)


def all_of(verdicts: Iterable[Verdict]) -> Verdict:
    """Verdict on a claim made of parts: it holds when every part holds.

    Args:
        verdicts: One a part. Parts to which the claim does not apply count for nothing.

    Returns:
        A `Verdict`.

    Examples:

    >>> all_of([Verdict.REPRODUCED, Verdict.INCONCLUSIVE]).name
    'INCONCLUSIVE'
    >>> all_of([Verdict.REPRODUCED, Verdict.NOT_APPLICABLE]).name
    'REPRODUCED'
    >>> all_of([Verdict.REPRODUCED, Verdict.NOT_MEASURED]).name
    'INCONCLUSIVE'
    """
    every = set(verdicts)
    if not every:
        return Verdict.NOT_MEASURED
    applicable = every - {Verdict.NOT_APPLICABLE}
    if len(applicable) < 2:
        return applicable.pop() if applicable else Verdict.NOT_APPLICABLE
    if Verdict.NOT_REPRODUCED in applicable:
        return Verdict.NOT_REPRODUCED
    return Verdict.INCONCLUSIVE  # some part is open or missing


def most_of(verdicts: Iterable[Verdict]) -> Verdict:
    """Verdict on what most members of a group do.

    Args:
        verdicts: One a member. Members that are inconclusive count for neither side.

    Returns:
        A `Verdict`.

    Examples:

    >>> most_of([Verdict.REPRODUCED] * 9 + [Verdict.NOT_REPRODUCED]).name
    'REPRODUCED'
    >>> most_of([Verdict.REPRODUCED] * 6 + [Verdict.NOT_REPRODUCED] * 4).name
    'INCONCLUSIVE'
    """
    every = list(verdicts)
    members = [verdict for verdict in every if verdict != Verdict.NOT_APPLICABLE]
    if not members:
        return Verdict.NOT_APPLICABLE if every else Verdict.NOT_MEASURED
    if members.count(Verdict.REPRODUCED) >= MOST * len(members):
        return Verdict.REPRODUCED
    refuted = members.count(Verdict.NOT_REPRODUCED) > (1 - FEW) * len(members)
    return Verdict.NOT_REPRODUCED if refuted else Verdict.INCONCLUSIVE
