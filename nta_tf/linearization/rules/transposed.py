"""Transposed convolutions."""

from __future__ import annotations

from collections.abc import Sequence

import keras
import tensorflow as tf

from nta_tf.linearization.rules.base import Rule
from nta_tf.linearization.rules.patches import patches
from nta_tf.linearization.rules.registry import register


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

        def of_example(pair):  # patches of J are as many times larger as the kernel has places
            rows, inputs = pair
            windows = patches(
                rows, layer.kernel_size, layer.strides, layer.dilation_rate, layer.padding
            )
            inputs = tf.reshape(inputs, (windows.shape[1], -1))
            if neuron is not None:
                return tf.einsum("kpqa,p->kqa", windows, inputs[:, neuron])
            return tf.einsum("kpqa,pj->kqaj", windows, inputs)

        tensor = tf.map_fn(of_example, (jacobian, layer_input), fn_output_signature=jacobian.dtype)
        lead = (tf.shape(jacobian)[0], jacobian.shape[1])
        return tf.reshape(tensor, (*lead, *(shape if neuron is None else shape[:-1])))


register(keras.layers.Conv1DTranspose, TransposedRule())
register(keras.layers.Conv2DTranspose, TransposedRule())
register(keras.layers.Conv3DTranspose, TransposedRule())
