"""H of a quadratic as a Cholesky factor and the few directions in which it is hardly curved.

A spectrum says everything about H, and takes ten times as long as a factor. Of all curvatures only
those below the cut matter one by one: they are found by subspace iteration with the inverse.
"""

import math

import numpy as np
from scipy import linalg
from scipy.linalg import lapack

from nta_tf.solvers.local import Local
from nta_tf.solvers.quadratic import Rounding

# H + shift is factored, which is positive definite in float64 as well.
_SHIFT = 1 / 16
# Directions are iterated on up to this multiple of the cut: the wider, the faster they converge.
_MARGIN = 8.0
# A larger share of all directions takes as long as the spectrum.
_MOST = 1 / 12
_FIRST, _ITERATIONS = 12, 30
# How exactly directions below the cut are told from those above, of the cut, and of the largest
# curvature, beside which nothing is more exact.
_ANGLE, _ROUNDING = 1e-5, 1e-15


class NearNull:
    """The same evidence as a `Spectrum`, where few directions are not curved.

    Made by `find`. Attributes as of `Spectrum`.
    """

    def __init__(self, local, largest, cut, factor, values, vectors):
        self._local, self.largest, self._factor = local, largest, factor
        flat = values <= cut
        self._vectors = vectors[:, flat]
        # What is left of H between these directions and all others.
        off = local.hessian[0] @ self._vectors - self._vectors * values[flat]
        self._residual = float(np.linalg.norm(off))
        curved = values[~flat]
        self._least = max(cut, 0.9 * float(curved.min()))  # it is known to a tenth at least
        self.rank = len(factor) - self._vectors.shape[1]
        flat_slope = float(np.linalg.norm(local.slope @ self._vectors))
        self.slope_without_curvature = math.hypot(flat_slope, local.dead_slope)
        self.gain_without_curvature = self.slope_without_curvature**2 / cut

    def free_step(self) -> np.ndarray:
        """The u nearest to the centre that minimises F, (1, n)."""
        step, residual = np.zeros_like(self._local.slope), self._curved(self._local.slope)
        length = np.linalg.norm(residual)
        for _ in range(_ITERATIONS):
            change = self._curved(solve(self._factor, residual))
            step -= change
            residual = self._curved(self._local.slope + self._local.times(step))
            before, length = length, np.linalg.norm(residual)
            if length > before / 4:  # rounding is all that is left
                break
        return step

    def steepness(self, slope: np.ndarray, reach: float, rounding: Rounding) -> float:
        """Square root of a bound on what F can fall along curved directions, as of `Spectrum`."""
        least = max(self._least - rounding.of_curvature, self._least / 2)
        steep = float(np.linalg.norm(self._curved(slope)))
        # What curved directions gain on the way along the others, from which they are not quite
        # separate.
        steep += 2 * self._residual * reach
        return (steep + rounding.of_slope) / (2 * math.sqrt(least))

    def _curved(self, u):
        """Without the part along directions that are not curved."""
        for _ in range(2):
            u = u - (u @ self._vectors) @ self._vectors.T
        return u


def find(local: Local, largest: float) -> NearNull | None:
    """Factors H, and finds the directions in which it is not curved.

    Args:
        local: A `Local` quadratic of one block.
        largest: Its largest curvature.

    Returns:
        A `NearNull`, or None where it would take as long as a `Spectrum`, or H is not positive
        semi-definite up to rounding.
    """
    cut = local.cut(largest)
    if not cut > 0:
        return None
    shift = _SHIFT * cut
    factor, failed = lapack.dpotrf(
        shifted(local.hessian[0], shift), lower=1, clean=0, overwrite_a=1
    )
    if failed:
        return None
    found = _below(factor, shift, cut, _ROUNDING * largest)
    if found is None:
        return None
    return NearNull(local, largest, cut, factor, *_rayleigh_ritz(local.hessian[0], found))


def shifted(hessian: np.ndarray, shift: float) -> np.ndarray:
    """H + shift, in the order of LAPACK."""
    matrix = np.array(hessian.T, order="F")
    matrix.flat[:: len(matrix) + 1] += shift
    return matrix


def solve(factor: np.ndarray, u: np.ndarray) -> np.ndarray:
    """(H + shift)^-1 u of rows u."""
    return lapack.dpotrs(factor, u.T, lower=1)[0].T


def _below(factor, shift, cut, rounding):
    """An orthonormal basis, by rows, that holds all directions with curvature up to the cut."""
    size = len(factor)
    most, rng = min(size, max(_FIRST, int(size * _MOST))), np.random.default_rng(0)
    small_pivots = np.count_nonzero(np.diagonal(factor) ** 2 - shift < _MARGIN * cut)
    if small_pivots > most:
        return None
    basis = _orthonormal(rng.normal(size=(min(small_pivots + _FIRST, most), size)))
    for _ in range(_ITERATIONS):
        image = solve(factor, basis)
        inverse, mixed = np.linalg.eigh(basis @ image.T)
        # Never less than the true ones.
        curvature = 1 / np.maximum(inverse, 1e-300) - shift
        image, directions = mixed.T @ image, mixed.T @ basis
        image /= np.linalg.norm(image, axis=1, keepdims=True)
        cosines = np.sum(image * directions, axis=1, keepdims=True)
        residual = np.linalg.norm(directions - image * cosines, axis=1) * (curvature + shift)
        if curvature.max() < _MARGIN * cut:
            if len(basis) == most:
                return None
            more = rng.normal(size=(min(len(basis), most - len(basis)), size))
            image = np.concatenate([image, more])
        elif _is_settled(curvature, residual, cut, rounding):
            return _orthonormal(image)
        basis = _orthonormal(image)
    return None


def _is_settled(curvature, residual, cut, rounding):
    """Whether directions below the cut are known, and that there are no more of them."""
    below = curvature <= 1.2 * cut
    lowest_above = np.argmin(np.where(below, np.inf, curvature))
    return (residual[below] <= max(_ANGLE * cut, rounding)).all() and (
        residual[lowest_above] <= 0.1 * curvature[lowest_above]
    )


def _orthonormal(rows):
    """A basis of the same space, by Cholesky, which suffices for rows that are nearly so."""
    for _ in range(2):
        gram = rows @ rows.T
        try:
            lower = np.linalg.cholesky(gram)
        except np.linalg.LinAlgError:
            return np.linalg.qr(rows.T)[0].T.copy()
        rows = linalg.solve_triangular(lower, rows, lower=True, check_finite=False)
    return rows


def _rayleigh_ritz(hessian, basis):
    """Curvatures and directions, by columns, of H within a space."""
    inside = basis @ (hessian @ basis.T)
    values, mixed = np.linalg.eigh((inside + inside.T) / 2)
    return values, basis.T @ mixed
