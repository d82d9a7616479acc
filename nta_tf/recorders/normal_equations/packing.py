"""Symmetric matrices of which only one half is computed and kept: pairs (j, k) with j <= k."""

from __future__ import annotations

import functools

import numpy as np
import tensorflow as tf


def count(size: int) -> int:
    """Number of pairs."""
    return size * (size + 1) // 2


@functools.lru_cache(maxsize=4)  # every checkpoint of a layer needs the same one or two
def index(size: int) -> np.ndarray:
    """Symmetric (size, size) table of where the pair (j, k) stands."""
    rows, columns = np.triu_indices(size)
    table = np.empty((size, size), np.int64)
    table[rows, columns] = table[columns, rows] = np.arange(len(rows))
    table.flags.writeable = False
    return table


def upper(matrices: tf.Tensor) -> tf.Tensor:
    """Upper triangles of symmetric matrices (..., size, size), as (..., pairs)."""
    size = tf.shape(matrices)[-1]
    flat = tf.reshape(matrices, tf.concat([tf.shape(matrices)[:-2], [size * size]], 0))
    first, second = pairs(size)
    return tf.gather(flat, first * size + second, axis=-1)


def upper_of_examples(matrices: tf.Tensor) -> tf.Tensor:
    """Upper triangles of symmetric matrices (R, size, B, size), as (pairs, R B)."""
    size, examples = tf.shape(matrices)[1], tf.shape(matrices)[0] * tf.shape(matrices)[2]
    rows = tf.reshape(tf.transpose(matrices, (1, 3, 0, 2)), (size * size, examples))
    first, second = pairs(size)
    return tf.gather(rows, first * size + second)


def diagonal(packed: tf.Tensor, size: tf.Tensor) -> tf.Tensor:
    """The diagonals (size, E) of matrices whose upper triangles are (pairs, E)."""
    rows = tf.range(size)
    return tf.gather(packed, rows * size - rows * (rows - 1) // 2)


def unpacked(packed: tf.Tensor, size: tf.Tensor) -> tf.Tensor:
    """Whole matrices (R, size, size, B) of upper triangles (R, pairs, B)."""
    units = tf.range(size)
    low, high = tf.minimum(units[:, tf.newaxis], units), tf.maximum(units[:, tf.newaxis], units)
    return tf.gather(packed, low * size - low * (low - 1) // 2 + high - low, axis=1)


def pair_products(vectors: tf.Tensor) -> tf.Tensor:
    """x_j x_k of vectors (R, B, size), as (pairs, R B), by copies of contiguous rows."""
    rounds, examples, size = tf.unstack(tf.shape(vectors))
    columns = tf.transpose(tf.reshape(vectors, (rounds * examples, size)))
    first, second = pairs(size)
    return tf.gather(columns, first) * tf.gather(columns, second)


def places(units: tf.Tensor, size: int) -> tf.Tensor:
    """Where the pairs of some of `size` units stand among the pairs of all."""
    first, second = pairs(tf.size(units))
    among = tf.stack([tf.gather(units, first), tf.gather(units, second)], axis=1)
    return tf.gather_nd(tf.constant(index(size), tf.int32), among)


def spread(values: tf.Tensor, places: tf.Tensor, size: int, axis: int) -> tf.Tensor:
    """Values put at their places along an axis of that size, with zeros in between."""
    number = tf.size(places)
    found = tf.tensor_scatter_nd_update(
        tf.fill([size], number), places[:, tf.newaxis], tf.range(number)
    )
    paddings = [[0, int(other == axis)] for other in range(values.shape.rank)]
    return tf.gather(tf.pad(values, paddings), found, axis=axis)


def pairs(size: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """j and k of all pairs of a number of units that is known only as it runs."""
    units = tf.range(size)
    found = tf.cast(tf.where(units[:, tf.newaxis] <= units), tf.int32)
    return found[:, 0], found[:, 1]
