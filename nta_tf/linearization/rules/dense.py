"""Dense layers."""

from __future__ import annotations

from collections.abc import Sequence

import keras
import numpy as np
import tensorflow as tf

from nta_tf import grams
from nta_tf.linearization.rules.base import Rule
from nta_tf.linearization.rules.registry import register

# Up to so many units the outer product of J and x is cheaper as a matrix product on CPUs:
# broadcasting takes 2 to 3 times as long as the multiplications by zero.
_NARROW = 64


class DenseRule(Rule):
    """Dense layers: the kernel has shape (p_{l-1}, p_l) and neurons are its columns.

    Inputs may have axes between the batch and the units (a Dense layer applied to each
    step of a sequence); G_l then sums over them.
    """

    cost = "an outer product an output"

    def linear_map(
        self,
        layer: keras.layers.Layer,
        inputs: tf.Tensor,
        kernel: tf.Tensor,
        neurons: Sequence[int] | None = None,
    ) -> tf.Tensor:
        return keras.ops.matmul(inputs, kernel)

    def gradient_tensor(
        self,
        layer: keras.layers.Layer,
        jacobian: tf.Tensor,
        layer_input: tf.Tensor,
        neuron: int | None = None,
    ) -> tf.Tensor:
        if layer_input.shape.rank == 2:  # an outer product: nothing to sum over
            if neuron is not None:
                return jacobian[:, :, neuron, tf.newaxis] * layer_input[:, tf.newaxis]
            return _outer(jacobian, layer_input)
        jacobian, layer_input = _as_positions(jacobian, layer_input)
        if neuron is not None:
            return tf.matmul(jacobian[..., neuron], layer_input)
        return tf.einsum("bkta,btj->bkja", jacobian, layer_input)

    def gram(
        self, layer: keras.layers.Layer, jacobian: tf.Tensor, layer_input: tf.Tensor
    ) -> np.ndarray:
        if layer_input.shape.rank > 2:
            return super().gram(layer, jacobian, layer_input)
        # <J (x) x, J' (x) x'> = <J, J'> <x, x'>
        of_jacobian = grams.gram([tf.reshape(jacobian, (-1, jacobian.shape[-1]))])
        of_input = grams.gram([layer_input])
        tiles = of_jacobian.reshape(len(of_input), -1, len(of_input), jacobian.shape[1])
        tiles *= of_input[:, np.newaxis, :, np.newaxis]
        return of_jacobian

    def mean_gradient_tensor(
        self, layer: keras.layers.Layer, jacobian: tf.Tensor, layer_input: tf.Tensor
    ) -> tf.Tensor:
        examples, components = tf.unstack(tf.shape(jacobian)[:2])
        units = jacobian.shape[-1]
        if layer_input.shape.rank == 2:  # J stays as it lies, and runs of p_l change places
            rows = tf.reshape(jacobian, (examples, components * units))
            total = tf.matmul(layer_input, rows, transpose_a=True)
            total = tf.transpose(tf.reshape(total, (-1, components, units)), (1, 0, 2))
        else:
            jacobian, layer_input = _as_positions(jacobian, layer_input)
            total = tf.einsum("bkta,btj->kja", jacobian, layer_input)
        return total / tf.cast(examples, total.dtype)


def _outer(jacobian, layer_input):
    """J[b, k, a] x[b, j] as a tensor (B, p_L, p_{l-1}, p_l)."""
    units, width = jacobian.shape[-1], layer_input.shape[-1]
    rows = layer_input[:, tf.newaxis, :, tf.newaxis]
    if units > _NARROW:
        return jacobian[:, :, tf.newaxis, :] * rows
    # The same numbers as one product with x spread over a matrix that is mostly zeros.
    spread = rows * tf.eye(units, dtype=rows.dtype)[:, tf.newaxis, :]
    product = tf.matmul(jacobian, tf.reshape(spread, (-1, units, width * units)))
    return tf.reshape(product, (-1, jacobian.shape[1], width, units))


def _as_positions(jacobian, layer_input):
    """Gathers the axes between batch and units into one, of length 1 if there are none."""
    batch, components = tf.shape(jacobian)[0], tf.shape(jacobian)[1]
    units, width = jacobian.shape[-1], layer_input.shape[-1]
    return (
        tf.reshape(jacobian, (batch, components, -1, units)),
        tf.reshape(layer_input, (batch, -1, width)),
    )


register(keras.layers.Dense, DenseRule())
