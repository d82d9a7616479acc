"""Backward sweeps through a chain of Dense layers: J_l^T r, and S_l = J_l^T J_l.

Example by example these are products of matrices too small to be fast. So S_l is kept as
(R, p_l, B, p_l), the examples between its two axes: W S_l W^T of all examples of a round is one
matrix product from the left and one from the right, and nothing changes places.
"""

from __future__ import annotations

import tensorflow as tf

from nta_tf.linearization.chain import Evaluation
from nta_tf.recorders.normal_equations import packing


def backpropagate(evaluation: Evaluation, errors: tf.Tensor) -> list[tf.Tensor]:
    """J_l^T r for every layer: plain backpropagation of one vector an example.

    Args:
        evaluation: An `Evaluation`.
        errors: r, (R, B, p_L).

    Returns:
        A list with a tensor of shape (R, B, p_l) for each layer.
    """
    backpropagated = []
    for kernel, slope in zip(evaluation.kernels[::-1], evaluation.slopes[::-1]):
        errors = _scaled(errors, slope)
        backpropagated.append(errors)
        errors = tf.matmul(errors, kernel, transpose_b=True)
    return backpropagated[::-1]


def gram_matrices(evaluation: Evaluation, lowest: int = 0) -> list[tf.Tensor | None]:
    """S_l = J_l^T J_l of every hidden layer from one backward sweep.

    S_l = D_l W_{l+1} S_{l+1} W_{l+1}^T D_l, starting from the identity at the outputs;
    the first step collapses the p_L outputs to the width of the last hidden layer. The
    output layer's own S_L is the diagonal of squared slopes and is left out.

    Args:
        evaluation: An `Evaluation`.
        lowest: Index of the lowest layer that is wanted.

    Returns:
        A list of length L - 1; entry l is a tensor (R, p_l, B, p_l), or None below
        `lowest`, and of the last hidden layer where `top_gram` says all of it.
    """
    kernels, slopes = evaluation.kernels, evaluation.slopes
    top = len(kernels) - 2
    grams: list[tf.Tensor | None] = [None] * (top + 1)
    for k in range(top, lowest - 1, -1):
        if k == top and slopes[-1] is None:
            continue
        if k == top:
            gram = _of_outputs(kernels[-1], tf.square(slopes[-1]))
        elif k == top - 1 and slopes[-1] is None:
            gram = _first_congruence(kernels[top], top_slopes(evaluation), top_gram(evaluation))
        else:
            gram = _congruence(kernels[k + 1], grams[k + 1])
        if slopes[k] is not None:
            gram *= slopes[k][:, tf.newaxis]
            gram *= tf.linalg.matrix_transpose(slopes[k])[..., tf.newaxis]
        grams[k] = gram
    return grams


def top_gram(evaluation: Evaluation) -> tf.Tensor:
    """W_L W_L^T, (R, p_{L-1}, p_{L-1}): S_{L-1} of all examples with a linear output, but for D."""
    return tf.matmul(evaluation.kernels[-1], evaluation.kernels[-1], transpose_b=True)


def top_slopes(evaluation: Evaluation) -> tf.Tensor:
    """Slopes of the last hidden layer, (R, B, p_{L-1}): ones where it is linear."""
    slope = evaluation.slopes[-2]
    return tf.ones_like(evaluation.layer_inputs[-1]) if slope is None else slope


def times_gram(evaluation: Evaluation, layer: int, vectors: tf.Tensor) -> tf.Tensor:
    """S_l v of every example, forward through the chain and back, without S_l.

    Args:
        evaluation: An `Evaluation`.
        layer: Index of a hidden layer.
        vectors: v, (R, B, p_l).

    Returns:
        Tensor of shape (R, B, p_l).
    """
    kernels, slopes = evaluation.kernels, evaluation.slopes
    vectors = _scaled(vectors, slopes[layer])
    for k in range(layer + 1, len(kernels) - 1):
        vectors = _scaled(tf.matmul(vectors, kernels[k]), slopes[k])
    if slopes[-1] is None:  # p_L is often the largest width: never go there
        vectors = tf.matmul(vectors, top_gram(evaluation))
    else:
        outputs = tf.matmul(vectors, kernels[-1]) * tf.square(slopes[-1])
        vectors = tf.matmul(outputs, kernels[-1], transpose_b=True)
    for k in range(len(kernels) - 2, layer, -1):
        vectors = tf.matmul(_scaled(vectors, slopes[k]), kernels[k], transpose_b=True)
    return _scaled(vectors, slopes[layer])


def _scaled(vectors, slope):
    return vectors if slope is None else vectors * slope


def _of_outputs(kernel, squares):
    """W D^2 W^T of every example, D^2 its squared slopes: one product with all pairs of W's rows.

    A product of W with itself an example does twice the work, at a third of the speed.
    """
    first, second = packing.pairs(tf.shape(kernel)[-2])
    products = tf.gather(kernel, first, axis=1) * tf.gather(kernel, second, axis=1)
    packed = tf.matmul(products, squares, transpose_b=True)
    return tf.transpose(packing.unpacked(packed, tf.shape(kernel)[-2]), (0, 1, 3, 2))


def _first_congruence(kernel, slope, gram):
    """W D S D W^T where all examples share S, (R, p, p), so that each of them has W D only."""
    scaled = kernel[:, :, tf.newaxis] * slope[:, tf.newaxis]
    rounds, outer, examples, inner = tf.unstack(tf.shape(scaled))
    half = tf.matmul(tf.reshape(scaled, (rounds, outer * examples, inner)), gram)
    half = tf.reshape(half, (rounds, outer, examples, inner)) * slope[:, tf.newaxis]
    full = tf.matmul(tf.reshape(half, (rounds, outer * examples, inner)), kernel, transpose_b=True)
    return tf.reshape(full, (rounds, outer, examples, outer))


def _congruence(kernel, gram):
    """W S W^T for every example, as two products with all examples side by side."""
    rounds, inner, examples, _ = tf.unstack(tf.shape(gram))
    outer = tf.shape(kernel)[-2]
    half = tf.matmul(kernel, tf.reshape(gram, (rounds, inner, examples * inner)))
    half = tf.reshape(half, (rounds, outer * examples, inner))
    full = tf.matmul(half, kernel, transpose_b=True)
    return tf.reshape(full, (rounds, outer, examples, outer))
