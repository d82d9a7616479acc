"""Embeddings: G is zero but in the rows of the tokens that an example holds."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import keras
import tensorflow as tf

from nta_tf.linearization.rules.base import Reveal, Rule
from nta_tf.linearization.rules.registry import register


class EmbeddingRule(Rule):
    """Embedding layers: the table has shape (tokens, width); rows of it are looked up."""

    attribute = "embeddings"
    bias_attribute = None
    cost = "a sum of rows of J by token"

    def linear_map(
        self,
        layer: keras.layers.Layer,
        inputs: tf.Tensor,
        kernel: tf.Tensor,
        neurons: Sequence[int] | None = None,
    ) -> tf.Tensor:
        return tf.gather(kernel, inputs)

    def kernel_gradient(
        self,
        layer: keras.layers.Layer,
        layer_input: tf.Tensor,
        weighted: tf.Tensor,
        neurons: Sequence[int] | None = None,
    ) -> tf.Tensor:
        rows = tf.reshape(weighted, (-1, weighted.shape[-1]))
        tokens = tf.reshape(layer_input, (-1,))
        return tf.math.unsorted_segment_sum(rows, tokens, self.weight(layer).shape[0])

    def gradient_tensor(
        self,
        layer: keras.layers.Layer,
        jacobian: tf.Tensor,
        layer_input: tf.Tensor,
        neuron: int | None = None,
    ) -> tf.Tensor:
        if neuron is not None:
            jacobian = jacobian[..., neuron : neuron + 1]
        batch, components, width = tf.shape(jacobian)[0], jacobian.shape[1], jacobian.shape[-1]
        count = self.weight(layer).shape[0]
        rows = tf.einsum("bktj->btkj", tf.reshape(jacobian, (batch, components, -1, width)))
        tokens = tf.reshape(layer_input, (batch, -1))
        places = tokens + count * tf.range(batch, dtype=tokens.dtype)[:, tf.newaxis]
        summed = tf.math.unsorted_segment_sum(rows, places, batch * count)
        tensor = tf.einsum("bvkj->bkvj", tf.reshape(summed, (batch, count, components, width)))
        return tensor if neuron is None else tensor[..., 0]

    def call(
        self,
        layer: keras.layers.Layer,
        inputs: tf.Tensor,
        reveal: Reveal,
        original: Callable[[], tf.Tensor],
    ) -> tf.Tensor:
        tokens = inputs if inputs.dtype in (tf.int32, tf.int64) else tf.cast(inputs, tf.int32)
        looked_up = self.linear_map(layer, tokens, keras.ops.convert_to_tensor(layer.embeddings))
        looked_up = tf.cast(looked_up, layer.compute_dtype)
        return reveal(self.attribute, tokens, looked_up)


register(keras.layers.Embedding, EmbeddingRule())
