"""Chains of Dense layers: Jacobians and Gram matrices through masks and kernels.

In a chain, a_l = x_{l-1} W_l + b_l and x_l = s_l(a_l) with s_l acting on each unit alone,
so that J_l^L = D_L W_L^T D_{L-1} ... W_{l+1}^T D_l is a product of kernels and diagonal
matrices D_l = diag(s_l'(a_l)) (section 2.3; masks of zeros and ones for rectifiers). No
tape has to be run backward once for every output.

All functions of `DenseChain` accept leading axes before the batch: with kernels of shape
(R, p_{l-1}, p_l) and inputs of shape (R, B, p_0) they evaluate R rounds, each with its own
weights, at once.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import keras
import tensorflow as tf

from nta_tf.linearization.rules import DenseRule

if TYPE_CHECKING:
    from nta_tf.linearization.taps import TappedModel

_ELEMENTWISE = {
    name: getattr(keras.activations, name)
    for name in (
        "linear relu relu6 leaky_relu elu selu celu gelu sigmoid hard_sigmoid silu "
        "hard_silu tanh hard_tanh softplus softsign exponential mish squareplus"
    ).split()
    if hasattr(keras.activations, name)
}
# Multiplications of a product in the time in which a number is read, scaled and written.
_PASS = 10
_ELEMENTWISE_LAYERS = (keras.layers.ReLU, keras.layers.LeakyReLU, keras.layers.ELU)


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """A chain evaluated at given weights: lists with one entry a layer, l = 1..L.

    Attributes:
        layer_inputs: x_{l-1}, each (..., B, p_{l-1}).
        preactivations: a_l, each (..., B, p_l).
        slopes: s_l'(a_l), the diagonals of D_l, each (..., B, p_l); None where s_l is the
            identity.
        kernels: W_l, each (..., p_{l-1}, p_l).
        outputs: f, (..., B, p_L).
    """

    layer_inputs: list[tf.Tensor]
    preactivations: list[tf.Tensor]
    slopes: list[tf.Tensor | None]
    kernels: list[tf.Tensor]
    outputs: tf.Tensor


@dataclasses.dataclass(frozen=True)
class DenseChain:
    """The Dense layers of a chain, in order, with what is applied after each.

    Attributes:
        layers: The Keras Dense layers, l = 1..L.
        activations: For each layer the function s_l, or None for the identity.
    """

    layers: tuple[keras.layers.Dense, ...]
    activations: tuple[Callable[[tf.Tensor], tf.Tensor] | None, ...]

    @property
    def names(self) -> list[str]:
        """Names of the layers."""
        return [layer.name for layer in self.layers]

    @property
    def width(self) -> int:
        """p_0, the width of the first layer's input."""
        return self.layers[0].kernel.shape[0]

    def evaluate(
        self,
        inputs: tf.Tensor,
        kernels: Sequence[tf.Tensor],
        biases: Sequence[tf.Tensor | None],
    ) -> Evaluation:
        """Forward pass: layer inputs, slopes and outputs at the given weights.

        Args:
            inputs: x_0, (..., B, p_0).
            kernels: List of W_l, each (..., p_{l-1}, p_l).
            biases: List of b_l, each (..., p_l), or None.

        Returns:
            An `Evaluation`.
        """
        layer_inputs, preactivations, slopes = [], [], []
        for kernel, bias, activation in zip(kernels, biases, self.activations):
            layer_inputs.append(inputs)
            preactivation = tf.matmul(inputs, kernel)
            if bias is not None:
                preactivation += bias[..., tf.newaxis, :]
            preactivations.append(preactivation)
            inputs, slope = _activate(activation, preactivation)
            slopes.append(slope)
        return Evaluation(layer_inputs, preactivations, slopes, list(kernels), inputs)


def find_chain(tapped: TappedModel) -> DenseChain | None:
    """The `DenseChain` of a tapped model, or None if it is not one.

    Args:
        tapped: A `TappedModel`.

    Returns:
        A `DenseChain` of all Dense layers from the first on, if each of them is tapped,
        works on rows of units, has a name that no other has, and only functions of single
        units lie between them.
        What comes before the first Dense layer may be anything without weights.
    """
    layers: list[keras.layers.Dense] = []
    activations: list[list] = []
    current = None
    for call in tapped.calls:
        name = tapped.name_at(call)
        tap = None if name is None else tapped.taps[name]
        if not layers and tap is None:
            if getattr(call.layer, "weights", []):
                return None
            continue
        if len(call.inputs) != 1 or (layers and call.inputs[0] is not current):
            return None
        if tap is not None:
            if name != tap.layer.name or type(tap.rule) is not DenseRule:
                return None
            if len(call.output.shape) != 2:
                return None
            layers.append(tap.layer)
            activations.append([])
            if not _append_function(activations[-1], tap.layer.activation):
                return None
        elif not _append_function(activations[-1], call.layer):
            return None
        current = call.output
    if not layers or current is not tapped.output:
        return None
    return DenseChain(tuple(layers), tuple(map(_compose, activations)))


def jacobian(evaluation: Evaluation, layer: int) -> tf.Tensor:
    """J_l^L of every example, multiplied from the side that takes less time.

    Args:
        evaluation: An `Evaluation` of one minibatch, without leading axes.
        layer: Index of the layer, 0 for l = 1.

    Returns:
        Tensor of shape (B, p_L, p_l).
    """
    kernels, slopes = evaluation.kernels, evaluation.slopes
    if layer == len(kernels) - 1:
        return _diagonal(evaluation)
    widths = [kernel.shape[-1] for kernel in kernels]
    if _forward_cost(widths, layer) <= _reverse_cost(widths, layer):
        return tf.transpose(forward_columns(evaluation, layer, len(kernels) - 1), (1, 0, 2))
    rows = tf.transpose(kernels[-1])[tf.newaxis]
    rows = _scale_columns(_scale_rows(rows, slopes[-1]), slopes[-2])
    for k in range(len(kernels) - 2, layer, -1):
        rows = _scale_columns(_times_transposed(rows, kernels[k]), slopes[k - 1])
    # Without slopes all examples share it; every one gets its own.
    return tf.broadcast_to(rows, (tf.shape(evaluation.outputs)[0], *rows.shape[1:]))


def forward_columns(evaluation: Evaluation, layer: int, upper: int) -> tf.Tensor:
    """Jacobian of x_k with respect to a_l, built forward: one large product a layer.

    A small product for each example takes twice as long, and so do products from the other side,
    after which single numbers instead of runs of p_l must change places. Up to the last product
    outputs come last, where slopes are multiplied in a third of the time.

    Args:
        evaluation: An `Evaluation`.
        layer: Index of layer l.
        upper: Index of layer k, which is not below it.

    Returns:
        Tensor of shape (..., p_k, B, p_l).
    """
    kernels, slopes = evaluation.kernels, evaluation.slopes
    slope = slopes[layer]
    if slope is None:
        slope = tf.ones_like(evaluation.preactivations[layer])
    if upper == layer:
        diagonal = slope[..., tf.newaxis, :, :]
        return tf.eye(slope.shape[-1], dtype=slope.dtype)[:, tf.newaxis, :] * diagonal
    if upper == layer + 1:
        columns = tf.linalg.matrix_transpose(kernels[upper])[..., tf.newaxis, :]
        columns *= slope[..., tf.newaxis, :, :]
    else:
        rows = slope[..., tf.newaxis] * kernels[layer + 1][..., tf.newaxis, :, :]
        for k in range(layer + 1, upper):
            if k > layer + 1:
                rows = _unflat(tf.matmul(_flat(rows), kernels[k]), rows)
            rows = _scale_columns(rows, slopes[k])
        flat = tf.matmul(kernels[upper], _flat(rows), transpose_a=True, transpose_b=True)
        columns = tf.reshape(flat, tf.concat([tf.shape(flat)[:-1], tf.shape(slope)[-2:]], 0))
    return columns if slopes[upper] is None else columns * _beside(slopes[upper])


def directional_derivative(
    evaluation: Evaluation, changes: Sequence[tf.Tensor | None]
) -> tf.Tensor:
    """sum_l <G_l, V_l - W_l>, the change of the Taylor approximation, without any G.

    Args:
        evaluation: An `Evaluation`.
        changes: For each layer the change of its preactivation (V_l - W_l)^T x_{l-1},
            (..., B, p_l), or None where the layer stays.

    Returns:
        Tensor of shape (..., B, p_L).
    """
    change = None
    for k, kernel in enumerate(evaluation.kernels):
        if change is not None:
            change = tf.matmul(change, kernel)
        if changes[k] is not None:
            change = changes[k] if change is None else change + changes[k]
        if change is not None and evaluation.slopes[k] is not None:
            change *= evaluation.slopes[k]
    return tf.zeros_like(evaluation.outputs) if change is None else change


def _flat(rows):
    """Rows (..., B, p_l, p_k) of all examples below each other."""
    shape = tf.shape(rows)
    return tf.reshape(rows, tf.concat([shape[:-3], [-1], shape[-1:]], 0))


def _unflat(flat, rows):
    """The opposite, of other widths p_k."""
    return tf.reshape(flat, tf.concat([tf.shape(rows)[:-1], tf.shape(flat)[-1:]], 0))


def _beside(slope):
    """Slopes (..., B, p_k) as (..., p_k, B, 1)."""
    return tf.linalg.matrix_transpose(slope)[..., tf.newaxis]


def _diagonal(evaluation):
    slope = evaluation.slopes[-1]
    if slope is None:
        slope = tf.ones_like(evaluation.outputs)
    return tf.linalg.diag(slope)


def _scale_rows(matrix, slope):
    return matrix if slope is None else matrix * slope[..., :, tf.newaxis]


def _scale_columns(matrix, slope):
    return matrix if slope is None else matrix * slope[..., tf.newaxis, :]


def _times_transposed(rows, kernel):
    """Rows (B, p_L, p_k) times W_k^T: one product for all examples.

    A product an example takes ten times as long where p_L is as small as ten.
    """
    product = tf.matmul(tf.reshape(rows, (-1, kernel.shape[1])), kernel, transpose_b=True)
    return tf.reshape(product, (-1, rows.shape[1], kernel.shape[0]))


def _forward_cost(widths, layer):
    """Of `forward_columns` for an example, and of putting the examples first."""
    upper = widths[layer + 1 :]  # the first step multiplies by slopes only
    products = sum(a * b for a, b in itertools.pairwise(upper))
    return widths[layer] * (products + _PASS * (sum(upper) + widths[-1]))


def _reverse_cost(widths, layer):
    upper = widths[layer:-1]
    products = sum(a * b for a, b in itertools.pairwise(upper))
    return widths[-1] * (products + _PASS * sum(upper))


def _activate(activation, preactivation):
    """s(a) and its derivative at every unit, as automatic differentiation defines it."""
    if activation is None:
        return preactivation, None
    with tf.GradientTape() as tape:
        tape.watch(preactivation)
        activated = activation(preactivation)
    return activated, tape.gradient(activated, preactivation)


def _append_function(functions, layer_or_function):
    """Adds a function of single units to a list; False if it is not one."""
    if isinstance(layer_or_function, keras.layers.Activation):
        layer_or_function = layer_or_function.activation
    if layer_or_function is keras.activations.linear:
        return True
    known = any(layer_or_function is function for function in _ELEMENTWISE.values())
    if not known and type(layer_or_function) not in _ELEMENTWISE_LAYERS:
        return False
    functions.append(layer_or_function)
    return True


def _compose(functions):
    if not functions:
        return None

    def composed(units):
        for function in functions:
            units = function(units)
        return units

    return composed
