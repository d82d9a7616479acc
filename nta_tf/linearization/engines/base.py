"""What an engine is: the interface that `Linearization` stands on."""

from __future__ import annotations

import abc
from collections.abc import Mapping

import tensorflow as tf

from nta_tf.linearization.taps import Tap, TappedModel


class Engine(abc.ABC):
    """A way to linearize one model, prepared once: opened, and compiled at first use.

    Attributes:
        tapped: The `TappedModel` that is evaluated.
        taps: `Tap` of each wanted layer by name, from the input to the output.
    """

    tapped: TappedModel
    taps: dict[str, Tap]

    @abc.abstractmethod
    def snapshot(self, inputs: list[tf.Tensor]) -> Snapshot:
        """The model on one minibatch, at its weights as they are now."""


class Snapshot(abc.ABC):
    """A model on one minibatch at the weights that it had: what J_l and G_l are made of.

    Everything is computed when it is asked for, at the weights of that time, and kept.

    Attributes:
        weights: Kernel, and bias if there is one, of each wanted layer by name.
    """

    def __init__(self, taps: dict[str, Tap]) -> None:
        self._taps = taps
        self.weights = {name: tuple(map(tf.identity, _weights(tap))) for name, tap in taps.items()}

    @property
    @abc.abstractmethod
    def outputs(self) -> tf.Tensor:
        """f_W(x_0), (B, p_L)."""

    @abc.abstractmethod
    def layer_input(self, name: str) -> tf.Tensor:
        """x_{l-1}, (B, ...)."""

    @abc.abstractmethod
    def preactivation(self, name: str) -> tf.Tensor:
        """a_l, (B, ...)."""

    @abc.abstractmethod
    def jacobian(self, name: str) -> tf.Tensor:
        """J_l^L, (B, p_L, *preactivation.shape[1:])."""

    @abc.abstractmethod
    def mean_gradient_tensor(self, name: str) -> tf.Tensor:
        """The mean of G_l over the minibatch, (p_L, *kernel.shape)."""

    @abc.abstractmethod
    def contract(self, changes: Mapping[str, tf.Tensor]) -> tf.Tensor:
        """sum_l <J_l, change of a_l>, (B, p_L), for changes of preactivations by name."""

    def gradient_tensor(self, name: str, neuron: int | None = None) -> tf.Tensor:
        """G_l or G_alpha of every example, (B, p_L, ...)."""
        tap = self._taps[name]
        jacobian = self.jacobian(name)  # first, for it brings the layer's input along
        return tap.rule.gradient_tensor(tap.layer, jacobian, self.layer_input(name), neuron)

    def preactivation_change(
        self, name: str, kernel: tf.Tensor, bias: tf.Tensor | None
    ) -> tf.Tensor:
        """By how much a_l moves when the layer's kernel and bias move by so much."""
        tap, layer_input = self._taps[name], self.layer_input(name)
        change = tap.rule.linear_map(tap.layer, layer_input, tf.cast(kernel, layer_input.dtype))
        return change if bias is None else change + tf.cast(bias, change.dtype)


def contraction(jacobian: tf.Tensor, change: tf.Tensor, dtype: tf.DType) -> tf.Tensor:
    """<J_i, change_i> over all axes of the preactivation: (B, p_L)."""
    batch, components = tf.shape(jacobian)[0], tf.shape(jacobian)[1]
    flat = tf.reshape(jacobian, (batch, components, -1))
    return tf.cast(tf.linalg.matvec(flat, tf.reshape(change, (batch, -1))), dtype)


def _weights(tap: Tap) -> list[tf.Tensor]:
    values = [tap.layer.kernel.value]
    return values + ([tap.layer.bias.value] if tap.layer.use_bias else [])
