"""What a convex loss is to the package: a function of outputs and targets, and its derivatives."""

import abc
import math
from collections.abc import Sequence
from typing import ClassVar

import numpy as np
import tensorflow as tf


class Loss(abc.ABC):
    """A convex loss of an example's outputs; calling it gives one loss an example.

    The solvers see it as the outer function of a group g of E examples that move together,
    phi_g(z) = sum_i w_gi loss(outputs_gi + z, targets_gi), through `prepare` and `evaluate`.
    There examples are the last axis: sums over the p_L components are then several times
    faster than along rows.

    Attributes:
        name: Under which it is registered.
        ignores_common_shift: Whether it stays the same where all outputs of an example rise
            together.
    """

    name: str
    ignores_common_shift: ClassVar[bool] = False

    @abc.abstractmethod
    def __call__(self, outputs: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
        """One loss an example, (...,), of outputs (..., p_L)."""

    def prepare(self, outputs: tf.Tensor, targets: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Outputs and targets as `evaluate` wants them, computed in float64.

        Args:
            outputs: (groups, E, p_L).
            targets: The same shape.

        Returns:
            Two tensors (groups, E, p_L).
        """
        return outputs, targets

    @abc.abstractmethod
    def evaluate(
        self, outputs: tf.Tensor, targets: tf.Tensor, weights: tf.Tensor, shift: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Value, gradient and Hessian of phi_g at the shifts z.

        Args:
            outputs: (groups, p_L, E), as prepared.
            targets: (groups, p_L, E), as prepared.
            weights: w, (groups, E).
            shift: z, (groups, columns, p_L).

        Returns:
            Tensors of shape (groups, columns), (groups, columns, p_L) and
            (groups, columns, p_L, p_L).
        """

    def recedes(self, targets: tf.Tensor, shift: tf.Tensor) -> tf.Tensor | None:
        """How far z is from a direction in which no example's loss ever rises.

        Args:
            targets: (groups, p_L, E), as prepared.
            shift: Directions, (groups, columns, p_L).

        Returns:
            (columns, groups): zero where the loss of no example of the group rises along z,
            below zero by how fast it does; None where only z = 0 is such a direction.
        """
        del targets, shift
        return None

    def as_rows(self, targets: np.ndarray, shape: Sequence[int]) -> np.ndarray:
        """Targets flattened to (B, p_L) where it is clear which belongs to which output."""
        components = math.prod(shape)
        flat = targets.shape[1:] == (components,)
        if flat or targets.ndim < 1 or targets.size != len(targets) * components:
            return targets
        alike = [n for n in targets.shape[1:] if n != 1] == [n for n in shape if n != 1]
        # Axes of another order have the same size: only flat outputs leave the order to the user.
        return targets.reshape(-1, components) if alike or len(shape) == 1 else targets

    def check_targets(self, targets: np.ndarray, components: int) -> None:
        """Raises unless the targets, one an example, fit the loss and p_L."""
        check_shape(self.name, targets, components)


def check_shape(name: str, targets: np.ndarray, components: int, also: str = "") -> None:
    """Raises unless the targets are finite and have shape (examples, components)."""
    expected = (len(targets), components)
    if targets.shape != expected:
        raise ValueError(
            f"Targets for {name!r} must have shape {expected}{also}. "
            f"Received: targets of shape {targets.shape} and dtype {targets.dtype}"
        )
    if not np.isfinite(targets).all():
        raise ValueError("The targets hold NaN or infinite values; remove them first.")
