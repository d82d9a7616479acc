"""Losses that are a mean over output components, each of one output and one target."""

import abc
import dataclasses

import numpy as np
import tensorflow as tf

from nta_tf.losses.base import Loss


class Componentwise(Loss):
    """loss(f, y) = mean_k l(f_k, y_k) over the p_L components, as Keras has it."""

    @abc.abstractmethod
    def component(
        self, outputs: tf.Tensor, targets: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """l and its first two derivatives in the output, element by element."""

    def __call__(self, outputs: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
        outputs = tf.convert_to_tensor(outputs)
        value, _, _ = self.component(outputs, tf.cast(targets, outputs.dtype))
        return tf.reduce_mean(value, axis=-1)

    def evaluate(
        self, outputs: tf.Tensor, targets: tf.Tensor, weights: tf.Tensor, shift: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        components = tf.cast(tf.shape(shift)[-1], shift.dtype)
        moved = outputs[:, tf.newaxis] + shift[..., tf.newaxis]
        value, slope, curvature = self.component(moved, targets[:, tf.newaxis])
        weights = weights[:, tf.newaxis, tf.newaxis] / components
        return (
            tf.reduce_sum(weights * value, axis=(2, 3)),
            tf.reduce_sum(weights * slope, axis=3),
            tf.linalg.diag(tf.reduce_sum(weights * curvature, axis=3)),
        )


@dataclasses.dataclass(frozen=True)
class Huber(Componentwise):
    """Squared error up to `delta`, linear beyond: r^2 / 2, or delta (|r| - delta / 2)."""

    name = "huber"
    delta: float = 1.0

    def component(
        self, outputs: tf.Tensor, targets: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        residual = outputs - targets
        slope = tf.clip_by_value(residual, -self.delta, self.delta)
        inside = tf.abs(residual) <= self.delta
        value = slope * (residual - slope / 2)
        return value, slope, tf.cast(inside, residual.dtype)


@dataclasses.dataclass(frozen=True)
class BinaryCrossEntropy(Componentwise):
    """Cross-entropy of a label for each output, from logits: log(1 + e^f) - y f."""

    name = "binary_cross_entropy"

    def component(
        self, outputs: tf.Tensor, targets: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        probability = tf.sigmoid(outputs)
        # Of the label's side only: log(1 + e^f) - f cancels where f is large.
        value = targets * tf.nn.softplus(-outputs) + (1 - targets) * tf.nn.softplus(outputs)
        return value, probability - targets, probability * tf.sigmoid(-outputs)

    def check_targets(self, targets: np.ndarray, components: int) -> None:
        super().check_targets(targets, components)
        _check_range(self.name, targets, 0, 1)


@dataclasses.dataclass(frozen=True)
class Poisson(Componentwise):
    """Poisson deviance / 2 of counts, from the logarithm of the rate: e^f - y f, less its least.

    Keras takes the rate itself, in which the loss is only defined where it is positive.
    """

    name = "poisson"

    def component(
        self, outputs: tf.Tensor, targets: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        rate = tf.exp(outputs)
        value = rate - targets * outputs + tf.math.xlogy(targets, targets) - targets
        return tf.maximum(value, tf.zeros_like(value)), rate - targets, rate

    def check_targets(self, targets: np.ndarray, components: int) -> None:
        super().check_targets(targets, components)
        _check_range(self.name, targets, 0, np.inf)


def _check_range(name, targets, low, high):
    if targets.size and (targets.min() < low or targets.max() > high):
        raise ValueError(
            f"Targets for {name!r} must lie between {low} and {high}. "
            f"Received: targets from {targets.min():.4g} to {targets.max():.4g}"
        )
