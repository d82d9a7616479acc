"""Does a layer mix the examples of a minibatch? Then J_l of single examples do not exist."""

from __future__ import annotations

import keras
import numpy as np
import tensorflow as tf

from nta_tf.linearization.evaluated import EvaluatedModel
from nta_tf.linearization.opened import OpenedModel

_REMEDY = (
    "changing one example changes its output for others, so that the Jacobian tensor of a single "
    "example does not exist. Replace the layer, or linearize minibatches of one example."
)


def check_examples_apart(model: EvaluatedModel, inputs: list[tf.Tensor]) -> None:
    """Raises if an example's outputs depend on the other examples of the minibatch.

    The first example is changed and the network run again: nothing may change for the
    others. This finds what happens on this minibatch, for two forward passes.

    Args:
        model: The model.
        inputs: List of tensors, one an input, of at least two examples.

    Raises:
        ValueError: If so, with the name of the first layer that mixes examples, or if
            there is one example only.
    """
    examples = inputs[0].shape[0]
    if examples < 2:
        raise ValueError("verify=True needs at least two examples. Received: one")
    changed = [_with_another_first(tensor) for tensor in inputs]
    if not _others_moved(model.rows(inputs), model.rows(changed), examples):
        return
    if not isinstance(model, OpenedModel):
        raise ValueError(f"Model {model.name!r} mixes the examples of the minibatch: {_REMEDY}")
    before, after = model.values(inputs), model.values(changed)
    for (call, old), (_, new) in zip(before, after):
        pairs = zip(keras.tree.flatten(old), keras.tree.flatten(new))
        if any(_others_moved(one, other, examples) for one, other in pairs):
            raise ValueError(
                f"Layer {call.path!r} ({type(call.layer).__name__}) mixes the examples of "
                f"the minibatch: {_REMEDY}"
            )


def _with_another_first(tensor):
    """The batch with its first example replaced by one far from it."""
    if tensor.dtype.is_floating:
        other = 2 * tensor[:1] + 1
    else:  # tokens: another one that the batch holds, in reverse order if there is none
        other = tensor[1:2] if bool(tf.reduce_any(tensor[:1] != tensor[1:2])) else tensor[:1, ::-1]
    return tf.concat([other, tensor[1:]], axis=0)


def _others_moved(old, new, examples):
    if old.shape.rank == 0 or old.shape[0] != examples or not old.dtype.is_floating:
        return False
    old, new = old.numpy()[1:].astype(np.float64), new.numpy()[1:].astype(np.float64)
    return bool(np.abs(old - new).max(initial=0.0) > 1e-6 * np.abs(old).max(initial=1e-30))
