"""Which layers inside other layers, and of models that are no graphs, can be tapped.

Only running them tells. A tap is good if its layer is called once, outside of any loop, and if
what it gives for a random error, at random weights near the model's, is what differentiating the
outputs with respect to the variable itself gives: a variable that something else uses as well
(tied weights) has a part of its derivative that does not pass through its layer.
"""

from __future__ import annotations

import contextlib
import dataclasses

import tensorflow as tf

from nta_tf.linearization.evaluated import EvaluatedModel
from nta_tf.linearization.taking_over import taken_over
from nta_tf.linearization.taps import Tap, Tapped
from nta_tf.linearization.weights import Weight

_EXAMPLES = 2
_TOLERANCE = {tf.float64: 1e-9, tf.float32: 1e-3}  # of a layer's largest derivative
_NUDGE = 0.1  # by which weights are moved, for at zero derivatives may vanish


def without_unsure_taps(
    model: EvaluatedModel, weights: dict[str, Weight], inputs: list[tf.Tensor]
) -> dict[str, Weight]:
    """The weights, without the taps of which it is not certain that they are right.

    Args:
        model: The model.
        weights: Its `Weight`s.
        inputs: A minibatch, of which some examples are used.

    Returns:
        The same weights; those with bad taps have none.
    """
    first = [tensor[:_EXAMPLES] for tensor in inputs]
    taps = {id(w.tap): w.tap for w in weights.values() if w.tap is not None and not w.direct}
    if taps:
        taps = _called_once(model, taps, first)
    if taps:
        taps = _right(model, taps, first)
    return {
        name: weight
        if weight.tap is None or weight.direct or id(weight.tap) in taps
        else dataclasses.replace(weight, tap=None)
        for name, weight in weights.items()
    }


def _called_once(model: EvaluatedModel, taps: dict[int, Tap], inputs: list) -> dict[int, Tap]:
    layers = {id(tap.layer): tap.layer for tap in taps.values()}
    calls = dict.fromkeys(layers, 0)

    def count(layer, layer_input, reveal, original):
        # In a graph of its own, as the body of a loop is, it may be called any number of times.
        calls[id(layer)] += 1 if tf.executing_eagerly() else 2
        return original()

    with contextlib.ExitStack() as stack:
        for layer in layers.values():
            stack.enter_context(taken_over(layer, count, None))
        model.rows(inputs, model.snapshot())
    return {number: tap for number, tap in taps.items() if calls[id(tap.layer)] == 1}


def _right(model: EvaluatedModel, taps: dict[int, Tap], inputs: list) -> dict[int, Tap]:
    generator = tf.random.Generator.from_seed(0)
    values = [_nudged(variable, generator) for variable in model.variables]
    tapped = Tapped(model, {str(number): tap for number, tap in taps.items()})
    with tf.GradientTape(persistent=True, watch_accessed_variables=False) as tape:
        tape.watch([value for value in values if value.dtype.is_floating])
        rows, layer_inputs, preactivations = tapped(inputs, values, watch=tape.watch)
    errors = tf.cast(generator.normal(rows.shape), rows.dtype)
    zero = {"output_gradients": errors, "unconnected_gradients": tf.UnconnectedGradients.ZERO}
    back = tape.gradient(rows, preactivations, **zero)
    places = {id(variable): place for place, variable in enumerate(model.variables)}
    right = {}
    for number, tap in taps.items():
        pairs = []
        for variable in (tap.weight, tap.bias):
            if variable is not None:
                whole = tape.gradient(rows, values[places[id(variable)]], **zero)
                through = _through(tap, variable, back[str(number)], layer_inputs[str(number)])
                pairs.append((tf.convert_to_tensor(whole), tf.cast(through, whole.dtype)))
        largest = max(float(tf.reduce_max(tf.abs(whole))) for whole, _ in pairs)
        if all(_close(*pair, largest) for pair in pairs):
            right[number] = tap
    return right


def _nudged(variable, generator: tf.random.Generator) -> tf.Tensor:
    value = tf.identity(variable.value)
    if not (variable.trainable and value.dtype.is_floating):
        return value
    return value + tf.cast(_NUDGE * generator.normal(value.shape), value.dtype)


def _through(tap: Tap, variable, row: tf.Tensor, layer_input: tf.Tensor) -> tf.Tensor:
    """sum_i G_i^T e_i, through the tap."""
    if variable is tap.bias:
        return tf.reduce_sum(tap.rule.bias_gradient_tensor(tap.layer, row[:, tf.newaxis]), (0, 1))
    return tap.rule.kernel_gradient(tap.layer, layer_input, row)


def _close(whole: tf.Tensor, through: tf.Tensor, largest: float) -> bool:
    error = float(tf.reduce_max(tf.abs(whole - through)))
    return error <= _TOLERANCE.get(whole.dtype, 3e-2) * largest + 1e-30
