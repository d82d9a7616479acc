"""Minima of losses with kinks, through smooth losses that lie below them.

F_width(V), the Taylor loss under width * smooth(x / width), is at most F(V). What a solver
certifies for it therefore bounds F too: with a gap of F_width at V,

    F(V) - min F <= F(V) - F_width(V) + gap.

The width falls tenfold until that is small. As x / width moves with U / width, each width is the
same smooth problem in other units, and solvers are compiled once for all of them.
"""

import dataclasses
import math

import numpy as np

from nta_tf.losses import Kinked
from nta_tf.solvers.optimum import Optimum, Status
from nta_tf.solvers.problem import TaylorProblem
from nta_tf.solvers.quadratic import Quadratic
from nta_tf.solvers.search import Search, Solver

_WIDTHS = 12


def is_needed(problem: TaylorProblem | Quadratic) -> bool:
    """Whether the loss of the problem has kinks."""
    return isinstance(problem, TaylorProblem) and isinstance(problem.loss_function, Kinked)


def solve(solver: Solver, problem: TaylorProblem, searches: list[Search]) -> list[list[Optimum]]:
    """As `Solver.solve`, for a loss with kinks."""

    def solve_one(prefix, search):
        return _narrowed(solver, prefix, search)

    return [search.one_after_another(problem, solve_one) for search in searches]


def _narrowed(solver, problem, search):
    value = problem.value(problem.centre_plus(search.start))
    width = _share(problem, value)
    best, start, iterations = None, search.start, 0
    for _ in range(_WIDTHS):
        optimum, start = _at_width(solver, problem, dataclasses.replace(search, start=start), width)
        iterations += optimum.iterations
        if best is None or not best.gap <= optimum.gap:
            best = optimum
        accepted = max(search.tolerance * best.loss, float(search.negligible[0]))
        if not math.isfinite(optimum.gap) or best.gap <= accepted:
            break
        width = min(width / 10, _share(problem, optimum.loss))
    if best.status.solved and not best.gap <= 1.05 * accepted:
        best = dataclasses.replace(best, status=Status.STALLED)
    return dataclasses.replace(best, iterations=iterations)


def _share(problem, value):
    """The width of which all examples together would feel a tenth of that loss."""
    weights = problem.weights[:, np.newaxis] * np.ones(problem.outputs.shape[:2])
    if problem.sample_weights is not None:
        weights = weights * problem.sample_weights
    return 0.1 * value / weights.sum() if value > 0 and weights.any() else 1.0


def _at_width(solver, problem, search, width):
    """The optimum for one width, judged by F; and its U, flat."""
    targets = np.asarray(problem.targets, np.float64)
    stretched = dataclasses.replace(
        problem,
        outputs=targets + (problem.outputs - targets) / width,
        weights=problem.weights * width,
        loss=problem.loss_function.smooth,
    )
    goal = dataclasses.replace(
        search,
        radius=search.radius / width,
        start=search.start / width,
        tolerance=search.tolerance / 4,
        negligible=search.negligible / 4,
    )
    ((smooth,),) = solver.solve(stretched, [goal])
    moved = stretched.linear_map.flatten(stretched.displacement(smooth.weights)).numpy()
    u = width * np.asarray(moved, np.float64)
    length = np.linalg.norm(u)
    u = u * (search.radius / length) if length > search.radius else u
    weights = problem.centre_plus(u)
    loss = problem.value(weights)
    gap = min(max(loss - smooth.loss, 0.0) + smooth.gap, loss)
    return dataclasses.replace(smooth, loss=loss, weights=weights, gap=gap), u
