"""The Taylor loss as a function of the shift z = A U of a group's outputs.

The cumulative Taylor loss is an outer convex function of few numbers a group (the shift,
p_L of them) after a linear map of many weights. Everything that depends on the loss is
here: value, gradient and Hessian of

    phi_g(z) = sum_i loss(outputs_gi + z, targets_gi)

for all groups g and several columns c (candidates, or prefixes) at once. Examples are the
last axis: sums over the p_L components are then several times faster than along rows.
"""

import tensorflow as tf

from nta_tf import losses


def prepare(loss, outputs, targets, dtype):
    """What `evaluate` needs of a problem: outputs relative to their targets, and targets.

    For the cross-entropy the logit of the label is subtracted here, in float64, so that
    logits of size 1e3 cost no precision later.

    Args:
        loss: `"cross_entropy"` or `"mse"`.
        outputs: (groups, E, p_L), float64.
        targets: (groups, E) integer labels, or (groups, E, p_L).
        dtype: In which `evaluate` will compute.

    Returns:
        Two tensors of shape (groups, p_L, E).
    """
    losses.get(loss)
    components = tf.shape(outputs)[-1]
    if targets.dtype.is_integer and targets.shape.rank == 2:
        targets = tf.one_hot(targets, components, dtype=outputs.dtype)
    targets = tf.cast(targets, outputs.dtype)
    if loss == "mse":
        relative = outputs - targets
    else:
        relative = outputs - tf.reduce_sum(outputs * targets, axis=-1, keepdims=True)
    return tuple(tf.cast(tf.transpose(part, (0, 2, 1)), dtype) for part in (relative, targets))


def evaluate(loss, outer, shift):
    """Value, gradient and Hessian of phi_g at the shifts.

    Args:
        loss: `"cross_entropy"` or `"mse"`.
        outer: What `prepare` returned.
        shift: (columns, groups, p_L).

    Returns:
        Tensors of shape (columns, groups), (columns, groups, p_L) and
        (columns, groups, p_L, p_L).
    """
    shift = tf.transpose(shift, (1, 0, 2))
    compute = _cross_entropy if loss == "cross_entropy" else _mean_squared_error
    value, gradient, hessian = compute(*outer, shift)
    return (
        tf.transpose(value),
        tf.transpose(gradient, (1, 0, 2)),
        tf.transpose(hessian, (1, 0, 2, 3)),
    )


def _cross_entropy(relative, targets, shift):
    """lse(x) with x the logits minus the label's: it is the loss, and never cancels."""
    of_label = tf.matmul(shift, targets)  # (groups, columns, E)
    logits = relative[:, tf.newaxis] + shift[..., tf.newaxis] - of_label[:, :, tf.newaxis]
    largest = tf.reduce_max(logits, axis=2, keepdims=True)
    exponentials = tf.exp(logits - largest)
    total = tf.reduce_sum(exponentials, axis=2, keepdims=True)
    value = tf.reduce_sum(tf.math.log(total) + largest, axis=(2, 3))
    probabilities = exponentials / total
    mass = tf.reduce_sum(probabilities, axis=3)
    gradient = mass - tf.reduce_sum(targets, axis=2)[:, tf.newaxis]
    products = tf.matmul(probabilities, probabilities, transpose_b=True)
    return value, gradient, tf.linalg.diag(mass) - products


def _mean_squared_error(relative, targets, shift):
    components = tf.cast(tf.shape(shift)[-1], shift.dtype)
    examples = tf.cast(tf.shape(relative)[-1], shift.dtype)
    residual = relative[:, tf.newaxis] + shift[..., tf.newaxis]
    value = tf.reduce_sum(residual**2, axis=(2, 3)) / components
    gradient = 2 * tf.reduce_sum(residual, axis=3) / components
    curvature = tf.fill(tf.shape(gradient), 2 * examples / components)
    return value, gradient, tf.linalg.diag(curvature)


def recedes(loss, outer, shift, weights):
    """Whether z is a direction in which the loss never rises, however far one goes.

    For the cross-entropy: the label's logit grows at least as fast as every other, in each
    example of a group that counts. The mean squared error has no such direction but zero.

    Args:
        loss: `"cross_entropy"` or `"mse"`.
        outer: What `prepare` returned.
        shift: Directions, (columns, groups, p_L).
        weights: (columns, groups); groups of weight zero do not count.

    Returns:
        Boolean tensor of shape (columns,).
    """
    if loss == "mse":
        return tf.zeros(tf.shape(shift)[:1], tf.bool)
    targets = outer[1]
    by_group = tf.transpose(shift, (1, 0, 2))
    of_label = tf.transpose(tf.matmul(by_group, targets), (1, 0, 2))  # (columns, groups, E)
    margin = tf.reduce_min(of_label, axis=2) - tf.reduce_max(shift, axis=2)
    scale = tf.reduce_max(tf.abs(shift), axis=(1, 2))
    # With margin_gi = z_y - max_j z_j <= 0 always, zero is the largest possible value.
    worst = tf.reduce_min(tf.where(weights > 0, margin, tf.zeros_like(margin)), axis=1)
    return (worst >= -1e-6 * scale) & (scale > 0)
