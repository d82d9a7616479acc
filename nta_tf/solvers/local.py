"""A quadratic as the closed form sees it: around its centre, on the weights that H knows."""

import functools
from collections.abc import Iterator

import numpy as np
from threadpoolctl import ThreadpoolController

from nta_tf.solvers.quadratic import Quadratic

# Smaller matrices have their eigenvectors as fast as anything else.
_LARGE = 100


class Local:
    """F(C + u) = start + 2 <slope, u> + <u, H u>.

    Weights of dead rectifiers have no entry in H. They are left out: the time of factorizations
    grows with the cube of what is left.

    Args:
        quadratic: A finite `Quadratic`.

    Attributes:
        quadratic: The quadratic.
        start: F at the centre.
        hessian: Rows and columns of H that are not zero, (1 or blocks, n, n).
        slope: Half of grad F at the centre, (blocks, n).
        dead_slope: Length of its part on the weights that H does not know.
    """

    def __init__(self, quadratic: Quadratic) -> None:
        self.quadratic = quadratic
        self._alive = np.flatnonzero(quadratic.hessian.any(axis=(0, 1)))
        self.start, slope = quadratic.value_and_slope(quadratic.centre)
        self.hessian = _of(quadratic.hessian, self._alive)
        self.slope = slope[:, self._alive] / 2
        self.dead_slope = float(np.linalg.norm(np.delete(slope, self._alive, axis=1))) / 2

    @property
    def is_large(self) -> bool:
        """Whether it is one block of so many weights that H is not worth its eigenvectors."""
        return self.slope.shape[0] == 1 and self.slope.shape[1] >= _LARGE

    def is_all(self, rank: int) -> bool:
        """Whether so many curved directions are all that there are."""
        return rank == self.quadratic.gradient.size

    def weights(self, u: np.ndarray) -> np.ndarray:
        """V = C + u, with weights that H does not know at the centre."""
        weights = self.quadratic.centre.copy()
        weights[:, self._alive] += u
        return weights

    def parts(self, u: np.ndarray) -> np.ndarray:
        """Of weights or slopes those that H knows, (blocks, n)."""
        return u[:, self._alive]

    @functools.cached_property
    def natural_length(self) -> float:
        """Distance at which the slope at the centre would bring F to zero."""
        slope = 2 * float(np.hypot(np.linalg.norm(self.slope), self.dead_slope))
        return abs(self.start) / slope if slope else 0.0

    def cut(self, largest: float) -> float:
        """Curvature that is rounding beside the largest one."""
        return self.quadratic.hessian.shape[-1] * self.quadratic.precision * largest


def one_thread() -> Iterator[None]:
    """Holds the threads of BLAS: beside another job those of one factorization wait for each
    other up to a hundred times as long as it takes, and their number changes its last digits.
    """
    return _threads().limit(limits=1, user_api="blas")


@functools.cache
def _threads():
    return ThreadpoolController()


def _of(hessian, alive):
    """Rows and columns of H that are not zero."""
    if len(alive) == hessian.shape[-1]:
        return hessian
    return hessian[:, alive[:, np.newaxis], alive]
