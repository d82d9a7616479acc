"""From the state a compiled solver returns to `Optimum`s whose gap is evaluated in float64."""

import collections
import functools
import math

import numpy as np
import tensorflow as tf

from nta_tf.solvers import outer
from nta_tf.solvers.descent import REACH, STALLS
from nta_tf.solvers.optimum import Optimum, Status

Summary = collections.namedtuple("Summary", "u iterations recession stalled inside length")
Summary.__doc__ = """Of each column: U, iterations, whether F falls for ever, or no more.

`inside` says whether the last model's minimum lay well inside its ball, `length` is the
natural length of the problem: both matter only without a ball.
"""


def summarize(state):
    """A `Summary` in NumPy of a `descent.State`."""
    return Summary(
        state.point.u.numpy(),
        state.iterations.numpy(),
        state.recession.numpy(),
        state.stalls.numpy() >= STALLS,
        state.inside.numpy(),
        state.first_length.numpy(),
    )


@functools.cache
def certified(rule, loss):
    """Compiled function of (tensors, outer tensors, weights, u), all products in float64.

    Returns:
        A `tf.function` that returns F, (columns,), and grad F, (columns, P).
    """

    @functools.partial(tf.function, reduce_retracing=True, autograph=False)
    def value_and_slope(tensors, outer_tensors, weights, u):
        value, gradient, _ = outer.evaluate(loss, outer_tensors, rule.forward(tensors, u))
        slope = rule.adjoint(tensors, weights[..., tf.newaxis] * gradient)
        return tf.reduce_sum(weights * value, axis=1), slope

    return value_and_slope


def optima_of(problem, columns, summary):
    """Puts every U exactly into its ball, and certifies it there in float64.

    Args:
        problem: The `TaylorProblem`.
        columns: The `descent.Columns` that were solved.
        summary: What the solver found, a `Summary`.

    Returns:
        A list of `Optimum`.
    """
    radii = columns.radius.numpy()
    u = into_ball(summary.u.astype(np.float64), radii)
    linear_map = problem.linear_map
    values, slopes = certified(linear_map.rule, problem.loss)(
        linear_map.tensors,
        problem.outer(tf.float64),
        columns.weights,
        tf.constant(u),
    )
    slopes = slopes.numpy()
    measured = Measured(
        values.numpy(),
        np.sum(slopes * u, axis=1),
        np.linalg.norm(slopes, axis=1),
        np.linalg.norm(u, axis=1),
    )
    accepted = np.maximum(columns.tolerance.numpy() * measured.value, columns.negligible.numpy())
    return judged(problem, u, measured, radii, summary, accepted)


def into_ball(u, radii):
    """Rows of u, shortened where rounding has put them outside their ball."""
    length = np.linalg.norm(u, axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        scale = np.where(length > radii, radii / length, 1.0)
    return u * scale[:, np.newaxis]


Measured = collections.namedtuple("Measured", "value inner slope_length distance")
Measured.__doc__ = """F, <grad F, U>, ||grad F|| and ||U|| of each column, in float64."""


def judged(problem, u, measured, radii, summary, accepted):
    """An `Optimum` for each column, from what was measured at its U and the gap it may have."""
    optima = []
    for of_column, radius, largest, *rest in zip(u, radii, accepted, zip(*measured), zip(*summary)):
        point, found = Measured(*rest[0]), Summary(*rest[1])
        reach = radius
        if math.isinf(radius):
            reach = REACH * point.distance or float(found.length)
        gap = float(max(point.inner + reach * point.slope_length, 0.0))
        gap = min(gap, float(point.value)) if math.isfinite(gap) else gap  # F is never negative
        status = _status(point, gap, radius, found, largest)
        loss, weights = float(point.value), problem.centre_plus(of_column)
        if status is Status.NON_FINITE:
            loss = gap = math.nan
        optima.append(Optimum(loss, weights, gap, status, int(found.iterations)))
    return optima


def _status(point, gap, radius, found, accepted):
    if not (math.isfinite(point.value) and math.isfinite(gap)):
        return Status.NON_FINITE
    if math.isinf(radius) and found.recession:
        return Status.UNATTAINED
    # The solver saw its own gap in the precision of A; a little more is still the same.
    unsolved = gap > 1.05 * accepted
    if unsolved or (math.isinf(radius) and not found.inside and point.distance > 0):
        return Status.STALLED if found.stalled else Status.MAX_ITERATIONS
    return Status.ON_BALL if point.distance >= radius * (1 - 1e-6) > 0 else Status.OPTIMAL
