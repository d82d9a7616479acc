"""Losses of a user's own: a function whose derivatives are taken automatically."""

from collections.abc import Callable

import numpy as np
import tensorflow as tf

from nta_tf.losses.base import Loss

_PAIRS, _SCALES = 4000, (0.01, 1.0, 30.0)


class FunctionLoss(Loss):
    """A function of (outputs, targets) as a `Loss`; its derivatives by GradientTape.

    Args:
        name: Under which it is registered.
        function: Function of outputs and targets (examples, p_L) that returns one loss an
            example, (examples,); made of TensorFlow operations, convex in the outputs, and
            never negative.
        targets: Function of (generator, examples, components) that draws targets on which
            convexity is checked. Standard normal numbers by default.
    """

    def __init__(self, name: str, function: Callable, targets: Callable | None = None) -> None:
        self.name, self._function = name, function
        self._draw = targets or (lambda generator, *shape: generator.normal(size=shape))

    def __call__(self, outputs: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
        outputs = tf.convert_to_tensor(outputs)
        return self._function(outputs, tf.cast(targets, outputs.dtype))

    def evaluate(
        self, outputs: tf.Tensor, targets: tf.Tensor, weights: tf.Tensor, shift: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        columns, components = tf.shape(shift)[1], tf.shape(shift)[2]
        moved = tf.transpose(outputs[:, tf.newaxis] + shift[..., tf.newaxis], (0, 1, 3, 2))
        lead = tf.shape(moved)[:3]  # groups, columns, examples
        flat = tf.reshape(moved, (-1, components))
        of_columns = tf.repeat(tf.transpose(targets, (0, 2, 1))[:, tf.newaxis], columns, axis=1)
        of_columns = tf.reshape(of_columns, (-1, components))
        with tf.GradientTape() as outer_tape:
            outer_tape.watch(flat)
            with tf.GradientTape() as tape:
                tape.watch(flat)
                value = self._function(flat, of_columns)
            slope = tape.gradient(value, flat, unconnected_gradients="zero")
        curvature = outer_tape.batch_jacobian(slope, flat, unconnected_gradients="zero")
        weights = weights[:, tf.newaxis]
        shape = tf.concat([lead, [components]], axis=0)
        return (
            tf.reduce_sum(weights * tf.reshape(value, lead), axis=2),
            tf.reduce_sum(weights[..., tf.newaxis] * tf.reshape(slope, shape), axis=2),
            tf.reduce_sum(
                weights[..., tf.newaxis, tf.newaxis]
                * tf.reshape(curvature, tf.concat([shape, [components]], axis=0)),
                axis=2,
            ),
        )

    def check_convex(self, components: int = 3) -> None:
        """Raises unless the function is convex and not negative on random pairs of outputs."""
        generator = np.random.default_rng(0)
        for scale in _SCALES:
            one, other = scale * generator.normal(size=(2, _PAIRS, components))
            targets = self._draw(generator, _PAIRS, components)
            at_one, at_other, between = (
                np.asarray(self(point, targets)) for point in (one, other, (one + other) / 2)
            )
            if between.shape != (_PAIRS,):
                raise ValueError(
                    f"The loss {self.name!r} must return one number an example, shape "
                    f"({_PAIRS},) for outputs {one.shape}. Received: shape {between.shape}"
                )
            mean = (at_one + at_other) / 2
            with np.errstate(invalid="ignore"):
                excess = (between - mean) / (1 + np.abs(mean))
            self._refuse_worst(excess, one, other, at_one)

    def _refuse_worst(self, excess, one, other, at_one):
        worst = int(np.argmax(np.where(np.isnan(excess), np.inf, excess)))
        if not excess[worst] <= 1e-9:
            raise ValueError(
                f"The loss {self.name!r} is not convex in the outputs, so that optima would have "
                f"no certificate: between {one[worst].round(3)} and {other[worst].round(3)} it "
                "lies above its mean. Received: a loss that Theorem 2 does not speak of"
            )
        if at_one.min() < 0:
            raise ValueError(
                f"The loss {self.name!r} must never be negative; add a constant. "
                f"Received: {at_one.min():.4g} at outputs {one[int(np.argmin(at_one))].round(3)}"
            )
