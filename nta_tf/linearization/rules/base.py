"""What a rule has to say, and what follows from it."""

from __future__ import annotations

import abc
import math
from collections.abc import Sequence

import keras
import numpy as np
import tensorflow as tf

from nta_tf import grams

_BLOCK_BYTES = 2**29  # what a block of G's columns may occupy, and what makes it


class Rule(abc.ABC):
    """How one kind of layer acts, for all its layers; the last axis of a kernel is neurons."""

    @abc.abstractmethod
    def linear_map(
        self,
        layer: keras.layers.Layer,
        inputs: tf.Tensor,
        kernel: tf.Tensor,
        neurons: Sequence[int] | None = None,
    ) -> tf.Tensor:
        """<x_{l-1}, kernel>, the preactivation without its bias.

        Args:
            layer: The layer.
            inputs: x_{l-1}, (B, ...).
            kernel: V_l, of the shape of the layer's kernel.
            neurons: Indices (integers) of the neurons that `kernel` holds on its last
                axis, or None for all neurons of the layer in order.

        Returns:
            Tensor of the preactivation's shape, with the given neurons on its last axis.
        """

    @abc.abstractmethod
    def gradient_tensor(
        self,
        layer: keras.layers.Layer,
        jacobian: tf.Tensor,
        layer_input: tf.Tensor,
        neuron: int | None = None,
    ) -> tf.Tensor:
        """G_l of every example, or G_alpha without forming G_l.

        Args:
            layer: The layer.
            jacobian: J_l, (B, p_L, *preactivation.shape[1:]).
            layer_input: x_{l-1}, (B, ...).
            neuron: Index alpha of a neuron, or None for the whole layer.

        Returns:
            Tensor (B, p_L, *kernel.shape), for a neuron (B, p_L, *kernel.shape[:-1]).
        """

    def neurons(self, layer: keras.layers.Layer) -> int:
        """Number of neurons of the layer."""
        return layer.kernel.shape[-1]

    def refusal(self, layer: keras.layers.Layer) -> str | None:
        """Why this layer cannot be linearized although its kind can, or None."""
        kernel = layer.kernel
        if not isinstance(kernel, keras.Variable) or not keras.backend.is_float_dtype(kernel.dtype):
            return "its kernel is quantized or adapted (LoRA) instead of one variable of floats"
        return None

    def kernel_gradient(
        self,
        layer: keras.layers.Layer,
        layer_input: tf.Tensor,
        weighted: tf.Tensor,
        neurons: Sequence[int] | None = None,
    ) -> tf.Tensor:
        """Gradient of sum_b <linear_map(x_b, V), M_b> with respect to V.

        This is the adjoint of `linear_map`: backpropagation to the kernel, summed over the
        minibatch. The map is linear in V, so the gradient does not depend on V.

        Args:
            layer: The layer.
            layer_input: x_{l-1}, (B, ...).
            weighted: M, (B, *preactivation.shape[1:]); with `neurons`, those alone on its
                last axis.
            neurons: Indices of neurons, or None for all.

        Returns:
            Tensor of the shape of the kernel; with `neurons`, those alone on its last axis.
        """
        count = self.neurons(layer) if neurons is None else len(neurons)
        anywhere = tf.zeros((*layer.kernel.shape[:-1], count), layer_input.dtype)
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(anywhere)
            mapped = self.linear_map(layer, layer_input, anywhere, neurons)
        return tape.gradient(mapped, anywhere, output_gradients=weighted)

    def mean_gradient_tensor(
        self, layer: keras.layers.Layer, jacobian: tf.Tensor, layer_input: tf.Tensor
    ) -> tf.Tensor:
        """Mean of G_l over the minibatch, shape (p_L, *kernel.shape), without any G_l."""
        by_component = tf.einsum("bk...->kb...", jacobian)
        total = tf.map_fn(lambda m: self.kernel_gradient(layer, layer_input, m), by_component)
        return total / tf.cast(tf.shape(jacobian)[0], total.dtype)

    def columns(
        self,
        layer: keras.layers.Layer,
        jacobian: tf.Tensor,
        layer_input: tf.Tensor,
        neurons: Sequence[int],
    ) -> tf.Tensor:
        """G of several neurons at once: those columns of G as a matrix.

        Args:
            layer: The layer.
            jacobian: J_l, (B, p_L, *preactivation.shape[1:]).
            layer_input: x_{l-1}, (B, ...).
            neurons: Indices of the neurons.

        Returns:
            Tensor (B, p_L, weights of these neurons): neuron after neuron, but for grouped
            convolutions, whose neurons come group by group.
        """
        tensors = [self.gradient_tensor(layer, jacobian, layer_input, one) for one in neurons]
        lead = tf.shape(jacobian)[:2]
        return tf.concat([tf.reshape(one, (*lead, -1)) for one in tensors], axis=-1)

    def gram(
        self, layer: keras.layers.Layer, jacobian: tf.Tensor, layer_input: tf.Tensor
    ) -> np.ndarray:
        """K = G G^T over rows (example, component): all that a problem of few rows needs of G.

        G is never held: its columns are made for some neurons at a time.

        Args:
            layer: The layer.
            jacobian: J_l, (B, p_L, *preactivation.shape[1:]).
            layer_input: x_{l-1}, (B, ...).

        Returns:
            NumPy array (B p_L, B p_L), float64; products are in the dtype of J_l.
        """
        examples, components, *positions = jacobian.shape[:-1]
        weights = math.prod(layer.kernel.shape[:-1])
        size = jacobian.dtype.size * weights
        at_once = max(1, _BLOCK_BYTES // (size * examples * components))
        # What the neurons see at all positions is made for some examples at a time.
        chunk = max(1, _BLOCK_BYTES // (size * math.prod(positions)))

        def block(neurons):
            parts = [
                self.columns(layer, jacobian[low : low + chunk], layer_input[low:][:chunk], neurons)
                for low in range(0, examples, chunk)
            ]
            return tf.reshape(tf.concat(parts, axis=0), (examples * components, -1))

        count = self.neurons(layer)
        starts = range(0, count, at_once)
        return grams.gram(block(range(low, min(low + at_once, count))) for low in starts)
