"""Gradients whose size is normalized away, the hypothesis of section 3.2 on exploration."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from nta_tf import losses
from nta_tf._types import ArrayLike, Structure
from nta_tf.linearization.taps import TappedModel


def signed_gradient(gradient: Structure) -> tf.Tensor | list | tuple | dict:
    """sign(g), coordinatewise: the update of RProp (section 3.2).

    Observation 3: if no coordinate of g is zero, sign(g) maximizes ||x||_1 over the x in
    the cube max |x_i| <= 1 with <x, g> >= 0. It is a maximizer and not the only one: every
    corner of the cube with <x, g> >= 0 has the same norm. Among them it is the one, and the
    only one, with the largest inner product, <sign(g), g> = ||g||_1 > 0, so that a small step
    against it decreases the loss. A coordinate that is zero stays zero, and then sign(g) is
    no maximizer.

    Args:
        gradient: A gradient, an array or tensor of any shape; a list, tuple or dictionary of
            them, one a variable, for a whole network.

    Returns:
        A tensor of the same shape and dtype; as many of them in the same structure.

    Raises:
        ValueError: If a gradient holds NaN or infinite values.

    Example:

    >>> import nta_tf as nta
    >>> nta.exploration.signed_gradient([0.5, 0.0, -0.001]).numpy()
    array([ 1.,  0., -1.], dtype=float32)
    """
    return _map(lambda one: tf.sign(_checked(one)), gradient)


def rms_normalized_gradient(gradients: Structure) -> tf.Tensor | list | tuple | dict:
    """sum_d g_d / sqrt(sum_d g_d^2), coordinatewise (section 3.2).

    This is how RMSProp approximates the signed gradient from a minibatch. It is the signed
    gradient where only one example has a gradient, lies between -sqrt(D) and sqrt(D), and
    reaches these where all gradients are equal; where they contradict each other it is
    small. Like the signed gradient, it does not depend on the gradients' scale. A coordinate
    in which all gradients are zero gives 0.

    Args:
        gradients: Gradients of D examples, stacked on the first axis, (D, ...); a list, tuple
            or dictionary of such stacks, one a variable, as of `example_gradients`.

    Returns:
        A tensor (...,) of the same dtype; as many of them in the same structure.

    Raises:
        ValueError: If there is no axis of examples or no example, or gradients hold NaN or
            infinite values.

    Example:

    >>> import numpy as np
    >>> import nta_tf as nta
    >>> gradients = np.array([[3.0, 1.0, 0.0], [3.0, -1.0, 0.0], [3.0, 0.0, 0.0]])
    >>> nta.exploration.rms_normalized_gradient(gradients).numpy()
    array([1.73205081, 0.        , 0.        ])
    """
    return _map(_rms_normalized, gradients)


def example_gradients(
    model: keras.Model, x: ArrayLike, y: ArrayLike, loss: Any = "mse"
) -> dict[str, tf.Tensor]:
    """The gradient of the loss of every single example of a minibatch (equation 2).

    One backward pass gives the backpropagated errors delta_l of all examples; the gradient
    with respect to a kernel is delta_l (x) x_{l-1}. The mean over the first axis is the
    gradient of the minibatch's loss. The network runs in inference mode.

    Args:
        model: A `keras.Model`, as for `nta.linearize`.
        x: A batch of inputs, (D, ...).
        y: Targets, as for `nta.taylor_loss`.
        loss: A loss, as for `nta.train`.

    Returns:
        A dictionary from `"layer/kernel"` and `"layer/bias"`, of all Dense and Conv2D layers,
        to a tensor (D, *shape of the variable).

    Raises:
        ValueError: If inputs or targets do not fit the model, or the model has no kernel.
        NotImplementedError: If the model has kernels that cannot be linearized.

    Example:

    >>> import nta_tf as nta
    >>> model = nta.models.autoencoder(seed=0)
    >>> digits = nta.data.load("sample").x[:4].reshape(4, 784)
    >>> gradients = nta.exploration.example_gradients(model, digits, digits)
    >>> gradients["dense_3/kernel"].shape
    TensorShape([4, 30, 20])
    >>> update = nta.exploration.rms_normalized_gradient(gradients)
    >>> update["dense_3/kernel"].shape
    TensorShape([30, 20])
    """
    tapped = TappedModel(model)
    inputs = tapped.checked(x)
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        outputs, layer_inputs, preactivations = tapped(inputs, watch=tape.watch)
        loss = losses.get(loss)
        rows = losses.as_rows(loss, np.asarray(y), outputs.shape)
        losses.check_targets(loss, rows, *outputs.shape)
        targets = tf.convert_to_tensor(rows)
        if not targets.dtype.is_integer or loss.name == "mse":
            targets = tf.cast(targets, outputs.dtype)
        example_losses = loss(outputs, targets)
    errors = tape.gradient(
        example_losses, preactivations, unconnected_gradients=tf.UnconnectedGradients.ZERO
    )
    gradients = {}
    for name, tap in tapped.taps.items():
        # The error has the place of a Jacobian tensor with a single output, the loss.
        error = errors[name][:, tf.newaxis]
        kernel_gradient = tap.rule.gradient_tensor(tap.layer, error, layer_inputs[name])
        gradients[f"{name}/kernel"] = kernel_gradient[:, 0]
        if tap.layer.use_bias:
            positions = list(range(1, errors[name].shape.rank - 1))
            gradients[f"{name}/bias"] = tf.reduce_sum(errors[name], axis=positions)
    return gradients


def _rms_normalized(gradients):
    gradients = _checked(gradients)
    if gradients.shape.rank == 0 or gradients.shape[0] == 0:
        raise ValueError(
            "Gradients of at least one example must be stacked on the first axis, (D, ...). "
            f"Received: gradients of shape {tuple(gradients.shape)}"
        )
    # The quotient does not depend on the scale, but squares of small gradients would vanish.
    largest = tf.reduce_max(tf.abs(gradients), axis=0)
    scaled = tf.math.divide_no_nan(gradients, largest)
    squares = tf.reduce_sum(tf.square(scaled), axis=0)
    return tf.math.divide_no_nan(tf.reduce_sum(scaled, axis=0), tf.sqrt(squares))


def _checked(gradient):
    """The gradient as a tensor of floats, without NaN and infinities."""
    tensor = tf.convert_to_tensor(gradient)
    if not tensor.dtype.is_floating:
        tensor = tf.cast(tensor, keras.config.floatx())
    if not np.isfinite(keras.ops.convert_to_numpy(tensor)).all():
        raise ValueError(
            "The gradients hold NaN or infinite values: the training has diverged. Take the "
            "gradients of an earlier step."
        )
    return tensor


def _map(function, structure):
    """The function on a gradient, or on each gradient of a list, tuple or dictionary."""
    if isinstance(structure, dict):
        return {name: function(gradient) for name, gradient in structure.items()}
    several = isinstance(structure, (list, tuple)) and any(np.ndim(one) for one in structure)
    # A list of numbers is one gradient, as NumPy would read it.
    if several:
        return type(structure)(function(gradient) for gradient in structure)
    return function(structure)
