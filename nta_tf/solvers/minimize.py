"""`minimize` and `minimize_prefixes`: the Taylor optimum by whichever solver fits."""

import math

import numpy as np
import tensorflow as tf

from nta_tf.solvers import second_order
from nta_tf.solvers.certificate import optima_of
from nta_tf.solvers.descent import Columns
from nta_tf.solvers.reduction import Reduction
from nta_tf.solvers.sgd import sgd

SOLVERS = ("auto", "newton", "newton_cg", "reduced", "sgd")
_DENSE_SIZE = 2_000
_REDUCED_ROWS = 8_000
_MAX_ITERATIONS = 100


def minimize(
    problem, radius=math.inf, solver="auto", start=None, tolerance=1e-3, max_iterations=None, seed=0
):
    """The minimum of a cumulative Taylor loss over the ball ||V - C|| <= radius.

    Args:
        problem: A `TaylorProblem`.
        radius: D; `math.inf` for none.
        solver: `"newton"` (dense Hessian), `"newton_cg"` (matrix-free), `"reduced"` (the
            row-space reduction, then `newton_cg`), `"sgd"` (the paper's; see
            `nta_tf.solvers.sgd` for its options), or `"auto"`; see `choose`.
        start: V to start from, in the shape of the weights. None is the centre.
        tolerance: Relative gap, gap / F, at which to stop.
        max_iterations: Limit of the outer iterations (100 by default); for `sgd` of passes.
        seed: Seed of `sgd`; the other solvers draw nothing.

    Returns:
        An `Optimum` with weights V in the shape of the scope. Its gap is the Frank-Wolfe
        gap on the ball, evaluated in float64; without a ball it is that on the ball of twice
        the minimiser's distance from C, so that it bounds what any V up to that distance
        could gain.

    Raises:
        ValueError: For an unknown solver, a negative radius or tolerance, or a start of
            another shape.

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
    groups = problem.linear_map.groups
    options = (solver, tolerance, max_iterations, seed)
    return minimize_prefixes(problem, [groups], [radius], *options, start=start)[0][0]


def minimize_prefixes(
    problem,
    groups,
    radii=(math.inf,),
    solver="auto",
    tolerance=1e-3,
    max_iterations=None,
    seed=0,
    start=None,
    gram_matrix=None,
    negligible=0.0,
):
    """Minima of the first N groups, for several N and several balls.

    `newton_cg` and `reduced` solve all of them at once: the products with A, which take the time,
    serve every prefix. `newton` and `sgd` go from one N to the next and start where the last
    one ended.

    Args:
        problem: A `TaylorProblem`.
        groups: Increasing numbers N of groups.
        radii: Radii of the balls.
        solver: As for `minimize`.
        tolerance: As for `minimize`; a list has one for each radius.
        max_iterations: As for `minimize`.
        seed: As for `minimize`.
        start: As for `minimize`.
        gram_matrix: K = A A^T of the first max(groups) groups, for the solver `reduced`, where
            it is known already.
        negligible: On a ball, an F that is as good as zero and ends the search; a sequence has one
            for each N. The solver `sgd` does not know of it.

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
    groups, radii = [int(count) for count in groups], [float(radius) for radius in radii]
    tolerances = np.broadcast_to(tolerance, len(radii)).tolist()
    _check(problem, groups, radii, solver, tolerances)
    max_iterations = _MAX_ITERATIONS if max_iterations is None else max_iterations
    negligible = np.broadcast_to(negligible, len(groups))
    u, reduction, by_radius = _start(problem, start), None, []
    for radius, tolerance in zip(radii, tolerances):
        chosen = choose(problem, radius) if solver == "auto" else solver
        if chosen in ("newton", "sgd"):
            options = (u, tolerance, max_iterations, seed, negligible)
            by_radius.append(_one_after_another(problem, groups, radius, chosen, *options))
            continue
        if chosen == "reduced" and reduction is None:
            reduction = Reduction(problem.prefix(max(groups)), gram_matrix)
        own = reduction if chosen == "reduced" else None
        options = (u, tolerance, max_iterations, negligible)
        by_radius.append(_at_once(problem, own, groups, radius, *options))
    return [list(of_n) for of_n in zip(*by_radius)]


def choose(problem, radius=math.inf):
    """The solver that `"auto"` stands for.

    The first that fits, with P weights and groups * p_L rows:

    1. `reduced` where rows <= 8,000 and P > 4 rows: one pass over A, then small problems;
    2. `newton` for a `DenseMap` with P <= 2,000 without a ball: far from C the Hessian is too
       ill-conditioned for products with it alone;
    3. `newton_cg` otherwise: on balls it needs one to three iterations of some ten products,
       and shares them among all prefixes.

    Args:
        problem: A `TaylorProblem`.
        radius: D; `math.inf` for none.

    Returns:
        The name of a solver.

    Example:

    >>> import numpy as np
    >>> import nta_tf as nta
    >>> problem = nta.solvers.TaylorProblem(
    ...     nta.solvers.DenseMap(np.ones((2, 3, 1000))), np.zeros((2, 1, 3)),
    ...     np.zeros((2, 1), int), np.ones(2), np.zeros(1000))
    >>> nta.solvers.choose(problem)
    'reduced'
    """
    linear_map = problem.linear_map
    rows = linear_map.groups * linear_map.components
    if rows <= _REDUCED_ROWS and linear_map.size > 4 * rows:
        return "reduced"
    if linear_map.is_dense and linear_map.size <= _DENSE_SIZE and math.isinf(radius):
        return "newton"
    return "newton_cg"


def _one_after_another(problem, groups, radius, solver, u, tolerance, limit, seed, negligible):
    optima = []
    for count, enough in zip(groups, negligible):
        prefix = problem.prefix(count)
        if solver == "sgd":
            start = prefix.centre_plus(u)
            optimum = sgd(prefix, radius, start, tolerance, limit, seed)
        else:
            columns = _columns(prefix, [count], radius, u, tolerance, [enough])
            summary = second_order.solve_columns(solver, prefix, columns, limit)
            optimum = optima_of(prefix, columns, summary)[0]
        optima.append(optimum)
        moved = prefix.linear_map.flatten(prefix.displacement(optimum.weights)).numpy()
        u = moved if np.isfinite(moved).all() else u
    return optima


def _at_once(problem, reduction, groups, radius, u, tolerance, max_iterations, negligible):
    original = problem.prefix(max(groups))
    solved = original if reduction is None else reduction.problem
    u = u if reduction is None else reduction.coordinates(u)
    columns = _columns(solved, groups, radius, u, tolerance, negligible)
    summary = second_order.solve_columns("newton_cg", solved, columns, max_iterations)
    if reduction is not None:
        summary = reduction.lift(summary)
    return optima_of(original, columns, summary)


def _columns(problem, groups, radius, u, tolerance, negligible):
    """`Columns` of the prefixes: groups that do not belong to one have weight zero there."""
    dtype = problem.linear_map.dtype
    mask = np.arange(problem.linear_map.groups) < np.asarray(groups)[:, np.newaxis]
    length = np.linalg.norm(u)
    if length > radius:
        u = u * (radius / length)
    return Columns(
        tf.constant(problem.weights * mask, tf.float64),
        tf.fill([len(groups)], tf.constant(radius, tf.float64)),
        tf.constant(np.where(math.isinf(radius), 0.0, negligible), tf.float64),
        tf.constant(np.broadcast_to(u, (len(groups), len(u))), dtype),
        tf.constant(tolerance, tf.float64),
    )


def _start(problem, start):
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


def _check(problem, groups, radii, solver, tolerances):
    if solver not in SOLVERS:
        raise ValueError(f"The solver must be one of {SOLVERS}. Received: solver={solver!r}")
    if any(not each > 0 for each in tolerances) or any(not radius >= 0 for radius in radii):
        raise ValueError(
            "The tolerance must be positive and radii must not be negative. "
            f"Received: tolerance={tolerances}, radii={list(radii)}"
        )
    total = problem.linear_map.groups
    if not len(groups) or any(not 1 <= count <= total for count in groups):
        raise ValueError(
            f"Numbers of groups must lie between 1 and {total}. Received: groups={list(groups)}"
        )
