"""Two-dimensional convolutions, which TensorFlow cuts into patches itself."""

from __future__ import annotations

import keras
import tensorflow as tf

from nta_tf.linearization.rules.convolution import ConvolutionRule
from nta_tf.linearization.rules.registry import register


class Conv2DRule(ConvolutionRule):
    """Conv2D layers, channels last: the kernel has shape (kh, kw, c_in / groups, c_out)."""

    def _windows(self, layer, inputs):
        windows = tf.image.extract_patches(
            inputs,
            sizes=(1, *layer.kernel_size, 1),
            strides=(1, *layer.strides, 1),
            rates=(1, *layer.dilation_rate, 1),
            padding=layer.padding.upper(),
        )
        return tf.reshape(windows, (tf.shape(windows)[0], -1, windows.shape[-1]))


register(keras.layers.Conv2D, Conv2DRule())
