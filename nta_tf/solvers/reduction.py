"""The row-space reduction: problems with more weights than rows become small and dense.

The minimiser on a ball lies in the row space of A, U = A^T s. With the Gram matrix
K = A A^T = L L^T and z = L^T s, A U = L z and ||U|| = ||z||: the same problem, with the
lower-triangular L instead of A, and as many weights as A has rows. The first N groups are
the leading block of L, so one reduction serves all prefixes.

The cross-entropy does not change when all logits of an example rise together, which makes K
singular: rows are first taken to an orthonormal basis of the other p_L - 1 directions. What
is left of singularity (rows that depend on earlier rows) is found by the least jitter
that lets the factorisation succeed, and left out; certificates are computed with K itself
and do not know of the jitter.
"""

import functools

import numpy as np
import tensorflow as tf

from nta_tf.solvers import outer
from nta_tf.solvers.certificate import Measured, judged
from nta_tf.solvers.maps import DenseMap
from nta_tf.solvers.problem import TaylorProblem

_CHUNK_BYTES = 2**28


def gram(linear_map):
    """K = A A^T over rows (group, component), summed over blocks of weights in float64.

    Products are made in the dtype of the map.

    Args:
        linear_map: A `LinearMap`. Rows of a `FactoredMap` are made chunk by chunk.

    Returns:
        (groups * p_L, groups * p_L), float64.

    Example:

    >>> import numpy as np
    >>> import nta_tf as nta
    >>> nta.solvers.gram(nta.solvers.DenseMap(np.eye(2)[None])).numpy()
    array([[1., 0.], [0., 1.]])
    """
    return linear_map.rule.gram(linear_map.tensors)


class Reduction:
    """A problem and its row-space reduction.

    Attributes:
        original: The `TaylorProblem` it was made of.
        problem: The reduced `TaylorProblem`: its weights are z, centred at zero.
    """

    def __init__(self, original, gram_matrix=None):
        linear_map = original.linear_map
        rows = linear_map.groups * linear_map.components
        if gram_matrix is None:
            gram_matrix = gram(linear_map)
        if tuple(gram_matrix.shape) != (rows, rows):
            raise ValueError(
                f"The Gram matrix must have shape ({rows}, {rows}): a row for each of the "
                f"{linear_map.groups} groups and {linear_map.components} outputs. "
                f"Received: shape {tuple(gram_matrix.shape)}"
            )
        self.original = original
        self._gram = tf.cast(gram_matrix, tf.float64)
        self._basis = tf.constant(_directions(original.loss, linear_map.components))
        self._factor, matrix = _factorise(self._gram, self._basis)
        matrix = tf.cast(matrix, linear_map.dtype)
        self.problem = TaylorProblem(
            DenseMap(matrix),
            original.outputs,
            original.targets,
            original.weights,
            np.zeros(matrix.shape[2]),
            original.loss,
        )

    def coordinates(self, u):
        """z of the row-space part of a flat U = V - C."""
        if not np.any(u):
            return np.zeros(self.problem.linear_map.size)
        linear_map = self.original.linear_map
        shift = tf.cast(linear_map.forward(linear_map.unflatten(u)), tf.float64)
        kept = tf.reshape(tf.matmul(shift, self._basis), (-1, 1))
        return tf.linalg.triangular_solve(self._factor, kept)[:, 0].numpy()

    def optima_of(self, columns, summary):
        """Certified `Optimum`s of the original problem, of what was found for the reduced."""
        radii = columns.radius.numpy()
        weights = tf.cast(columns.weights, tf.float64)
        multipliers, *measured = _measure(self.original.loss)(
            self._gram,
            self._factor,
            self._basis,
            self.original.outer(tf.float64),
            weights,
            columns.radius,
            tf.cast(summary.u, tf.float64),
        )
        measured = Measured(*(part.numpy() for part in measured))
        linear_map = self.original.linear_map
        multipliers = tf.cast(multipliers, linear_map.dtype)
        u = np.concatenate(
            [
                np.reshape(linear_map.flatten(linear_map.adjoint(row)), (1, -1))
                for row in multipliers
            ]
        )
        return judged(
            self.original, u, measured, radii, summary, float(columns.tolerance)
        )


def reduced(problem, gram_matrix=None):
    """The row-space reduction of a problem.

    Args:
        problem: A `TaylorProblem`.
        gram_matrix: K, where it is known already, (groups * p_L, groups * p_L).

    Returns:
        A `Reduction`: its `problem` has min(F) and every prefix's minimum in common with the
        original, on balls around the centre of the same radius.

    Example:

    >>> import numpy as np
    >>> import nta_tf as nta
    >>> G = np.random.default_rng(0).normal(size=(4, 3, 500))
    >>> problem = nta.solvers.TaylorProblem(
    ...     nta.solvers.DenseMap(G), np.zeros((4, 1, 3)), np.array([[0], [1], [2], [0]]),
    ...     np.ones(4), np.zeros(500))
    >>> nta.solvers.reduced(problem).problem.linear_map.size
    8
    """
    return Reduction(problem, gram_matrix)


def _directions(loss, components):
    """Orthonormal columns: what of p_L outputs the loss depends on (Helmert's, or all)."""
    if loss != "cross_entropy":
        return np.eye(components)
    basis = np.zeros((components, components - 1))
    for column in range(components - 1):
        basis[: column + 1, column] = 1
        basis[column + 1, column] = -(column + 1)
    return basis / np.linalg.norm(basis, axis=0)


@functools.partial(tf.function, autograph=False, reduce_retracing=True)
def _factorise(gram_matrix, basis):
    """L of the Gram matrix in the basis, and L as a map to (groups, p_L)."""
    projected = _project(gram_matrix, basis)
    diagonal = tf.linalg.diag_part(projected)
    size = tf.reduce_max(diagonal)

    def factor(jitter):
        # Rows of zeros (dead groups) need a diagonal too.
        shift = jitter * size + 1e-300
        matrix = tf.linalg.cholesky(tf.linalg.set_diag(projected, diagonal + shift))
        return _independent(matrix, 10 * shift)

    def failed(jitter, matrix):
        return (jitter < 1.0) & ~tf.math.is_finite(tf.reduce_sum(matrix[0]))

    least = tf.constant(1e-13, tf.float64)
    _, matrix = tf.while_loop(
        failed, lambda jitter, _: (10 * jitter, factor(10 * jitter)), (least, factor(least))
    )
    matrix, kept = matrix
    rank = tf.shape(matrix)[1]
    by_group = tf.reshape(matrix * kept, tf.stack([-1, tf.shape(basis)[1], rank]))
    return matrix, tf.matmul(tf.broadcast_to(basis, _stacked(by_group, basis)), by_group)


def _independent(matrix, least):
    """Takes out the columns of rows that depend on earlier rows: their pivots are noise.

    Without them the jitter gives no freedom that A does not have. Their place in the factor
    is taken by a one on the diagonal, which keeps it invertible.
    """
    diagonal = tf.linalg.diag_part(matrix)
    kept = tf.cast(~(diagonal**2 <= least), matrix.dtype)
    return tf.linalg.set_diag(matrix * kept, tf.where(kept > 0, diagonal, 1.0)), kept


def _stacked(by_group, basis):
    return tf.concat([tf.shape(by_group)[:1], tf.shape(basis)], axis=0)


def _project(gram_matrix, basis):
    components, kept = tf.shape(basis)[0], tf.shape(basis)[1]
    groups = tf.shape(gram_matrix)[0] // components
    blocks = tf.reshape(gram_matrix, tf.stack([groups, components, groups * components]))
    half = tf.matmul(basis, tf.reshape(blocks, tf.stack([groups, components, -1])), transpose_a=True)
    half = tf.reshape(half, tf.stack([groups * kept, groups, components]))
    return tf.reshape(tf.einsum("rgk,km->rgm", half, basis), tf.stack([groups * kept] * 2))


@functools.lru_cache(maxsize=None)
def _measure(loss):
    """Compiled: multipliers s of U = A^T s, and F, <grad F, U>, ||grad F||, ||U|| by K."""
    @functools.partial(tf.function, autograph=False, reduce_retracing=True)
    def measure(gram_matrix, factor, basis, outer_tensors, weights, radius, z):
        columns, components = tf.shape(z)[0], tf.shape(basis)[0]
        s = tf.linalg.triangular_solve(factor, tf.transpose(z), adjoint=True)
        s = tf.reshape(tf.transpose(s), tf.stack([columns, -1, tf.shape(basis)[1]]))
        s = tf.reshape(tf.linalg.matvec(basis, s), tf.stack([columns, -1]))
        shift = tf.matmul(s, gram_matrix)
        distance = tf.sqrt(tf.maximum(tf.reduce_sum(s * shift, axis=1), 0))
        # Onto the sphere where z was on it: rounding may have made U a little shorter.
        on_ball = (tf.norm(z, axis=1) >= radius * (1 - 1e-6)) & (distance > 0.99 * radius)
        wanted = tf.where(on_ball, radius, tf.minimum(radius, distance))
        scale = tf.math.divide_no_nan(wanted, distance)[:, tf.newaxis]
        s, shift, distance = s * scale, shift * scale, wanted
        by_group = tf.reshape(shift, tf.stack([columns, -1, components]))
        value, gradient, _ = outer.evaluate(loss, outer_tensors, by_group)
        r = tf.reshape(weights[..., tf.newaxis] * gradient, tf.shape(shift))
        slope_length = tf.sqrt(tf.maximum(tf.reduce_sum(r * tf.matmul(r, gram_matrix), axis=1), 0))
        total = tf.reduce_sum(weights * value, axis=1)
        inner = tf.reduce_sum(r * shift, axis=1)
        return tf.reshape(s, tf.shape(by_group)), total, inner, slope_length, distance

    return measure
