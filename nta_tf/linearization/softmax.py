"""Does a model end in a softmax? Cross-entropy wants what stands before it, the logits."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from nta_tf.linearization.called import CalledModel
from nta_tf.linearization.evaluated import EvaluatedModel, Outputs
from nta_tf.linearization.graph import is_graph
from nta_tf.linearization.opened import OpenedModel

# Operations that pass numbers on as they are.
_PASSING = {
    "Identity", "IdentityN", "Reshape", "Cast", "Squeeze", "ExpandDims", "Transpose",
    "StopGradient", "EnsureShape",
}  # fmt: skip


def softmax_output(model: keras.Model, x: Any = None, outputs: Outputs = None) -> bool:
    """Whether the model's outputs are what a softmax gives.

    Args:
        model: A `keras.Model`.
        x: A minibatch, needed if the model is no graph of layers.
        outputs: Name or position of an output, or a list of them; None is the only one.

    Returns:
        True if one of these outputs ends in a softmax, as a layer, an activation or an
        operation, with at most a change of shape behind it.

    Example:

    >>> import keras
    >>> import nta_tf as nta
    >>> inputs = keras.Input((4,))
    >>> model = keras.Model(inputs, keras.layers.Dense(3, "softmax")(inputs))
    >>> nta.linearization.softmax_output(model)
    True
    >>> nta.linearization.softmax_output(nta.models.autoencoder(seed=0))
    False
    """
    if not is_graph(model):
        called = CalledModel(model, x, outputs)
        return ends_in_softmax(called, called.checked(x))
    opened = OpenedModel(model, outputs)
    return ends_in_softmax(
        opened, [tf.TensorSpec(symbol.shape, symbol.dtype) for symbol in opened.inputs]
    )


def refuse_softmax(name: str) -> None:
    """Raises the error for cross-entropy on a model that ends in a softmax.

    Args:
        name: Name of the model.

    Raises:
        ValueError: Always.
    """
    raise ValueError(
        f"Model {name!r} ends in a softmax, and cross-entropy takes the outputs before it, the "
        "logits: softmax would be applied twice. Leave the softmax out of the model "
        "(activation=None in its last layer)."
    )


def ends_in_softmax(model: EvaluatedModel, inputs: list) -> bool:
    """`softmax_output` of a model that is opened already, for inputs or their shapes."""
    function = tf.function(lambda given: model.chosen_outputs(given, None), autograph=False)
    graph = function.get_concrete_function(inputs).graph
    return any(_is_softmax(output) for output in graph.outputs)


def _is_softmax(tensor: tf.Tensor) -> bool:
    while tensor.op.type in _PASSING:
        tensor = tensor.op.inputs[tensor.value_index if tensor.op.type == "IdentityN" else 0]
    return tensor.op.type == "Softmax"
