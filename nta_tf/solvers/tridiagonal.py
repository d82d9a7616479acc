"""H of one block as Q T Q^T with a tridiagonal T, and the directions in which it is flat.

Once T is known, all eigenvectors would take as long again, and only those that count as flat are
needed: for the others, a solution with T says as much, in the time that it takes to read T.
"""

import math

import numpy as np
from scipy.linalg import eigh_tridiagonal, eigvalsh_tridiagonal, lapack

from nta_tf.solvers.curvatures import Curvatures
from nta_tf.solvers.local import Local
from nta_tf.solvers.quadratic import Rounding

# T + shift is what is solved with, of the least curvature that counts: each solution leaves one
# part in seventeen of the error at most, and flat directions stay harmless.
_SHIFT = 1 / 16
_ITERATIONS = 30
# Columns that LAPACK takes at a time.
_BLOCK = 64


class Tridiagonal(Curvatures):
    """The same as a `Spectrum` of one large block, in less time.

    Args:
        local: A `Local` quadratic of one block.
    """

    def __init__(self, local: Local) -> None:
        size = local.slope.shape[1]
        packed, self._diagonal, self._beside, self._scales, _ = lapack.dsytrd(
            local.hessian[0].T, lower=1, lwork=_BLOCK * size
        )
        self._reflectors = _below_diagonal(packed)
        super().__init__(local, np.array([self._eigenvalue(0), self._eigenvalue(size - 1)]))
        self._flat = self._directions_up_to(self.cut)
        flat = self._flat.shape[1]
        self._least = self._eigenvalue(flat) if flat < size else math.inf  # of those that count
        slope = self._in_its_basis(local.slope)
        self._slope = self._curved(slope)
        self._free_step = self._damped(0.0)
        self._count(size - flat, float(np.linalg.norm(slope @ self._flat)))

    def steepness(self, slope: np.ndarray, reach: float, rounding: Rounding | None = None) -> float:
        if not self.rank:
            return 0.0
        steep, shift = self._curved(self._in_its_basis(slope)), _SHIFT * self.cut
        square = float(steep @ self._solved(steep, shift)) / 4
        # A curvature is wrong by the rounding of H at most, and by no more than a half.
        error, of_slope = (rounding.of_curvature, rounding.of_slope) if rounding else (0.0, 0.0)
        certain = max(self._least - error, self._least / 2)
        # What the shift, and curvatures that are that much less, change at most.
        square *= (1 + shift / self._least) * self._least / certain
        return math.sqrt(max(square, 0.0)) + of_slope / (2 * math.sqrt(certain))

    def _damped(self, damping):
        shift = _SHIFT * self.cut
        if damping >= shift:
            return -self._solved(self._slope, damping)
        # T + damping may be singular where T is flat: what each solution with more leaves is less.
        step, residual = np.zeros_like(self._slope), self._slope
        length = np.linalg.norm(residual)
        for _ in range(_ITERATIONS):
            step = step - self._solved(residual, shift)
            residual = self._curved(self._slope + self._times(step) + damping * step)
            before, length = length, np.linalg.norm(residual)
            if length > before / 4:  # rounding is all that is left
                break
        return step

    def _solved(self, u, damping):
        """(T + damping)^-1 u of a u without flat parts."""
        *factors, _ = lapack.dgttrf(self._beside, self._diagonal + damping, self._beside)
        return self._curved(lapack.dgttrs(*factors, u)[0])

    def _times(self, u):
        """T u."""
        product = self._diagonal * u
        product[1:] += self._beside * u[:-1]
        product[:-1] += self._beside * u[1:]
        return product

    def _curved(self, u):
        """Without the part along flat directions."""
        for _ in range(2):
            u = u - self._flat @ (u @ self._flat)
        return u

    def _eigenvalue(self, place):
        """The one at that place among the eigenvalues of T, which rise."""
        return float(
            eigvalsh_tridiagonal(
                self._diagonal, self._beside, select="i", select_range=(place, place)
            )[0]
        )

    def _directions_up_to(self, curvature):
        """Eigenvectors of T of all eigenvalues up to a curvature, as columns."""
        lowest = -1.0 - 2 * abs(self._eigenvalue(0))
        return eigh_tridiagonal(
            self._diagonal, self._beside, select="v", select_range=(lowest, curvature)
        )[1]

    def _in_its_basis(self, u):
        return self._reflected(u[0], "T")

    def _from_its_basis(self, u):
        return self._reflected(u, "N")[np.newaxis]

    def _reflected(self, u, transposed):
        # Q leaves the first number as it is: it comes last here, for `_below_diagonal`.
        column = np.roll(u, -1)[:, np.newaxis]
        column = lapack.dormqr(
            "L", transposed, self._reflectors, self._scales, column, _BLOCK + _BLOCK**2
        )[0]
        return np.roll(column[:, 0], 1)


def _below_diagonal(packed):
    """Columns below the diagonal, where LAPACK leaves the reflectors of Q, without a copy.

    Each ends with the first number of the next column, which no reflector may see.
    """
    size = len(packed)
    packed[0, 1:] = 0.0
    return packed.ravel(order="K")[1 : 1 + size * (size - 1)].reshape((size, size - 1), order="F")
