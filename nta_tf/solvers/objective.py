"""The objective F and its Frank-Wolfe gap, as every solver and certificate computes them.

F(U) = sum_g weight_g phi_g((A U)_g) for the displacement U = V - C, with phi_g of `outer`.
Everything runs on columns: candidates, or problems that differ in the weights of their groups.
"""

import math

import numpy as np
import tensorflow as tf

from nta_tf.solvers import outer

# Without a ball, the certificate speaks of the ball of so many times the distance of V.
REACH = 2.0


class Objective:
    """F of several columns, within a graph.

    Args:
        action: Action of the linear map A.
        loss: A `Loss`.
        tensors: Tensors of the linear map.
        outer_tensors: What `outer.prepare` returned.
        weights: Weights of the groups, (columns, groups), float64.
    """

    def __init__(self, action, loss, tensors, outer_tensors, weights) -> None:
        self.action, self.loss = action, loss
        self.tensors, self.outer, self.weights = tensors, outer_tensors, weights

    def shift(self, u: tf.Tensor) -> tf.Tensor:
        """A U, (columns, groups, p_L), of U (columns, P)."""
        return self.action.forward(self.tensors, u)

    def at_shift(self, shift: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """F (columns,) in float64, its gradient and its Hessian in the shifts, group by group."""
        value, gradient, hessian = outer.evaluate(self.loss, self.outer, shift)
        weights = tf.cast(self.weights, shift.dtype)
        return (
            tf.reduce_sum(self.weights * tf.cast(value, tf.float64), axis=1),
            weights[..., tf.newaxis] * gradient,
            weights[..., tf.newaxis, tf.newaxis] * hessian,
        )

    def slope(self, gradient: tf.Tensor) -> tf.Tensor:
        """grad F in U, (columns, P), from the gradient in the shifts."""
        return self.action.adjoint(self.tensors, gradient)

    def value_and_slope(self, u: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """F (columns,) in float64 and grad F (columns, P)."""
        value, gradient, _ = self.at_shift(self.shift(u))
        return value, self.slope(gradient)


def length(vectors: tf.Tensor) -> tf.Tensor:
    """Euclidean length of each row, in float64."""
    return tf.norm(tf.cast(vectors, tf.float64), axis=1)


def natural_length(value: tf.Tensor, slope: tf.Tensor, u: tf.Tensor) -> tf.Tensor:
    """Distance at which the linear model of F reaches zero: a scale where there is no ball."""
    return tf.maximum(length(u), tf.math.divide_no_nan(value, length(slope)))


def reach(u: tf.Tensor, radius: tf.Tensor, natural: tf.Tensor) -> tf.Tensor:
    """Radius of the ball for which the gap speaks: D, or without one twice the distance of V."""
    distance = length(u)
    without_ball = tf.where(distance > 0, REACH * distance, natural)
    return tf.where(tf.math.is_inf(radius), without_ball, radius)


def gap_on_balls(slope: tf.Tensor, u: tf.Tensor, radius: tf.Tensor) -> tf.Tensor:
    """<grad F, U> + radius ||grad F|| of each column, float64, and zero where rounding is below."""
    slope, u = tf.cast(slope, tf.float64), tf.cast(u, tf.float64)
    inner = tf.reduce_sum(slope * u, axis=1)
    return tf.maximum(inner + radius * length(slope), tf.zeros_like(inner))


def frank_wolfe_gap(gradient: np.ndarray, displacement: np.ndarray, radius: float) -> float:
    """Upper bound on F(V) - min F over a ball, for any convex F.

    Args:
        gradient: grad F(V), any shape.
        displacement: V - C, the same shape.
        radius: D, the radius of the ball.

    Returns:
        `<gradient, displacement> + radius * ||gradient||`, a float; what rounding leaves below
        zero for a V in the ball is zero.

    Raises:
        ValueError: If the radius is not finite.

    Example:

    >>> import numpy as np
    >>> import nta_tf as nta
    >>> at_minimum = np.array([-1.0, 0.0])  # F(V) = V[0] on the unit ball, V = (-1, 0)
    >>> nta.solvers.frank_wolfe_gap(np.array([1.0, 0.0]), at_minimum, radius=1.0)
    0.0
    """
    if not math.isfinite(radius):
        raise ValueError(f"The radius must be finite. Received: radius={radius}")
    slope, u = (np.ravel(part).astype(np.float64) for part in (gradient, displacement))
    return max(float(slope @ u + radius * np.linalg.norm(slope)), 0.0)
