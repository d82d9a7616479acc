"""Transposed convolutions."""

from __future__ import annotations

import math
from collections.abc import Sequence

import keras
import tensorflow as tf

from nta_tf.linearization.rules.base import Rule
from nta_tf.linearization.rules.patches import patches
from nta_tf.linearization.rules.registry import register

_TOGETHER = 2**27  # bytes of patches that are made of all examples at once


class TransposedRule(Rule):
    """Transposed convolutions, channels last: the kernel has shape (*size, c_out, c_in).

    They are adjoint to convolutions, so J_l and x_{l-1} change places: patches are cut from
    J_l. An index on the last axis of the kernel is a channel of the input.
    """

    cost = "a matrix product an output, with patches of J"

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
        return keras.ops.conv_transpose(
            inputs,
            kernel,
            strides=list(layer.strides),
            padding=layer.padding,
            output_padding=layer.output_padding,
            dilation_rate=layer.dilation_rate,
            data_format="channels_last",
        )

    def gradient_tensor(
        self,
        layer: keras.layers.Layer,
        jacobian: tf.Tensor,
        layer_input: tf.Tensor,
        neuron: int | None = None,
    ) -> tf.Tensor:
        shape = self.weight(layer).shape
        lead = (tf.shape(jacobian)[0], jacobian.shape[1])
        if jacobian.shape[0] is not None and self._bytes(layer, jacobian, layer_input) <= _TOGETHER:
            tensor = self._of_examples(layer, jacobian, layer_input, neuron)
        else:  # patches of J are as many times larger as the kernel has places
            tensor = tf.map_fn(
                lambda pair: self._of_examples(layer, pair[0][None], pair[1][None], neuron)[0],
                (jacobian, layer_input),
                fn_output_signature=jacobian.dtype,
            )
        return tf.reshape(tensor, (*lead, *(shape if neuron is None else shape[:-1])))

    def _of_examples(self, layer, jacobian, layer_input, neuron):
        batch, components = jacobian.shape[:2]
        rows = tf.reshape(jacobian, (batch * components, *jacobian.shape[2:]))
        windows = patches(
            rows, layer.kernel_size, layer.strides, layer.dilation_rate, layer.padding
        )
        windows = tf.reshape(windows, (batch, components, *windows.shape[1:]))
        inputs = tf.reshape(layer_input, (batch, windows.shape[2], -1))
        if neuron is not None:
            return tf.einsum("bkpqa,bp->bkqa", windows, inputs[..., neuron])
        return tf.einsum("bkpqa,bpj->bkqaj", windows, inputs)

    def _bytes(self, layer, jacobian, layer_input):
        """What patches of J of all examples take."""
        positions = math.prod(layer_input.shape[1:-1]) * math.prod(layer.kernel_size)
        return math.prod(jacobian.shape[:2]) * positions * layer.filters * jacobian.dtype.size


register(keras.layers.Conv1DTranspose, TransposedRule())
register(keras.layers.Conv2DTranspose, TransposedRule())
register(keras.layers.Conv3DTranspose, TransposedRule())
