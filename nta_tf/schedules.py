"""Which training steps are recorded: every k-th, k an epoch, or log-spaced.

A schedule is a small object that says which steps of an epoch are rounds. Steps are
counted from zero; step n sees the weights after n updates.
"""

from __future__ import annotations

import dataclasses
import math
import re
from typing import Protocol, runtime_checkable

import numpy as np


@runtime_checkable
class Schedule(Protocol):
    """Says which steps of an epoch are rounds; `str()` of it is what `get` reads."""

    def steps(self, epoch: int, steps_per_epoch: int, epochs: int) -> np.ndarray:
        """Recorded steps of the epoch, counted from its beginning."""
        ...


@dataclasses.dataclass(frozen=True)
class Every:
    """Every k-th training step, the first one included."""

    interval: int = 1

    def __post_init__(self) -> None:
        _check_positive(self, self.interval)

    def steps(self, epoch: int, steps_per_epoch: int, epochs: int) -> np.ndarray:
        """Recorded steps of the epoch, counted from its beginning."""
        first = -(epoch * steps_per_epoch) % self.interval
        return np.arange(steps_per_epoch)[first :: self.interval]

    def __str__(self) -> str:
        return "every step" if self.interval == 1 else f"every {self.interval} steps"


@dataclasses.dataclass(frozen=True)
class PerEpoch:
    """k rounds an epoch, evenly spaced; the last of them is the epoch's last step."""

    count: int = 1

    def __post_init__(self) -> None:
        _check_positive(self, self.count)

    def steps(self, epoch: int, steps_per_epoch: int, epochs: int) -> np.ndarray:
        """Recorded steps of the epoch, counted from its beginning."""
        if self.count > steps_per_epoch:
            raise ValueError(
                f"An epoch has {steps_per_epoch} steps. Received: {self.count} rounds an epoch"
            )
        ends = np.arange(1, self.count + 1) * steps_per_epoch // self.count
        return ends - 1

    def __str__(self) -> str:
        return f"{self.count} an epoch"


@dataclasses.dataclass(frozen=True)
class LogSpaced:
    """About `count` rounds in the whole run, dense at first and ever sparser."""

    count: int

    def __post_init__(self) -> None:
        _check_positive(self, self.count)

    def steps(self, epoch: int, steps_per_epoch: int, epochs: int) -> np.ndarray:
        """Recorded steps of the epoch, counted from its beginning."""
        total = steps_per_epoch * epochs
        if self.count > 1 + 2 * total * math.log(total):  # so dense that no step is left out
            return np.arange(steps_per_epoch)
        chosen = np.unique(np.geomspace(1, total, self.count).round().astype(int)) - 1
        inside = chosen[chosen // steps_per_epoch == epoch]
        return inside - epoch * steps_per_epoch

    def __str__(self) -> str:
        return f"{self.count} log-spaced"


_PATTERNS = (
    (re.compile(r"every step"), lambda: Every(1)),
    (re.compile(r"every (\d+) steps?"), Every),
    (re.compile(r"(\d+) an epoch"), PerEpoch),
    (re.compile(r"(\d+) log-spaced"), LogSpaced),
)


def get(schedule: str | Schedule) -> Schedule:
    """The schedule of that description.

    Args:
        schedule: `"every step"`, `"every K steps"`, `"K an epoch"`, `"K log-spaced"`, or a
            schedule object, which is returned as it is.

    Returns:
        A schedule with `steps(epoch, steps_per_epoch, epochs)`.

    Raises:
        ValueError: If the description is none of these.

    Example:

    >>> import nta_tf as nta
    >>> nta.schedules.get("every 10 steps").steps(epoch=0, steps_per_epoch=25, epochs=2)
    array([ 0, 10, 20])
    >>> nta.schedules.get("1 an epoch").steps(epoch=0, steps_per_epoch=25, epochs=2)
    array([24])
    """
    if isinstance(schedule, Schedule):
        return schedule
    for pattern, make in _PATTERNS:
        match = pattern.fullmatch(str(schedule))
        if match:
            return make(*map(int, match.groups()))
    raise ValueError(
        "A schedule is 'every step', 'every K steps', 'K an epoch' or 'K log-spaced'. "
        f"Received: {schedule!r}"
    )


def _check_positive(schedule, number):
    if not isinstance(number, (int, np.integer)) or number < 1:
        raise ValueError(
            f"{type(schedule).__name__} takes a whole number of at least 1. Received: {number!r}"
        )
