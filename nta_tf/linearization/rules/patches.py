"""What a convolution sees at each of its positions, in any number of dimensions."""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Sequence

import tensorflow as tf


@functools.partial(tf.function, autograph=False)  # many small operations
def patches(
    inputs: tf.Tensor,
    size: Sequence[int],
    strides: Sequence[int],
    dilation: Sequence[int],
    padding: str,
    turned: bool = False,
) -> tf.Tensor:
    """Patches of images (or sequences, or volumes), channels last.

    Args:
        inputs: (B, *extent, channels).
        size: Size of the kernel along each axis.
        strides: Strides along each axis.
        dilation: Dilation along each axis.
        padding: `"valid"`, `"same"` or `"causal"`.
        turned: Whether positions come last, in a third of the time that turning takes afterwards.

    Returns:
        Tensor (B, positions, product of `size`, channels); turned (B, product of `size`,
        channels, positions).
    """
    extent, channels = inputs.shape[1:-1], inputs.shape[-1]
    reach = [(length - 1) * rate + 1 for length, rate in zip(size, dilation)]
    pads, counts = [], []
    for points, covered, step in zip(extent, reach, strides):
        first = last = 0
        if padding == "same":
            missing = max((-(-points // step) - 1) * step + covered - points, 0)
            first, last = missing // 2, missing - missing // 2
        elif padding == "causal":
            first = covered - 1
        counts.append((points + first + last - covered) // step + 1)
        pads.append((first, last))
    padded = tf.pad(inputs, [(0, 0), *pads, (0, 0)])
    lead, shape, axis = 1, (-1, math.prod(counts), channels), 2
    if turned:  # before they are repeated
        padded = tf.einsum("b...c->bc...", padded)
        lead, shape, axis = 2, (-1, channels, math.prod(counts)), 1
    windows = []
    for offset in itertools.product(*map(range, size)):
        starts = [place * rate for place, rate in zip(offset, dilation)]
        stops = [low + (n - 1) * step + 1 for low, n, step in zip(starts, counts, strides)]
        window = tuple(slice(*bounds) for bounds in zip(starts, stops, strides))
        windows.append(tf.reshape(padded[(slice(None),) * lead + window], shape))
    return tf.stack(windows, axis=axis)
