"""The row space of A: problems with more weights than rows become small and dense.

The minimiser on a ball lies in the row space of A, U = A^T s. With the Gram matrix
K = A A^T = L L^T and z = L^T s, A U = L z and ||U|| = ||z||: the same problem, with the
dense L instead of A, and as many weights as A has independent rows. Prefixes are the first
rows of L, so one factorisation serves all of them.

The cross-entropy does not change when all logits of an example rise together, which makes K
singular: rows are first taken to an orthonormal basis of the other p_L - 1 directions. What is
left of singularity is met by pivoting: the Cholesky factorisation ends where the rest of K
is rounding. Certificates are computed with A itself, and do not know of K.
"""

import dataclasses

import numpy as np
import scipy.linalg
import tensorflow as tf

from nta_tf.solvers import krylov, second_order, separate
from nta_tf.solvers.certificate import Summary, certified, optima_of
from nta_tf.solvers.descent import Columns
from nta_tf.solvers.maps import DenseMap, LinearMap, apply
from nta_tf.solvers.optimum import Optimum
from nta_tf.solvers.problem import TaylorProblem
from nta_tf.solvers.search import Search, Solver, check_iterations

# What is rounding in K, relative to its largest diagonal element, by precision of products.
_PRECISION = {tf.float32: 1e-6, tf.float64: 1e-13}
# Each group's part of an F that is negligible is lowered to this.
_ENOUGH = 0.9


@dataclasses.dataclass(frozen=True)
class RowSpace(Solver[TaylorProblem]):
    """`NewtonCG` in the row space of A: for problems with far more weights than rows.

    One pass over A gives a small dense problem with the same minima, for all balls and all
    numbers of groups.

    Attributes:
        max_iterations: Limit of the outer iterations.
        gram_matrix: K = A A^T of the first max(groups) groups, where it is known already.

    Example:

    >>> import nta_tf as nta
    >>> nta.solvers.RowSpace(max_iterations=30)
    RowSpace(max_iterations=30)
    """

    max_iterations: int = 100
    gram_matrix: np.ndarray | None = dataclasses.field(default=None, repr=False, compare=False)

    def __post_init__(self) -> None:
        check_iterations("max_iterations", self.max_iterations)

    def solve(self, problem: TaylorProblem, searches: list[Search]) -> list[list[Optimum]]:
        most = max(max(search.groups) for search in searches)
        in_row_space = RowSpaceProblem(problem.prefix(most), self.gram_matrix)
        return [self._solve(in_row_space, search) for search in searches]

    def _solve(self, in_row_space, search):
        small = in_row_space.small
        columns = search.columns(small, in_row_space.coordinates(search.start))
        columns = in_row_space.with_separate_minima(columns)
        summary = second_order.solve_columns(
            krylov.model_minimum, small, columns, self.max_iterations
        )
        return optima_of(in_row_space.original, columns, in_row_space.lift(summary))


def gram(linear_map: LinearMap) -> np.ndarray:
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
    return linear_map.action.gram(linear_map.tensors)


class RowSpaceProblem:
    """A problem in coordinates of its row space.

    Args:
        original: A `TaylorProblem`.
        gram_matrix: K, where it is known already, (groups * p_L, groups * p_L).

    Attributes:
        original: The `TaylorProblem` it was made of.
        small: The `TaylorProblem` whose weights are z, centred at zero. It has min(F) and every
            prefix's minimum in common with the original, on balls around the centre of the
            same radius.

    Raises:
        ValueError: If the Gram matrix has another shape.

    Example:

    >>> import numpy as np
    >>> import nta_tf as nta
    >>> G = np.random.default_rng(0).normal(size=(4, 3, 500))
    >>> problem = nta.solvers.TaylorProblem(
    ...     nta.solvers.DenseMap(G), np.zeros((4, 1, 3)), np.array([[0], [1], [2], [0]]),
    ...     np.ones(4), np.zeros(500))
    >>> nta.solvers.RowSpaceProblem(problem).small.linear_map.size
    8
    """

    def __init__(self, original: TaylorProblem, gram_matrix: np.ndarray | None = None) -> None:
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
        self._basis = _directions(original.loss_function, linear_map.components)
        matrix, self._factor, self._pivots = _factorise(
            np.asarray(gram_matrix, np.float64), self._basis, _PRECISION[linear_map.dtype]
        )
        self.small = TaylorProblem(
            DenseMap(tf.cast(matrix, linear_map.dtype)),
            original.outputs,
            original.targets,
            original.weights,
            np.zeros(matrix.shape[2]),
            original.loss,
            original.sample_weights,
        )

    def coordinates(self, u: np.ndarray) -> np.ndarray:
        """z of the row-space part of a flat U = V - C."""
        if not np.any(u):
            return np.zeros(self.small.linear_map.size)
        linear_map = self.original.linear_map
        shift = linear_map.forward(linear_map.unflatten(u)).numpy().astype(np.float64)
        return self._coordinates_of(shift[np.newaxis])[0]

    def _coordinates_of(self, shifts):
        """z whose A U are those shifts (columns, groups, p_L), if there are such U."""
        rows = (shifts @ self._basis).reshape(len(shifts), -1)[:, self._pivots]
        return scipy.linalg.solve_triangular(self._factor, rows.T, lower=True).T

    def with_separate_minima(self, columns: Columns) -> Columns:
        """Columns that start where each group has its own minimum, if that is in their ball.

        Args:
            columns: `descent.Columns` of the small problem.

        Returns:
            The same, started there where F is lower than at their own start.
        """
        shifts, bounded = zip(*map(self._separate_minima, *map(np.asarray, columns[:3])))
        starts = self._coordinates_of(np.stack(shifts))
        inside = bounded & (np.linalg.norm(starts, axis=1) <= columns.radius.numpy())
        starts = np.where(inside[:, np.newaxis], starts, columns.start.numpy())
        candidates = columns._replace(start=tf.cast(starts, columns.start.dtype))
        lower = self._values(candidates) < self._values(columns)
        return columns._replace(
            start=tf.where(lower[:, np.newaxis], candidates.start, columns.start)
        )

    def _separate_minima(self, weights, radius, negligible):
        """The shifts of one column, and whether they are no way to a minimum at infinity."""
        used = weights > 0
        level = _ENOUGH * float(negligible) / float(weights.sum()) if used.any() else 0.0
        loss, of_groups = self.original.loss_function, self.small.outer(tf.float64)
        shift, is_minimum = separate.minima(loss, of_groups, level)
        shift = np.where(used[:, np.newaxis] & np.isfinite(shift), shift, 0.0)
        return shift, bool(np.isfinite(radius) or is_minimum[used].all())

    def _values(self, columns):
        """F at the start of each column."""
        u = columns.start.numpy().astype(np.float64)
        value, _ = certified(self.small.linear_map.action, self.small.loss_function)(
            self.small.linear_map.tensors,
            self.small.outer(tf.float64),
            columns.weights,
            tf.constant(u),
            columns.radius,
            tf.zeros(len(u), tf.float64),
        )
        return value.numpy()

    def lift(self, summary: Summary) -> Summary:
        """What was found for the small problem, as found for the original: U = A^T s."""
        linear_map = self.original.linear_map
        multipliers = tf.constant(self._multipliers(summary.u.astype(np.float64)))
        u = apply(linear_map.action)[1](linear_map.tensors, multipliers).numpy()
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


def _directions(loss, components):
    """Orthonormal columns: what of p_L outputs the loss depends on (Helmert's, or all)."""
    if not loss.ignores_common_shift:
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
