"""Minimum of a quadratic on the sphere of a ball, by products with H alone (Lanczos).

Where the ball is felt, the damping that keeps V inside makes the problem well-conditioned, and the
space of a few dozen products holds the minimum to rounding; what it lacks is in the certificate.
"""

import math

import numpy as np
from scipy.linalg import eigh_tridiagonal

from nta_tf.solvers.local import Local
from nta_tf.solvers.spectrum import boundary_damping, damped

_STEPS, _EVERY = 120, 20
# The gap that is aimed at, of F at the centre: certificates have the rounding of F anyway.
_GAP = 1e-14
# A curvature's own error is the square of this.
_TOP = 1e-7
# Where less damping holds V in the ball, it does not dwarf what counts as no curvature.
_CLEAR = 1e3


def largest_curvature(local: Local) -> float:
    """The largest curvature of H, to the square root of float64's precision or better.

    Args:
        local: A `Local` quadratic.

    Returns:
        The largest eigenvalue of H.
    """
    # The slope at the centre may not know of it; a random direction does.
    start = np.random.default_rng(0).normal(size=(1, local.slope.shape[1]))
    return KrylovSpace(local, start).largest()


class KrylovSpace:
    """The space of start, H start, H^2 start, ..., in a basis that makes H tridiagonal.

    Args:
        local: A `Local` quadratic.
        start: (blocks, n). Defaults to half of the slope at the centre.
    """

    def __init__(self, local: Local, start: np.ndarray | None = None) -> None:
        start = local.slope if start is None else start
        self._local, self._shape = local, start.shape
        self._length = float(np.linalg.norm(start))
        self._basis = np.zeros((0, start.size))
        self._diagonal: list[float] = []
        self._beside: list[float] = []
        self._next = start.ravel() / (self._length or 1.0)
        self._ended = self._length == 0

    def largest(self) -> float:
        """The largest curvature that it holds, once it is known to rounding."""
        while True:
            self._extend(_EVERY // 2)
            values, vectors = self._ritz()
            if not len(values):
                return 0.0
            error = self._beside[-1] * abs(vectors[-1, -1])
            if error <= _TOP * values[-1] or self._is_full:
                return max(float(values[-1]), 0.0)

    def step_to_boundary(self, radius: float) -> np.ndarray | None:
        """The u that minimises F over a ball whose boundary it lies on; of a start at the slope.

        Args:
            radius: Of the ball, positive and finite.

        Returns:
            u, (blocks, n); None if the space does not hold it, or the ball may hold the
            free minimum.
        """
        while True:
            self._extend(_EVERY)
            values, vectors = self._ritz()
            if not len(values):
                return None
            values, slope = np.maximum(values, 1e-300), self._length * vectors[0]
            gap = math.inf
            if np.linalg.norm(slope / values) > radius:
                damping = boundary_damping(values, slope, radius)
                step = vectors @ damped(values, slope, damping)
                # That of a step whose length is right: slope and step are nearly parallel.
                gap = (self._beside[-1] * step[-1]) ** 2 / damping / (abs(self._local.start) or 1)
            if gap <= _GAP or (self._ended and math.isfinite(gap)):
                if damping < _CLEAR * self._local.cut(self._local.most_curvature):
                    return None
                u = (step * (radius / np.linalg.norm(step))) @ self._basis
                return u.reshape(self._shape)
            if self._is_full or self._is_slow(gap):
                return None

    def _is_slow(self, gap):
        """Whether the steps left will not do, at the pace so far."""
        done = len(self._diagonal)
        return done >= 2 * _EVERY and gap > _GAP ** (done / _STEPS)

    @property
    def _is_full(self):
        return self._ended or len(self._diagonal) >= _STEPS

    def _ritz(self):
        return eigh_tridiagonal(self._diagonal, self._beside[:-1])

    def _extend(self, count):
        new = np.zeros((count, self._basis.shape[1]))
        old, self._basis = len(self._basis), np.concatenate([self._basis, new])
        for row in range(old, old + count):
            if self._ended:
                break
            self._basis[row] = vector = self._next
            image = self._local.times(vector.reshape(self._shape)).ravel()
            self._diagonal.append(float(vector @ image))
            known = self._basis[: row + 1]
            for _ in range(2):
                image -= (known @ image) @ known
            beside = float(np.linalg.norm(image))
            self._beside.append(beside)
            self._ended = beside <= 1e-14 * max(self._diagonal)
            self._next = image / (beside or 1.0)
        self._basis = self._basis[: len(self._diagonal)]
