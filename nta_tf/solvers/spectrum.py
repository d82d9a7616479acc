"""H of a quadratic in its eigenbasis: all curvatures, and which of them are more than rounding."""

import copy
import math
from typing import Protocol

import numpy as np
from scipy import linalg
from scipy.linalg import lapack
from scipy.optimize import brentq

from nta_tf.solvers.local import Local
from nta_tf.solvers.quadratic import Rounding

# From this size on, applying Q and Z one after the other costs less than their product.
_FACTORED_SIZE = 100


class Basis(Protocol):
    """Eigenvectors of H, applied to vectors (blocks, n)."""

    def components(self, u: np.ndarray) -> np.ndarray:
        """Components in the eigenbasis."""

    def vectors(self, components: np.ndarray) -> np.ndarray:
        """Back to the ordinary basis."""


class Spectrum:
    """H in its eigenbasis: curvatures, and the slope at the centre, by direction.

    Eigenvalues that are smaller than `p * precision` times the largest one, or than twice the
    size of the most negative one (H has no negative eigenvalue in exact arithmetic, so that one
    shows the noise), count as zero.

    Args:
        local: A `Local` quadratic.

    Attributes:
        largest: The largest curvature.
        values: Curvatures, (blocks, n), zero where they are no more than rounding.
        slope: Half of the slope at the centre in directions that are curved, (blocks, n).
        rank: Number of curved directions.
        slope_without_curvature: Half of the slope at the centre in all others, its length.
        gain_without_curvature: What F may fall along them if they are as curved as they can be.
    """

    def __init__(self, local: Local) -> None:
        values, self._basis = decomposed(local.hessian)
        self._local = local
        self.largest = max(float(values.max(initial=0.0)), 0.0)
        noise = max(0.0, -2 * float(values.min(initial=0.0)))
        self._all_values = np.broadcast_to(values, local.slope.shape)
        self._all_slope = self._basis.components(local.slope)
        self._keep(max(local.cut(self.largest), noise))

    def _keep(self, cut):
        """Counts curvature up to the cut as zero, and slope in its directions apart."""
        self.values = np.where(self._all_values > cut, self._all_values, 0.0)
        self.slope = np.where(self.values > 0, self._all_slope, 0.0)
        # Zero but for rounding where H has no curvature at all: a loss that is never negative
        # has no slope without curvature.
        flat = float(np.linalg.norm(self._all_slope - self.slope))
        self.slope_without_curvature = math.hypot(flat, self._local.dead_slope)
        self.gain_without_curvature = self.slope_without_curvature**2 / cut if cut > 0 else 0.0
        self.rank = int(np.count_nonzero(self.values))

    def uncut(self) -> "Spectrum":
        """The same with every direction in which H is curved at all."""
        other = copy.copy(self)
        other._keep(0.0)
        return other

    def step(self, radius: float) -> tuple[np.ndarray, bool]:
        """The u nearest to the centre that minimises F over the ball, (blocks, n).

        Returns:
            u, and whether it lies on the boundary for want of room.
        """
        step = damped(self.values, self.slope, 0.0)
        outside = bool(np.linalg.norm(step) > radius)
        if outside:
            step = step_to_boundary(self.values, self.slope, radius)
        return self._basis.vectors(step), outside

    def steepness(self, slope: np.ndarray, reach: float, rounding: Rounding | None = None) -> float:
        """Square root of what F can fall along curved directions.

        That is sum_i slope_i^2 / 4 curvature_i, exactly.

        Args:
            slope: grad F, (blocks, n).
            reach: How far the other directions are followed.
            rounding: Of the quadratic, or None for none.

        Returns:
            The root.
        """
        curved = self.values > 0
        if not curved.any():
            return 0.0
        values, of_slope = self.values[curved], rounding.of_slope if rounding else 0.0
        # Eigenvalues are known up to the rounding of H; none is wrong by more than a half.
        certain = np.maximum(values - (rounding.of_curvature if rounding else 0.0), values / 2)
        components = self._basis.components(slope)[curved]
        steepness = math.sqrt(np.sum(components**2 / (4 * certain)))
        return steepness + of_slope / (2 * math.sqrt(certain.min()))


def damped(values: np.ndarray, slope: np.ndarray, damping: float) -> np.ndarray:
    """-(H + damping)^-1 slope in the eigenbasis, zero where H counts as zero."""
    return -slope / np.where(values > 0, values + damping, 1.0)


def step_to_boundary(values: np.ndarray, slope: np.ndarray, radius: float) -> np.ndarray:
    """Minimises over a sphere that the free minimum lies outside of, in the eigenbasis.

    Args:
        values: Curvatures, zero where they do not count.
        slope: Half of the slope, of the same shape, zero where they do not count.
        radius: Length of the step.

    Returns:
        The step.
    """
    if radius == 0:
        return np.zeros_like(slope)
    step = damped(values, slope, boundary_damping(values, slope, radius))
    return step * (radius / np.linalg.norm(step))


def boundary_damping(values: np.ndarray, slope: np.ndarray, radius: float) -> float:
    """Solves the secular equation ||(H + damping)^-1 slope|| = radius for the damping."""

    def excess(log_damping):
        length = np.linalg.norm(damped(values, slope, math.exp(log_damping)))
        return 1 / radius - 1 / length  # nearly linear in the damping, so roots come fast

    # With damping >= ||slope|| / radius the step is inside the ball.
    upper = math.log(np.linalg.norm(slope) / radius) + 1e-3
    lower = upper - 1.0
    while excess(lower) < 0 and lower > -700:
        lower -= 2 * (upper - lower)
    return math.exp(brentq(excess, lower, upper, xtol=1e-14, rtol=1e-14))


def decomposed(hessian: np.ndarray) -> tuple[np.ndarray, Basis]:
    """Eigenvalues and eigenvectors of matrices (blocks, n, n).

    Args:
        hessian: Symmetric matrices.

    Returns:
        Eigenvalues (blocks, n), and the `Basis`.
    """
    if len(hessian) == 1 and hessian.shape[-1] >= _FACTORED_SIZE:
        basis = _Factored(hessian[0])
        return basis.values[np.newaxis], basis
    values, vectors = np.linalg.eigh(hessian)
    return values, _Dense(vectors)


class _Dense:
    """Eigenvectors as columns, (1 or blocks, n, n)."""

    def __init__(self, vectors):
        self._vectors = vectors

    def components(self, u):
        return np.matmul(u[:, np.newaxis], self._vectors)[:, 0]

    def vectors(self, components):
        return np.matmul(self._vectors, components[..., np.newaxis])[..., 0]


class _Factored:
    """Eigenvectors of one matrix as a product Q Z that is never made, which would take as long
    as all else: Q makes H tridiagonal, and the columns of Z are eigenvectors of that.
    """

    def __init__(self, hessian):
        size = len(hessian)
        packed, diagonal, beside, self._scales, _ = lapack.dsytrd(
            hessian.T, lower=1, lwork=64 * size
        )
        # Q leaves the first unit vector as it is; on the others it is like that of a QR.
        self._reflectors = np.asfortranarray(packed[1:, :-1])
        self.values, self._z = linalg.eigh_tridiagonal(diagonal, beside, lapack_driver="stevd")

    def components(self, u):
        return self._reflected(u, "T") @ self._z

    def vectors(self, components):
        return self._reflected(components @ self._z.T, "N")

    def _reflected(self, u, transposed):
        columns = np.array(u.T, order="F")
        columns[1:] = lapack.dormqr(
            "L", transposed, self._reflectors, self._scales, columns[1:], 64 * len(u) + 64**2
        )[0]
        return columns.T
