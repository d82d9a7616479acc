"""The outer iteration that `newton` and `newton_cg` share: a convex model, then a line search.

In each iteration the local quadratic model of F is minimised over the whole ball; the segment
from U to that point lies in the ball, and a backtracking search along it makes F fall. Every
iterate has its Frank-Wolfe gap, on which the iteration stops.

Everything runs on columns: several problems that share A and the outputs and differ in the
weights of their groups (prefixes) and in their radius. A is read once for all of them.
"""

import collections

import tensorflow as tf

from nta_tf.solvers import outer

# Two radii without a ball: of the certificate, and of the model in the next iteration.
REACH, STEP_REACH = 2.0, 4.0
_UNATTAINED_DISTANCE = 1e8
_LINE_SEARCH_STEPS = 30
STALLS = 3  # iterations in a row that do not lower F, after which a column is given up

Columns = collections.namedtuple("Columns", "weights radius negligible start tolerance")
Columns.__doc__ = """What differs from column to column.

`weights` (columns, groups) of the groups, `radius` (columns,), possibly infinite, `start`
(columns, P), the first U in the dtype of the map; `tolerance`, a scalar, is the relative gap
at which to stop, `negligible` (columns,) an F at which to stop: F is never negative, so that
no minimum lies further below. All but `start` are float64.
"""

Point = collections.namedtuple("Point", "u shift value slope hessian")
Point.__doc__ = """U, z = A U, F, the gradient of F in U, and the Hessian in z times the weights."""

State = collections.namedtuple(
    "State", "point gap iterations done stalls inside recession first_length"
)


def minimize_columns(rule, loss, model_minimum, tensors, outer_tensors, columns, max_iterations):
    """Minimises F over the balls of all columns, within one graph.

    Args:
        rule: Rule of the linear map.
        loss: Name of the loss.
        model_minimum: Function of (tensors, point, b, radius, target, active) that returns
            the minimiser (columns, P) of the model <U, H U> / 2 - <b, U> over balls, with
            a gap of at most `target` in the columns that are `active`.
        tensors: Tensors of the linear map.
        outer_tensors: What `outer.prepare` returned.
        columns: `Columns`.
        max_iterations: Integer scalar tensor.

    Returns:
        A `State`.
    """
    problem = _Columns(rule, loss, tensors, outer_tensors, columns)
    start = problem.at(columns.start, rule.forward(tensors, columns.start))
    length = problem.natural_length(start)
    state = problem.state(start, tf.zeros_like(columns.radius, tf.int32), length, None)

    def body(step, state):
        target = tf.maximum(0.1 * state.gap, 0.3 * columns.tolerance * state.point.value)
        radius = problem.step_radius(state.point, length)
        b = rule.adjoint(tensors, problem.curve(state.point, state.point.shift)) - state.point.slope
        goal = model_minimum(tensors, state.point, b, radius, target, ~state.done)
        point = problem.search(state, goal)
        inside = tf.linalg.norm(tf.cast(goal, tf.float64), axis=1) < 0.9 * radius
        iterations = state.iterations + tf.cast(~state.done, tf.int32)
        return step + 1, problem.state(point, iterations, length, (state, inside))

    _, state = tf.while_loop(
        lambda step, state: (step < max_iterations) & ~tf.reduce_all(state.done),
        body,
        (0, state),
        parallel_iterations=1,
    )
    return state


class _Columns:
    """F of each column, and what the iteration asks about it."""

    def __init__(self, rule, loss, tensors, outer_tensors, columns):
        self.rule, self.loss = rule, loss
        self.tensors, self.outer, self.columns = tensors, outer_tensors, columns
        self.free = tf.math.is_inf(columns.radius)

    def at(self, u, shift):
        value, gradient, hessian = self.evaluate(shift)
        slope = self.rule.adjoint(self.tensors, gradient)
        return Point(u, shift, value, slope, hessian)

    def evaluate(self, shift):
        """F (float64), its gradient and its Hessian in the shifts, with the weights."""
        value, gradient, hessian = outer.evaluate(self.loss, self.outer, shift)
        weights = tf.cast(self.columns.weights, shift.dtype)
        return (
            tf.reduce_sum(self.columns.weights * tf.cast(value, tf.float64), axis=1),
            weights[..., tf.newaxis] * gradient,
            weights[..., tf.newaxis, tf.newaxis] * hessian,
        )

    def curve(self, point, shift):
        return curve(point.hessian, shift)

    def natural_length(self, point):
        """Distance at which the linear model of F reaches zero: a scale where there is no ball."""
        slope = tf.linalg.norm(tf.cast(point.slope, tf.float64), axis=1)
        distance = tf.linalg.norm(tf.cast(point.u, tf.float64), axis=1)
        return tf.maximum(distance, tf.math.divide_no_nan(point.value, slope))

    def step_radius(self, point, length):
        distance = tf.linalg.norm(tf.cast(point.u, tf.float64), axis=1)
        reach = tf.maximum(STEP_REACH * distance, length)
        radius = tf.where(self.free, reach, self.columns.radius)
        return tf.maximum(radius, tf.constant(1e-30, tf.float64))

    def gap(self, point, length):
        u, slope = tf.cast(point.u, tf.float64), tf.cast(point.slope, tf.float64)
        distance = tf.linalg.norm(u, axis=1)
        reach = tf.where(distance > 0, REACH * distance, length)
        radius = tf.where(self.free, reach, self.columns.radius)
        inner = tf.reduce_sum(slope * u, axis=1)
        return tf.maximum(inner + radius * tf.linalg.norm(slope, axis=1), tf.zeros_like(inner))

    def state(self, point, iterations, length, before):
        gap = self.gap(point, length)
        small = gap <= self.columns.tolerance * point.value
        small |= point.value <= self.columns.negligible
        failed = ~tf.math.is_finite(gap + point.value)
        if before is None:
            no_slope = tf.reduce_all(point.slope == 0, axis=1)
            done = failed | (small & (~self.free | no_slope))
            none = tf.zeros_like(done)
            return State(point, gap, iterations, done, iterations, none, none, length)
        state, inside = before
        inside = tf.where(state.done, state.inside, inside)
        recession = self.free & self.unattained(point, length)
        stalls = tf.where(point.value < state.point.value, 0, state.stalls + 1)
        stalls = tf.where(state.done, state.stalls, stalls)
        solved = small & (~self.free | inside)
        done = state.done | failed | solved | recession | (stalls >= STALLS)
        return State(point, gap, iterations, done, stalls, inside, recession, length)

    def unattained(self, point, length):
        """F falls along U for ever, or has led far beyond its natural length."""
        distance = tf.linalg.norm(tf.cast(point.u, tf.float64), axis=1)
        falls = tf.reduce_sum(point.slope * point.u, axis=1) < 0
        recedes = outer.recedes(self.loss, self.outer, point.shift, self.columns.weights)
        return falls & (recedes | (distance > _UNATTAINED_DISTANCE * length))

    def search(self, state, goal):
        """Backtracks from the goal until F falls enough; columns that are done stay."""
        point = state.point
        change = goal - point.u
        shift_change = self.rule.forward(self.tensors, goal) - point.shift
        slope = tf.reduce_sum(tf.cast(change * point.slope, tf.float64), axis=1)
        # What rounding may do to F, so that the search does not fail close to the minimum.
        precision = 4e-7 if goal.dtype == tf.float32 else 1e-15
        noise = precision * tf.abs(point.value)

        def trial(fraction):
            by = tf.cast(fraction, goal.dtype)[:, tf.newaxis, tf.newaxis]
            shift = point.shift + by * shift_change
            return (shift, *self.evaluate(shift))

        def enough(fraction, value):
            return state.done | (value <= point.value + 1e-4 * fraction * slope + noise)

        def body(step, fraction, shift, value, gradient, hessian):
            # The parabola through F(0), F'(0) and F(fraction); far beyond it, a tenth.
            excess = value - point.value - fraction * slope
            best = tf.math.divide_no_nan(-slope * fraction**2, 2 * excess)
            shorter = tf.clip_by_value(best, 0.1 * fraction, 0.5 * fraction)
            shorter = tf.where(tf.math.is_finite(shorter), shorter, 0.1 * fraction)
            fraction = tf.where(enough(fraction, value), fraction, shorter)
            return step + 1, fraction, *trial(fraction)

        ones = tf.where(state.done, tf.zeros_like(slope), tf.ones_like(slope))
        _, fraction, shift, value, gradient, hessian = tf.while_loop(
            lambda step, fraction, shift, value, *_: (
                (step < _LINE_SEARCH_STEPS) & ~tf.reduce_all(enough(fraction, value))
            ),
            body,
            (0, ones, *trial(ones)),
            parallel_iterations=1,
        )
        u = point.u + tf.cast(fraction, goal.dtype)[:, tf.newaxis] * change
        return Point(u, shift, value, self.rule.adjoint(self.tensors, gradient), hessian)


def curve(hessian, shift):
    """Hessian times shift, group by group: (columns, groups, p_L)."""
    return tf.reduce_sum(hessian * shift[:, :, tf.newaxis], axis=-1)
