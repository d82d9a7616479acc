"""The outer iteration that `Newton` and `NewtonCG` share: a convex model, then a line search.

In each iteration the local quadratic model of F is minimised over the whole ball; the segment
from U to that point lies in the ball, and a backtracking search along it makes F fall. Every
iterate has its Frank-Wolfe gap, on which the iteration stops.

Everything runs on columns: several problems that share A and the outputs and differ in the
weights of their groups (prefixes) and in their radius. A is read once for all of them.
"""

from collections.abc import Callable
from typing import NamedTuple

import tensorflow as tf

from nta_tf.solvers import outer
from nta_tf.solvers.objective import Objective, gap_on_balls, length, natural_length, reach

STEP_REACH = 4.0  # without a ball, the next model is minimised over so many times the distance
_UNATTAINED_DISTANCE = 1e8
_LINE_SEARCH_STEPS = 30
STALLS = 3  # iterations in a row that do not lower F, after which a column is given up


class Columns(NamedTuple):
    """What differs from column to column; all but `start` are float64.

    Attributes:
        weights: Of the groups, (columns, groups).
        radius: (columns,), possibly infinite.
        negligible: An F at which to stop, (columns,): F is never negative, so that no minimum
            lies further below.
        start: The first U, (columns, P), in the dtype of the map.
        tolerance: Relative gap at which to stop, a scalar.
    """

    weights: tf.Tensor
    radius: tf.Tensor
    negligible: tf.Tensor
    start: tf.Tensor
    tolerance: tf.Tensor


class Point(NamedTuple):
    """Where a column stands.

    Attributes:
        u: U, (columns, P).
        shift: z = A U, (columns, groups, p_L).
        value: F, (columns,), float64.
        slope: grad F in U, (columns, P).
        hessian: Hessian in z times the weights, (columns, groups, p_L, p_L).
    """

    u: tf.Tensor
    shift: tf.Tensor
    value: tf.Tensor
    slope: tf.Tensor
    hessian: tf.Tensor


class State(NamedTuple):
    """A `Point` and what the iteration knows of each column, (columns,).

    Attributes:
        point: The `Point`.
        gap: Frank-Wolfe gap, float64.
        iterations: Iterations so far.
        done: Whether the column has ended.
        stalls: Iterations in a row that did not lower F.
        inside: Whether the last model's minimum lay well inside its ball.
        recession: Whether F falls for ever along U.
        natural_length: Length scale of the problem, float64.
    """

    point: Point
    gap: tf.Tensor
    iterations: tf.Tensor
    done: tf.Tensor
    stalls: tf.Tensor
    inside: tf.Tensor
    recession: tf.Tensor
    natural_length: tf.Tensor


def minimize_columns(
    action, loss, model_minimum, tensors, outer_tensors, columns, max_iterations
) -> State:
    """Minimises F over the balls of all columns, within one graph.

    Args:
        action: Rule of the linear map.
        loss: A `Loss`.
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
    objective = Objective(action, loss, tensors, outer_tensors, columns.weights)
    descent = Descent(objective, columns, model_minimum)
    state = descent.begin()

    def body(step, state):
        goal, inside = descent.goal(state.point, state.gap, state.natural_length, ~state.done)
        return step + 1, descent.after(state, descent.search(state, goal), inside)

    _, state = tf.while_loop(
        lambda step, state: (step < max_iterations) & ~tf.reduce_all(state.done),
        body,
        (0, state),
        parallel_iterations=1,
    )
    return state


class Descent:
    """What the iteration asks about F and does with it, column by column.

    Args:
        objective: `Objective` of the columns.
        columns: `Columns`.
        model_minimum: As for `minimize_columns`.
    """

    def __init__(self, objective: Objective, columns: Columns, model_minimum: Callable) -> None:
        self.objective, self.columns = objective, columns
        self.model_minimum = model_minimum
        self.free = tf.math.is_inf(columns.radius)

    def point(self, u: tf.Tensor) -> Point:
        """The `Point` at U."""
        shift = self.objective.shift(u)
        value, gradient, hessian = self.objective.at_shift(shift)
        return Point(u, shift, value, self.objective.slope(gradient), hessian)

    def goal(self, point, gap, natural, active):
        """Minimiser of the local model over its ball, and whether it lies well inside."""
        target = tf.maximum(0.1 * gap, 0.3 * self.columns.tolerance * point.value)
        radius = self.step_radius(point, natural)
        b = self.objective.slope(curve(point.hessian, point.shift)) - point.slope
        goal = self.model_minimum(self.objective.tensors, point, b, radius, target, active)
        return goal, length(goal) < 0.9 * radius

    def begin(self) -> State:
        """The `State` before the first iteration."""
        point = self.point(self.columns.start)
        natural = natural_length(point.value, point.slope, point.u)
        gap = self.gap(point, natural)
        no_slope = tf.reduce_all(point.slope == 0, axis=1)
        done = self.failed(point, gap) | (self.small(point, gap) & (~self.free | no_slope))
        none, never = tf.zeros_like(done, tf.int32), tf.zeros_like(done)
        return State(point, gap, none, done, none, never, never, natural)

    def after(self, state, point, inside):
        """The next `State`, from the `Point` that the search has found."""
        gap = self.gap(point, state.natural_length)
        inside = tf.where(state.done, state.inside, inside)
        recession = self.unattained(point, state.natural_length)
        stalls = tf.where(point.value < state.point.value, 0, state.stalls + 1)
        stalls = tf.where(state.done, state.stalls, stalls)
        solved = self.small(point, gap) & (~self.free | inside)
        done = state.done | self.failed(point, gap) | solved | recession | (stalls >= STALLS)
        iterations = state.iterations + tf.cast(~state.done, tf.int32)
        return State(point, gap, iterations, done, stalls, inside, recession, state.natural_length)

    def gap(self, point, natural):
        return gap_on_balls(point.slope, point.u, reach(point.u, self.columns.radius, natural))

    def small(self, point, gap):
        small = gap <= self.columns.tolerance * point.value
        return small | (point.value <= self.columns.negligible)

    @staticmethod
    def failed(point, gap):
        return ~tf.math.is_finite(gap + point.value)

    def step_radius(self, point, natural):
        without_ball = tf.maximum(STEP_REACH * length(point.u), natural)
        radius = tf.where(self.free, without_ball, self.columns.radius)
        return tf.maximum(radius, tf.constant(1e-30, tf.float64))

    def unattained(self, point, natural):
        """Without a ball: F falls along U for ever, or has led far beyond its natural length."""
        falls = tf.reduce_sum(point.slope * point.u, axis=1) < 0
        objective = self.objective
        recedes = outer.recedes(objective.loss, objective.outer, point.shift, objective.weights)
        return self.free & falls & (recedes | (length(point.u) > _UNATTAINED_DISTANCE * natural))

    def search(self, state, goal):
        """Backtracks from the goal until F falls enough; columns that are done stay."""
        point = state.point
        change = goal - point.u
        shift_change = self.objective.shift(goal) - point.shift
        slope = tf.reduce_sum(tf.cast(change * point.slope, tf.float64), axis=1)
        # What rounding may do to F, so that the search does not fail close to the minimum.
        precision = 4e-7 if goal.dtype == tf.float32 else 1e-15
        noise = precision * tf.abs(point.value)

        def trial(fraction):
            by = tf.cast(fraction, goal.dtype)[:, tf.newaxis, tf.newaxis]
            shift = point.shift + by * shift_change
            return (shift, *self.objective.at_shift(shift))

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
        return Point(u, shift, value, self.objective.slope(gradient), hessian)


def curve(hessian, shift):
    """Hessian times shift, group by group: (columns, groups, p_L)."""
    return tf.reduce_sum(hessian * shift[:, :, tf.newaxis], axis=-1)
