"""The rectifier units of a Keras model, and which of them are active (Definition 2)."""

from __future__ import annotations

from collections.abc import Sequence

import keras
import tensorflow as tf

from nta_tf.linearization.opened import OpenedModel, Weights, names_of

# Functions with a kink at zero that keep the sign: the output says whether a > 0.
_FUNCTIONS = (keras.activations.relu, keras.activations.relu6, keras.activations.leaky_relu)
# `keras.ops.relu` and its like, called on symbolic tensors.
_OPERATIONS = ("Relu", "Relu6", "LeakyRelu")


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
        wanted = list(known) if layers is None else [layers] if isinstance(layers, str) else layers
        unknown = [name for name in wanted if name not in known]
        if unknown or not wanted:
            raise ValueError(
                f"Rectifiers of model {model.name!r} are {list(known)}. Received: layers={layers}"
            )
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
