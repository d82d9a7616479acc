"""Gram matrices G G^T of matrices that come in blocks of columns."""

import numpy as np
import tensorflow as tf

_WIDTH = 4096  # columns whose products are summed in the dtype of the blocks
_TILE = 1000  # rows of a product: of two tiles that mirror each other only one is computed


def gram(blocks):
    """K = G G^T, products in the dtype of the blocks, their sum in float64.

    Args:
        blocks: Iterable of G's columns, block by block: each (rows, columns), at least one. One
            of them is held at a time.

    Returns:
        NumPy array (rows, rows), float64.

    Example:

    >>> import numpy as np
    >>> from nta_tf import grams
    >>> grams.gram([np.eye(2), np.ones((2, 1))])
    array([[2., 1.],
           [1., 2.]])
    """
    total = None
    for block in blocks:
        total = np.zeros((block.shape[0],) * 2) if total is None else total
        for low in range(0, block.shape[1], _WIDTH):
            _add_products(total, block[:, low : low + _WIDTH])
    for tile in _tiles(total):
        total[: tile.start, tile] = total[tile, : tile.start].T
    return total


def _add_products(total, columns):
    """Adds those products of rows that lie in the tiles below the diagonal, and in it."""
    for tile in _tiles(total):
        product = tf.matmul(columns[tile], columns[: tile.stop], transpose_b=True)
        total[tile, : tile.stop] += product.numpy()


def _tiles(total):
    rows = len(total)
    return [slice(low, min(low + _TILE, rows)) for low in range(0, rows, _TILE)]
