"""The Taylor loss as a function of the shift z = A U of a group's outputs.

The cumulative Taylor loss is an outer convex function of few numbers a group (the shift,
p_L of them) after a linear map of many weights. Value, gradient and Hessian of

    phi_g(z) = sum_i w_gi loss(outputs_gi + z, targets_gi)

are the loss's own (`losses.Loss`); here they are brought into the solvers' layout, for all
groups g and several columns c (candidates, or prefixes) at once.
"""

from typing import NamedTuple

import tensorflow as tf

from nta_tf.losses import Loss


class Outer(NamedTuple):
    """What a loss needs of a problem; examples are the last axis.

    Attributes:
        outputs: (groups, p_L, E), as the loss prepares them.
        targets: (groups, p_L, E), as the loss prepares them.
        weights: Weight of each example, (groups, E).
    """

    outputs: tf.Tensor
    targets: tf.Tensor
    weights: tf.Tensor


def signature(dtype: tf.DType) -> Outer:
    """Specs of the tensors of all problems."""
    whole = tf.TensorSpec([None, None, None], dtype)
    return Outer(whole, whole, tf.TensorSpec([None, None], dtype))


def prepare(
    loss: Loss, outputs: tf.Tensor, targets: tf.Tensor, weights: tf.Tensor, dtype: tf.DType
) -> Outer:
    """What `evaluate` needs of a problem, prepared in float64.

    Args:
        loss: A `Loss`.
        outputs: (groups, E, p_L), float64.
        targets: (groups, E) integer labels, or (groups, E, p_L).
        weights: (groups, E), float64.
        dtype: In which `evaluate` will compute.
    """
    if targets.dtype.is_integer and targets.shape.rank == 2:
        targets = tf.one_hot(targets, tf.shape(outputs)[-1], dtype=outputs.dtype)
    prepared = loss.prepare(outputs, tf.cast(targets, outputs.dtype))
    by_component = (tf.cast(tf.transpose(part, (0, 2, 1)), dtype) for part in prepared)
    return Outer(*by_component, tf.cast(weights, dtype))


def evaluate(loss: Loss, outer: Outer, shift: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Value, gradient and Hessian of phi_g at the shifts.

    Args:
        loss: A `Loss`.
        outer: What `prepare` returned.
        shift: (columns, groups, p_L).

    Returns:
        Tensors of shape (columns, groups), (columns, groups, p_L) and
        (columns, groups, p_L, p_L).
    """
    value, gradient, hessian = loss.evaluate(*outer, tf.transpose(shift, (1, 0, 2)))
    return (
        tf.transpose(value),
        tf.transpose(gradient, (1, 0, 2)),
        tf.transpose(hessian, (1, 0, 2, 3)),
    )


def recedes(loss: Loss, outer: Outer, shift: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
    """Whether z is a direction in which the loss never rises, however far one goes.

    Args:
        loss: A `Loss`.
        outer: What `prepare` returned.
        shift: Directions, (columns, groups, p_L).
        weights: (columns, groups); groups of weight zero do not count.

    Returns:
        Boolean tensor of shape (columns,).
    """
    margin = loss.recedes(outer.targets, tf.transpose(shift, (1, 0, 2)))
    if margin is None:
        return tf.zeros(tf.shape(shift)[:1], tf.bool)
    scale = tf.reduce_max(tf.abs(shift), axis=(1, 2))
    # Margins are at most zero.
    worst = tf.reduce_min(tf.where(weights > 0, margin, tf.zeros_like(margin)), axis=1)
    return (worst >= -1e-6 * scale) & (scale > 0)
