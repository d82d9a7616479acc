"""The two networks as graphs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

v1 = tf.compat.v1

Weights = Mapping[str, np.ndarray]


class Network(NamedTuple):
    """A graph: placeholders, variables by name, preactivations of rectifiers, outputs, loss."""

    graph: Any
    x: Any
    y: Any
    variables: dict[str, Any]
    rectified: list[Any]
    outputs: Any
    loss: Any


def autoencoder(weights: Weights, sigmoid: bool = False) -> Network:
    """Dense layers with rectifiers on all but the last, and the mean squared error.

    Args:
        weights: Initial values of `dense_1/kernel`, `dense_1/bias`, ...
        sigmoid: Whether the output goes through a sigmoid.

    Returns:
        A `Network`.
    """
    count = sum(name.endswith("kernel") for name in weights)
    first = weights["dense_1/kernel"]
    with tf.Graph().as_default() as graph:
        x = v1.placeholder(first.dtype, [None, first.shape[0]])
        y = v1.placeholder(first.dtype, [None, first.shape[0]])
        variables = {name: v1.Variable(value) for name, value in weights.items()}
        hidden, rectified = x, []
        for number in range(1, count + 1):
            a = tf.matmul(hidden, variables[f"dense_{number}/kernel"])
            a += variables.get(f"dense_{number}/bias", 0.0)
            if number < count:
                rectified.append(a)
                hidden = tf.nn.relu(a)
        outputs = tf.sigmoid(a) if sigmoid else a
        loss = tf.reduce_mean(tf.square(outputs - y))
    return Network(graph, x, y, variables, rectified, outputs, loss)


def convnet(weights: Weights) -> Network:
    """Three times convolution, rectifier and pooling, two dense layers, and cross-entropy.

    Args:
        weights: Initial values of `conv2d_1/kernel`, ..., `dense_5/bias`.

    Returns:
        A `Network` whose outputs are logits.
    """
    dtype, channels = weights["conv2d_1/kernel"].dtype, weights["conv2d_1/kernel"].shape[2]
    with tf.Graph().as_default() as graph:
        x = v1.placeholder(dtype, [None, None, None, channels])
        y = v1.placeholder(tf.int32, [None])
        variables = {name: v1.Variable(value) for name, value in weights.items()}
        hidden, rectified = x, []
        for number in (1, 2, 3):
            kernel = variables[f"conv2d_{number}/kernel"]
            a = tf.nn.conv2d(hidden, kernel, strides=1, padding="SAME")
            a += variables[f"conv2d_{number}/bias"]
            rectified.append(a)
            hidden = tf.nn.max_pool2d(tf.nn.relu(a), ksize=2, strides=2, padding="VALID")
        hidden = tf.reshape(hidden, [-1, weights["dense_4/kernel"].shape[0]])
        a = tf.matmul(hidden, variables["dense_4/kernel"]) + variables["dense_4/bias"]
        rectified.append(a)
        hidden = tf.nn.relu(a)
        outputs = tf.matmul(hidden, variables["dense_5/kernel"]) + variables["dense_5/bias"]
        loss = tf.reduce_mean(
            tf.nn.sparse_softmax_cross_entropy_with_logits(labels=y, logits=outputs)
        )
    return Network(graph, x, y, variables, rectified, outputs, loss)
