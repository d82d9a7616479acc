"""Stochastic gradient descent on the groups, projected onto the ball: the paper's solver."""

import dataclasses
import functools
import math

import tensorflow as tf

from nta_tf.losses import Loss
from nta_tf.solvers import krylov, outer
from nta_tf.solvers.certificate import Summary, optima_of
from nta_tf.solvers.descent import Columns, Descent
from nta_tf.solvers.maps import LinearMap
from nta_tf.solvers.objective import Objective, natural_length
from nta_tf.solvers.optimum import Optimum
from nta_tf.solvers.problem import TaylorProblem
from nta_tf.solvers.search import Search, Solver, check_iterations


@dataclasses.dataclass(frozen=True)
class SGD(Solver[TaylorProblem]):
    """Minimises as the paper does: by SGD over the recorded rounds.

    Each step follows the gradient of the mean loss of a random minibatch of groups, F / groups on
    average, and projects onto the ball. Passes are random permutations of the groups. Numbers of
    groups are solved one after the other. The `iterations` of an `Optimum` are passes.

    Attributes:
        learning_rate: Step size.
        batch_size: Groups a step.
        averaging: Whether to judge and return the average of the iterates since the last
            power of two of passes, which removes the noise of a constant step size.
        check_every: Passes between two evaluations of the gap.
        max_passes: Limit of the passes over the groups.
        seed: Seed of the permutations.

    Raises:
        ValueError: If an option is out of range.

    Example:

    >>> import numpy as np
    >>> import nta_tf as nta
    >>> problem = nta.solvers.TaylorProblem(
    ...     nta.solvers.DenseMap(np.eye(2)[None]), np.zeros((1, 1, 2)), np.array([[0]]),
    ...     np.ones(1), np.zeros(2))
    >>> sgd = nta.solvers.SGD(learning_rate=0.3)
    >>> nta.solvers.minimize(problem, 1.0, sgd, tolerance=1e-2).status.solved
    True
    """

    learning_rate: float = 0.1
    batch_size: int = 16
    averaging: bool = False
    check_every: int = 1
    max_passes: int = 200
    seed: int = 0

    def __post_init__(self) -> None:
        if not (self.learning_rate > 0 and self.batch_size >= 1 and self.check_every >= 1):
            raise ValueError(
                "The learning rate must be positive, batch_size and check_every at least 1. "
                f"Received: learning_rate={self.learning_rate}, batch_size={self.batch_size}, "
                f"check_every={self.check_every}"
            )
        check_iterations("max_passes", self.max_passes)

    def solve(self, problem: TaylorProblem, searches: list[Search]) -> list[list[Optimum]]:
        return [search.one_after_another(problem, self._solve) for search in searches]

    def _solve(self, problem, search):
        linear_map, dtype = problem.linear_map, problem.linear_map.dtype
        columns = search.columns(problem)
        settings = {
            "learning_rate": tf.constant(self.learning_rate, dtype),
            "batch_size": tf.constant(min(self.batch_size, linear_map.groups), tf.int32),
            "averaging": tf.constant(self.averaging),
            "check_every": tf.constant(self.check_every, tf.int32),
            "seed": tf.constant([self.seed, 0], tf.int32),
            "max_passes": tf.constant(self.max_passes, tf.int32),
        }
        run = concrete(linear_map, problem.loss_function)
        ended = run(linear_map.tensors, problem.outer(dtype), columns, settings)
        return optima_of(problem, columns, Summary(*(part.numpy() for part in ended)))[0]


def concrete(linear_map: LinearMap, loss: Loss):
    """The concrete function that serves all problems of the kind of this map.

    Args:
        linear_map: A `LinearMap`, of which only kind, ranks and dtype matter.
        loss: A `Loss`.

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
        weights=spec([None, None], tf.float64),
        radius=spec([None], tf.float64),
        negligible=spec([None], tf.float64),
        start=spec([None, None], dtype),
        tolerance=spec([], tf.float64),
    )
    return _compiled(linear_map.action, loss).get_concrete_function(
        linear_map.action.signature(linear_map.tensors), outer.signature(dtype), columns, settings
    )


@functools.cache
def _compiled(action, loss):
    @functools.partial(tf.function, autograph=False)
    def descend(tensors, outer_tensors, columns, settings):
        objective = Objective(action, loss, tensors, outer_tensors, columns.weights)
        # Krylov spaces: without a ball, the local model tells whether there is more to gain.
        descent = Descent(objective, columns, krylov.model_minimum(action))
        stochastic = _Stochastic(descent, settings)
        u = stochastic.project(columns.start)

        def body(number, u, average, done):
            restart = _is_power_of_two(number)
            count = number - _last_power_of_two(number)
            u, mean = stochastic.one_pass(number, u)
            share = 1 / (tf.cast(count, u.dtype) + 1)
            average = tf.where(restart, mean, average + share * (mean - average))
            number += 1
            judged = tf.where(settings["averaging"], average, u)
            due = number % settings["check_every"] == 0
            done = tf.cond(due, lambda: stochastic.done(judged), lambda: tf.constant(False))
            return number, u, average, done

        number, u, average, _ = tf.while_loop(
            lambda number, u, average, done: (number < settings["max_passes"]) & ~done,
            body,
            (0, u, u, stochastic.done(u)),
            parallel_iterations=1,
        )
        return stochastic.summary(tf.where(settings["averaging"], average, u), number)

    return descend


class _Stochastic:
    """Steps, passes and the stopping test, within the graph."""

    def __init__(self, descent, settings):
        self.descent, self.settings = descent, settings
        self.objective, self.columns = descent.objective, descent.columns
        self.groups = tf.shape(self.columns.weights)[1]
        start = descent.point(self.columns.start)
        self.natural_length = natural_length(start.value, start.slope, start.u)

    def project(self, u):
        length = tf.norm(u)
        radius = tf.cast(self.columns.radius[0], u.dtype)
        return tf.where(length > radius, u * (radius / length), u)

    def minibatch(self, index):
        """F of the groups that are given."""
        take = functools.partial(tf.gather, indices=index)
        return Objective(
            self.objective.action,
            self.objective.loss,
            tf.nest.map_structure(take, self.objective.tensors),
            tf.nest.map_structure(take, self.objective.outer),
            tf.gather(self.columns.weights, index, axis=1),
        )

    def one_pass(self, number, u):
        """One pass over a permutation of the groups; U and its mean over the steps."""
        seed = tf.stack([self.settings["seed"][0], number])
        order = tf.argsort(tf.random.stateless_uniform(self.groups[tf.newaxis], seed))
        size = self.settings["batch_size"]
        steps = self.groups // size

        def body(step, u, total):
            index = order[step * size : (step + 1) * size]
            _, slope = self.minibatch(index).value_and_slope(u)
            rate = self.settings["learning_rate"] / tf.cast(size, u.dtype)
            u = self.project(u - rate * slope)
            return step + 1, u, total + u

        _, u, total = tf.while_loop(
            lambda step, *_: step < steps, body, (0, u, tf.zeros_like(u)), parallel_iterations=1
        )
        return u, total / tf.cast(steps, u.dtype)

    def done(self, u):
        """Whether U is solved, F falls for ever along it, or it has diverged."""
        point, gap, solved = self._judge(u)
        recession = self.descent.unattained(point, self.natural_length)
        return (solved | recession | self.descent.failed(point, gap))[0]

    def _judge(self, u):
        """The point at U, its gap, and whether that is small, and the last word on it.

        Without a ball the gap speaks of twice the distance of U only. There, as Newton does,
        the local model is asked whether its minimum lies further away.
        """
        point = self.descent.point(u)
        gap = self.descent.gap(point, self.natural_length)
        small = self.descent.small(point, gap)

        def inside():
            return self.descent.goal(point, gap, self.natural_length, small)[1]

        free = self.descent.free
        solved = tf.cond(tf.reduce_all(small & free), inside, lambda: small)
        return point, gap, solved

    def summary(self, u, passes):
        """The parts of a `Summary`."""
        point, _, solved = self._judge(u)
        return Summary(
            u=u,
            iterations=passes[tf.newaxis],
            recession=self.descent.unattained(point, self.natural_length),
            stalled=tf.zeros_like(solved),
            inside=solved,
            natural_length=self.natural_length,
        )


def _last_power_of_two(number):
    """The largest power of two that is not above the number; zero of zero."""
    bits = tf.math.log(tf.cast(tf.maximum(number, 1), tf.float64)) / math.log(2.0)
    power = tf.cast(tf.round(2.0 ** tf.floor(bits + 1e-9)), number.dtype)
    return tf.where(number > 0, power, 0)


def _is_power_of_two(number):
    return tf.equal(number, _last_power_of_two(number))
