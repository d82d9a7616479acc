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
    size = matrices.shape[-1]
    flat = tf.reshape(matrices, tf.concat([tf.shape(matrices)[:-2], [size * size]], 0))
    return tf.gather(flat, _flat_positions(size), axis=-1)


def upper_of_examples(matrices: tf.Tensor) -> tf.Tensor:
    """Upper triangles of symmetric matrices (R, size, B, size), as (pairs, R B)."""
    size = matrices.shape[-1]
    rows = tf.reshape(tf.transpose(matrices, (1, 3, 0, 2)), (size * size, -1))
    return tf.gather(rows, _flat_positions(size))


def pair_products(vectors: tf.Tensor) -> tf.Tensor:
    """x_j x_k of vectors (..., size), as (pairs, examples), by copies of contiguous rows."""
    size = vectors.shape[-1]
    columns = tf.transpose(tf.reshape(vectors, (-1, size)))
    first, second = np.triu_indices(size)
    return tf.gather(columns, first) * tf.gather(columns, second)


def _flat_positions(size):
    rows, columns = np.triu_indices(size)
    return rows * size + columns
