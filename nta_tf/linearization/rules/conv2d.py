"""Two-dimensional convolutions."""

import keras
import numpy as np
import tensorflow as tf

from nta_tf.linearization.rules.base import Rule
from nta_tf.linearization.rules.registry import register


class Conv2DRule(Rule):
    """Conv2D layers, channels last: the kernel has shape (kh, kw, c_in / groups, c_out).

    Neurons are filters. Any strides, dilation and padding; in a grouped convolution a
    filter sees the channels of its group alone.
    """

    def refusal(self, layer):
        if layer.data_format != "channels_last":
            return "its data_format is channels_first; use channels_last"
        return super().refusal(layer)

    def linear_map(self, layer, inputs, kernel, neurons=None):
        # One convolution a group: TensorFlow cannot differentiate grouped ones on CPUs.
        groups = self._groups(layer, neurons)
        mapped = [
            keras.ops.conv(
                self._channels(layer, inputs, group),
                kernel if places is None else tf.gather(kernel, places, axis=-1),
                strides=layer.strides,
                padding=layer.padding,
                data_format="channels_last",
                dilation_rate=layer.dilation_rate,
            )
            for group, places in groups
        ]
        if len(mapped) == 1:
            return mapped[0]
        order = np.argsort(np.concatenate([places for _, places in groups]))
        mapped = tf.concat(mapped, axis=-1)
        if (order == np.arange(len(order))).all():
            return mapped
        return tf.gather(mapped, order, axis=-1)

    def gradient_tensor(self, layer, jacobian, layer_input, neuron=None):
        batch, components = tf.shape(jacobian)[0], tf.shape(jacobian)[1]
        if neuron is not None:
            tensor = self.columns(layer, jacobian, layer_input, [neuron])
            return tf.reshape(tensor, (batch, components, *layer.kernel.shape[:-1]))
        flat = tf.reshape(jacobian, (batch, components, -1, layer.filters))
        tensors = []
        for group, rows in enumerate(tf.split(flat, layer.groups, axis=-1)):
            patches = self._patches(layer, self._channels(layer, layer_input, group))
            tensors.append(tf.matmul(patches[:, tf.newaxis], rows, transpose_a=True))
        tensor = tensors[0] if len(tensors) == 1 else tf.concat(tensors, axis=-1)
        return tf.reshape(tensor, (batch, components, *layer.kernel.shape))

    def columns(self, layer, jacobian, layer_input, neurons):
        batch, components = tf.shape(jacobian)[0], tf.shape(jacobian)[1]
        neurons, columns = np.asarray(neurons), []
        for group, places in self._groups(layer, neurons):
            seen = neurons if places is None else neurons[places]
            patches = self._patches(layer, self._channels(layer, layer_input, group))
            rows = tf.einsum("bkhwa->bkahw", tf.gather(jacobian, seen, axis=-1))
            rows = tf.reshape(rows, (batch, -1, tf.shape(patches)[1]))
            columns.append(tf.reshape(tf.matmul(rows, patches), (batch, components, -1)))
        return columns[0] if len(columns) == 1 else tf.concat(columns, axis=-1)

    def _groups(self, layer, neurons):
        """For each group its number and where its neurons lie in `neurons`; None is all."""
        if layer.groups == 1:
            return [(0, None)]
        neurons = np.arange(layer.filters) if neurons is None else np.asarray(neurons)
        group_of = neurons // (layer.filters // layer.groups)
        return [(group, np.flatnonzero(group_of == group)) for group in np.unique(group_of)]

    def _channels(self, layer, inputs, group):
        """The channels that the filters of a group see."""
        if layer.groups == 1:
            return inputs
        width = inputs.shape[-1] // layer.groups
        return inputs[..., group * width : (group + 1) * width]

    def _patches(self, layer, inputs):
        """What the filters see at each position: (B, positions, kh * kw * channels)."""
        patches = tf.image.extract_patches(
            inputs,
            sizes=(1, *layer.kernel_size, 1),
            strides=(1, *layer.strides, 1),
            rates=(1, *layer.dilation_rate, 1),
            padding=layer.padding.upper(),
        )
        return tf.reshape(patches, (tf.shape(patches)[0], -1, patches.shape[-1]))


register(keras.layers.Conv2D, Conv2DRule())
