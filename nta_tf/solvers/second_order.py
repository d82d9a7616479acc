"""`newton` and `newton_cg`: second-order minima of Taylor losses over balls."""

import functools
import itertools
import math

import numpy as np
import tensorflow as tf

from nta_tf.solvers import descent, krylov
from nta_tf.solvers import newton as dense
from nta_tf.solvers.certificate import Summary, summarize

_COLUMN_BYTES = 2**30  # what the columns of one call may occupy
_MODELS = {"newton": dense.model_minimum, "newton_cg": krylov.model_minimum}


@functools.cache
def compiled(solver, rule, loss):
    """The solver of that name, compiled for a rule and a loss, whatever the sizes.

    Args:
        solver: `"newton"` or `"newton_cg"`.
        rule: Rule of a linear map.
        loss: Name of a loss.

    Returns:
        A `tf.function` of (tensors, outer tensors, `descent.Columns`, max_iterations) that
        runs the whole optimisation and returns a `descent.State`.
    """
    model_minimum = _MODELS[solver](rule)

    @functools.partial(tf.function, autograph=False)
    def minimize(tensors, outer_tensors, columns, max_iterations):
        return descent.minimize_columns(
            rule, loss, model_minimum, tensors, outer_tensors, columns, max_iterations
        )

    return minimize


def concrete(solver, linear_map, loss):
    """The concrete function that serves all problems of the kind of this map.

    Args:
        solver: `"newton"` or `"newton_cg"`.
        linear_map: A `LinearMap`, of which only kind, ranks and dtype matter.
        loss: Name of a loss.

    Returns:
        A `tf.types.experimental.ConcreteFunction`; leading sizes are free in its signature.
    """
    dtype = linear_map.dtype
    outer_spec = tf.TensorSpec([None, None, None], dtype)
    columns = descent.Columns(
        tf.TensorSpec([None, None], tf.float64),
        tf.TensorSpec([None], tf.float64),
        tf.TensorSpec([None], tf.float64),
        tf.TensorSpec([None, None], dtype),
        tf.TensorSpec([], tf.float64),
    )
    return compiled(solver, linear_map.rule, loss).get_concrete_function(
        linear_map.rule.signature(linear_map.tensors),
        (outer_spec, outer_spec),
        columns,
        tf.TensorSpec([], tf.int32),
    )


def solve_columns(solver, problem, columns, max_iterations):
    """Minimises over the balls of several problems that share A and outputs.

    Args:
        solver: `"newton"` or `"newton_cg"`.
        problem: A `TaylorProblem`; its own weights are not used.
        columns: `descent.Columns`.
        max_iterations: Limit of the outer iterations.

    Returns:
        A `certificate.Summary`.
    """
    run = concrete(solver, problem.linear_map, problem.loss)
    outer_tensors = problem.outer(problem.linear_map.dtype)
    limit = tf.constant(max_iterations, tf.int32)
    summaries = []
    for part in _parts(problem, columns.radius.shape[0]):
        own = descent.Columns(*(of[part] for of in columns[:-1]), columns.tolerance)
        state = run(problem.linear_map.tensors, outer_tensors, own, limit)
        summaries.append(summarize(state))
    return Summary(*(np.concatenate(of) for of in zip(*summaries)))


def _parts(problem, columns):
    """Slices of the columns that fit into memory together."""
    groups, examples, components = problem.outputs.shape
    basis = 2 * krylov.MOST_STEPS * problem.linear_map.size
    per_column = 4 * (basis + 6 * groups * (examples + components) * components)
    most = max(1, _COLUMN_BYTES // per_column)
    count = math.ceil(columns / most)
    edges = np.linspace(0, columns, count + 1).round().astype(int)
    return [slice(low, high) for low, high in itertools.pairwise(edges)]
