"""What is measured beside the loss."""

import tensorflow as tf


def accuracy(outputs: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
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
