"""From the state a compiled solver returns to `Optimum`s whose gap is evaluated in float64."""

import functools
import math
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from nta_tf.compiling import compiled
from nta_tf.solvers.descent import STALLS, Columns, State
from nta_tf.solvers.objective import Objective, gap_on_balls, reach
from nta_tf.solvers.optimum import Optimum, Status
from nta_tf.solvers.problem import TaylorProblem


class Summary(NamedTuple):
    """Where a solver has ended, in NumPy, one entry (one row of `u`) a column.

    Attributes:
        u: U, (columns, P).
        iterations: How many were made.
        recession: Whether F falls for ever along U.
        stalled: Whether F falls no more in the precision of the map.
        inside: Whether the last model's minimum lay well inside its ball. Like
            `natural_length`, the length scale of the problem, it matters only without a ball.
        natural_length: See `objective.natural_length`.
    """

    u: np.ndarray
    iterations: np.ndarray
    recession: np.ndarray
    stalled: np.ndarray
    inside: np.ndarray
    natural_length: np.ndarray


def summarize(state: State) -> Summary:
    """The `Summary` of a `State`."""
    return Summary(
        state.point.u.numpy(),
        state.iterations.numpy(),
        state.recession.numpy(),
        state.stalls.numpy() >= STALLS,
        state.inside.numpy(),
        state.natural_length.numpy(),
    )


@functools.cache
def certified(action, loss):
    """Compiled function of (tensors, outer tensors, weights, u, radius, natural length).

    All products are made in float64.

    Returns:
        A `tf.function` that returns F and its gap on the ball, each (columns,).
    """

    def value_and_gap(tensors, outer_tensors, weights, u, radius, natural):
        objective = Objective(action, loss, tensors, outer_tensors, weights)
        value, slope = objective.value_and_slope(u)
        return value, gap_on_balls(slope, u, reach(u, radius, natural))

    return compiled(value_and_gap, reduce_retracing=True, autograph=False)


def optima_of(problem: TaylorProblem, columns: Columns, summary: Summary) -> list[Optimum]:
    """Puts every U exactly into its ball, and certifies it there in float64.

    Args:
        problem: The `TaylorProblem`.
        columns: The `descent.Columns` that were solved.
        summary: What the solver found, a `Summary`.

    Returns:
        A list with an `Optimum` for each column.
    """
    radii = columns.radius.numpy()
    u = into_ball(summary.u.astype(np.float64), radii)
    linear_map = problem.linear_map
    value, gap = certified(linear_map.action, problem.loss_function)(
        linear_map.tensors,
        problem.outer(tf.float64),
        columns.weights,
        tf.constant(u),
        columns.radius,
        tf.constant(summary.natural_length, tf.float64),
    )
    value, gap = value.numpy(), gap.numpy()
    accepted = np.maximum(columns.tolerance.numpy() * value, columns.negligible.numpy())
    summary = summary._replace(u=u)
    return [
        _optimum(problem, *evidence, Summary(*ending))
        for *evidence, ending in zip(value, gap, radii, accepted, zip(*summary))
    ]


def into_ball(u: np.ndarray, radii: np.ndarray) -> np.ndarray:
    """Rows of u, shortened where rounding has put them outside their ball."""
    length = np.linalg.norm(u, axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        scale = np.where(length > radii, radii / length, 1.0)
    return u * scale[:, np.newaxis]


def _optimum(problem, value, gap, radius, accepted, ending):
    """One column's `Optimum`, from its certificate and the gap that it may have."""
    gap = float(min(gap, value) if math.isfinite(gap) else gap)  # F is never negative
    status = _status(value, gap, radius, accepted, ending)
    loss, weights = float(value), problem.centre_plus(ending.u)
    if not (math.isfinite(value) and math.isfinite(gap)):
        loss = gap = math.nan
        status = Status.DIVERGED if problem.is_finite else Status.NON_FINITE
    return Optimum(loss, weights, gap, status, int(ending.iterations))


def _status(value, gap, radius, accepted, ending):
    free, distance = math.isinf(radius), np.linalg.norm(ending.u)
    if free and ending.recession:
        return Status.UNATTAINED
    # The solver saw its own gap in the precision of A; a little more is still the same.
    unsolved = gap > 1.05 * accepted
    if unsolved or (free and not ending.inside and distance > 0):
        return Status.STALLED if ending.stalled else Status.MAX_ITERATIONS
    return Status.ON_BALL if distance >= radius * (1 - 1e-6) > 0 else Status.OPTIMAL
