"""The part of a chain that is alive: dead rectifiers are left out, and change no digit that counts.

A unit that is silent on all examples of a block of rounds adds only zeros to everything that is
recorded of it. Training with large steps kills many units (Adam at 0.01 seven in ten of the
autoencoder's first layer), and work grows with the fourth power of the width.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import tensorflow as tf

from nta_tf.linearization.chain import Evaluation


@dataclasses.dataclass(frozen=True)
class LivePart:
    """A chain without its dead units.

    Attributes:
        evaluation: `Evaluation` of what is left, whose widths are known only as it runs.
        biases: b_l of the units that are left.
        inputs: For each layer, where the units of x_{l-1} that are left stand among all.
        units: The same of its own units.
        widths: p_{l-1} of each layer, with dead units.
    """

    evaluation: Evaluation
    biases: list[tf.Tensor | None]
    inputs: list[tf.Tensor]
    units: list[tf.Tensor]
    widths: list[int]


def whole(evaluation: Evaluation, biases: Sequence[tf.Tensor | None]) -> LivePart:
    """All units, dead ones too."""
    units = [tf.range(kernel.shape[-1]) for kernel in evaluation.kernels]
    inputs = [tf.range(evaluation.kernels[0].shape[-2]), *units[:-1]]
    widths = [kernel.shape[-2] for kernel in evaluation.kernels]
    return LivePart(evaluation, list(biases), inputs, units, widths)


def live_part(evaluation: Evaluation, biases: Sequence[tf.Tensor | None]) -> LivePart:
    """The chain without hidden units whose output and slope are zero on all examples.

    Args:
        evaluation: `Evaluation` of the chain on (R, B) examples.
        biases: b_l of each layer, (R, p_l), or None.

    Returns:
        A `LivePart`.
    """
    every = whole(evaluation, biases)
    units = list(every.units)
    for k, slope in enumerate(evaluation.slopes[:-1]):
        if slope is not None:
            acts = tf.not_equal(slope, 0) | tf.not_equal(evaluation.layer_inputs[k + 1], 0)
            units[k] = tf.cast(tf.where(tf.reduce_any(acts, axis=(0, 1)))[:, 0], tf.int32)
    inputs = [every.inputs[0], *units[:-1]]

    def kept(values, places):
        return [
            None if value is None else tf.gather(value, place, axis=-1)
            for value, place in zip(values, places)
        ]

    hidden = slice(None, -1)  # all outputs are kept, and the largest arrays stay where they are
    kernels = [
        tf.gather(kernel, place, axis=-2) if k else kernel
        for k, (kernel, place) in enumerate(zip(evaluation.kernels, inputs))
    ]
    kernels = [*kept(kernels[hidden], units), kernels[-1]]
    left = Evaluation(
        [evaluation.layer_inputs[0], *kept(evaluation.layer_inputs[1:], units)],
        [*kept(evaluation.preactivations[hidden], units), evaluation.preactivations[-1]],
        [*kept(evaluation.slopes[hidden], units), evaluation.slopes[-1]],
        kernels,
        evaluation.outputs,
    )
    biases = [*kept(biases[hidden], units), biases[-1]]
    return LivePart(left, biases, inputs, units, every.widths)
