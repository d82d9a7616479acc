"""Scales: gamma and beta of normalization layers, alpha of PReLU."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence

import keras
import tensorflow as tf

from nta_tf.linearization.rules.base import Reveal, Rule, sum_to
from nta_tf.linearization.rules.registry import register


class ScaleRule(Rule):
    """Normalization layers: a_l = gamma * x + beta, x being what is normalized, a_l the output.

    Args:
        attribute: What the layer calls its scale.
        shift: What it calls its shift, or None.
    """

    cost = "a product with what is normalized, summed over positions"

    def __init__(self, attribute: str = "gamma", shift: str | None = "beta") -> None:
        self.attribute = attribute
        self.bias_attribute = shift

    def refusal(self, layer: keras.layers.Layer) -> str | None:
        if not isinstance(self.weight(layer), keras.Variable):
            return "it has no scale"
        return super().refusal(layer)

    def spread(self, layer: keras.layers.Layer, bias: tf.Tensor, rank: int) -> tf.Tensor:
        axes = layer.axis if isinstance(layer.axis, (list, tuple)) else [layer.axis]
        axes = [axis % rank for axis in axes]
        sizes = dict(zip(axes, bias.shape))
        return tf.reshape(bias, [sizes.get(axis, 1) for axis in range(rank)])

    def linear_map(
        self,
        layer: keras.layers.Layer,
        inputs: tf.Tensor,
        kernel: tf.Tensor,
        neurons: Sequence[int] | None = None,
    ) -> tf.Tensor:
        return inputs * self.spread(layer, kernel, inputs.shape.rank)

    def gradient_tensor(
        self,
        layer: keras.layers.Layer,
        jacobian: tf.Tensor,
        layer_input: tf.Tensor,
        neuron: int | None = None,
    ) -> tf.Tensor:
        shape = self.weight(layer).shape
        spread = self.spread(layer, tf.zeros(shape), layer_input.shape.rank).shape
        tensor = sum_to(jacobian * layer_input[:, tf.newaxis], spread[1:], shape)
        return tensor if neuron is None else tensor[..., neuron]

    def call(
        self,
        layer: keras.layers.Layer,
        inputs: tf.Tensor,
        reveal: Reveal,
        original: Callable[[], tf.Tensor],
    ) -> tf.Tensor:
        with _unscaled(layer):
            normalized = original()
        scaled = self.linear_map(layer, normalized, self._cast(self.weight(layer), normalized))
        if self.bias(layer) is not None:
            bias = self._cast(self.bias(layer), normalized)
            scaled += self.spread(layer, bias, scaled.shape.rank)
        return reveal(self.attribute, normalized, scaled)

    @staticmethod
    def _cast(variable, tensor):
        return tf.cast(keras.ops.convert_to_tensor(variable), tensor.dtype)


class PReLURule(ScaleRule):
    """PReLU: a_l = relu(x) + alpha * min(x, 0), the output; alpha multiplies min(x, 0)."""

    def __init__(self) -> None:
        super().__init__("alpha", None)

    def spread(self, layer: keras.layers.Layer, bias: tf.Tensor, rank: int) -> tf.Tensor:
        return bias[tf.newaxis]

    def call(
        self,
        layer: keras.layers.Layer,
        inputs: tf.Tensor,
        reveal: Reveal,
        original: Callable[[], tf.Tensor],
    ) -> tf.Tensor:
        below = -tf.nn.relu(-inputs)
        moved = self.linear_map(layer, below, keras.ops.convert_to_tensor(layer.alpha))
        return reveal(self.attribute, below, tf.nn.relu(inputs) + moved)


@contextlib.contextmanager
def _unscaled(layer: keras.layers.Layer) -> Iterator[None]:
    """The layer without its scale and shift, which are flags or variables that may be None."""
    attributes = vars(layer)
    without = {"gamma": None, "beta": None, "scale": None, "center": False}
    kept = {name: attributes[name] for name in without if name in attributes}
    attributes.update({name: without[name] for name in kept})
    try:
        yield
    finally:
        attributes.update(kept)


register(keras.layers.BatchNormalization, ScaleRule())
register(keras.layers.LayerNormalization, ScaleRule())
register(keras.layers.GroupNormalization, ScaleRule())
register(keras.layers.RMSNormalization, ScaleRule("scale", None))
register(keras.layers.PReLU, PReLURule())
