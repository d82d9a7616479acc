"""A chain of Dense layers linearized on a block of recorded rounds."""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf

from nta_tf.linearization.chain import (
    Evaluation,
    backpropagate,
    collapsed_jacobian,
    gram_matrices,
    jacobian,
)


class LinearizedChain:
    """A chain linearized on a block of R rounds: what normal equations are made of, each once.

    Args:
        evaluation: `Evaluation` of the chain on (R, B) examples.
        targets: (R, B, p_L).
        bias: Whether each layer's bias is a weight (of a constant input 1).
        biases: b_l of each layer, (R, p_l).
        lowest: Index of the lowest layer that is recorded.
    """

    def __init__(
        self,
        evaluation: Evaluation,
        targets: tf.Tensor,
        biases: Sequence[tf.Tensor | None],
        bias: bool,
        lowest: int,
    ) -> None:
        self._evaluation = evaluation
        self._errors = evaluation.outputs - targets
        self._biases = biases
        self._bias = bias
        self._lowest = lowest
        self._grams = None
        self._back = backpropagate(evaluation, self._errors)

    def x(self, layer: int) -> tf.Tensor:
        """x_{l-1}, (R, B, p_{l-1}), with a constant 1 behind it if the bias is a weight."""
        x = self._evaluation.layer_inputs[layer]
        return tf.concat([x, tf.ones_like(x[..., :1])], -1) if self._bias else x

    def kernel(self, layer: int) -> tf.Tensor:
        """W_l, (R, p_{l-1}, p_l), with the bias as last row if it is a weight."""
        kernel = self._evaluation.kernels[layer]
        if not self._bias:
            return kernel
        return tf.concat([kernel, self._biases[layer][:, tf.newaxis]], 1)

    def moved(self, layer: int) -> tf.Tensor:
        """W_l^T x_{l-1}: what the weights of the scope add to the preactivation."""
        return tf.matmul(self.x(layer), self.kernel(layer))

    def gram(self, layer: int) -> tf.Tensor:
        """S_l = J_l^T J_l, (R, B, p_l, p_l)."""
        if self._grams is None:
            self._grams = gram_matrices(self._evaluation, self._lowest)
        return self._grams[layer]

    def backpropagated(self, layer: int) -> tf.Tensor:
        """J_l^T (f - y), (R, B, p_l)."""
        return self._back[layer]

    def errors(self) -> tf.Tensor:
        """f - y, (R, B, p_L)."""
        return self._errors

    def squared_errors(self) -> tf.Tensor:
        """||f - y||^2, (R, B)."""
        return tf.reduce_sum(tf.square(self._errors), axis=-1)

    def losses(self) -> tf.Tensor:
        """The loss of each round, (R,)."""
        return tf.reduce_mean(tf.square(self._errors), axis=(1, 2))

    def output_slopes(self) -> tf.Tensor:
        """s_L'(a_L), (R, B, p_L)."""
        slopes = self._evaluation.slopes[-1]
        return tf.ones_like(self._errors) if slopes is None else slopes

    def collapsed(self, layer: int) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """J_l = A U_l: U_l (R, B, r, p_l), A^T A / p_L and A^T mean(f - y) / p_L."""
        outputs = self._errors.shape[-1]
        mean_errors = tf.reduce_mean(self._errors, axis=1)
        if self._evaluation.slopes[-1] is None:
            last = self._evaluation.kernels[-1]
            return (
                collapsed_jacobian(self._evaluation, layer),
                tf.matmul(last, last, transpose_b=True) / outputs,
                tf.linalg.matvec(last, mean_errors) / outputs,
            )
        identity = tf.eye(outputs, dtype=mean_errors.dtype) / outputs
        return (
            jacobian(self._evaluation, layer),
            tf.broadcast_to(identity, tf.stack([tf.shape(mean_errors)[0], outputs, outputs])),
            mean_errors / outputs,
        )
