"""What a rule has to say, and what follows from it."""

from __future__ import annotations

import abc
import math
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from nta_tf import grams

_BLOCK_BYTES = 2**29  # what a block of G's columns may occupy, and what makes it

# Told by `Rule.call` of an attribute, of x_{l-1} and of a_l; returns a_l, watched.
Reveal = Callable[[str, tf.Tensor, tf.Tensor], tf.Tensor]


class Rule(abc.ABC):
    """How a weight of one kind of layer acts, for all its layers.

    A preactivation a_l is linear in the weight: a_l = <x_{l-1}, W_l> + bias. A rule must say
    how (`linear_map`). Everything else follows, and is overridden where a rule knows a quicker
    way, or where the layer does something else between its input and its output (`call`).

    Attributes:
        attribute: Name of the layer's attribute that holds the weight.
        bias_attribute: Name of the attribute that holds what is added to the preactivation;
            None if nothing is.
        cost: In words, what G costs beyond J, for the table in the documentation.
    """

    attribute = "kernel"
    bias_attribute: str | None = "bias"
    cost = "a backward pass through the layer for each output"

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

    def gradient_tensor(
        self,
        layer: keras.layers.Layer,
        jacobian: tf.Tensor,
        layer_input: tf.Tensor,
        neuron: int | None = None,
    ) -> tf.Tensor:
        """G_l of every example, or G_alpha.

        Args:
            layer: The layer.
            jacobian: J_l, (B, p_L, *preactivation.shape[1:]).
            layer_input: x_{l-1}, (B, ...).
            neuron: Index alpha on the last axis of the kernel, or None for the whole layer.

        Returns:
            Tensor (B, p_L, *kernel.shape), for a neuron (B, p_L, *kernel.shape[:-1]).
        """

        def of_example(pair: tuple[tf.Tensor, tf.Tensor]) -> tf.Tensor:
            rows, alone = pair[0][:, tf.newaxis], pair[1][tf.newaxis]
            return tf.map_fn(lambda row: self.kernel_gradient(layer, alone, row), rows)

        tensor = tf.map_fn(of_example, (jacobian, layer_input), fn_output_signature=jacobian.dtype)
        return tensor if neuron is None else tensor[..., neuron]

    def call(
        self,
        layer: keras.layers.Layer,
        inputs: Any,
        reveal: Reveal,
        original: Callable[[], Any],
    ) -> Any:
        """Calls the layer, with its preactivation in the open.

        Args:
            layer: The layer, called by Keras: inputs are cast, variables are cast when read.
            inputs: The first argument of the call.
            reveal: To be called with `attribute`, x_{l-1} and a_l; gives a_l back.
            original: Calls the layer as it is.

        Returns:
            The layer's output.
        """
        kernel = keras.ops.convert_to_tensor(self.weight(layer))
        preactivation = self.linear_map(layer, inputs, kernel)
        if self.bias(layer) is not None:
            preactivation = keras.ops.add(preactivation, self.bias(layer))
        preactivation = reveal(self.attribute, inputs, preactivation)
        activation = getattr(layer, "activation", None)
        return preactivation if activation is None else activation(preactivation)

    def parts(self) -> dict[str, Rule]:
        """The rule of each of the layer's weights by attribute: one, for most kinds of layer."""
        return {self.attribute: self}

    def weight(self, layer: keras.layers.Layer) -> keras.Variable:
        """The layer's variable W_l."""
        return getattr(layer, self.attribute)

    def bias(self, layer: keras.layers.Layer) -> keras.Variable | None:
        """What is added to the preactivation, or None."""
        return None if self.bias_attribute is None else getattr(layer, self.bias_attribute, None)

    def spread(self, layer: keras.layers.Layer, bias: tf.Tensor, rank: int) -> tf.Tensor:
        """The bias as it is added to a preactivation of that rank, its batch included."""
        return tf.reshape(bias, [1] * (rank - bias.shape.rank) + list(bias.shape))

    def bias_gradient_tensor(self, layer: keras.layers.Layer, jacobian: tf.Tensor) -> tf.Tensor:
        """G of the bias, the weight of a constant input 1: (B, p_L, *bias.shape)."""
        bias = self.bias(layer)
        if bias is None:
            raise ValueError(f"Layer {layer.name!r} has no bias.")
        shape = bias.shape
        spread = self.spread(layer, tf.zeros(shape), jacobian.shape.rank - 1).shape
        return sum_to(jacobian, spread[1:], shape)

    def neurons(self, layer: keras.layers.Layer) -> int:
        """Number of neurons of the layer."""
        return self.weight(layer).shape[-1]

    def refusal(self, layer: keras.layers.Layer) -> str | None:
        """Why this layer cannot be linearized although its kind can, or None."""
        kernel = self.weight(layer)
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
        anywhere = tf.zeros((*self.weight(layer).shape[:-1], count), weighted.dtype)
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
        weights = math.prod(self.weight(layer).shape[:-1])
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


def sum_to(tensors: tf.Tensor, spread: Sequence[int], shape: Sequence[int]) -> tf.Tensor:
    """Sums (B, p_L, *preactivation) over the axes along which a weight is repeated.

    Args:
        tensors: (B, p_L, *preactivation).
        spread: Shape of the weight beside a preactivation of one example, with ones.
        shape: Shape of the weight.

    Returns:
        Tensor (B, p_L, *shape).
    """
    repeated = [
        axis + 2 for axis, size in enumerate(spread) if size == 1 and tensors.shape[axis + 2] != 1
    ]
    summed = tf.reduce_sum(tensors, axis=repeated)
    return tf.reshape(summed, (tf.shape(tensors)[0], tensors.shape[1], *shape))
