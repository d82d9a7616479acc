"""EinsumDense layers, of which attention is made."""

from __future__ import annotations

import string
from collections.abc import Sequence

import keras
import tensorflow as tf

from nta_tf.linearization.rules.base import Rule
from nta_tf.linearization.rules.registry import register


class EinsumDenseRule(Rule):
    """EinsumDense layers: a_l = einsum(equation, x_{l-1}, W_l)."""

    cost = "an einsum"

    def refusal(self, layer: keras.layers.Layer) -> str | None:
        inputs, _, outputs = _letters(layer.equation, 0)
        if not inputs or inputs[0] != outputs[0]:
            return f"its equation {layer.equation!r} does not keep the examples on the first axis"
        return super().refusal(layer)

    def linear_map(
        self,
        layer: keras.layers.Layer,
        inputs: tf.Tensor,
        kernel: tf.Tensor,
        neurons: Sequence[int] | None = None,
    ) -> tf.Tensor:
        return keras.ops.einsum(layer.equation, inputs, kernel)

    def gradient_tensor(
        self,
        layer: keras.layers.Layer,
        jacobian: tf.Tensor,
        layer_input: tf.Tensor,
        neuron: int | None = None,
    ) -> tf.Tensor:
        inputs, kernel, outputs = _letters(layer.equation, layer_input.shape.rank)
        component = next(x for x in string.ascii_letters if x not in inputs + kernel + outputs)
        rows = outputs[0] + component + outputs[1:]
        if neuron is not None and kernel[-1] in outputs:
            jacobian = tf.gather(jacobian, neuron, axis=rows.index(kernel[-1]))
            rows, kernel, neuron = rows.replace(kernel[-1], ""), kernel[:-1], None
        product = f"{rows},{inputs}->{outputs[0]}{component}{kernel}"
        tensor = tf.einsum(product, jacobian, layer_input)
        return tensor if neuron is None else tensor[..., neuron]


def _letters(equation: str, rank: int) -> tuple[str, str, str]:
    """Letters of input, kernel and output, with letters in the place of an ellipsis."""
    left, outputs = equation.replace(" ", "").split("->")
    inputs, kernel = left.split(",")
    free = [letter for letter in string.ascii_letters if letter not in equation]
    several = "".join(free[: max(rank - len(inputs.replace("...", "")), 1)])
    return inputs.replace("...", several), kernel, outputs.replace("...", several)


register(keras.layers.EinsumDense, EinsumDenseRule())
