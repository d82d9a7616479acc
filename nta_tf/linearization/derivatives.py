"""Derivatives of a model's outputs with respect to its variables themselves, exact.

This needs to know nothing of layers: a variable may be used anywhere, several times, inside a
loop of a recurrent layer. <G, V> of all examples is one forward derivative, sum_i G_i^T e_i one
backward pass; G of every example takes a backward pass for each example and output, or a forward
derivative for each component of the variable, whichever are fewer.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import keras
import tensorflow as tf

from nta_tf.compiling import compiled
from nta_tf.linearization.evaluated import EvaluatedModel

_ZERO = tf.UnconnectedGradients.ZERO

Values = dict[str, tf.Tensor]


class Derivatives:
    """The derivatives of a model with respect to some of its variables.

    All functions take the inputs and the values of all weights, like `model.variables`.

    Args:
        model: The model.
        variables: The variables by name.
    """

    def __init__(self, model: EvaluatedModel, variables: Mapping[str, keras.Variable]) -> None:
        self._model = model
        places = model.places()
        self._places = {name: places[id(variable)] for name, variable in variables.items()}
        self._push_compiled = compiled(self._push, autograph=False)
        self._pull_compiled = compiled(self._pull, autograph=False)
        self._means = compiled(self._mean_gradient_tensors, autograph=False)
        self._tensors: dict[str, Callable] = {}
        self.outputs = compiled(model.rows, autograph=False)

    def push(self, inputs: list, weights: list, changes: Values) -> tf.Tensor:
        """sum over variables of <G_i, change> for every example, (B, p_L), without any G.

        It can be differentiated with respect to the changes, again and again.
        """
        names = sorted(changes)
        push, _ = self._adjoint_pair(inputs, weights, names)
        return push(*[changes[name] for name in names])

    def gradient_tensor(self, inputs: list, weights: list, name: str) -> tf.Tensor:
        """G of every example, (B, p_L, *variable.shape)."""
        if name not in self._tensors:
            self._tensors[name] = compiled(
                lambda inputs, weights: self._gradient_tensor(inputs, weights, name),
                autograph=False,
            )
        return self._tensors[name](inputs, weights)

    def mean_gradient_tensor(self, inputs: list, weights: list, name: str) -> tf.Tensor:
        """The mean of G over the minibatch, (p_L, *variable.shape), without any G."""
        return self._means(inputs, weights, name)

    def _adjoint_pair(self, inputs: list, weights: list, names: list) -> tuple:
        """Functions with each other's derivatives: both are linear, and adjoint."""

        @tf.custom_gradient
        def push(*changes):
            moved = self._push_compiled(inputs, weights, dict(zip(names, changes)))
            return moved, lambda errors: pull(errors)

        @tf.custom_gradient
        def pull(errors):
            gradients = self._pull_compiled(inputs, weights, errors, tuple(names))
            return [gradients[name] for name in names], lambda *changes: push(*changes)

        return push, pull

    def _on_tape(self, inputs: list, weights: list, names: Sequence[str]) -> _Tape:
        return _Tape(self._model, inputs, weights, {name: self._places[name] for name in names})

    def _push(self, inputs: list, weights: list, changes: Values) -> tf.Tensor:
        return self._on_tape(inputs, weights, list(changes)).forward()(changes)

    def _pull(self, inputs: list, weights: list, errors: tf.Tensor, names: tuple) -> Values:
        return self._on_tape(inputs, weights, names).backward(errors)

    def _gradient_tensor(self, inputs: list, weights: list, name: str) -> tf.Tensor:
        alone = [tensor[:1] for tensor in inputs]
        components = self._on_tape(alone, weights, [name]).outputs.shape[1]
        size = math.prod(weights[self._places[name]].shape)
        if size <= components / 2:
            return self._by_columns(inputs, weights, name, size)

        def of_example(example: list) -> tf.Tensor:
            tape = self._on_tape([tensor[tf.newaxis] for tensor in example], weights, [name])
            return self._rows(lambda k: tape.backward(tape.seed(k))[name], tape, name)

        return tf.map_fn(
            of_example,
            inputs,
            fn_output_signature=weights[self._places[name]].dtype,
            parallel_iterations=1,
        )

    def _by_columns(self, inputs: list, weights: list, name: str, size: int) -> tf.Tensor:
        weight = weights[self._places[name]]
        tape = self._on_tape(inputs, weights, [name])
        forward = tape.forward()

        def column(place: tf.Tensor) -> tf.Tensor:
            direction = tf.reshape(tf.one_hot(place, size, dtype=weight.dtype), weight.shape)
            return forward({name: direction})

        columns = tf.map_fn(
            column, tf.range(size), fn_output_signature=tape.outputs.dtype, parallel_iterations=1
        )
        shape = (-1, tape.outputs.shape[1], *weight.shape)
        return tf.cast(tf.reshape(tf.einsum("vbk->bkv", columns), shape), weight.dtype)

    def _mean_gradient_tensors(self, inputs: list, weights: list, name: str) -> tf.Tensor:
        tape = self._on_tape(inputs, weights, [name])
        total = self._rows(lambda k: tape.backward(tape.seed(k))[name], tape, name)
        return total / tf.cast(tf.shape(tape.outputs)[0], total.dtype)

    def _rows(self, row: Callable, tape: _Tape, name: str) -> tf.Tensor:
        """The rows of all components stacked.

        One after the other: `tf.vectorized_map` gives wrong gradients of grouped convolutions
        without a word, and loops of recurrent layers take long to trace more than once.
        """
        return tf.map_fn(
            row,
            tf.range(tape.outputs.shape[1]),
            fn_output_signature=tape.dtype(name),
            parallel_iterations=1,
        )


class _Tape:
    """A forward pass with some variables watched."""

    def __init__(self, model: EvaluatedModel, inputs: list, weights: list, places: dict) -> None:
        self._tape = tf.GradientTape(persistent=True, watch_accessed_variables=False)
        # Copies, for the tape tells tensors apart by identity.
        self._watched = {name: tf.identity(weights[place]) for name, place in places.items()}
        values = list(weights)
        for name, place in places.items():
            values[place] = self._watched[name]
        with self._tape:
            self._tape.watch(self._watched)
            self.outputs = model.rows(inputs, values)

    def dtype(self, name: str) -> tf.DType:
        return self._watched[name].dtype

    def seed(self, component: tf.Tensor) -> tf.Tensor:
        """One for that component of every example."""
        row = tf.one_hot(component, self.outputs.shape[1], dtype=self.outputs.dtype)
        return tf.broadcast_to(row, tf.shape(self.outputs))

    def backward(self, errors: tf.Tensor) -> Values:
        """sum_i G_i^T e_i by name."""
        gradients = self._tape.gradient(
            self.outputs, self._watched, output_gradients=errors, unconnected_gradients=_ZERO
        )
        return {name: tf.convert_to_tensor(gradient) for name, gradient in gradients.items()}

    def forward(self) -> Callable[[Values], tf.Tensor]:
        """The function from changes to sum <G_i, change>.

        Backpropagation is linear in the errors, and its own gradient with respect to them is
        forward differentiation. Unlike `tf.autodiff.ForwardAccumulator` this passes through
        the loops of recurrent layers.
        """
        outer = tf.GradientTape(persistent=True, watch_accessed_variables=False)
        with outer:
            errors = tf.zeros_like(self.outputs)
            outer.watch(errors)
            gradients = self.backward(errors)

        def push(changes: Values) -> tf.Tensor:
            return outer.gradient(
                [gradients[name] for name in changes],
                errors,
                output_gradients=list(changes.values()),
                unconnected_gradients=_ZERO,
            )

        return push
