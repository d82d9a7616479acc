"""Which variables of a model a training step may move."""

from __future__ import annotations

from collections.abc import Iterator

import keras


def moving_variables(model: keras.Model) -> list[keras.Variable]:
    """All variables that a training step may change and the network's outputs depend on.

    These are W, and statistics such as the moving averages of BatchNormalization, which the network
    uses in inference mode; not the weights of frozen layers, nor seeds of dropout.

    Args:
        model: A `keras.Model`.

    Returns:
        List of variables: the trainable ones first, each in the order in which Keras has them.

    Example:

    >>> import keras
    >>> import nta_tf as nta
    >>> layers = [keras.Input((4,)), keras.layers.Dense(3), keras.layers.BatchNormalization()]
    >>> [variable.name for variable in nta.variables.moving_variables(keras.Sequential(layers))]
    ['kernel', 'bias', 'gamma', 'beta', 'moving_mean', 'moving_variance']
    """
    variables = list(model.trainable_variables)
    known = {id(variable) for variable in variables}
    for layer in _leaves(model):
        if layer.trainable:
            for variable in layer.non_trainable_weights:  # has no seeds among them
                if id(variable) not in known:
                    known.add(id(variable))
                    variables.append(variable)
    return variables


def _leaves(model: keras.Model) -> Iterator[keras.layers.Layer]:
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            yield from _leaves(layer)
        else:
            yield layer
