"""Which kinds of layer have a rule."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import keras

from nta_tf.linearization.rules.base import Rule

if TYPE_CHECKING:
    from nta_tf.linearization.graph import LayerCall

RULES: dict[type[keras.layers.Layer], Rule] = {}

# Layers with weights of two or more axes that scale single units and are no kernels.
_SCALES = (
    keras.layers.PReLU,
    keras.layers.LayerNormalization,
    keras.layers.RMSNormalization,
    keras.layers.Normalization,
)


def register(kind: type[keras.layers.Layer], rule: Rule) -> None:
    """Gives a kind of layer its rule; a later call for the same kind replaces it.

    Args:
        kind: A class of layers. Its sub-classes are not meant: they may do anything.
        rule: A `Rule`.

    Raises:
        TypeError: If `kind` is no class of layers, or `rule` is no `Rule`.

    Example:

    >>> import keras
    >>> import nta_tf as nta
    >>> class Doubled(keras.layers.Dense):
    ...     def call(self, inputs):
    ...         return super().call(2 * inputs)
    >>> class DoubledRule(nta.linearization.rules.DenseRule):
    ...     def linear_map(self, layer, inputs, kernel, neurons=None):
    ...         return super().linear_map(layer, 2 * inputs, kernel, neurons)
    ...     def gradient_tensor(self, layer, jacobian, layer_input, neuron=None):
    ...         return super().gradient_tensor(layer, jacobian, 2 * layer_input, neuron)
    >>> nta.linearization.rules.register(Doubled, DoubledRule())
    >>> model = keras.Sequential([keras.Input((3,)), Doubled(2, name="doubled")])
    >>> nta.linearize(model, [[1.0, 2.0, 3.0]]).gradient_tensor("doubled", neuron=1).numpy()
    array([[[0., 0., 0.],
            [2., 4., 6.]]], dtype=float32)
    >>> del nta.linearization.rules.RULES[Doubled]
    """
    if not (isinstance(kind, type) and issubclass(kind, keras.layers.Layer)):
        raise TypeError(f"A rule is registered for a class of layers. Received: {kind!r}")
    if not isinstance(rule, Rule):
        raise TypeError(
            "A rule must be an object of a sub-class of nta.linearization.rules.Rule. "
            f"Received: {rule!r}"
        )
    RULES[kind] = rule


def supported() -> list[str]:
    """Names of the kinds of layer that have a rule.

    Returns:
        A list of class names.

    Example:

    >>> import nta_tf as nta
    >>> "EinsumDense" in nta.linearization.rules.supported()
    True
    """
    return sorted(kind.__name__ for kind in RULES)


def has_rule(layer: keras.layers.Layer) -> bool:
    """Whether the layer is of a kind that can be linearized."""
    return type(layer) in RULES


def has_kernel_rule(layer: keras.layers.Layer) -> bool:
    """Whether the layer is of a kind whose kernel (no table, no scale) has a rule."""
    return has_rule(layer) and rule_of(layer).attribute == "kernel"


def rule_of(layer: keras.layers.Layer) -> Rule:
    """The rule of the layer's kind."""
    return RULES[type(layer)]


def has_kernel(layer: keras.layers.Layer) -> bool:
    """Whether a layer has a kernel: a weight of two or more axes that is no mere scale."""
    if isinstance(layer, _SCALES):
        return False
    return any(len(weight.shape) > 1 for weight in getattr(layer, "weights", []))


def check_layer(name: str, layer: keras.layers.Layer) -> None:
    """Raises if a layer that has a rule cannot be linearized all the same.

    Args:
        name: What the layer is called.
        layer: The layer.

    Raises:
        NotImplementedError: If so, with the reason.
    """
    reason = rule_of(layer).refusal(layer)
    if reason is not None:
        raise NotImplementedError(
            f"Layer {name!r} ({type(layer).__name__}) cannot be linearized: {reason}."
        )


def check_none_hidden(calls: Iterable[LayerCall]) -> None:
    """Raises if a kernel of the graph would be passed over in silence.

    Args:
        calls: The `LayerCall`s of a graph.

    Raises:
        NotImplementedError: If a layer has a kernel but no rule.
    """
    for call in calls:
        if has_kernel(call.layer) and not has_kernel_rule(call.layer):
            raise NotImplementedError(
                f"Layer {call.path!r} ({type(call.layer).__name__}) has a kernel that "
                f"cannot be linearized; supported are {supported()} themselves, not their "
                "sub-classes (see nta.linearization.rules). Name the layers that you want "
                "with layers=[...]; the others are then differentiated through."
            )
