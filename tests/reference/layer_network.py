"""Slow, obvious references for layers in any Keras model, and for one convolution in NumPy."""

import numpy as np
import tensorflow as tf


def gradient_tensor(model, inputs, kernel, example):
    """G_l of one example: the plain gradient of one output of the live model at a time.

    Args:
        model: A Keras model.
        inputs: A list of batches, one an input.
        kernel: The kernel, a Keras variable of the model.
        example: Index of the example.

    Returns:
        NumPy array (p_L, *kernel.shape).
    """
    alone = [tf.constant(x[example : example + 1]) for x in inputs]
    components = int(np.prod(model.output_shape[1:]))
    with tf.GradientTape(persistent=True) as tape:
        row = model(alone if len(alone) > 1 else alone[0], training=False)
        each = [tf.reshape(row, [-1])[component] for component in range(components)]
    zero = tf.UnconnectedGradients.ZERO
    gradients = [tape.gradient(output, kernel.value, unconnected_gradients=zero) for output in each]
    return np.stack([tf.convert_to_tensor(gradient).numpy() for gradient in gradients])


def outputs(model, inputs):
    """Outputs of the live model, example by example, as rows."""
    rows = []
    for example in range(len(inputs[0])):
        alone = [tf.constant(x[example : example + 1]) for x in inputs]
        row = model(alone if len(alone) > 1 else alone[0], training=False)
        rows.append(np.reshape(row, -1))
    return np.stack(rows)


class Convolution:
    """One convolution of one example, channels last, with loops over everything."""

    def __init__(self, strides, padding, dilation, groups):
        self.strides, self.padding = strides, padding
        self.dilation, self.groups = dilation, groups

    def _axis(self, size, length, axis):
        """Number of positions along an axis, and the padding before the first pixel."""
        reach = (length - 1) * self.dilation[axis] + 1
        if self.padding == "valid":
            return (size - reach) // self.strides[axis] + 1, 0
        positions = -(-size // self.strides[axis])
        return positions, max((positions - 1) * self.strides[axis] + reach - size, 0) // 2

    def _terms(self, x, shape):
        """Yields (row, column, filter, kernel index, pixel) of each product in the sum."""
        height, width, per_group, filters = shape
        rows, top = self._axis(x.shape[0], height, 0)
        columns, left = self._axis(x.shape[1], width, 1)
        for row, column, f in np.ndindex(rows, columns, filters):
            first = (f // (filters // self.groups)) * per_group
            for i, j, channel in np.ndindex(height, width, per_group):
                y = row * self.strides[0] + i * self.dilation[0] - top
                z = column * self.strides[1] + j * self.dilation[1] - left
                if 0 <= y < x.shape[0] and 0 <= z < x.shape[1]:
                    yield row, column, f, (i, j, channel, f), x[y, z, first + channel]

    def forward(self, x, kernel):
        """The preactivation without bias, (rows, columns, filters)."""
        rows, _ = self._axis(x.shape[0], kernel.shape[0], 0)
        columns, _ = self._axis(x.shape[1], kernel.shape[1], 1)
        a = np.zeros((rows, columns, kernel.shape[-1]))
        for row, column, f, index, pixel in self._terms(x, kernel.shape):
            a[row, column, f] += kernel[index] * pixel
        return a

    def gradient_tensor(self, x, jacobian, shape):
        """G = J (x) x, (p_L, *shape), for J of shape (p_L, rows, columns, filters)."""
        tensor = np.zeros((len(jacobian), *shape))
        for row, column, f, index, pixel in self._terms(x, shape):
            tensor[(slice(None), *index)] += jacobian[:, row, column, f] * pixel
        return tensor
