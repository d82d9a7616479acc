"""A layer whose factors J_l and x_{l-1} were recorded: what its rule makes of them."""

from __future__ import annotations

import functools
import json
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from nta_tf.linearization import rules
from nta_tf.solvers import DenseMap, FactoredMap
from nta_tf.solvers.maps import LinearMap

# Up to this size G is formed where that makes products cheaper: more takes as long to form.
_FORMED_BYTES = 2**28
_GROUPS_AT_ONCE = 16


def recorded_layer(config: Mapping[str, Any]) -> RecordedLayer:
    """The layer of a record's config; the same object for the same layer.

    Args:
        config: One of the `kernels` of a record's config.

    Returns:
        A `RecordedLayer`.
    """
    return _of(json.dumps(config))


class RecordedLayer:
    """A layer, made again from its config.

    Args:
        layer: The Keras layer.

    Attributes:
        shape: Shape of its kernel.
    """

    def __init__(self, layer: keras.layers.Layer) -> None:
        self._layer, self._rule = layer, rules.rule_of(layer)
        self.shape = tuple(self._rule.weight(layer).shape)

    def linear_map(self, jacobian: np.ndarray, layer_input: np.ndarray) -> LinearMap:
        """The map to the outputs of groups that are examples.

        Args:
            jacobian: J_l, (groups, p_L, *preactivation).
            layer_input: x_{l-1}, (groups, ...).

        Returns:
            A `DenseMap` where G fits and makes products cheaper, otherwise a `FactoredMap`.
        """
        if self._is_better_formed(jacobian):
            return DenseMap(self._formed(jacobian, layer_input))
        return FactoredMap(
            jacobian, layer_input, self.shape, self.mapped, self._kernel_gradient, self._gram
        )

    def mean_gradient_tensor(self, jacobian: np.ndarray, layer_input: np.ndarray) -> np.ndarray:
        """The mean G of a minibatch, (p_L, *kernel.shape)."""
        factors = tf.constant(jacobian), tf.constant(layer_input)
        return self._rule.mean_gradient_tensor(self._layer, *factors).numpy()

    def gradient_tensor_of(
        self, neurons: Sequence[int], jacobian: np.ndarray, layer_input: np.ndarray
    ) -> np.ndarray:
        """G of several neurons, which are the last axis: (B, p_L, *kernel.shape[:-1], neurons)."""
        ordered = np.sort(neurons)  # as the rule gives them, whatever the groups of a convolution
        factors = tf.constant(jacobian), tf.constant(layer_input)
        columns = self._rule.columns(self._layer, *factors, ordered).numpy()
        tensor = columns.reshape(*columns.shape[:2], len(neurons), *self.shape[:-1])
        return np.moveaxis(tensor, 2, -1)[..., np.argsort(np.argsort(neurons))]

    # Bound once: solvers are compiled for each set of these.

    @functools.cached_property
    def mapped(self) -> Callable:
        """Function of inputs and a kernel that returns preactivations without bias."""
        return functools.partial(self._rule.linear_map, self._layer)

    @functools.cached_property
    def _kernel_gradient(self) -> Callable:
        return functools.partial(self._rule.kernel_gradient, self._layer)

    @functools.cached_property
    def _gram(self) -> Callable:
        return functools.partial(self._rule.gram, self._layer)

    def _is_better_formed(self, jacobian):
        """Whether G fits, and a product with it is less work than with the factors.

        Those of a convolution take all weights at each of its positions; G has them once an output.
        """
        groups, outputs, *positions, units = jacobian.shape
        weights, count = math.prod(self.shape), math.prod(positions)
        fits = groups * outputs * weights * jacobian.itemsize <= _FORMED_BYTES
        return fits and outputs * weights < count * (weights + outputs * units)

    def _formed(self, jacobian, layer_input):
        """G of every group, some of them at a time."""
        tensor = np.empty((*jacobian.shape[:2], *self.shape), jacobian.dtype)
        for low in range(0, len(tensor), _GROUPS_AT_ONCE):
            part = slice(low, low + _GROUPS_AT_ONCE)
            factors = tf.constant(jacobian[part]), tf.constant(layer_input[part])
            tensor[part] = self._rule.gradient_tensor(self._layer, *factors)
        return tensor


@functools.cache
def _of(config):
    config = json.loads(config)
    layer = keras.layers.deserialize(config["layer"])
    if not layer.built:
        layer.build((None, *config["input_shape"]))
    return RecordedLayer(layer)
