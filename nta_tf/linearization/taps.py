"""Reaching the preactivations of a Keras model, by public API only.

`keras.models.clone_model` walks the graph of a model and calls a function of ours for
every layer. Where the layer is one whose kernel we linearise, we put its preactivation and
its activation in its place, sharing the layer's own variables; every other layer is called
as it is. The result is the same network with its preactivations in the open, and the
user's model is left as it was.
"""

import dataclasses

import keras
import tensorflow as tf

from nta_tf.linearization import rules


class _Preactivation(keras.layers.Layer):
    """a_l of a layer that has a kernel, with that layer's own variables."""

    def __init__(self, layer, rule):
        super().__init__(name=f"{layer.name}_preactivation", dtype=layer.dtype_policy)
        self.layer = layer
        self.rule = rule

    def build(self, input_shape):
        self.built = True

    def call(self, inputs):
        preactivation = self.rule.linear_map(self.layer, inputs, self.layer.kernel)
        if self.layer.use_bias:
            preactivation = keras.ops.add(preactivation, self.layer.bias)
        return preactivation


class _Call(keras.layers.Layer):
    """Calls a layer of the user's model without adding a node to that layer's graph."""

    def __init__(self, layer):
        super().__init__(name=f"{layer.name}_call", dtype=layer.dtype_policy)
        self.layer = layer

    def build(self, *args, **kwargs):
        self.built = True

    def call(self, *args, **kwargs):
        return self.layer(*args, **kwargs)


@dataclasses.dataclass(frozen=True)
class Tap:
    """One layer that has a kernel, and where to find it in the tapped model."""

    layer: keras.layers.Layer
    rule: object
    layer_input: object  # symbolic x_{l-1}
    preactivation: object  # symbolic a_l


@dataclasses.dataclass(frozen=True)
class LayerCall:
    """One call of a layer in the graph: what went in and what came out."""

    layer: object
    inputs: tuple
    output: object


class TappedModel:
    """A Keras model with the preactivations of its layers in the open.

    Args:
        model: A functional or sequential `keras.Model` with one output.
        layers: Names of the layers to tap, or None for every layer with a kernel that the
            support table (`nta.linearization.rules.RULES`) knows.

    Attributes:
        taps: `Tap` of each tapped layer by name, from the input to the output.
        calls: Every `LayerCall` of the graph, in order.
        network: A `keras.Model` from the inputs to `{"outputs": ..., "layer_inputs":
            {name: ...}, "preactivations": {name: ...}}`.
    """

    def __init__(self, model, layers=None):
        graph = _as_graph(model)
        self.calls = []
        self.taps = {}
        self._wanted = _wanted_layers(graph, layers)
        clone = keras.models.clone_model(
            graph, clone_function=lambda layer: layer, call_function=self._call
        )
        self.inputs = clone.inputs
        self.network = keras.Model(
            clone.inputs,
            {
                "outputs": clone.outputs[0],
                "layer_inputs": {n: t.layer_input for n, t in self.taps.items()},
                "preactivations": {n: t.preactivation for n, t in self.taps.items()},
            },
        )
        self.output = clone.outputs[0]

    def __call__(self, inputs):
        """Evaluates the tapped network in inference mode, outputs as rows (B, p_L)."""
        values = self.network(inputs, training=False)
        outputs = values["outputs"]
        if outputs.shape.rank != 2:
            outputs = tf.reshape(outputs, (tf.shape(outputs)[0], -1))
        return outputs, values["layer_inputs"], values["preactivations"]

    def _call(self, layer, *args, **kwargs):
        if layer.name in self._wanted:
            output = self._tap(layer, *args)
        else:
            output = _Call(layer)(*args, **kwargs)
        self.calls.append(LayerCall(layer, args, output))
        return output

    def _tap(self, layer, layer_input):
        if layer.name in self.taps:
            raise ValueError(
                f"Layer {layer.name!r} is used in more than one place of the model; "
                "linearize needs a layer that is used once. Leave it out with "
                "layers=[...]."
            )
        rule = rules.rule_of(layer)
        preactivation = _Preactivation(layer, rule)(layer_input)
        activated = preactivation
        if layer.activation is not keras.activations.linear:
            activation = keras.layers.Activation(layer.activation, dtype=layer.dtype_policy)
            activated = activation(preactivation)
        self.taps[layer.name] = Tap(layer, rule, layer_input, preactivation)
        return activated


def _as_graph(model):
    if not isinstance(model, keras.Model) or not getattr(model, "inputs", None):
        raise ValueError(
            "The model must be a keras.Model that is a graph of layers (functional, or "
            "sequential and built, for example with keras.Input first). "
            f"Received: {model!r}"
        )
    if len(model.outputs) != 1:
        raise ValueError(
            "The model must have one output. "
            f"Received: {model.name!r} with {len(model.outputs)} outputs"
        )
    return keras.Model(model.inputs, model.outputs, name=model.name)


def _wanted_layers(graph, layers):
    with_rule = [layer.name for layer in graph.layers if rules.has_rule(layer)]
    if layers is None:
        rules.check_none_hidden(graph)
        if not with_rule:
            raise ValueError(
                f"Model {graph.name!r} has no layer with a kernel that can be "
                f"linearized; supported are {rules.supported()}. "
                f"Received layers: {[layer.name for layer in graph.layers]}"
            )
        return set(with_rule)
    layers = [layers] if isinstance(layers, str) else list(layers)
    unknown = [name for name in layers if name not in with_rule]
    if unknown or not layers:
        raise ValueError(
            f"Layers of model {graph.name!r} that can be linearized are {with_rule}. "
            f"Received: layers={layers}"
        )
    return set(layers)
