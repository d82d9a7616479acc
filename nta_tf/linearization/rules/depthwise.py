"""Depthwise and separable convolutions."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import keras
import tensorflow as tf

from nta_tf.linearization.rules.base import Reveal, Rule
from nta_tf.linearization.rules.patches import patches
from nta_tf.linearization.rules.registry import register


class DepthwiseRule(Rule):
    """Depthwise convolutions, channels last: the kernel has shape (*size, c_in, multiplier).

    Each channel is convolved with filters of its own. An index on the last axis of the kernel
    stands for one filter of every channel.
    """

    cost = "a product for each channel, with what its filters see"

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
        return keras.ops.depthwise_conv(
            inputs,
            kernel,
            strides=layer.strides,
            padding=layer.padding,
            data_format="channels_last",
            dilation_rate=layer.dilation_rate,
        )

    def gradient_tensor(
        self,
        layer: keras.layers.Layer,
        jacobian: tf.Tensor,
        layer_input: tf.Tensor,
        neuron: int | None = None,
    ) -> tf.Tensor:
        shape = self.weight(layer).shape
        windows = patches(
            layer_input, layer.kernel_size, layer.strides, layer.dilation_rate, layer.padding
        )
        lead = (tf.shape(jacobian)[0], jacobian.shape[1])
        rows = tf.reshape(jacobian, (*lead, windows.shape[1], *shape[-2:]))
        if neuron is not None:
            tensor = tf.einsum("bpqc,bkpc->bkqc", windows, rows[..., neuron])
            return tf.reshape(tensor, (*lead, *shape[:-1]))
        tensor = tf.einsum("bpqc,bkpcm->bkqcm", windows, rows)
        return tf.reshape(tensor, (*lead, *shape))


class SeparableRule(DepthwiseRule):
    """The depthwise half of a separable convolution; the pointwise half is another part."""

    attribute = "depthwise_kernel"
    bias_attribute = None

    def parts(self) -> dict[str, Rule]:
        return {self.attribute: self, "pointwise_kernel": _POINTWISE}

    def call(
        self,
        layer: keras.layers.Layer,
        inputs: tf.Tensor,
        reveal: Reveal,
        original: Callable[[], tf.Tensor],
    ) -> tf.Tensor:
        kernel = keras.ops.convert_to_tensor(layer.depthwise_kernel)
        inputs = reveal(self.attribute, inputs, self.linear_map(layer, inputs, kernel))
        return _POINTWISE.call(layer, inputs, reveal, original)


class PointwiseRule(Rule):
    """The pointwise half: a matrix of channels, at every position."""

    attribute = "pointwise_kernel"
    cost = "a matrix product an output"

    def linear_map(
        self,
        layer: keras.layers.Layer,
        inputs: tf.Tensor,
        kernel: tf.Tensor,
        neurons: Sequence[int] | None = None,
    ) -> tf.Tensor:
        return keras.ops.matmul(inputs, tf.reshape(kernel, kernel.shape[-2:]))

    def gradient_tensor(
        self,
        layer: keras.layers.Layer,
        jacobian: tf.Tensor,
        layer_input: tf.Tensor,
        neuron: int | None = None,
    ) -> tf.Tensor:
        batch, components = tf.shape(jacobian)[0], jacobian.shape[1]
        shape = self.weight(layer).shape
        rows = tf.reshape(jacobian, (batch, components, -1, shape[-1]))
        inputs = tf.reshape(layer_input, (batch, -1, shape[-2]))
        if neuron is not None:
            tensor = tf.matmul(rows[..., neuron], inputs)
            return tf.reshape(tensor, (batch, components, *shape[:-1]))
        tensor = tf.einsum("bkpa,bpj->bkja", rows, inputs)
        return tf.reshape(tensor, (batch, components, *shape))


_POINTWISE = PointwiseRule()

register(keras.layers.DepthwiseConv1D, DepthwiseRule())
register(keras.layers.DepthwiseConv2D, DepthwiseRule())
register(keras.layers.SeparableConv1D, SeparableRule())
register(keras.layers.SeparableConv2D, SeparableRule())
