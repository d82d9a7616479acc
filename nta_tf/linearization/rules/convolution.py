"""Convolutions in one, two and three dimensions."""

from __future__ import annotations

from collections.abc import Sequence

import keras
import numpy as np
import tensorflow as tf

from nta_tf.linearization.rules.base import Rule
from nta_tf.linearization.rules.patches import patches
from nta_tf.linearization.rules.registry import register


class ConvolutionRule(Rule):
    """Convolutions, channels last: the kernel has shape (*size, c_in / groups, c_out).

    Neurons are filters. Any strides, dilation and padding; in a grouped convolution a
    filter sees the channels of its group alone.
    """

    cost = "a matrix product an output, with what the filters see"

    def refusal(self, layer: keras.layers.Layer) -> str | None:
        if layer.data_format != "channels_last":
            return "its data_format is channels_first; use channels_last"
        return super().refusal(layer)

    def linear_map(
        self,
        layer: keras.layers.Layer,
        inputs: tf.Tensor,
        kernel: tf.Tensor,
        neurons: Sequence[int] | None = None,
    ) -> tf.Tensor:
        # One convolution a group: TensorFlow cannot differentiate grouped ones on CPUs.
        groups = self._groups(layer, neurons)
        padding, inputs = layer.padding, keras.ops.convert_to_tensor(inputs)
        if padding == "causal":
            before = (layer.kernel_size[0] - 1) * layer.dilation_rate[0]
            padding, inputs = "valid", tf.pad(inputs, [(0, 0), (before, 0), (0, 0)])
        mapped = [
            keras.ops.conv(
                self._channels(layer, inputs, group),
                kernel if places is None else tf.gather(kernel, places, axis=-1),
                strides=layer.strides,
                padding=padding,
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

    def gradient_tensor(
        self,
        layer: keras.layers.Layer,
        jacobian: tf.Tensor,
        layer_input: tf.Tensor,
        neuron: int | None = None,
    ) -> tf.Tensor:
        batch, components = tf.shape(jacobian)[0], tf.shape(jacobian)[1]
        if neuron is not None:
            tensor = self.columns(layer, jacobian, layer_input, [neuron])
            return tf.reshape(tensor, (batch, components, *layer.kernel.shape[:-1]))
        flat = tf.reshape(jacobian, (batch, components, -1, layer.filters))
        tensors = []
        for group, rows in enumerate(tf.split(flat, layer.groups, axis=-1)):
            # Turned once, and not again in the product of every output.
            turned = self._turned_windows(layer, self._channels(layer, layer_input, group))
            tensors.append(tf.matmul(turned[:, tf.newaxis], rows))
        tensor = tensors[0] if len(tensors) == 1 else tf.concat(tensors, axis=-1)
        return tf.reshape(tensor, (batch, components, *layer.kernel.shape))

    def columns(
        self,
        layer: keras.layers.Layer,
        jacobian: tf.Tensor,
        layer_input: tf.Tensor,
        neurons: Sequence[int],
    ) -> tf.Tensor:
        batch, components = tf.shape(jacobian)[0], tf.shape(jacobian)[1]
        wanted, columns = np.asarray(neurons), []
        flat = tf.reshape(jacobian, (batch, components, -1, layer.filters))
        for group, places in self._groups(layer, wanted):
            seen = wanted if places is None else wanted[places]
            windows = self._windows(layer, self._channels(layer, layer_input, group))
            rows = tf.reshape(tf.gather(flat, seen, axis=-1), (batch, components, -1, len(seen)))
            rows = tf.reshape(tf.einsum("bkpa->bkap", rows), (batch, -1, tf.shape(windows)[1]))
            columns.append(tf.reshape(tf.matmul(rows, windows), (batch, components, -1)))
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

    def _windows(self, layer, inputs):
        """What the filters see at each position: (B, positions, size * channels)."""
        windows = patches(
            inputs, layer.kernel_size, layer.strides, layer.dilation_rate, layer.padding
        )
        return tf.reshape(windows, (-1, windows.shape[1], windows.shape[2] * windows.shape[3]))

    @staticmethod
    def _turned_windows(layer, inputs):
        """The same with positions last: (B, size * channels, positions)."""
        geometry = (layer.kernel_size, layer.strides, layer.dilation_rate, layer.padding)
        windows = patches(inputs, *geometry, turned=True)
        return tf.reshape(windows, (-1, windows.shape[1] * windows.shape[2], windows.shape[3]))


register(keras.layers.Conv1D, ConvolutionRule())
register(keras.layers.Conv3D, ConvolutionRule())
