"""The kinds of faults by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tests.faults.stages import Case


@dataclass(frozen=True)
class Kind:
    """One kind of fault.

    Attributes:
        name: Its name.
        group: Heading under which it stands in tables.
        what: What is done and what must come of it, in a phrase.
        cases: How many are tried.
        few: How many of the small harness, within the suite.
        attempt: Function of a `Case`, which raises AssertionError if the fault is not survived.
    """

    name: str
    group: str
    what: str
    cases: int
    few: int
    attempt: Callable[[Case], None]


class Skipped(Exception):
    """A fault that cannot be made on this machine."""


KINDS: dict[str, Kind] = {}


def fault(group: str, what: str, cases: int, few: int = 0):
    """Registers the function below it as a kind of fault; its name is that of the function."""

    def register(attempt: Callable[[Case], None]) -> Callable[[Case], None]:
        name = attempt.__name__.replace("_", " ")
        KINDS[name] = Kind(name, group, what, cases, few, attempt)
        return attempt

    return register
