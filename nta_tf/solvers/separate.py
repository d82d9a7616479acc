"""Minima of each group by itself: where F would be if no two groups shared a weight.

With far more weights than rows, as layers have, one V often serves every group: the shifts z_g
that minimise phi_g one by one are A U of some U in the ball. Then that U is the minimum, and
iterations that look for it in all weights at once are not needed.
"""

import functools
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from nta_tf.compiling import compiled
from nta_tf.losses import Loss
from nta_tf.solvers import outer

_ITERATIONS, _HALVINGS = 60, 30
# A model that promises to lower phi_g by no more than this share of it has ended.
_PROMISE = 1e-12
_NEAR = 0.1  # of the level


def minima(loss: Loss, of_groups: outer.Outer, level: float) -> tuple[np.ndarray, np.ndarray]:
    """The shift that minimises each phi_g, by Newton's method.

    Args:
        loss: A `Loss`.
        of_groups: What `outer.prepare` returned, in float64.
        level: A phi_g at which to stop: some have no minimum (one example of the cross-entropy).

    Returns:
        z, (groups, p_L), and of which groups it is the minimum, (groups,).
    """
    shift, is_minimum = _newton(loss)(of_groups, tf.constant(level, tf.float64))
    return shift.numpy(), is_minimum.numpy()


@functools.cache
def _newton(loss: Loss) -> Callable:
    def of_all(of_groups, level):
        groups, components = tf.shape(of_groups.outputs)[0], tf.shape(of_groups.outputs)[1]

        def evaluate(shift):  # each group is a row of one column
            return [part[0] for part in outer.evaluate(loss, of_groups, shift[tf.newaxis])]

        def step(turn, shift, value, gradient, hessian, done, is_minimum):
            change = -_solved(hessian, gradient)
            promise = -tf.reduce_sum(change * gradient, axis=1)
            is_minimum = is_minimum | (~done & (promise <= _PROMISE * value))
            done = done | is_minimum
            search = _LineSearch(evaluate, shift, value, change, promise, done, level)
            shift, *there = search.result()
            return turn + 1, shift, *there, done | (there[0] <= level), is_minimum

        shift = tf.zeros((groups, components), tf.float64)
        value, *derivatives = evaluate(shift)
        done = value <= level
        _, shift, *_, is_minimum = tf.while_loop(
            lambda turn, *of: (turn < _ITERATIONS) & ~tf.reduce_all(of[-2]),
            step,
            (0, shift, value, *derivatives, done, tf.zeros_like(done)),
            parallel_iterations=1,
        )
        return shift, is_minimum

    return compiled(of_all, reduce_retracing=True, autograph=False)


def _solved(hessian, gradient):
    """H^-1 gradient of each group, zero where there are numbers that are none."""
    finite = tf.math.is_finite(tf.reduce_sum(hessian, axis=(1, 2)) + tf.reduce_sum(gradient, 1))
    # Directions without curvature (a common shift of logits) have no slope either.
    damping = tf.where(finite, 1e-12 * tf.linalg.trace(hessian) + 1e-300, 1.0)
    unit = tf.eye(tf.shape(gradient)[1], dtype=gradient.dtype)
    hessian = tf.where(finite[:, tf.newaxis, tf.newaxis], hessian, tf.zeros_like(hessian))
    gradient = tf.where(finite[:, tf.newaxis], gradient, tf.zeros_like(gradient))
    damped = hessian + damping[:, tf.newaxis, tf.newaxis] * unit
    return tf.linalg.solve(damped, gradient[..., tf.newaxis])[..., 0]


class _LineSearch:
    """Halves each group's step until phi_g falls, but not far below the level.

    What lies further out than it must is further away in the weights, too. Groups that are done
    stay.
    """

    def __init__(self, evaluate, shift, value, change, promise, done, level) -> None:
        self._evaluate, self._shift, self._change = evaluate, shift, change
        self._value, self._promise, self._done, self._level = value, promise, done, level

    def result(self):
        """The shifts, and value, gradient and Hessian there."""
        # phi_g is never negative: no step gains more than there is.
        first = tf.minimum(tf.math.divide_no_nan(2 * self._value, self._promise), 1.0)
        first = tf.where(self._done, tf.zeros_like(first), first)
        _, _, *found = tf.while_loop(
            lambda turn, fraction, moved, there, *_: (
                (turn < _HALVINGS) & ~tf.reduce_all(self._is_good(fraction, there))
            ),
            self._halve,
            (0, first, *self._trial(first)),
            parallel_iterations=1,
        )
        return found

    def _halve(self, turn, fraction, moved, there, *derivatives):
        fraction = tf.where(self._is_good(fraction, there), fraction, fraction / 2)
        return turn + 1, fraction, *self._trial(fraction)

    def _trial(self, fraction):
        moved = self._shift + fraction[:, tf.newaxis] * self._change
        return moved, *self._evaluate(moved)

    def _is_good(self, fraction, there):
        falls = there <= self._value - 1e-4 * fraction * self._promise
        return self._done | (falls & (there >= _NEAR * self._level))
