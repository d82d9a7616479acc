"""Minimum of a quadratic Taylor loss in closed form, with or without a ball.

For the mean squared error the cumulative Taylor loss is
F(V) = constant + 2 <gradient, V> + <V, H V>. One eigendecomposition of H gives its minimum:
by least squares when V is free, by the secular equation of the trust-region problem when V
is held in a ball. H is singular as a rule (dead rectifiers, few rounds), and then the
minimiser closest to the centre is taken.

The linear algebra runs on the host, in LAPACK: `tf.linalg.eigh` is several times slower on
a CPU, and each problem is solved once.
"""

import copy
import dataclasses
import functools
import math
from typing import ClassVar

import numpy as np
from scipy.optimize import brentq
from threadpoolctl import ThreadpoolController

from nta_tf.solvers.objective import frank_wolfe_gap
from nta_tf.solvers.optimum import Optimum, Status
from nta_tf.solvers.quadratic import Quadratic, Rounding
from nta_tf.solvers.search import Search, Solver

# An F, or a gap, below this share of F at the centre is as good as zero: where examples are
# fitted exactly, F is the rounding of numbers of the size of F at the centre.
_NEGLIGIBLE = 1e-10


@dataclasses.dataclass(frozen=True)
class ClosedForm(Solver[Quadratic]):
    """The minimum of a `Quadratic`, from one eigendecomposition for all balls (appendix A5).

    Eigenvalues of H that are smaller than `p * precision` times the largest one, or than
    twice the size of the most negative one (H has no negative eigenvalue in exact
    arithmetic, so that one shows the noise), count as zero: in their directions V stays at
    the centre. On a ball they are used after all where the gap asks for it.

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
        if not problem.is_finite:
            nothing = Optimum(math.nan, problem.centre * math.nan, math.nan, Status.NON_FINITE)
            return [[nothing] for _ in searches]
        spectrum = _Spectrum(problem, problem.centre)
        return [[_minimize(problem, spectrum, search)] for search in searches]


def _minimize(quadratic, spectrum, search):
    """The minimum on one ball, with all directions where those that count leave a large gap."""
    optimum = _candidate(quadratic, spectrum, search)
    flat_slope_matters = optimum.status is Status.ILL_CONDITIONED and math.isfinite(search.radius)
    if not flat_slope_matters:
        return optimum
    other = _candidate(quadratic, spectrum.uncut(), search)
    return min(optimum, dataclasses.replace(other, rank=optimum.rank), key=lambda of: of.gap)


def _candidate(quadratic, spectrum, search):
    step = spectrum.displacement(0.0)
    status = Status.OPTIMAL if spectrum.is_full else Status.RANK_DEFICIENT
    if np.linalg.norm(step) > search.radius:
        step = _step_to_boundary(spectrum, search.radius)
        status = Status.ON_BALL
    weights = quadratic.centre + spectrum.weights(step)
    value, gap = quadratic.value(weights), _gap(quadratic, spectrum, weights, search.radius)
    start = quadratic.value(quadratic.centre)
    if not gap <= max(search.tolerance * abs(value), _NEGLIGIBLE * abs(start)):
        status = Status.ILL_CONDITIONED
    return Optimum(value, weights, gap, status, rank=spectrum.rank)


def _gap(quadratic, spectrum, weights, radius):
    """Bound on F(V) - min F over the ball, with what float64 may do to it.

    Inside a ball both bounds hold: the Frank-Wolfe gap, and that of a quadratic.
    """
    if radius == 0:
        return 0.0
    displacement, slope = weights - quadratic.centre, quadratic.slope(weights)
    distance = float(np.linalg.norm(displacement))
    rounding = Rounding(quadratic, spectrum.largest, distance)
    # How far directions without curvature are followed.
    reach = radius if math.isfinite(radius) else 2 * distance or spectrum.natural_length
    gap = _gap_without_ball(spectrum, slope, reach, rounding)
    if math.isfinite(radius):
        on_ball = max(frank_wolfe_gap(slope, displacement, radius), 0.0)
        # What the slope's rounding, and an H that is not quite convex, add on the way.
        way = radius + distance
        on_ball += way * (rounding.of_slope + way * rounding.of_curvature)
        gap = on_ball if distance > radius * (1 - 1e-9) else min(gap, on_ball)
    return float(gap + rounding.of_value)


def _gap_without_ball(spectrum, slope, reach, rounding=None):
    """Bound on F(V) - min F for a quadratic: sum_i slope_i^2 / 4 curvature_i, exactly.

    Directions that count as flat are followed for `reach` at the slope they have at the
    centre, from which V does not move in them, or to the minimum that they have if their
    curvature is as large as it can be, where that is more. (The Frank-Wolfe gap would multiply the
    rounding of the slope by the distance of V, which can be 1e7 and more.)
    """
    of_slope, of_curvature = (rounding.of_slope, rounding.of_curvature) if rounding else (0.0, 0.0)
    curved = spectrum.values > 0
    flat = max(
        (2 * spectrum.slope_without_curvature + of_slope) * reach, spectrum.gain_without_curvature
    )
    if not curved.any():
        return flat
    values = spectrum.values[curved]
    # Eigenvalues are known up to the rounding of H; none is wrong by more than a half.
    certain = np.maximum(values - of_curvature, values / 2)
    components = spectrum.directions(slope)[curved]
    steepness = math.sqrt(np.sum(components**2 / (4 * certain)))
    return float((steepness + of_slope / (2 * math.sqrt(certain.min()))) ** 2 + flat)


@functools.cache
def _blas_threads():
    """Holds the threads of BLAS: beside another job those of one eigendecomposition wait for each
    other up to a hundred times as long as it takes, and their number changes its last digits.
    """
    return ThreadpoolController()


class _Spectrum:
    """H in its eigenbasis: curvatures, and the slope at the centre, by direction.

    Weights of dead rectifiers have no entry in H. They are left out of the decomposition, whose
    time grows with the cube of what is left.
    """

    def __init__(self, quadratic, centre):
        self._alive = np.flatnonzero(quadratic.hessian.any(axis=(0, 1)))
        with _blas_threads().limit(limits=1, user_api="blas"):
            values, self.vectors = np.linalg.eigh(_of(quadratic.hessian, self._alive))
        self.largest = max(float(values.max(initial=0.0)), 0.0)
        noise = max(0.0, -2 * float(values.min(initial=0.0)))
        size = quadratic.hessian.shape[-1]
        self._cut = max(size * quadratic.precision * self.largest, noise)
        self._start = quadratic.value(centre)
        self._all_values = np.broadcast_to(values, (len(centre), values.shape[-1]))
        slope = quadratic.slope(centre) / 2
        self._all_slope = self.directions(slope)
        self._dead_slope = float(np.linalg.norm(np.delete(slope, self._alive, axis=1)))
        self._shape = centre.shape
        self._keep(self._cut)

    def _keep(self, cut):
        """Counts curvature up to the cut as zero, and slope in its directions apart."""
        self.values = np.where(self._all_values > cut, self._all_values, 0.0)
        self.slope = np.where(self.values > 0, self._all_slope, 0.0)
        # Zero but for rounding where H has no curvature at all: a loss that is never negative
        # has no slope without curvature.
        flat = float(np.linalg.norm(self._all_slope - self.slope))
        self.slope_without_curvature = math.hypot(flat, self._dead_slope)
        self.gain_without_curvature = self.slope_without_curvature**2 / cut if cut > 0 else 0.0
        self.rank = int(np.count_nonzero(self.values))
        self.is_full = self.rank == math.prod(self._shape)

    def uncut(self):
        """The same with every direction in which H is curved at all."""
        other = copy.copy(self)
        other._keep(0.0)
        return other

    @property
    def natural_length(self):
        """Distance at which the slope at the centre would bring F to zero."""
        slope = 2 * math.hypot(float(np.linalg.norm(self._all_slope)), self._dead_slope)
        return abs(self._start) / slope if slope else 0.0

    def directions(self, weights):
        """Components of weights in the eigenbasis."""
        alive = weights[:, self._alive]
        return np.einsum("bij,bi->bj", self._vectors(len(weights)), alive)

    def displacement(self, damping):
        """-(H + damping)^-1 slope in the eigenbasis, zero where H counts as zero."""
        denominator = self.values + damping
        safe = np.where(self.values > 0, denominator, 1.0)
        return -self.slope / safe

    def weights(self, displacement):
        """Back to the ordinary basis."""
        vectors = self._vectors(len(displacement))
        weights = np.zeros(self._shape)
        weights[:, self._alive] = np.einsum("bij,bj->bi", vectors, displacement)
        return weights

    def _vectors(self, blocks):
        return np.broadcast_to(self.vectors, (blocks, *self.vectors.shape[1:]))


def _of(hessian, alive):
    """Rows and columns of H that are not zero."""
    if len(alive) == hessian.shape[-1]:
        return hessian
    return hessian[:, alive[:, np.newaxis], alive]


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
