"""H of a quadratic in its eigenbasis."""

import math

import numpy as np

from nta_tf.solvers.curvatures import Curvatures
from nta_tf.solvers.local import Local
from nta_tf.solvers.quadratic import Rounding


class Spectrum(Curvatures):
    """Curvatures, and the slope at the centre, by direction.

    Args:
        local: A `Local` quadratic.
        all_directions: Whether every direction counts in which H is curved at all.
    """

    def __init__(self, local: Local, all_directions: bool = False) -> None:
        values, self._vectors = np.linalg.eigh(local.hessian)  # (1 or blocks, n, n)
        super().__init__(local, values, all_directions)
        values = np.broadcast_to(values, local.slope.shape)
        self._values = np.where(values > self.cut, values, 0.0)
        slope = self._components(local.slope)
        self._slope = np.where(self._values > 0, slope, 0.0)
        self._free_step = self._damped(0.0)
        self._count(np.count_nonzero(self._values), float(np.linalg.norm(slope - self._slope)))

    def steepness(self, slope: np.ndarray, reach: float, rounding: Rounding | None = None) -> float:
        curved = self._values > 0
        if not curved.any():
            return 0.0
        values, of_slope = self._values[curved], rounding.of_slope if rounding else 0.0
        # Eigenvalues are known up to the rounding of H; none is wrong by more than a half.
        certain = np.maximum(values - (rounding.of_curvature if rounding else 0.0), values / 2)
        components = self._components(slope)[curved]
        steepness = math.sqrt(np.sum(components**2 / (4 * certain)))
        return steepness + of_slope / (2 * math.sqrt(certain.min()))

    def _damped(self, damping):
        return -self._slope / np.where(self._values > 0, self._values + damping, 1.0)

    def _components(self, u):
        return np.matmul(u[:, np.newaxis], self._vectors)[:, 0]

    def _from_its_basis(self, u):
        return np.matmul(self._vectors, u[..., np.newaxis])[..., 0]
