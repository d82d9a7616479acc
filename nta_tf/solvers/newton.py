"""Newton with the dense Hessian: for scopes of few weights, such as one neuron."""

import dataclasses

import numpy as np
import tensorflow as tf

from nta_tf.solvers import second_order
from nta_tf.solvers.ball import solve_cholesky
from nta_tf.solvers.certificate import optima_of
from nta_tf.solvers.optimum import Optimum
from nta_tf.solvers.problem import TaylorProblem
from nta_tf.solvers.search import Search, Solver, check_iterations

_MOST_BYTES = 2**32
# Relative error of H, by the precision of its products.
_PRECISION = {tf.float32: 1e-7, tf.float64: 1e-15}


@dataclasses.dataclass(frozen=True)
class Newton(Solver[TaylorProblem]):
    """Newton with the Hessian as a matrix, P x P, in float64.

    Numbers of groups are solved one after the other, each from where the last one ended. Of
    a `FactoredMap` or a `JointMap` all G are formed, which takes memory.

    Attributes:
        max_iterations: Limit of the iterations.

    Example:

    >>> import nta_tf as nta
    >>> nta.solvers.Newton()
    Newton(max_iterations=100)
    """

    max_iterations: int = 100

    def __post_init__(self) -> None:
        check_iterations("max_iterations", self.max_iterations)

    def solve(self, problem: TaylorProblem, searches: list[Search]) -> list[list[Optimum]]:
        dense = _dense(problem)

        def solve(problem, search):
            columns = search.columns(problem)
            summary = second_order.solve_columns(
                model_minimum, dense.prefix(search.groups[0]), columns, self.max_iterations
            )
            return optima_of(problem, columns, summary)[0]

        return [search.one_after_another(problem, solve) for search in searches]


def _dense(problem):
    """The same problem with all G as one array."""
    linear_map = problem.linear_map
    if linear_map.is_dense:
        return problem
    rows = linear_map.groups * linear_map.components
    size = linear_map.size * (rows * linear_map.dtype.size + linear_map.size * 8)
    if size > _MOST_BYTES:
        raise ValueError(
            f"Newton() holds the Hessian of {linear_map.size} weights and their G in {rows} rows, "
            f"{size / 2**30:.1f} GiB here; use NewtonCG() or RowSpace(). Received: a "
            f"{type(linear_map).__name__}"
        )
    return dataclasses.replace(
        problem, linear_map=linear_map.dense(), centre=np.zeros(linear_map.size)
    )


def model_minimum(action):
    """A `model_minimum` for `descent.minimize_columns`, by Cholesky of H + damping.

    H = sum_g A_g^T Hess_g A_g is formed in the precision of A, and factorised in float64.
    """

    def minimum(tensors, point, b, radius, target, active):
        del target  # the model is solved exactly

        def column(of):
            hessian, b, radius, u, active = of
            return tf.cond(active, lambda: solve(hessian, b, radius, u), lambda: u)

        def solve(hessian, b, radius, u):
            normal = tf.cast(action.normal(tensors, hessian), tf.float64)
            normal = (normal + tf.transpose(normal)) / 2
            # A pull towards U, as strong as H is uncertain: it keeps H positive definite, and
            # vanishes at the minimum as the step does.
            pull = _PRECISION[u.dtype] * tf.norm(normal)
            normal = tf.linalg.set_diag(normal, tf.linalg.diag_part(normal) + pull)
            b = tf.cast(b, tf.float64) + pull * tf.cast(u, tf.float64)
            return tf.cast(solve_cholesky(normal, b, radius), u.dtype)

        return tf.map_fn(
            column,
            (point.hessian, b, radius, point.u, active),
            fn_output_signature=tf.TensorSpec((None,), point.u.dtype),
            parallel_iterations=1,
        )

    return minimum
