"""With what a loss is compared: one V for all rounds, or a V of its own for each part of them.

`static` is the comparator of Theorem 2: the minimum over one V of the loss of all rounds up to N.
The others let V change, and sum the minima; what they leave is called dynamic regret, which the
theorem does not bound. Each allows all that the one before it in this list does:

| comparator     | V is chosen                        |
|----------------|------------------------------------|
| `"static"`     | once for all rounds up to N        |
| `"each_epoch"` | once for the rounds of each epoch  |
| `"each_round"` | for each round alone               |
"""

from __future__ import annotations

import dataclasses

from nta_tf.solvers import Optimum, Status

COMPARATORS = ("static", "each_epoch", "each_round")

# Of two ways to end, a sum has the one that stands first.
_PRECEDENCE = (
    Status.NON_FINITE,
    Status.DIVERGED,
    Status.UNATTAINED,
    Status.ILL_CONDITIONED,
    Status.STALLED,
    Status.MAX_ITERATIONS,
    Status.ON_BALL,
    Status.RANK_DEFICIENT,
    Status.OPTIMAL,
)


@dataclasses.dataclass(frozen=True)
class CumulativeOptimum:
    """The Taylor optimum of the rounds up to N: of one V, or a sum of minima.

    Attributes:
        loss: The loss at the minimisers.
        gap: Upper bound on how far the minimum lies below it; the gaps of a sum add up.
        distance: Largest distance of a minimiser from the centre.
        status: A `nta.solvers.Status`; of a sum, the worst of its parts.
        rank: Number of directions in which the loss is curved, where there is one V and the
            solver knows it.
    """

    loss: float
    gap: float
    distance: float
    status: Status
    rank: int | None = None

    @classmethod
    def of(cls, optimum: Optimum, distance: float) -> CumulativeOptimum:
        """That of one V."""
        return cls(optimum.loss, optimum.gap, distance, optimum.status, optimum.rank)

    def __add__(self, other: CumulativeOptimum) -> CumulativeOptimum:
        """The sum of two minima, each with a V of its own."""
        return CumulativeOptimum(
            self.loss + other.loss,
            self.gap + other.gap,
            max(self.distance, other.distance),
            min(self.status, other.status, key=_PRECEDENCE.index),
        )


def check(comparator: str) -> None:
    """Raises unless there is a comparator of that name.

    Args:
        comparator: `"static"`, `"each_epoch"` or `"each_round"`.

    Raises:
        ValueError: If it is none of these.
    """
    if comparator not in COMPARATORS:
        raise ValueError(
            f"The comparator must be one of {COMPARATORS}. Received: comparator={comparator!r}"
        )
