"""Minimum of a quadratic Taylor loss in closed form, with or without a ball.

For the mean squared error the cumulative Taylor loss is
F(V) = constant + 2 <gradient, V> + <V, H V>. The curvatures of H give its minimum:
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

from nta_tf.solvers import local as locality
from nta_tf.solvers.local import Local
from nta_tf.solvers.objective import frank_wolfe_gap
from nta_tf.solvers.optimum import Optimum, Status
from nta_tf.solvers.quadratic import Quadratic, Rounding
from nta_tf.solvers.search import Search, Solver
from nta_tf.solvers.spectrum import Spectrum
from nta_tf.solvers.tridiagonal import Tridiagonal

# An F, or a gap, below this share of F at the centre is as good as zero: where examples are
# fitted exactly, F is the rounding of numbers of the size of F at the centre.
_NEGLIGIBLE = 1e-10


@dataclasses.dataclass(frozen=True)
class ClosedForm(Solver[Quadratic]):
    """The minimum of a `Quadratic`, from the curvatures of H for all balls (appendix A5).

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
        with locality.one_thread():
            local = Local(problem)
            curvatures = Tridiagonal(local) if local.is_large else Spectrum(local)
            return [[_on_ball(local, curvatures, search)] for search in searches]


def _on_ball(local, curvatures, search):
    """The `Optimum` over one ball, which may be infinite."""
    optimum = _certified(local, curvatures, search)
    if optimum.status is not Status.ILL_CONDITIONED or math.isinf(search.radius):
        return optimum
    # With all directions, where those that count leave a large gap.
    other = _certified(local, Spectrum(local, all_directions=True), search)
    return min(optimum, dataclasses.replace(other, rank=optimum.rank), key=lambda of: of.gap)


def _certified(local, curvatures, search):
    """The optimum over a ball, with the evidence of its `Curvatures`."""
    step, on_ball = curvatures.step(search.radius)
    weights = local.weights(step)
    value, gap = _value_and_gap(local, curvatures, weights, search.radius)
    status = Status.OPTIMAL if local.is_all(curvatures.rank) else Status.RANK_DEFICIENT
    if on_ball:
        status = Status.ON_BALL
    if not gap <= max(search.tolerance * abs(value), _NEGLIGIBLE * abs(local.start)):
        status = Status.ILL_CONDITIONED
    return Optimum(value, weights, gap, status, rank=curvatures.rank)


def _value_and_gap(local, curvatures, weights, radius):
    """F(V), and a bound on F(V) - min F over the ball, with what float64 may do to it.

    Inside a ball both bounds hold: the Frank-Wolfe gap, and that of a quadratic.
    """
    if radius == 0:
        return local.start, 0.0
    quadratic = local.quadratic
    displacement, (value, slope) = weights - quadratic.centre, quadratic.value_and_slope(weights)
    distance = float(np.linalg.norm(displacement))
    rounding = Rounding(quadratic, curvatures.largest, distance)
    # How far directions without curvature are followed.
    reach = radius if math.isfinite(radius) else 2 * distance or local.natural_length
    gap = math.inf
    if distance <= radius * (1 - 1e-9):
        gap = _gap_without_ball(curvatures, local.parts(slope), reach, rounding)
    if math.isfinite(radius):
        on_ball = frank_wolfe_gap(slope, displacement, radius)
        # What the slope's rounding, and an H that is not quite convex, add on the way.
        way = radius + distance
        on_ball += way * (rounding.of_slope + way * rounding.of_curvature)
        gap = min(gap, on_ball)
    return value, float(gap + rounding.of_value)


def _gap_without_ball(curvatures, slope, reach, rounding=None):
    """Bound on F(V) - min F for a quadratic, from the slope at V of the weights that H knows.

    Directions that count as flat are followed for `reach` at the slope they have at the
    centre, from which V does not move in them, or to the minimum that they have if their
    curvature is as large as it can be, where that is more. (The Frank-Wolfe gap would multiply the
    rounding of the slope by the distance of V, which can be 1e7 and more.)
    """
    of_slope = rounding.of_slope if rounding else 0.0
    flat = max(
        (2 * curvatures.slope_without_curvature + of_slope) * reach,
        curvatures.gain_without_curvature,
    )
    return float(curvatures.steepness(slope, reach, rounding) ** 2 + flat)
