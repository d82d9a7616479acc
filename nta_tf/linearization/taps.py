"""Reaching the preactivations of a Keras model.

The network is run call by call (see `graph`). In the place of a layer whose kernel we
linearise, its preactivation and its activation are computed, with the layer's own
variables; every other layer is called as it is.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence

import keras
import tensorflow as tf

from nta_tf.linearization import rules
from nta_tf.linearization.graph import LayerCall
from nta_tf.linearization.opened import OpenedModel, Weights, names_of


@dataclasses.dataclass(frozen=True)
class Tap:
    """One layer that has a kernel, and where to find it in the tapped model.

    Attributes:
        layer: The user's layer.
        rule: Its rule.
        layer_input: Symbolic tensor of the shape of x_{l-1}.
        preactivation: Symbolic tensor of the shape of a_l.
    """

    layer: keras.layers.Layer
    rule: rules.Rule
    layer_input: keras.KerasTensor
    preactivation: keras.KerasTensor


class TappedModel(OpenedModel):
    """A Keras model with the preactivations of its layers in the open.

    Layers carry their own names, also inside nested models. Where two layers share a name,
    each is called by its path, the names of the nested models and its own with slashes
    between (`"encoder/conv"`, `"decoder/conv"`).

    Args:
        model: A functional or sequential `keras.Model` with one output.
        layers: Names of the layers to tap, or None for every layer with a kernel that the
            support table (`nta.linearization.rules`) knows.

    Attributes:
        taps: `Tap` of each tapped layer by name, from the input to the output.
        others: Those of `OpenedModel`.

    Raises:
        ValueError: If the model is no graph, a layer is unknown, or is used twice.
        NotImplementedError: If the model has a kernel that no rule knows.
    """

    def __init__(self, model: keras.Model, layers: str | Sequence[str] | None = None) -> None:
        super().__init__(model)
        wanted = _wanted_calls(model, self.calls, layers)
        self.taps = {
            name: Tap(call.layer, rules.rule_of(call.layer), call.inputs[0], call.output)
            for name, call in wanted.items()
        }
        self._names = {id(call): name for name, call in wanted.items()}
        self._preactivations = {
            name: _Preactivation(tap.layer, tap.rule) for name, tap in self.taps.items()
        }

    def __call__(
        self,
        inputs: tf.Tensor | Sequence[tf.Tensor],
        weights: Weights | None = None,
        watch: Callable[[tf.Tensor], None] | None = None,
    ) -> tuple[tf.Tensor, dict[str, tf.Tensor], dict[str, tf.Tensor]]:
        """Evaluates the network in inference mode.

        Args:
            inputs: A batch of inputs; a list of tensors if the model has several.
            weights: Tensors to be used in the place of the model's variables: a dictionary
                by `variable.path`, of those that differ, or a list like `variables`. None
                is the live variables.
            watch: Called on each tapped preactivation as soon as it is there, for example
                `tape.watch`.

        Returns:
            Outputs as rows (B, p_L), layer inputs by name and preactivations by name.
        """
        layer_inputs, preactivations = {}, {}

        def evaluate(call, args, kwargs):
            name = self._names.get(id(call))
            if name is None:
                return call.layer(*args, **kwargs)
            layer_input = args[0] if args else kwargs["inputs"]
            preactivation = self._preactivations[name](layer_input)
            if watch is not None:
                watch(preactivation)
            # In the type in which the layer computes, whatever was fed into it.
            layer_inputs[name] = tf.cast(layer_input, call.layer.compute_dtype)
            preactivations[name] = preactivation
            return call.layer.activation(preactivation)

        outputs = self.run(inputs, evaluate, weights)
        if outputs.shape.rank != 2:
            components = math.prod(outputs.shape[1:])
            outputs = tf.reshape(outputs, (tf.shape(outputs)[0], components))
        return outputs, layer_inputs, preactivations

    def name_at(self, call: LayerCall) -> str | None:
        """Name of the tap at a call of the graph, or None."""
        return self._names.get(id(call))


class _Preactivation(keras.layers.Layer):
    """a_l of a layer that has a kernel, with that layer's own variables and dtypes."""

    def __init__(self, layer, rule):
        super().__init__(name=f"{layer.name}_preactivation", dtype=layer.dtype_policy)
        self.layer = layer
        self.rule = rule

    def build(self, input_shape):
        self.built = True

    def call(self, inputs):
        kernel = keras.ops.convert_to_tensor(self.layer.kernel)
        preactivation = self.rule.linear_map(self.layer, inputs, kernel)
        if self.layer.use_bias:
            preactivation = keras.ops.add(preactivation, self.layer.bias)
        return preactivation


def _wanted_calls(model, calls, layers):
    """The calls to tap, by name."""
    known = [call for call in calls if rules.has_rule(call.layer)]
    named = dict(zip(names_of(known), known))
    if layers is None:
        rules.check_none_hidden(calls)
        if not named:
            raise ValueError(
                f"Model {model.name!r} has no layer with a kernel that can be "
                f"linearized; supported are {rules.supported()}. "
                f"Received layers: {[call.path for call in calls]}"
            )
        layers = list(named)
    layers = [layers] if isinstance(layers, str) else list(layers)
    unknown = [name for name in layers if name not in named]
    if unknown or not layers:
        raise ValueError(
            f"Layers of model {model.name!r} that can be linearized are {list(named)}. "
            f"Received: layers={layers}"
        )
    for name in layers:
        _check_used_once(name, named[name].layer, calls)
        rules.check_layer(name, named[name].layer)
    return {name: call for name, call in named.items() if name in layers}


def _check_used_once(name, layer, calls):
    places = [call.path for call in calls if call.layer is layer]
    if len(places) > 1:
        raise ValueError(
            f"Layer {name!r} is used in more than one place of the model ({places}); "
            "linearize needs a layer that is used once. Leave it out with layers=[...]."
        )
