"""The rectifier units of a Keras model, and which of them are active (Definition 2)."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Sequence
from typing import Any

import keras
import tensorflow as tf

from nta_tf.linearization.called import CalledModel
from nta_tf.linearization.graph import is_graph
from nta_tf.linearization.opened import OpenedModel, Weights, names_of
from nta_tf.linearization.taking_over import taken_over

# Functions with a kink at zero that keep the sign: the output says whether a > 0.
_FUNCTIONS = (keras.activations.relu, keras.activations.relu6, keras.activations.leaky_relu)
# `keras.ops.relu` and its like, called on symbolic tensors.
_OPERATIONS = ("Relu", "Relu6", "LeakyRelu")
_KNOWN = "nta_known_rectifier"  # scope of TensorFlow operations that a layer is known to make


def rectifiers_of(
    model: keras.Model, x: Any, layers: str | Sequence[str] | None = None
) -> Rectifiers | CalledRectifiers:
    """The rectifiers of any model, a graph of layers or not.

    Args:
        model: A `keras.Model`.
        x: Inputs of some examples, by which a model is understood that is no graph.
        layers: Names of rectifiers, or None for all of them.

    Returns:
        `Rectifiers` or `CalledRectifiers`.

    Raises:
        ValueError: As these.
    """
    return Rectifiers(model, layers) if is_graph(model) else CalledRectifiers(model, x, layers)


class Rectifiers(OpenedModel):
    """A Keras model with the rectifiers' activation bits in the open.

    A rectifier is a layer that is ReLU-like itself (`ReLU`, `LeakyReLU`, `PReLU`,
    `Activation("relu")`, `keras.ops.relu`) or that has such an activation (`Dense(...,
    activation="relu")`). Its units are the components of its output, and a unit is active
    where its preactivation is positive, a > 0 (above the threshold of a `ReLU` that has
    one). Layers go by their names; by their paths (`encoder/relu`) where two share one, and
    a layer that is called k times has k sets of units, `relu`, `relu:2`, ...

    Args:
        model: A functional or sequential `keras.Model` with one output.
        layers: Names of rectifiers, or None for all of them.

    Attributes:
        shapes: {rectifier: shape of its units}, from the input to the output.
        others: Those of `OpenedModel`.

    Raises:
        ValueError: If the model is no graph of layers, has no rectifier, or a layer that
            is named is none.
    """

    def __init__(self, model: keras.Model, layers: str | Sequence[str] | None = None) -> None:
        super().__init__(model)
        known = _named([call for call in self.calls if _is_rectifier(call.layer)])
        wanted = _wanted(model.name, known, layers)
        self._names = {id(call): name for name, call in known.items() if name in wanted}
        self.shapes = {
            name: tuple(call.output.shape[1:]) for name, call in known.items() if name in wanted
        }
        unclear = [name for name, shape in self.shapes.items() if None in shape]
        if unclear:
            raise ValueError(
                f"Rectifiers {unclear} of model {model.name!r} have no fixed number of units: "
                f"{self.shapes}. Give the model's inputs a fixed shape, or leave them out with "
                "layers=[...]."
            )

    @property
    def widest(self) -> int:
        """Numbers of the largest tensor of an example, by which blocks of them are measured."""
        return max(
            math.prod(call.output.shape[1:])
            for call in self.calls
            if hasattr(call.output, "shape") and None not in call.output.shape[1:]
        )

    def __call__(
        self, inputs: tf.Tensor | Sequence[tf.Tensor], weights: Weights | None = None
    ) -> dict[str, tf.Tensor]:
        """Which units are active.

        Args:
            inputs: A batch of inputs; a list of tensors if the model has several.
            weights: Weights in the place of the model's own, as in `OpenedModel.run`.

        Returns:
            {rectifier: boolean tensor (B, *shape of its units)}.
        """
        active = {}

        def evaluate(call, args, kwargs):
            output = call.layer(*args, **kwargs)
            name = self._names.get(id(call))
            if name is not None:
                given = args[0] if args else next(iter(kwargs.values()))
                active[name] = _active(call.layer, given, output)
            return output

        self.run(inputs, evaluate, weights)
        return {name: active[name] for name in self.shapes}


class CalledRectifiers(CalledModel):
    """The rectifiers of a model that is no graph of layers: those that are layers, or their
    activations. What its `call` does with `tf.nn.relu` or `keras.ops.relu` is refused by name.

    Args:
        model: A `keras.Model`.
        x: Inputs of some examples.
        layers: Names of rectifiers, or None for all of them.

    Attributes:
        shapes: {rectifier: shape of its units}, in the order in which they are called.
        widest: Numbers of the largest of them, of an example.
        others: Those of `CalledModel`.

    Raises:
        ValueError: If the model has no rectifier, one that is no layer, one inside a loop, or a
            layer that is named is none.
    """

    def __init__(
        self, model: keras.Model, x: Any, layers: str | Sequence[str] | None = None
    ) -> None:
        super().__init__(model, x)
        inside = [one for one in model._flatten_layers(include_self=False) if _is_rectifier(one)]
        names = [layer.name for layer in inside]
        self._layers = {
            layer.name if names.count(layer.name) == 1 else layer.path: layer for layer in inside
        }
        sample = [tensor[:1] for tensor in self.checked(x)]
        known = {name: tuple(bits.shape[1:]) for name, bits in self._bits(sample, None).items()}
        if layers is None:
            self._refuse_others(sample)
        self.shapes = {name: known[name] for name in _wanted(model.name, known, layers)}
        self.widest = max(math.prod(shape) for shape in known.values())

    def __call__(
        self, inputs: tf.Tensor | Sequence[tf.Tensor], weights: Weights | None = None
    ) -> dict[str, tf.Tensor]:
        """Which units are active; arguments and result are those of `Rectifiers`."""
        inputs = list(inputs) if isinstance(inputs, (list, tuple)) else [inputs]
        active = self._bits(inputs, weights)
        return {name: active[name] for name in self.shapes}

    def _bits(self, inputs: list, weights: Weights | None) -> dict[str, tf.Tensor]:
        active: dict[str, tf.Tensor] = {}
        graph = None if tf.executing_eagerly() else tf.compat.v1.get_default_graph()

        def looked_at(name: str) -> Callable:
            def call(layer: Any, given: Any, reveal: Any, original: Callable) -> Any:
                with tf.name_scope(_KNOWN):
                    output = original()
                here = None if tf.executing_eagerly() else tf.compat.v1.get_default_graph()
                if here is not graph:
                    raise ValueError(
                        f"The rectifier {name!r} of model {self.name!r} is called inside a loop, "
                        "any number of times, so that it has no fixed number of units."
                    )
                uses = sum(other.split(":")[0] == name for other in active)
                label = name if not uses else f"{name}:{uses + 1}"
                active[label] = _active(layer, given, output)
                return output

            return call

        with contextlib.ExitStack() as stack:
            for name, layer in self._layers.items():
                stack.enter_context(taken_over(layer, looked_at(name), None))
            self.chosen_outputs(inputs, weights)
        return active

    def _refuse_others(self, sample: list) -> None:
        """Raises if the model rectifies anything outside of the layers that are known to."""

        def run(inputs):
            self._bits(inputs, None)

        graph = tf.function(run, autograph=False).get_concrete_function(sample).graph.as_graph_def()
        nodes = [*graph.node, *(n for body in graph.library.function for n in body.node_def)]
        others = [n.name for n in nodes if n.op in _OPERATIONS and _KNOWN not in n.name]
        if others:
            raise ValueError(
                f"Model {self.name!r} rectifies outside of layers, at {others}, which would be "
                "left out. Make them layers (keras.layers.ReLU), or choose those that count with "
                f"layers={list(self._layers)}."
            )


def _wanted(model: str, known: Any, layers: str | Sequence[str] | None) -> list[str]:
    """Names of the rectifiers that are meant."""
    wanted = list(known) if layers is None else [layers] if isinstance(layers, str) else layers
    unknown = [name for name in wanted if name not in known]
    if unknown or not wanted:
        raise ValueError(
            f"Rectifiers of model {model!r} are {list(known)}. Received: layers={layers}"
        )
    return list(wanted)


def _is_rectifier(layer):
    if isinstance(layer, (keras.layers.ReLU, keras.layers.LeakyReLU, keras.layers.PReLU)):
        return True
    if not isinstance(layer, keras.layers.Layer):
        return type(layer).__name__ in _OPERATIONS
    return getattr(layer, "activation", None) in _FUNCTIONS


def _active(layer, given, output):
    """a > 0: where there is a layer to itself, of what it is given, else of what comes out."""
    if isinstance(layer, keras.layers.ReLU):
        return given > tf.cast(layer.threshold, given.dtype)
    fused = isinstance(layer, keras.layers.Layer) and hasattr(layer, "activation")
    return (output if fused else given) > 0


def _named(calls):
    """Calls by the names of their layers, numbered from a layer's second call on."""
    named = {}
    for name, call in zip(names_of(calls), calls):
        uses = sum(other.layer is call.layer for other in named.values())
        named[name if not uses else f"{name}:{uses + 1}"] = call
    return named
