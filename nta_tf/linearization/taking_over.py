"""Computing what a layer computes in its place, while Keras calls the layer as ever."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import keras

from nta_tf.linearization import rules


@contextlib.contextmanager
def taken_over(layer: keras.layers.Layer, call: Callable, reveal: Any) -> Iterator[None]:
    """Has a function compute what a layer computes, while Keras calls the layer as ever.

    Args:
        layer: The layer.
        call: Like `Rule.call`.
        reveal: Passed on to it.
    """
    original, attributes = layer.call, vars(layer)
    before = {name: value for name, value in attributes.items() if name == "call"}

    def instead(*args, **kwargs):
        inputs = args[0] if args else next(iter(kwargs.values()))
        return call(layer, inputs, reveal, lambda: original(*args, **kwargs))

    attributes["call"] = instead
    try:
        yield
    finally:
        del attributes["call"]
        attributes.update(before)


def grouped(roots: Iterable[keras.layers.Layer]) -> list[keras.layers.Layer]:
    """Grouped convolutions that have a rule, among layers and all that lie in them.

    TensorFlow's own cannot be vectorized: `tf.vectorized_map` over their gradients fails, or
    gives wrong ones. Their rule has a convolution for each group, which can.
    """
    layers = {
        id(layer): layer
        for root in roots
        if isinstance(root, keras.layers.Layer)
        for layer in [root, *root._flatten_layers(include_self=False)]
    }
    return [
        layer
        for layer in layers.values()
        if rules.has_rule(layer)
        and isinstance(rules.rule_of(layer), rules.ConvolutionRule)
        and layer.groups > 1
        and rules.rule_of(layer).refusal(layer) is None
    ]


@contextlib.contextmanager
def by_their_rules(layers: Iterable[keras.layers.Layer]) -> Iterator[None]:
    """Has the rules of layers compute what they compute, but for those taken over already."""
    with contextlib.ExitStack() as stack:
        for layer in layers:
            if "call" not in vars(layer):
                stack.enter_context(taken_over(layer, rules.rule_of(layer).call, _nothing))
        yield


def _nothing(attribute: str, layer_input: Any, preactivation: Any) -> Any:
    return preactivation
