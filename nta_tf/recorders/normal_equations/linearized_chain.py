"""A chain of Dense layers linearized on a block of recorded rounds."""

from __future__ import annotations

import tensorflow as tf

from nta_tf.linearization.chain import forward_columns
from nta_tf.recorders.normal_equations import packing, sweeps
from nta_tf.recorders.normal_equations.live import LivePart


class LinearizedChain:
    """A chain linearized on a block of R rounds: what normal equations are made of, each once.

    Args:
        part: The chain on (R, B) examples, or what of it is alive.
        targets: (R, B, p_L).
        bias: Whether each layer's bias is a weight (of a constant input 1).
        lowest: Index of the lowest layer that is recorded.
    """

    def __init__(
        self,
        part: LivePart,
        targets: tf.Tensor,
        bias: bool,
        lowest: int,
    ) -> None:
        self._part = part
        self._evaluation = evaluation = part.evaluation
        self._errors = evaluation.outputs - targets
        self._bias = bias
        self._lowest = lowest
        self._grams = None
        self._squares = tf.reduce_sum(tf.square(self._errors), axis=-1)
        self._back = sweeps.backpropagate(evaluation, self._errors)

    def x(self, layer: int) -> tf.Tensor:
        """x_{l-1}, (R, B, p_{l-1}), with a constant 1 behind it if the bias is a weight."""
        x = self._evaluation.layer_inputs[layer]
        return tf.pad(x, [[0, 0], [0, 0], [0, 1]], constant_values=1) if self._bias else x

    def inputs(self, layer: int) -> tf.Tensor:
        """Where the units of `x` stand among all of x_{l-1}."""
        inputs = self._part.inputs[layer]
        if not self._bias:
            return inputs
        return tf.concat([inputs, [self._part.widths[layer]]], 0)

    def units(self, layer: int) -> tf.Tensor:
        """Where the units of the layer stand among all that it has."""
        return self._part.units[layer]

    def kernel(self, layer: int) -> tf.Tensor:
        """W_l, (R, p_{l-1}, p_l), with the bias as last row if it is a weight."""
        kernel = self._evaluation.kernels[layer]
        if not self._bias:
            return kernel
        return tf.concat([kernel, self._part.biases[layer][:, tf.newaxis]], 1)

    def moved(self, layer: int) -> tf.Tensor:
        """W_l^T x_{l-1}: what the weights of the scope add to the preactivation."""
        return tf.matmul(self.x(layer), self.kernel(layer))

    def gram(self, layer: int) -> tf.Tensor:
        """Upper triangles of S_l = J_l^T J_l, (p_l (p_l + 1) / 2, R B)."""
        if self._grams is None:
            self._grams = sweeps.gram_matrices(self._evaluation, self._lowest)
        if self._grams[layer] is not None:
            return packing.upper_of_examples(self._grams[layer])
        slopes = sweeps.top_slopes(self._evaluation)
        shared = tf.transpose(packing.upper(sweeps.top_gram(self._evaluation)))  # (pairs, R)
        pairs = packing.pair_products(slopes)
        by_round = tf.reshape(pairs, (*tf.unstack(tf.shape(shared)), tf.shape(slopes)[1]))
        return tf.reshape(by_round * shared[..., tf.newaxis], tf.shape(pairs))

    def through(self, layer: int) -> tf.Tensor:
        """S_l W_l^T x_{l-1}, (R, B, p_l)."""
        return sweeps.times_gram(self._evaluation, layer, self.moved(layer))

    def backpropagated(self, layer: int) -> tf.Tensor:
        """J_l^T (f - y), (R, B, p_l)."""
        return self._back[layer]

    def errors(self) -> tf.Tensor:
        """f - y, (R, B, p_L)."""
        return self._errors

    def squared_errors(self) -> tf.Tensor:
        """||f - y||^2, (R, B)."""
        return self._squares

    def losses(self) -> tf.Tensor:
        """The loss of each round, (R,)."""
        return tf.reduce_mean(self._squares, axis=1) / self._errors.shape[-1]

    def output_slopes(self) -> tf.Tensor:
        """s_L'(a_L), (R, B, p_L)."""
        slopes = self._evaluation.slopes[-1]
        return tf.ones_like(self._errors) if slopes is None else slopes

    def collapsed(self, layer: int) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """J_l = A U_l: U_l (R, r, B, p_l), A^T A / p_L and A^T mean(f - y) / p_L.

        With a linear output A = W_L^T, so that the p_L outputs (784 for the autoencoder) collapse
        to the width of the last hidden layer (50); otherwise A is the identity.
        """
        outputs = self._errors.shape[-1]
        mean_errors = tf.reduce_mean(self._errors, axis=1)
        linear = self._evaluation.slopes[-1] is None
        top = len(self._evaluation.kernels) - (2 if linear else 1)
        rows = forward_columns(self._evaluation, layer, top)
        if linear:
            last = self._evaluation.kernels[-1]
            return (
                rows,
                sweeps.top_gram(self._evaluation) / outputs,
                tf.linalg.matvec(last, mean_errors) / outputs,
            )
        identity = tf.eye(outputs, dtype=mean_errors.dtype) / outputs
        return (
            rows,
            tf.broadcast_to(identity, tf.stack([tf.shape(mean_errors)[0], outputs, outputs])),
            mean_errors / outputs,
        )
