"""`minimize` and its variants: the Taylor optimum by whichever solver fits."""

import math
from collections.abc import Iterator, Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt

from nta_tf.solvers import smoothing
from nta_tf.solvers.closed_form import ClosedForm
from nta_tf.solvers.newton import Newton
from nta_tf.solvers.newton_cg import NewtonCG
from nta_tf.solvers.optimum import Optimum
from nta_tf.solvers.problem import TaylorProblem
from nta_tf.solvers.quadratic import Quadratic
from nta_tf.solvers.row_space import RowSpace
from nta_tf.solvers.search import Search, Solver
from nta_tf.solvers.sgd import SGD

# Shorthand for solvers with their defaults; "auto" stands for what `choose` returns.
SOLVERS: dict[str, Solver] = {
    "closed_form": ClosedForm(),
    "newton": Newton(),
    "newton_cg": NewtonCG(),
    "row_space": RowSpace(),
    "sgd": SGD(),
}
_DENSE_SIZE = 2_000
_MOST_ROWS = 8_000  # of which a Gram matrix is made and factorised


class Quadratics(Protocol):
    """Quadratic losses that grow with the number of groups, such as those of a record."""

    def prefixes(self, groups: Sequence[int]) -> Iterator[Quadratic]:
        """Yields the `Quadratic` of the first N groups, for each N, in order."""


def minimize(
    problem: TaylorProblem | Quadratic,
    radius: float = math.inf,
    solver: str | Solver = "auto",
    *,
    start: npt.ArrayLike | list | None = None,
    tolerance: float = 1e-3,
) -> Optimum:
    """The minimum of a cumulative Taylor loss over the ball ||V - C|| <= radius.

    Args:
        problem: A `TaylorProblem` or a `Quadratic`.
        radius: D; `math.inf` for none.
        solver: `Newton()` (dense Hessian), `NewtonCG()` (matrix-free), `RowSpace()`
            (matrix-free in the row space of A), `SGD()` (the paper's), `ClosedForm()` (of a
            `Quadratic`), each with its options; `"newton"`, `"newton_cg"`, `"row_space"`,
            `"sgd"` and `"closed_form"` stand for their defaults, and `"auto"` for what
            `choose` returns.
        start: V to start from, in the shape of the weights. None is the centre.
        tolerance: Relative gap, gap / F, at which to stop.

    Returns:
        An `Optimum` with weights V in the shape of the scope. Its gap is the Frank-Wolfe
        gap on the ball, evaluated in float64; without a ball it is that on the ball of twice
        the minimiser's distance from C, so that it bounds what any V up to that distance
        could gain.

    Raises:
        ValueError: For an unknown solver or one that does not fit the problem, a negative
            radius or tolerance, or a start of another shape.

    Example:

    >>> import numpy as np
    >>> import nta_tf as nta
    >>> problem = nta.solvers.TaylorProblem(
    ...     nta.solvers.DenseMap(np.eye(2)[None]), np.zeros((1, 1, 2)), np.array([[0]]),
    ...     np.ones(1), np.zeros(2))
    >>> optimum = nta.solvers.minimize(problem, radius=1.0)
    >>> optimum.status.name, optimum.weights.round(4)
    ('ON_BALL', array([ 0.7071, -0.7071]))
    """
    return minimize_on_balls(problem, [radius], solver, start=start, tolerance=tolerance)[0]


def minimize_on_balls(
    problem: TaylorProblem | Quadratic,
    radii: Sequence[float],
    solver: str | Solver = "auto",
    *,
    start: npt.ArrayLike | list | None = None,
    tolerance: float | Sequence[float] = 1e-3,
    negligible: float = 0.0,
) -> list[Optimum]:
    """Minima over several balls with one centre.

    What does not depend on the ball is done once: the decomposition of a `Quadratic`, the row
    space of a `TaylorProblem`.

    Args:
        problem: A `TaylorProblem` or a `Quadratic`.
        radii: Radii of the balls.
        solver: As for `minimize`.
        start: As for `minimize`.
        tolerance: As for `minimize`; a sequence has one for each radius.
        negligible: On a ball, an F that is as good as zero and ends the search.

    Returns:
        A list with an `Optimum` for each radius.

    Raises:
        ValueError: As `minimize`.

    Example:

    >>> import numpy as np
    >>> import nta_tf as nta
    >>> problem = nta.solvers.Quadratic(np.eye(2)[None], np.array([[-3.0, 0.0]]), 9.0)
    >>> [optimum.loss for optimum in nta.solvers.minimize_on_balls(problem, [1.0, math.inf])]
    [4.0, 0.0]
    """
    groups = [problem.linear_map.groups] if isinstance(problem, TaylorProblem) else [1]
    return _minimize(problem, groups, radii, solver, start, tolerance, [negligible])[0]


def minimize_prefixes(
    problem: TaylorProblem | Quadratics,
    groups: Sequence[int],
    radii: Sequence[float] = (math.inf,),
    solver: str | Solver = "auto",
    *,
    start: npt.ArrayLike | list | None = None,
    tolerance: float | Sequence[float] = 1e-3,
    negligible: float | Sequence[float] = 0.0,
) -> list[list[Optimum]]:
    """Minima of the first N groups, for several N and several balls.

    `NewtonCG` and `RowSpace` solve all of them at once: the products with A, which take the
    time, serve every prefix. `Newton` and `SGD` go from one N to the next and start where the
    last one ended.

    Args:
        problem: A `TaylorProblem`, or an object whose `prefixes(groups)` yields a `Quadratic`
            for each N.
        groups: Increasing numbers N of groups.
        radii: Radii of the balls.
        solver: As for `minimize`.
        start: As for `minimize`.
        tolerance: As for `minimize`; a sequence has one for each radius.
        negligible: On a ball, an F that is as good as zero and ends the search; a sequence has one
            for each N. The solver `SGD` does not know of it.

    Returns:
        A list with, for each N, a list with an `Optimum` for each radius.

    Raises:
        ValueError: As `minimize`, and for numbers of groups that are out of range.

    Example:

    >>> import numpy as np
    >>> import nta_tf as nta
    >>> problem = nta.solvers.TaylorProblem(
    ...     nta.solvers.DenseMap(np.ones((3, 1, 1)) * [[1.0], ]), np.ones((3, 1, 1)),
    ...     np.zeros((3, 1, 1)), np.ones(3), np.zeros(1), "mse")
    >>> optima = nta.solvers.minimize_prefixes(problem, [1, 3], [0.5])
    >>> [round(of_n[0].loss, 6) for of_n in optima]
    [0.25, 0.75]
    """
    groups = [int(count) for count in groups]
    if isinstance(problem, TaylorProblem):
        _check_groups(groups, problem.linear_map.groups)
        return _minimize(problem, groups, radii, solver, start, tolerance, negligible)
    return [
        _minimize(quadratic, [1], radii, solver, start, tolerance, [0.0])[0]
        for quadratic in problem.prefixes(groups)
    ]


def choose(problem: TaylorProblem | Quadratic, radius: float = math.inf) -> Solver:
    """The solver that `"auto"` stands for.

    `ClosedForm` for a `Quadratic`. Otherwise the first that fits, with P weights and
    groups * p_L rows:

    1. `RowSpace` where rows <= 8,000 and P > 4 rows: one pass over A, then small problems;
    2. `Newton` for a `DenseMap` with P <= 2,000 without a ball: far from C the Hessian is too
       ill-conditioned for products with it alone;
    3. `NewtonCG` otherwise: on balls it needs one to three iterations of some ten products,
       and shares them among all prefixes.

    Args:
        problem: A `TaylorProblem` or a `Quadratic`.
        radius: D; `math.inf` for none.

    Returns:
        A solver with its defaults.

    Example:

    >>> import numpy as np
    >>> import nta_tf as nta
    >>> problem = nta.solvers.TaylorProblem(
    ...     nta.solvers.DenseMap(np.ones((2, 3, 1000))), np.zeros((2, 1, 3)),
    ...     np.zeros((2, 1), int), np.ones(2), np.zeros(1000))
    >>> nta.solvers.choose(problem)
    RowSpace(max_iterations=100)
    """
    if isinstance(problem, Quadratic):
        return ClosedForm()
    linear_map = problem.linear_map
    rows = linear_map.groups * linear_map.components
    if rows <= _MOST_ROWS and linear_map.size > 4 * rows:
        return RowSpace()
    if linear_map.is_dense and linear_map.size <= _DENSE_SIZE and math.isinf(radius):
        return Newton()
    return NewtonCG()


def get(solver: str | Solver, problem: TaylorProblem | Quadratic, radius: float) -> Solver:
    """The solver that is meant, checked to fit the problem.

    Args:
        solver: A solver, or the name of one.
        problem: A `TaylorProblem` or a `Quadratic`.
        radius: D; `"auto"` may depend on it.

    Returns:
        A solver.

    Raises:
        ValueError: For an unknown name, or a solver of another kind of problem.
    """
    if isinstance(solver, str) and solver == "auto":
        return choose(problem, radius)
    meant = SOLVERS.get(solver) if isinstance(solver, str) else solver
    if not isinstance(meant, Solver):
        raise ValueError(
            f"The solver must be one of {('auto', *SOLVERS)}, or an object such as "
            f"nta.solvers.SGD(learning_rate=0.1). Received: solver={solver!r}"
        )
    if not isinstance(problem, meant.solves):
        raise ValueError(
            f"{type(meant).__name__} solves a {meant.solves.__name__}; "
            f'solver="auto" takes one that fits. Received: a {type(problem).__name__}'
        )
    return meant


def _minimize(problem, groups, radii, solver, start, tolerance, negligible):
    """For each number of groups a list with an `Optimum` for each radius."""
    radii = [float(radius) for radius in radii]
    tolerances = np.broadcast_to(tolerance, len(radii)).tolist()
    _check(radii, tolerances)
    negligible, start = np.broadcast_to(negligible, len(groups)), _start(problem, start)
    searches = [Search(groups, *ball, start, negligible) for ball in zip(radii, tolerances)]
    solvers = [get(solver, problem, radius) for radius in radii]
    optima = {}
    for chosen in dict.fromkeys(solvers):
        positions = [position for position, other in enumerate(solvers) if other == chosen]
        of_chosen = [searches[position] for position in positions]
        if smoothing.is_needed(problem):
            solved = smoothing.solve(chosen, problem, of_chosen)
        else:
            solved = chosen.solve(problem, of_chosen)
        optima.update(zip(positions, solved))
    return [list(of_count) for of_count in zip(*(optima[position] for position in sorted(optima)))]


def _start(problem, start):
    """U = V - C of the first V, flat."""
    if isinstance(problem, Quadratic):
        return np.zeros(problem.centre.size)
    if start is None:
        return np.zeros(problem.linear_map.size)
    joint = problem.linear_map.is_joint
    given = [np.shape(part) for part in (start if joint else [start])]
    if given != [tuple(shape) for shape in problem.linear_map.shapes]:
        raise ValueError(
            f"The start must have the shape of the weights, {problem.linear_map.shapes}. "
            f"Received: {given}"
        )
    return problem.linear_map.flatten(problem.displacement(start)).numpy().astype(np.float64)


def _check(radii, tolerances):
    if any(not tolerance > 0 for tolerance in tolerances) or any(not r >= 0 for r in radii):
        raise ValueError(
            "The tolerance must be positive and radii must not be negative. "
            f"Received: tolerance={tolerances}, radii={list(radii)}"
        )


def _check_groups(groups, total):
    if not groups or any(not 1 <= count <= total for count in groups):
        raise ValueError(
            f"Numbers of groups must lie between 1 and {total}. Received: groups={groups}"
        )
