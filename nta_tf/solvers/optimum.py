"""What every solver returns: an optimum with the evidence for it."""

import dataclasses
import enum

import numpy as np


class Status(enum.Enum):
    """How a solver ended; the value is the message for a person."""

    OPTIMAL = "The minimum was found."
    RANK_DEFICIENT = (
        "The minimum was found; it is attained on a whole affine set, of which the point "
        "closest to the centre was taken."
    )
    ON_BALL = "The minimum over the ball was found; it lies on the ball's boundary."
    MAX_ITERATIONS = (
        "The solver stopped after its last allowed iteration; the gap bounds what is left "
        "to gain. Allow more iterations for a smaller gap."
    )
    STALLED = (
        "No step lowers the loss any further in the precision of the linear map; the gap "
        "bounds what is left to gain. Use float64, or a larger tolerance."
    )
    ILL_CONDITIONED = (
        "The minimum was not found to the tolerance: curvature that is rounding beside the "
        "largest one hides what is left to gain, which the gap bounds. Minimise over a ball, or "
        "record in float64."
    )
    DIVERGED = (
        "The steps of the solver grew without bound; the problem itself is finite. Use a "
        "smaller learning rate, or a ball."
    )
    NON_FINITE = (
        "The problem holds NaN or infinite numbers, so there is no minimum to find. The "
        "training that was recorded has probably diverged."
    )
    UNATTAINED = (
        "The loss falls for ever along some direction; its infimum is only approached at "
        "infinity. Minimise over a ball instead."
    )

    @property
    def solved(self) -> bool:
        """Whether the optimum can be trusted to within its gap."""
        return self in (Status.OPTIMAL, Status.RANK_DEFICIENT, Status.ON_BALL)


@dataclasses.dataclass(frozen=True)
class Optimum:
    """A Taylor optimum and its certificate.

    Attributes:
        loss: The loss at `weights`.
        weights: The minimiser, in the shape of the scope's weights.
        gap: Upper bound on how far the minimum lies below `loss`. On a ball of centre C and
            radius D it is the Frank-Wolfe gap `<grad F(V), V - C> + D ||grad F(V)||`, which
            holds for every convex F, or `loss` itself where that is less, as F is never
            negative. For a quadratic without a ball it is the quadratic's own,
            sum_i slope_i^2 / 4 curvature_i, and what directions that count as flat could
            give up to twice the minimiser's distance, with what float64 may add. For another
            loss without a ball it is the Frank-Wolfe gap on the ball of twice the minimiser's
            distance.
        status: A `Status`.
        iterations: How many iterations the solver made; 0 for a closed form.
        rank: Number of directions in which the loss is curved above the cut-off, where
            the solver knows it.
    """

    loss: float
    weights: np.ndarray
    gap: float
    status: Status
    iterations: int = 0
    rank: int | None = None
