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
) -> tf.Tensor:
    """Patches of images (or sequences, or volumes), channels last.

    Args:
        inputs: (B, *extent, channels).
        size: Size of the kernel along each axis.
        strides: Strides along each axis.
        dilation: Dilation along each axis.
        padding: `"valid"`, `"same"` or `"causal"`.

    Returns:
        Tensor (B, positions, product of `size`, channels).
    """
    pads, windows, positions = _geometry(inputs.shape, size, strides, dilation, padding)
    padded, channels = tf.pad(inputs, [(0, 0), *pads, (0, 0)]), inputs.shape[-1]
    seen = [
        tf.reshape(padded[(slice(None), *window)], (-1, positions, channels)) for window in windows
    ]
    return tf.stack(seen, axis=2)


@functools.partial(tf.function, autograph=False)
def turned_patches(
    inputs: tf.Tensor,
    size: Sequence[int],
    strides: Sequence[int],
    dilation: Sequence[int],
    padding: str,
) -> tf.Tensor:
    """The same with positions last, in a third of the time that turning `patches` takes.

    Args:
        inputs: As for `patches`.
        size: As for `patches`.
        strides: As for `patches`.
        dilation: As for `patches`.
        padding: As for `patches`.

    Returns:
        Tensor (B, product of `size`, channels, positions).
    """
    pads, windows, positions = _geometry(inputs.shape, size, strides, dilation, padding)
    # The inputs are turned before they are repeated.
    turned = tf.einsum("b...c->bc...", inputs)
    padded, channels = tf.pad(turned, [(0, 0), (0, 0), *pads]), inputs.shape[-1]
    seen = [
        tf.reshape(padded[(slice(None), slice(None), *window)], (-1, channels, positions))
        for window in windows
    ]
    return tf.stack(seen, axis=1)


def _geometry(shape, size, strides, dilation, padding):
    """Zeros around each axis, the window of each place of the kernel, and how many positions."""
    reach = [(length - 1) * rate + 1 for length, rate in zip(size, dilation)]
    pads, counts = [], []
    for points, covered, step in zip(shape[1:-1], reach, strides):
        first = last = 0
        if padding == "same":
            missing = max((-(-points // step) - 1) * step + covered - points, 0)
            first, last = missing // 2, missing - missing // 2
        elif padding == "causal":
            first = covered - 1
        counts.append((points + first + last - covered) // step + 1)
        pads.append((first, last))
    windows = []
    for offset in itertools.product(*map(range, size)):
        starts = [place * rate for place, rate in zip(offset, dilation)]
        stops = [low + (n - 1) * step + 1 for low, n, step in zip(starts, counts, strides)]
        windows.append(tuple(slice(*bounds) for bounds in zip(starts, stops, strides)))
    return pads, windows, math.prod(counts)
