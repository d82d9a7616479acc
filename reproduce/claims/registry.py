"""The paper's claims: each is a function with a number, registered by the module it stands in."""

from collections.abc import Callable
from dataclasses import dataclass

from reproduce.claims.case import Case
from reproduce.claims.evidence import Judgement

SCALES = ("network", "layer", "neuron")


@dataclass(frozen=True)
class Needs:
    """What must have been trained and solved before a claim can be judged.

    Attributes:
        tasks: Names of the tasks that it speaks of.
        words: The same in words, for a claim that waits for it.
        data: Names of the data sets that it speaks of; all when empty.
        scales: Of `SCALES`, those whose regret it speaks of, each judged apart in every reading;
            none for claims that do not rest on regret.
        activations: Whether it rests on measures of exploration.
    """

    tasks: tuple[str, ...]
    words: str
    data: tuple[str, ...] = ()
    scales: tuple[str, ...] = ()
    activations: bool = False


@dataclass(frozen=True)
class Claim:
    """A claim of the paper, or a part of one.

    Attributes:
        number: Number of the claim.
        part: Which part of it; empty when there is one.
        title: The claim in at most 30 characters: parts of one title share a line.
        statement: What the paper says, as it is judged.
        place: Where the paper says it.
        primary: Name of the one number that decides, given before it is measured.
        needs: A `Needs`.
        judge: Function that judges a `Case`.
        remark: What a reader of the verdict must know.
    """

    number: int
    part: str
    title: str
    statement: str
    place: str
    primary: str
    needs: Needs
    judge: Callable[[Case], Judgement]
    remark: str = ""


_CLAIMS: list[Claim] = []


def claim(
    number: int,
    statement: str,
    place: str,
    primary: str,
    needs: Needs,
    part: str = "",
    title: str = "",
    remark: str = "",
) -> Callable[[Callable[[Case], Judgement]], Callable[[Case], Judgement]]:
    """Registers the function below it as the judge of a claim, or of a part of one.

    Args:
        number: Number of the claim.
        statement: What the paper says, as it is judged.
        place: Where the paper says it, such as `"2.4, Figure 4(b)"`.
        primary: Name of the one number that decides.
        needs: A `Needs`.
        part: Which part of the claim it is; empty when there is one.
        title: The claim in at most 30 characters, which stands on one line with its verdicts.
            A part without one belongs to the line of the part before it.
        remark: What a reader of the verdict must know.

    Returns:
        A decorator that leaves the function as it is.
    """

    def register(judge: Callable[[Case], Judgement]) -> Callable[[Case], Judgement]:
        of_before = _CLAIMS[-1].title if _CLAIMS else ""
        line = title or of_before
        _CLAIMS.append(Claim(number, part, line, statement, place, primary, needs, judge, remark))
        return judge

    return register


def all_claims() -> list[Claim]:
    """Every claim, in order of numbers, the parts of one as they were registered.

    Returns:
        A list of `Claim`.
    """
    return sorted(_CLAIMS, key=lambda one: one.number)
