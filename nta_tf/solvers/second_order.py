"""What `Newton` and `NewtonCG` share: compiled minimisation of columns over balls."""

import functools
import itertools
import math
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from nta_tf.losses import Loss
from nta_tf.solvers import descent, krylov, outer
from nta_tf.solvers.certificate import Summary, summarize
from nta_tf.solvers.maps import LinearMap
from nta_tf.solvers.problem import TaylorProblem

_COLUMN_BYTES = 2**30  # what the columns of one call may occupy


@functools.cache
def compiled(model_minimum: Callable, action, loss: Loss):
    """The minimisation compiled for an action and a loss, whatever the sizes.

    Args:
        model_minimum: `model_minimum` of `newton` or of `krylov`.
        action: Action of a linear map.
        loss: A `Loss`.

    Returns:
        A `tf.function` of (tensors, outer tensors, `descent.Columns`, max_iterations) that
        runs the whole optimisation and returns a `descent.State`.
    """
    minimum = model_minimum(action)

    @functools.partial(tf.function, autograph=False)
    def minimize(tensors, outer_tensors, columns, max_iterations):
        return descent.minimize_columns(
            action, loss, minimum, tensors, outer_tensors, columns, max_iterations
        )

    return minimize


def concrete(model_minimum: Callable, linear_map: LinearMap, loss: Loss):
    """The concrete function that serves all problems of the kind of this map.

    Args:
        model_minimum: As for `compiled`.
        linear_map: A `LinearMap`, of which only kind, ranks and dtype matter.
        loss: A `Loss`.

    Returns:
        A `tf.types.experimental.ConcreteFunction`; leading sizes are free in its signature.
    """
    dtype = linear_map.dtype
    columns = descent.Columns(
        weights=tf.TensorSpec([None, None], tf.float64),
        radius=tf.TensorSpec([None], tf.float64),
        negligible=tf.TensorSpec([None], tf.float64),
        start=tf.TensorSpec([None, None], dtype),
        tolerance=tf.TensorSpec([], tf.float64),
    )
    return compiled(model_minimum, linear_map.action, loss).get_concrete_function(
        linear_map.action.signature(linear_map.tensors),
        outer.signature(dtype),
        columns,
        tf.TensorSpec([], tf.int32),
    )


def solve_columns(
    model_minimum: Callable, problem: TaylorProblem, columns: descent.Columns, max_iterations: int
) -> Summary:
    """Minimises over the balls of several problems that share A and outputs.

    Args:
        model_minimum: As for `compiled`.
        problem: A `TaylorProblem`; its own weights are not used.
        columns: `descent.Columns`.
        max_iterations: Limit of the outer iterations.

    Returns:
        A `certificate.Summary`.
    """
    run = concrete(model_minimum, problem.linear_map, problem.loss_function)
    outer_tensors = problem.outer(problem.linear_map.dtype)
    limit = tf.constant(max_iterations, tf.int32)
    summaries = []
    for part in _parts(problem, columns.radius.shape[0]):
        of_part = descent.Columns(*(rows[part] for rows in columns[:-1]), columns.tolerance)
        state = run(problem.linear_map.tensors, outer_tensors, of_part, limit)
        summaries.append(summarize(state))
    return Summary(*(np.concatenate(parts) for parts in zip(*summaries)))


def _parts(problem, columns):
    """Slices of the columns that fit into memory together."""
    groups, examples, components = problem.outputs.shape
    basis = 2 * krylov.MOST_STEPS * problem.linear_map.size
    per_column = 4 * (basis + 6 * groups * (examples + components) * components)
    most = max(1, _COLUMN_BYTES // per_column)
    count = math.ceil(columns / most)
    edges = np.linspace(0, columns, count + 1).round().astype(int)
    return [slice(low, high) for low, high in itertools.pairwise(edges)]
