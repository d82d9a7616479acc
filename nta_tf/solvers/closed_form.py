"""Minimum of a quadratic Taylor loss in closed form, with or without a ball.

For the mean squared error the cumulative Taylor loss is
F(V) = constant + 2 <gradient, V> + <V, H V>. One eigendecomposition of H gives its minimum:
by least squares when V is free, by the secular equation of the trust-region problem when V
is held in a ball. H is singular as a rule (dead rectifiers, few rounds), and then the
minimiser closest to the centre is taken.

The linear algebra runs on the host, in LAPACK: `tf.linalg.eigh` is several times slower on
a CPU, and each problem is solved once.
"""

import dataclasses
import math
from typing import ClassVar

import numpy as np
from scipy.optimize import brentq

from nta_tf.solvers.objective import frank_wolfe_gap
from nta_tf.solvers.optimum import Optimum, Status
from nta_tf.solvers.quadratic import Quadratic
from nta_tf.solvers.search import Search, Solver


@dataclasses.dataclass(frozen=True)
class ClosedForm(Solver[Quadratic]):
    """The minimum of a `Quadratic`, from one eigendecomposition for all balls (appendix A5).

    Eigenvalues of H that are smaller than `p * precision` times the largest one, or than
    twice the size of the most negative one (H has no negative eigenvalue in exact
    arithmetic, so that one shows the noise), count as zero: in their directions V stays at
    the centre.

    Example:

    >>> import numpy as np
    >>> import nta_tf as nta
    >>> problem = nta.solvers.Quadratic(np.eye(2)[None], np.array([[-3.0, 0.0]]), 9.0)
    >>> on_ball = nta.solvers.minimize(problem, 1.0, nta.solvers.ClosedForm())
    >>> round(on_ball.loss, 6), on_ball.status.name
    (4.0, 'ON_BALL')
    """

    solves: ClassVar[type] = Quadratic

    def solve(self, problem: Quadratic, searches: list[Search]) -> list[list[Optimum]]:
        optima = _minimize_on_balls(problem, [search.radius for search in searches])
        return [[optimum] for optimum in optima]


def _minimize_on_balls(quadratic, radii):
    centre = quadratic.centre
    finite = all(
        np.isfinite(part).all()
        for part in (quadratic.hessian, quadratic.gradient, quadratic.constant)
    )
    if not finite:
        nothing = Optimum(math.nan, centre * math.nan, math.nan, Status.NON_FINITE)
        return [nothing for _ in radii]
    spectrum = _Spectrum(quadratic, centre)
    return [_minimize(quadratic, centre, radius, spectrum) for radius in radii]


class _Spectrum:
    """H in its eigenbasis: curvatures, and the slope at the centre, by direction."""

    def __init__(self, quadratic, centre):
        values, vectors = np.linalg.eigh(quadratic.hessian)
        largest = max(float(values.max()), 0.0)
        noise = max(0.0, -2 * float(values.min()))
        cut = max(values.shape[-1] * quadratic.precision * largest, noise)
        self.vectors = vectors
        blocks = len(centre)
        self.values = np.broadcast_to(
            np.where(values > cut, values, 0.0), (blocks, values.shape[-1])
        )
        everywhere = self.directions(quadratic.slope(centre) / 2)
        self.slope = np.where(self.values > 0, everywhere, 0.0)
        # Exactly zero but for rounding: a loss that is never negative has no slope without
        # curvature.
        self.slope_without_curvature = float(np.linalg.norm(everywhere - self.slope))
        self.rank = int(np.count_nonzero(self.values))

    def directions(self, weights):
        """Components of weights in the eigenbasis."""
        return np.einsum("bij,bi->bj", self._vectors(len(weights)), weights)

    def displacement(self, damping):
        """-(H + damping)^-1 slope in the eigenbasis, zero where H counts as zero."""
        denominator = self.values + damping
        safe = np.where(self.values > 0, denominator, 1.0)
        return -self.slope / safe

    def weights(self, displacement):
        """Back to the ordinary basis."""
        vectors = self._vectors(len(displacement))
        return np.einsum("bij,bj->bi", vectors, displacement)

    def _vectors(self, blocks):
        return np.broadcast_to(self.vectors, (blocks, *self.vectors.shape[1:]))


def _minimize(quadratic, centre, radius, spectrum):
    step = spectrum.displacement(0.0)
    status = Status.OPTIMAL if spectrum.rank == spectrum.values.size else Status.RANK_DEFICIENT
    if np.linalg.norm(step) > radius:
        step = _step_to_boundary(spectrum, radius)
        status = Status.ON_BALL
    weights = centre + spectrum.weights(step)
    slope = quadratic.slope(weights)
    if math.isfinite(radius):
        gap = frank_wolfe_gap(slope, weights - centre, radius)
    else:
        gap = _gap_without_ball(spectrum, slope, 2 * np.linalg.norm(step))
    return Optimum(quadratic.value(weights), weights, max(gap, 0.0), status, rank=spectrum.rank)


def _gap_without_ball(spectrum, slope, reach):
    """Bound on F(V) - min F for a quadratic: sum_i slope_i^2 / 4 curvature_i, exactly.

    Directions that count as flat are followed for `reach` at the slope they have at the
    centre, from which V does not move in them. (The Frank-Wolfe gap would multiply the
    rounding of the slope by the distance of V, which can be 1e7 and more.)
    """
    curved = spectrum.values > 0
    safe = np.where(curved, spectrum.values, 1.0)
    components = np.where(curved, spectrum.directions(slope), 0.0)
    flat = 2 * spectrum.slope_without_curvature * reach
    return float(np.sum(components**2 / (4 * safe)) + flat)


def _step_to_boundary(spectrum, radius):
    """Solves the secular equation ||(H + damping)^-1 slope|| = radius for the damping."""
    if radius == 0:
        return np.zeros_like(spectrum.slope)

    def excess(log_damping):
        length = np.linalg.norm(spectrum.displacement(math.exp(log_damping)))
        return 1 / radius - 1 / length  # nearly linear in the damping, so roots come fast

    # With damping >= ||slope|| / radius the step is inside the ball.
    upper = math.log(np.linalg.norm(spectrum.slope) / radius) + 1e-3
    lower = upper - 1.0
    while excess(lower) < 0 and lower > -700:
        lower -= 2 * (upper - lower)
    damping = math.exp(brentq(excess, lower, upper, xtol=1e-14, rtol=1e-14))
    step = spectrum.displacement(damping)
    return step * (radius / np.linalg.norm(step))
