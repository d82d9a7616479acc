"""What the closed form asks of H: how curved it is, where F is least, and how steep F can be."""

import abc
import math
from collections.abc import Callable

import numpy as np
from scipy.optimize import brentq

from nta_tf.solvers.local import Local
from nta_tf.solvers.quadratic import Rounding


class Curvatures(abc.ABC):
    """Curvatures of H, and which of them are more than rounding.

    Eigenvalues that are smaller than `p * precision` times the largest one, or than twice the
    size of the most negative one (H has no negative eigenvalue in exact arithmetic, so that one
    shows the noise), count as zero.

    Args:
        local: A `Local` quadratic.
        values: Eigenvalues of H, the least and the largest among them.
        all_directions: Whether every direction counts in which H is curved at all.

    Attributes:
        largest: The largest curvature.
        cut: The largest that counts as zero.
        rank: Number of curved directions.
        slope_without_curvature: Half of the slope at the centre in all others, its length.
        gain_without_curvature: What F may fall along them if they are as curved as they can be.
    """

    # In the basis of the class: half of the slope at the centre along curved directions, and the
    # step from there to the minimum.
    _slope: np.ndarray
    _free_step: np.ndarray

    def __init__(self, local: Local, values: np.ndarray, all_directions: bool = False) -> None:
        self._local = local
        self.largest = max(float(values.max(initial=0.0)), 0.0)
        noise = max(0.0, -2 * float(values.min(initial=0.0)))
        self.cut = 0.0 if all_directions else max(local.cut(self.largest), noise)

    def step(self, radius: float) -> tuple[np.ndarray, bool]:
        """The u nearest to the centre that minimises F over the ball.

        Args:
            radius: Of the ball, possibly infinite.

        Returns:
            u, (blocks, n), and whether it lies on the boundary for want of room.
        """
        step = self._free_step
        outside = bool(np.linalg.norm(step) > radius)
        if outside:
            step = self._step_to_boundary(radius)
        return self._from_its_basis(step), outside

    @abc.abstractmethod
    def steepness(self, slope: np.ndarray, reach: float, rounding: Rounding | None = None) -> float:
        """Square root of what F can fall along curved directions, sum_i slope_i^2 / 4 curvature_i.

        Args:
            slope: grad F, (blocks, n).
            reach: How far the other directions are followed.
            rounding: Of the quadratic, or None for none.

        Returns:
            The root, or little more.
        """

    def _count(self, rank, flat_slope):
        """Notes how many directions are curved, and the slope at the centre along the others.

        That is zero but for rounding where H has no curvature at all: a loss that is never
        negative has no slope without curvature.
        """
        self.rank = int(rank)
        self.slope_without_curvature = math.hypot(flat_slope, self._local.dead_slope)
        square = self.slope_without_curvature**2
        self.gain_without_curvature = square / self.cut if self.cut > 0 else 0.0

    def _step_to_boundary(self, radius):
        if radius == 0:
            return np.zeros_like(self._slope)

        def length(damping):
            return float(np.linalg.norm(self._damped(damping)))

        damping = boundary_damping(length, float(np.linalg.norm(self._slope)), radius)
        step = self._damped(damping)
        return step * (radius / np.linalg.norm(step))

    @abc.abstractmethod
    def _damped(self, damping: float) -> np.ndarray:
        """-(H + damping)^-1 slope along curved directions, in the basis of the class."""

    @abc.abstractmethod
    def _from_its_basis(self, u: np.ndarray) -> np.ndarray:
        """A vector as (blocks, n)."""


def boundary_damping(length: Callable[[float], float], steep: float, radius: float) -> float:
    """Solves the secular equation ||(H + damping)^-1 slope|| = radius for the damping.

    Args:
        length: Of the step with a damping.
        steep: Length of the slope.
        radius: Of the ball, positive, that the step without damping leaves.

    Returns:
        The damping.
    """

    def excess(log_damping):
        return 1 / radius - 1 / length(math.exp(log_damping))  # nearly linear: roots come fast

    # With damping >= ||slope|| / radius the step is inside the ball.
    upper = math.log(steep / radius) + 1e-3
    lower = upper - 1.0
    while excess(lower) < 0:
        if lower < -700:  # the step without damping is too long by rounding alone
            return math.exp(lower)
        lower -= 2 * (upper - lower)
    return math.exp(brentq(excess, lower, upper, xtol=1e-14, rtol=1e-14))
