"""The two losses of the paper, on the outputs of a network before any softmax.

`keras.losses` would cast float64 predictions to float32 (its loss classes compute in
`floatx`) and clip probabilities; these two plain functions keep the dtype they are given.
"""

import numpy as np
import tensorflow as tf


def mean_squared_error(outputs, targets):
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


def cross_entropy(outputs, targets):
    """Cross-entropy of each example, from logits.

    This is the convnet's loss of section 2.4. It is convex in the logits, which is what
    Theorem 2 asks of a loss.

    Args:
        outputs: Logits of shape (..., p_L).
        targets: Integer labels of shape (...,), or one-hot rows of shape (..., p_L).

    Returns:
        Tensor of shape (...,), one loss an example.
    """
    targets = tf.convert_to_tensor(targets)
    if targets.dtype.is_integer and targets.shape.rank == outputs.shape.rank - 1:
        return tf.nn.sparse_softmax_cross_entropy_with_logits(labels=targets, logits=outputs)
    return tf.nn.softmax_cross_entropy_with_logits(
        labels=tf.cast(targets, outputs.dtype), logits=outputs
    )


def accuracy(outputs, targets):
    """Share of examples whose largest output is that of their class.

    Args:
        outputs: Logits of shape (..., p_L).
        targets: Integer labels of shape (...,), or one-hot rows of shape (..., p_L).

    Returns:
        A scalar tensor of the dtype of `outputs`.

    Example:

    >>> import nta_tf as nta
    >>> nta.losses.accuracy([[1.0, 3.0], [2.0, 0.0]], [1, 1]).numpy()
    np.float32(0.5)
    """
    outputs, targets = tf.convert_to_tensor(outputs), tf.convert_to_tensor(targets)
    labels = targets if targets.shape.rank < outputs.shape.rank else tf.argmax(targets, -1)
    right = tf.equal(tf.argmax(outputs, -1), tf.cast(labels, tf.int64))
    return tf.reduce_mean(tf.cast(right, outputs.dtype))


LOSSES = {"mse": mean_squared_error, "cross_entropy": cross_entropy}


def get(loss):
    """The per-example loss function of that name.

    Args:
        loss: `"mse"` or `"cross_entropy"`.

    Returns:
        A function of (outputs, targets) that returns one loss an example.

    Raises:
        ValueError: If the name is not one of the two.

    Example:

    >>> import nta_tf as nta
    >>> nta.losses.get("mse")([[1.0, 3.0]], [[0.0, 0.0]]).numpy()
    array([5.], dtype=float32)
    """
    if loss not in LOSSES:
        raise ValueError(f"The loss must be one of {sorted(LOSSES)}. Received: loss={loss!r}")
    return LOSSES[loss]


def check_targets(loss, targets, examples, components):
    """Raises a clear error unless the targets fit the loss and the network.

    Args:
        loss: `"mse"` or `"cross_entropy"`.
        targets: NumPy array of targets, first axis the examples.
        examples: How many examples the inputs have.
        components: p_L, the number of output components of the network.

    Raises:
        ValueError: If there are too many or too few targets, their shape does not fit, a
            label is out of range, or a value is not finite.
    """
    get(loss)
    if targets.shape[:1] != (examples,):
        raise ValueError(
            f"There must be one target an example: {examples} of them. "
            f"Received: targets of shape {targets.shape}"
        )
    integer_labels = np.issubdtype(targets.dtype, np.integer) and targets.ndim == 1
    if loss == "cross_entropy" and integer_labels:
        _check_labels(targets, components)
    elif targets.shape != (examples, components):
        raise ValueError(
            f"Targets for {loss!r} must have shape ({examples}, {components})"
            + (" or be integer labels" if loss == "cross_entropy" else "")
            + f". Received: targets of shape {targets.shape} and dtype {targets.dtype}"
        )
    elif not np.isfinite(targets).all():
        raise ValueError("The targets hold NaN or infinite values; remove them first.")


def _check_labels(labels, components):
    lowest, highest = int(labels.min()), int(labels.max())
    if lowest < 0 or highest >= components:
        raise ValueError(
            f"Labels must lie between 0 and {components - 1}, for a network with "
            f"{components} outputs. Received: labels from {lowest} to {highest}"
        )
