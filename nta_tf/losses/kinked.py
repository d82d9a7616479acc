"""Losses with kinks, where Newton's model fails; each knows a smooth loss that lies below it."""

import dataclasses

import numpy as np
import tensorflow as tf

from nta_tf.losses.base import Loss
from nta_tf.losses.componentwise import Componentwise


class Kinked(Componentwise):
    """A loss of x = f - y, component by component, that grows in proportion to x.

    `smooth` is a loss without kinks below it, by at most 1/2 in each component. Stretched by a
    width, width * smooth(x / width), it lies below by at most width / 2.

    Attributes:
        smooth: The smooth loss, a `Loss` of width one.
    """

    smooth: Loss

    def __call__(self, outputs: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
        outputs = tf.convert_to_tensor(outputs)
        targets = tf.cast(targets, outputs.dtype)
        value, _, _ = self.component(outputs - targets, targets)
        return tf.reduce_mean(value, axis=-1)

    def prepare(self, outputs: tf.Tensor, targets: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        return outputs - targets, targets


class _SmoothAbsoluteError(Kinked):
    name = "smooth_absolute_error"

    def component(
        self, outputs: tf.Tensor, targets: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        slope = tf.clip_by_value(outputs, -1.0, 1.0)
        inside = tf.cast(tf.abs(outputs) <= 1, outputs.dtype)
        return slope * (outputs - slope / 2), slope, inside


class _SmoothHinge(Kinked):
    name = "smooth_hinge"

    def component(
        self, outputs: tf.Tensor, targets: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        missing = -targets * outputs
        slope = tf.clip_by_value(missing, 0.0, 1.0)
        inside = tf.cast((missing >= 0) & (missing <= 1), outputs.dtype)
        return slope * (missing - slope / 2), -targets * slope, targets**2 * inside


@dataclasses.dataclass(frozen=True)
class AbsoluteError(Kinked):
    """Mean absolute error: |f - y|."""

    name = "absolute_error"
    smooth = _SmoothAbsoluteError()

    def component(
        self, outputs: tf.Tensor, targets: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        return tf.abs(outputs), tf.sign(outputs), tf.zeros_like(outputs)


@dataclasses.dataclass(frozen=True)
class Hinge(Kinked):
    """Hinge loss of labels -1 and 1: max(0, 1 - y f)."""

    name = "hinge"
    smooth = _SmoothHinge()

    def component(
        self, outputs: tf.Tensor, targets: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        missing = -targets * outputs
        wrong = tf.cast(missing > 0, outputs.dtype)
        return wrong * missing, -targets * wrong, tf.zeros_like(outputs)

    def check_targets(self, targets: np.ndarray, components: int) -> None:
        super().check_targets(targets, components)
        if not np.isin(targets, (-1, 1)).all():
            raise ValueError(
                "Targets for 'hinge' must be -1 or 1. "
                f"Received: targets from {targets.min():.4g} to {targets.max():.4g}"
            )
