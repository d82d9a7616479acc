"""Stochastic gradient descent on the groups, projected onto the ball: the paper's solver."""

import functools
import math

import numpy as np
import tensorflow as tf

from nta_tf.solvers import outer
from nta_tf.solvers.certificate import Summary, optima_of
from nta_tf.solvers.descent import REACH, Columns


def sgd(
    problem,
    radius=math.inf,
    start=None,
    tolerance=1e-3,
    max_iterations=200,
    seed=0,
    *,
    learning_rate=0.1,
    batch_size=16,
    averaging=False,
    check_every=1,
):
    """Minimises as the paper does: by SGD over the recorded rounds.

    Each step follows the gradient of the mean loss of a random minibatch of groups, F / groups on
    average, and projects onto the ball. Passes are random permutations of the groups.

    Args:
        problem: A `TaylorProblem`.
        radius: D; `math.inf` for none.
        start: V to start from; None is the centre.
        tolerance: Relative gap at which to stop.
        max_iterations: Limit of the passes over the groups.
        seed: Seed of the permutations.
        learning_rate: Step size.
        batch_size: Groups a step.
        averaging: Whether to judge and return the average of the iterates since the last
            power of two of passes, which removes the noise of a constant step size.
        check_every: Passes between two evaluations of the gap.

    Returns:
        An `Optimum`; its `iterations` are passes.

    Raises:
        ValueError: If the learning rate or the batch size is not positive.

    Example:

    >>> import numpy as np
    >>> import nta_tf as nta
    >>> problem = nta.solvers.TaylorProblem(
    ...     nta.solvers.DenseMap(np.eye(2)[None]), np.zeros((1, 1, 2)), np.array([[0]]),
    ...     np.ones(1), np.zeros(2))
    >>> nta.solvers.sgd(problem, radius=1.0, tolerance=1e-2).status.solved
    True
    """
    if not (learning_rate > 0 and batch_size >= 1 and check_every >= 1):
        raise ValueError(
            "The learning rate must be positive, batch_size and check_every at least 1. "
            f"Received: learning_rate={learning_rate}, batch_size={batch_size}, "
            f"check_every={check_every}"
        )
    linear_map, dtype = problem.linear_map, problem.linear_map.dtype
    u = np.zeros(linear_map.size)
    if start is not None:
        u = linear_map.flatten(problem.displacement(start)).numpy()
    columns = Columns(
        tf.constant(problem.weights[np.newaxis], tf.float64),
        tf.constant([radius], tf.float64),
        tf.constant([0.0], tf.float64),
        tf.cast(u[np.newaxis], dtype),
        tf.constant(tolerance, tf.float64),
    )
    settings = {
        "learning_rate": tf.constant(learning_rate, dtype),
        "batch_size": tf.constant(min(batch_size, linear_map.groups), tf.int32),
        "averaging": tf.constant(averaging),
        "check_every": tf.constant(check_every, tf.int32),
        "seed": tf.constant([seed, 0], tf.int32),
        "max_passes": tf.constant(max_iterations, tf.int32),
    }
    run = concrete(linear_map, problem.loss)
    u, passes = run(linear_map.tensors, problem.outer(dtype), columns, settings)
    return optima_of(problem, columns, _summary(u.numpy(), passes.numpy()))[0]


def _summary(u, passes):
    no, yes = np.array([False]), np.array([True])
    return Summary(u, np.array([passes]), no, no, yes, np.array([0.0]))


def concrete(linear_map, loss):
    """The concrete function that serves all problems of the kind of this map.

    Args:
        linear_map: A `LinearMap`, of which only kind, ranks and dtype matter.
        loss: Name of a loss.

    Returns:
        A `tf.types.experimental.ConcreteFunction`.
    """
    dtype = linear_map.dtype
    spec = tf.TensorSpec
    settings = {
        "learning_rate": spec([], dtype),
        "batch_size": spec([], tf.int32),
        "averaging": spec([], tf.bool),
        "check_every": spec([], tf.int32),
        "seed": spec([2], tf.int32),
        "max_passes": spec([], tf.int32),
    }
    columns = Columns(
        spec([1, None], tf.float64),
        spec([1], tf.float64),
        spec([1], tf.float64),
        spec([1, None], dtype),
        spec([], tf.float64),
    )
    outer_spec = spec([None, None, None], dtype)
    return _compiled(linear_map.rule, loss).get_concrete_function(
        linear_map.rule.signature(linear_map.tensors), (outer_spec, outer_spec), columns, settings
    )


@functools.cache
def _compiled(rule, loss):
    @functools.partial(tf.function, autograph=False)
    def descend(tensors, outer_tensors, columns, settings):
        problem = _Stochastic(rule, loss, tensors, outer_tensors, columns, settings)
        u = problem.project(columns.start)

        def body(number, u, average, done):
            restart = _is_power_of_two(number)
            count = number - _last_power_of_two(number)
            u, mean = problem.one_pass(number, u)
            share = 1 / (tf.cast(count, u.dtype) + 1)
            average = tf.where(restart, mean, average + share * (mean - average))
            number += 1
            judged = tf.where(settings["averaging"], average, u)
            due = number % settings["check_every"] == 0
            done = tf.cond(due, lambda: problem.solved(judged), lambda: tf.constant(False))
            return number, u, average, done

        number, u, average, _ = tf.while_loop(
            lambda number, u, average, done: (number < settings["max_passes"]) & ~done,
            body,
            (0, u, u, problem.solved(u)),
            parallel_iterations=1,
        )
        return tf.where(settings["averaging"], average, u), number

    return descend


class _Stochastic:
    """Steps, passes and the stopping test, within the graph."""

    def __init__(self, rule, loss, tensors, outer_tensors, columns, settings):
        self.rule, self.loss, self.tensors = rule, loss, tensors
        self.outer, self.columns, self.settings = outer_tensors, columns, settings
        self.groups = tf.shape(outer_tensors[0])[0]

    def project(self, u):
        length = tf.norm(u)
        radius = tf.cast(self.columns.radius[0], u.dtype)
        return tf.where(length > radius, u * (radius / length), u)

    def slope(self, u, tensors, outer_tensors, weights):
        """F and its gradient over the groups that are given."""
        shift = self.rule.forward(tensors, u)
        value, gradient, _ = outer.evaluate(self.loss, outer_tensors, shift)
        total = tf.reduce_sum(weights * tf.cast(value, tf.float64))
        gradient *= tf.cast(weights, gradient.dtype)[..., tf.newaxis]
        slope = self.rule.adjoint(tensors, gradient)
        return total, tf.ensure_shape(slope, (1, None))

    def one_pass(self, number, u):
        """One pass over a permutation of the groups; U and its mean over the steps."""
        seed = tf.stack([self.settings["seed"][0], number])
        order = tf.argsort(tf.random.stateless_uniform(self.groups[tf.newaxis], seed))
        size = self.settings["batch_size"]
        steps = self.groups // size

        def body(step, u, total):
            index = order[step * size : (step + 1) * size]
            take = functools.partial(tf.gather, indices=index)
            tensors = tf.nest.map_structure(take, self.tensors)
            outer_tensors = tf.nest.map_structure(take, self.outer)
            weights = tf.gather(self.columns.weights, index, axis=1)
            _, slope = self.slope(u, tensors, outer_tensors, weights)
            rate = self.settings["learning_rate"] / tf.cast(size, u.dtype)
            u = self.project(u - rate * slope)
            return step + 1, u, total + u

        _, u, total = tf.while_loop(
            lambda step, *_: step < steps, body, (0, u, tf.zeros_like(u)), parallel_iterations=1
        )
        return u, total / tf.cast(steps, u.dtype)

    def solved(self, u):
        """Whether the relative gap is small enough, or U has diverged."""
        value, slope = self.slope(u, self.tensors, self.outer, self.columns.weights)
        u, slope = tf.cast(u, tf.float64), tf.cast(slope, tf.float64)
        radius = self.columns.radius[0]
        reach = tf.where(tf.math.is_inf(radius), REACH * tf.norm(u), radius)
        gap = tf.reduce_sum(u * slope) + reach * tf.norm(slope)
        at_centre = tf.math.is_inf(radius) & (tf.norm(u) == 0) & (tf.norm(slope) > 0)
        small = (gap <= self.columns.tolerance * value) & ~at_centre
        return small | ~tf.math.is_finite(gap + value)


def _last_power_of_two(number):
    """The largest power of two that is not above the number; zero of zero."""
    bits = tf.math.log(tf.cast(tf.maximum(number, 1), tf.float64)) / math.log(2.0)
    power = tf.cast(tf.round(2.0 ** tf.floor(bits + 1e-9)), number.dtype)
    return tf.where(number > 0, power, 0)


def _is_power_of_two(number):
    return tf.equal(number, _last_power_of_two(number))
