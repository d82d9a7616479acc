"""Quadratic Taylor losses: what the mean squared error makes of the recorded rounds."""

import dataclasses

import numpy as np


@dataclasses.dataclass(frozen=True)
class Quadratic:
    """F(V) = constant + 2 <gradient, V> + sum_b <V_b, H_b V_b> over blocks of weights.

    For the mean squared error that is the cumulative Taylor loss. A layer or a neuron is one
    block; the output layer has a block for each output, which may all share one H.

    Attributes:
        hessian: H, (1 or blocks, p, p), symmetric, positive semi-definite.
        gradient: (blocks, p).
        constant: Scalar.
        precision: Relative precision of the numbers in `hessian`; eigenvalues below
            `p * precision` times the largest count as zero.
        centre: C, (blocks, p): centre of the balls, and the point to which the minimiser is
            closest where it is not unique. None is zero.

    Raises:
        ValueError: If the shapes do not fit.

    Example:

    >>> import numpy as np
    >>> import nta_tf as nta
    >>> problem = nta.solvers.Quadratic(np.eye(2)[None], np.array([[-3.0, 0.0]]), 9.0)
    >>> problem.value(np.array([[3.0, 0.0]]))
    0.0
    >>> nta.solvers.minimize(problem, radius=1.0).loss
    4.0
    """

    hessian: np.ndarray
    gradient: np.ndarray
    constant: float
    precision: float = np.finfo(np.float64).eps
    centre: np.ndarray | None = None

    def __post_init__(self) -> None:
        gradient = np.asarray(self.gradient)
        centre = np.zeros(gradient.shape) if self.centre is None else self.centre
        object.__setattr__(self, "centre", np.asarray(centre, np.float64))
        blocks, size = gradient.shape if gradient.ndim == 2 else (-1, -1)
        fits = np.shape(self.hessian) in ((1, size, size), (blocks, size, size))
        if not fits or self.centre.shape != gradient.shape:
            raise ValueError(
                "The gradient and the centre must have shape (blocks, p), and the Hessian "
                f"(1 or blocks, p, p). Received: gradient {gradient.shape}, centre "
                f"{self.centre.shape}, Hessian {np.shape(self.hessian)}"
            )

    def __add__(self, other: "Quadratic") -> "Quadratic":
        """The sum of both; its centre is that of the first."""
        return Quadratic(
            self.hessian + other.hessian,
            self.gradient + other.gradient,
            self.constant + other.constant,
            max(self.precision, other.precision),
            self.centre,
        )

    @property
    def is_finite(self) -> bool:
        """Whether all its numbers are finite."""
        parts = (self.hessian, self.gradient, self.constant)
        return all(np.isfinite(part).all() for part in parts)

    def value(self, weights: np.ndarray) -> float:
        """F(V) at weights of the shape of `gradient`."""
        return self.value_and_slope(weights)[0]

    def slope(self, weights: np.ndarray) -> np.ndarray:
        """grad F(V) at weights of the shape of `gradient`."""
        return self.value_and_slope(weights)[1]

    def value_and_slope(self, weights: np.ndarray) -> tuple[float, np.ndarray]:
        """F(V) and grad F(V) at weights of the shape of `gradient`, by one product with H."""
        if len(self.hessian) == 1:
            product = weights @ self.hessian[0].T
        else:
            product = np.matmul(self.hessian, weights[..., np.newaxis])[..., 0]
        value = self.constant + np.sum(weights * (self.gradient * 2 + product))
        return float(value), 2 * (self.gradient + product)


class Rounding:
    """What float64 may do to a quadratic near its centre.

    Args:
        quadratic: A `Quadratic`.
        largest: Its largest curvature.
        distance: From the centre, up to which F is looked at.

    Attributes:
        of_curvature: Error of <u, H u> for a unit vector u.
        of_slope: Length of the error of grad F.
        of_value: Error of F.
    """

    def __init__(self, quadratic: Quadratic, largest: float, distance: float) -> None:
        # A product of p terms errs by p units of roundoff, eps / 2, at most.
        relative = quadratic.gradient.shape[1] * np.finfo(np.float64).eps / 2
        reach = float(np.linalg.norm(quadratic.centre)) + distance
        slope = float(np.linalg.norm(quadratic.gradient))
        self.of_curvature = relative * largest
        self.of_slope = 2 * relative * (largest * reach + slope)
        self.of_value = relative * (
            (largest * reach + 2 * slope) * reach + abs(float(quadratic.constant))
        )
