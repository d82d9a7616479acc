"""Reaching the preactivations of a Keras model.

While the network runs, the calls of the layers whose weights we linearise are taken over: the
layer's rule computes what the layer computes, with its preactivation in the open. Keras calls the
layer as ever (casts, masks, arguments), and every other layer is called as it is.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Mapping, Sequence

import keras
import tensorflow as tf

from nta_tf.linearization import rules
from nta_tf.linearization.evaluated import EvaluatedModel, Weights
from nta_tf.linearization.graph import LayerCall
from nta_tf.linearization.opened import OpenedModel, names_of
from nta_tf.linearization.taking_over import taken_over

Watch = Callable[[tf.Tensor], None]
Values = dict[str, tf.Tensor]


@dataclasses.dataclass(frozen=True)
class Tap:
    """One weight of a layer, and where to find it in the tapped model.

    Attributes:
        layer: The user's layer.
        rule: The rule of the weight.
        layer_input: Symbolic tensor of the shape of x_{l-1}, where the graph has one.
        preactivation: Symbolic tensor of the shape of a_l, where the graph has one.
    """

    layer: keras.layers.Layer
    rule: rules.Rule
    layer_input: keras.KerasTensor | None = None
    preactivation: keras.KerasTensor | None = None

    @property
    def weight(self) -> keras.Variable:
        """The variable W_l."""
        return self.rule.weight(self.layer)

    @property
    def bias(self) -> keras.Variable | None:
        """The variable that is added to the preactivation, or None."""
        return self.rule.bias(self.layer)


class Tapped:
    """A model with the preactivations of some of its layers in the open.

    Args:
        model: The model that is run.
        taps: `Tap` of each weight by name.
    """

    def __init__(self, model: EvaluatedModel, taps: Mapping[str, Tap]) -> None:
        self.model = model
        self.taps = dict(taps)

    def __call__(
        self,
        inputs: tf.Tensor | Sequence[tf.Tensor],
        weights: Weights | None = None,
        watch: Watch | None = None,
    ) -> tuple[tf.Tensor, Values, Values]:
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
        by_layer: dict[int, dict[str, str]] = {}
        for name, tap in self.taps.items():
            by_layer.setdefault(id(tap.layer), {})[tap.rule.attribute] = name

        def reveal_for(names: dict[str, str]) -> rules.Reveal:
            def reveal(attribute, layer_input, preactivation):
                if attribute in names:
                    if watch is not None:
                        watch(preactivation)
                    layer_inputs[names[attribute]] = layer_input
                    preactivations[names[attribute]] = preactivation
                return preactivation

            return reveal

        inputs = list(inputs) if isinstance(inputs, (list, tuple)) else [inputs]
        layers = {id(tap.layer): tap.layer for tap in self.taps.values()}
        with contextlib.ExitStack() as stack:
            for number, layer in layers.items():
                reveal = reveal_for(by_layer[number])
                stack.enter_context(taken_over(layer, rules.rule_of(layer).call, reveal))
            outputs = self.model.rows(inputs, weights)
        return outputs, layer_inputs, preactivations


class TappedModel(Tapped, OpenedModel):
    """An opened model with the preactivations of its layers in the open.

    Layers carry their own names, also inside nested models. Where two layers share a name,
    each is called by its path, the names of the nested models and its own with slashes
    between (`"encoder/conv"`, `"decoder/conv"`).

    Args:
        model: A functional or sequential `keras.Model` with one output.
        layers: Names of the layers to tap, or None for every layer with a kernel that has a
            rule (`nta.linearization.rules`).

    Attributes:
        taps: `Tap` of each tapped layer by name, from the input to the output.
        others: Those of `OpenedModel`.

    Raises:
        ValueError: If the model is no graph, a layer is unknown, or is used twice.
        NotImplementedError: If the model has a kernel that no rule knows.
    """

    def __init__(self, model: keras.Model, layers: str | Sequence[str] | None = None) -> None:
        OpenedModel.__init__(self, model)
        wanted = _wanted_calls(model, self.calls, layers)
        Tapped.__init__(
            self,
            self,
            {
                name: Tap(call.layer, rules.rule_of(call.layer), call.inputs[0], call.output)
                for name, call in wanted.items()
            },
        )
        self._names = {id(call): name for name, call in wanted.items()}

    def name_at(self, call: LayerCall) -> str | None:
        """Name of the tap at a call of the graph, or None."""
        return self._names.get(id(call))


def _wanted_calls(model, calls, layers):
    """The calls to tap, by name."""
    known = [call for call in calls if rules.has_kernel_rule(call.layer)]
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
