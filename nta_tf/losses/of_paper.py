"""The two losses of the paper, on the outputs of a network before any softmax.

`keras.losses` would cast float64 predictions to float32 (its loss classes compute in
`floatx`) and clip probabilities; these two plain functions keep the dtype they are given.
"""

import math
from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from nta_tf.losses.base import Loss, check_shape

_ROUNDING = 1e-4  # of rows of targets that sum to one


def mean_squared_error(outputs: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
    """Squared error of each example, averaged over the output components.

    This is the autoencoder's loss of section 2.4, in Keras's convention: the mean, not the
    sum, over the p_L components.

    Args:
        outputs: Tensor of shape (..., p_L).
        targets: Tensor of the same shape.

    Returns:
        Tensor of shape (...,), one loss an example.
    """
    return tf.reduce_mean(tf.math.squared_difference(outputs, targets), axis=-1)


def cross_entropy(outputs: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
    """Cross-entropy of each example, from logits.

    This is the convnet's loss of section 2.4. It is convex in the logits, which is what
    Theorem 2 asks of a loss.

    Args:
        outputs: Logits of shape (..., p_L).
        targets: Integer labels of shape (...,), or one-hot rows of shape (..., p_L).

    Returns:
        Tensor of shape (...,), one loss an example.
    """
    outputs, targets = tf.convert_to_tensor(outputs), tf.convert_to_tensor(targets)
    if targets.dtype.is_integer and targets.shape.rank == outputs.shape.rank - 1:
        return tf.nn.sparse_softmax_cross_entropy_with_logits(labels=targets, logits=outputs)
    return tf.nn.softmax_cross_entropy_with_logits(
        labels=tf.cast(targets, outputs.dtype), logits=outputs
    )


class MeanSquaredError(Loss):
    """`mean_squared_error` as a `Loss`: `"mse"`."""

    name = "mse"

    def __call__(self, outputs: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
        return mean_squared_error(outputs, targets)

    def prepare(self, outputs: tf.Tensor, targets: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        return outputs - targets, targets

    def evaluate(
        self, outputs: tf.Tensor, targets: tf.Tensor, weights: tf.Tensor, shift: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        components = tf.cast(tf.shape(shift)[-1], shift.dtype)
        residual = outputs[:, tf.newaxis] + shift[..., tf.newaxis]
        weighted = weights[:, tf.newaxis, tf.newaxis] * residual
        value = tf.reduce_sum(weighted * residual, axis=(2, 3)) / components
        gradient = 2 * tf.reduce_sum(weighted, axis=3) / components
        curvature = 2 * tf.reduce_sum(weights, axis=1)[:, tf.newaxis, tf.newaxis] / components
        return value, gradient, tf.linalg.diag(curvature * tf.ones_like(gradient))


class CrossEntropy(Loss):
    """`cross_entropy` as a `Loss`: `"cross_entropy"`, from logits.

    The logit of the label is subtracted first, in float64, so that logits of size 1e3 cost no
    precision later: lse(x) of logits x minus the label's is the loss, and never cancels.
    """

    name = "cross_entropy"
    ignores_common_shift = True

    def __call__(self, outputs: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
        return cross_entropy(outputs, targets)

    def prepare(self, outputs: tf.Tensor, targets: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        return outputs - tf.reduce_sum(outputs * targets, axis=-1, keepdims=True), targets

    def evaluate(
        self, outputs: tf.Tensor, targets: tf.Tensor, weights: tf.Tensor, shift: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        of_label = tf.matmul(shift, targets)  # (groups, columns, E)
        logits = outputs[:, tf.newaxis] + shift[..., tf.newaxis] - of_label[:, :, tf.newaxis]
        largest = tf.reduce_max(logits, axis=2, keepdims=True)
        exponentials = tf.exp(logits - largest)
        total = tf.reduce_sum(exponentials, axis=2, keepdims=True)
        of_example = weights[:, tf.newaxis, tf.newaxis]  # (groups, 1, 1, E)
        value = tf.reduce_sum(of_example * (tf.math.log(total) + largest), axis=(2, 3))
        probabilities = exponentials / total
        weighted = of_example * probabilities
        mass = tf.reduce_sum(weighted, axis=3)
        of_targets = tf.reduce_sum(weights[:, tf.newaxis] * targets, axis=2)
        products = tf.matmul(weighted, probabilities, transpose_b=True)
        return value, mass - of_targets[:, tf.newaxis], tf.linalg.diag(mass) - products

    def recedes(self, targets: tf.Tensor, shift: tf.Tensor) -> tf.Tensor:
        """The label's logit minus the largest: the label grows at least as fast as the others."""
        of_label = tf.matmul(shift, targets)  # (groups, columns, E)
        return tf.transpose(tf.reduce_min(of_label, axis=2) - tf.reduce_max(shift, axis=2))

    def as_rows(self, targets: np.ndarray, shape: Sequence[int]) -> np.ndarray:
        if targets.ndim and targets.shape[1:] in ((), (1,)) and math.prod(shape) > 1:
            labels = targets.reshape(-1)
            if np.issubdtype(labels.dtype, np.integer):
                return labels
            if np.issubdtype(labels.dtype, np.floating) and (labels == np.floor(labels)).all():
                return labels.astype(np.int64)  # as Keras takes them, too
        return super().as_rows(targets, shape)

    def check_targets(self, targets: np.ndarray, components: int) -> None:
        if components < 2:
            raise ValueError(
                "The cross-entropy of one output is always zero: 'cross_entropy' needs an output "
                f"for each class, 'binary_cross_entropy' takes one. Received: {components} output"
            )
        if np.issubdtype(targets.dtype, np.integer) and targets.ndim == 1:
            _check_labels(targets, components)
            return
        check_shape(self.name, targets, components, " or be integer labels")
        sums = targets.sum(axis=1, dtype=np.float64)
        if len(targets) and (np.abs(sums - 1).max() > _ROUNDING or targets.min() < 0):
            raise ValueError(
                "Targets for 'cross_entropy' are probabilities: no row may hold a negative number "
                "and each must sum to one. For several labels an example, or for one output, take "
                f"'binary_cross_entropy'. Received: rows that sum to {sums.min():.4g} up to "
                f"{sums.max():.4g}, numbers from {targets.min():.4g}"
            )


def _check_labels(labels, components):
    if not len(labels):
        return
    lowest, highest = int(labels.min()), int(labels.max())
    if lowest < 0 or highest >= components:
        raise ValueError(
            f"Labels must lie between 0 and {components - 1}, for a network with "
            f"{components} outputs. Received: labels from {lowest} to {highest}"
        )
