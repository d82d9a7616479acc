"""The row-space reduction: problems with more weights than rows become small and dense.

The minimiser on a ball lies in the row space of A, U = A^T s. With the Gram matrix
K = A A^T = L L^T and z = L^T s, A U = L z and ||U|| = ||z||: the same problem, with the
dense L instead of A, and as many weights as A has independent rows. Prefixes are the first
rows of L, so one reduction serves all of them.

The cross-entropy does not change when all logits of an example rise together, which makes K
singular: rows are first taken to an orthonormal basis of the other p_L - 1 directions. What is
left of singularity is met by pivoting: the Cholesky factorisation ends where the rest of K
is rounding. Certificates are computed with A itself, and do not know of K.
"""

import numpy as np
import scipy.linalg
import tensorflow as tf

from nta_tf.solvers.maps import DenseMap, apply
from nta_tf.solvers.problem import TaylorProblem

# What is rounding in K, relative to its largest diagonal element, by precision of products.
_PRECISION = {tf.float32: 1e-6, tf.float64: 1e-13}


def gram(linear_map):
    """K = A A^T over rows (group, component), summed over blocks of weights in float64.

    Products are made in the dtype of the map.

    Args:
        linear_map: A `LinearMap`; A of a `FactoredMap` is never held as a whole.

    Returns:
        NumPy array (groups * p_L, groups * p_L), float64.

    Example:

    >>> import numpy as np
    >>> import nta_tf as nta
    >>> nta.solvers.gram(nta.solvers.DenseMap(np.eye(2)[None]))
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
        self._basis = _directions(original.loss, linear_map.components)
        matrix, self._factor, self._pivots = _factorise(
            np.asarray(gram_matrix, np.float64), self._basis, _PRECISION[linear_map.dtype]
        )
        self.problem = TaylorProblem(
            DenseMap(tf.cast(matrix, linear_map.dtype)),
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
        kept = kept.numpy()[self._pivots]
        return scipy.linalg.solve_triangular(self._factor, kept, lower=True)[:, 0]

    def lift(self, summary):
        """What was found for the reduced problem, as found for the original: U = A^T s."""
        linear_map = self.original.linear_map
        multipliers = tf.constant(self._multipliers(summary.u.astype(np.float64)))
        u = apply(linear_map.rule)[1](linear_map.tensors, multipliers).numpy()
        # U has the length of z but for rounding; on the sphere that would cost F.
        wanted, length = np.linalg.norm(summary.u, axis=1), np.linalg.norm(u, axis=1)
        near = np.abs(length - wanted) <= 1e-3 * wanted
        scale = np.where(near & (length > 0), wanted / np.where(length > 0, length, 1), 1)
        return summary._replace(u=u * scale[:, np.newaxis])

    def _multipliers(self, z):
        """s with U = A^T s, (columns, groups, p_L): L_pivots^-T z at the pivots, else zero."""
        linear_map = self.original.linear_map
        _components, kept = self._basis.shape
        s = np.zeros((len(z), linear_map.groups * kept))
        s[:, self._pivots] = scipy.linalg.solve_triangular(
            self._factor, z.T, lower=True, trans="T"
        ).T
        return s.reshape(len(z), linear_map.groups, kept) @ self._basis.T


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


def _factorise(gram_matrix, basis, precision):
    """Pivoted Cholesky of the Gram matrix in the basis, on the host in LAPACK, once a problem.

    Returns:
        L as a map to (groups, p_L, rank); its rows at the pivots, lower-triangular; and the
        pivots, as rows of the Gram matrix in the basis.
    """
    components, kept = basis.shape
    groups = len(gram_matrix) // components
    half = (gram_matrix.reshape(-1, components) @ basis).reshape(len(gram_matrix), groups * kept)
    projected = (half.T.reshape(-1, components) @ basis).reshape(groups * kept, groups * kept)
    noise = precision * max(float(projected.diagonal().max()), 1e-300)
    factor, order, rank, _ = scipy.linalg.lapack.dpstrf(projected, tol=noise, lower=1)
    factor, order = np.tril(factor)[:, :rank], order - 1
    rows = np.empty_like(factor)
    rows[order] = factor
    matrix = basis @ rows.reshape(groups, kept, rank)
    return matrix, factor[:rank], order[:rank]
