"""What an engine is: the interface that `Linearization` stands on."""

from __future__ import annotations

import abc
from collections.abc import Mapping, Sequence

import tensorflow as tf

from nta_tf.linearization.evaluated import EvaluatedModel
from nta_tf.linearization.softmax import ends_in_softmax
from nta_tf.linearization.taps import Tap
from nta_tf.linearization.weights import Weight


class Engine(abc.ABC):
    """A way to linearize one model, prepared once: opened, and compiled at first use.

    Args:
        model: The model that is evaluated.
        weights: The `Weight`s that may vary, by name.
        layers: Names of those that were asked for.

    Attributes:
        model: The model that is evaluated.
        weights: The `Weight`s that may vary, by name.
        layers: Names of those that were asked for.
        taps: `Tap` of each layer that a rule knows, by the name of its kernel (or scale, ...).
        value_places: Where the values of `weights` stand among those of all variables, by name.
    """

    def __init__(
        self, model: EvaluatedModel, weights: Mapping[str, Weight], layers: Sequence[str]
    ) -> None:
        self.model = model
        self.weights = dict(weights)
        self.layers = list(layers)
        self.taps: dict[str, Tap] = {}
        places = model.places()
        self.value_places = {name: places[id(weight.variable)] for name, weight in weights.items()}
        self._softmax: bool | None = None
        self._places: dict[str, str] = {}
        names: dict[int, str] = {}
        for name, weight in self.weights.items():
            if weight.tap is not None:
                first = names.setdefault(id(weight.tap), name)
                self.taps[first] = weight.tap
                self._places[name] = first

    def place(self, name: str) -> str:
        """The name under which `taps` has the tap of a weight that is tapped."""
        return self._places[name]

    def bias_of(self, name: str) -> str | None:
        """The name of the bias beside a kernel, or None."""
        biases = [other for other, weight in self.weights.items() if weight.is_bias]
        place = self._places.get(name)
        return next((bias for bias in biases if self._places[bias] == place), None)

    def is_tapped(self, name: str) -> bool:
        """Whether the weight belongs to a preactivation that a rule knows."""
        return name in self._places

    def ends_in_softmax(self, inputs: list[tf.Tensor]) -> bool:
        """Whether the model's outputs are what a softmax gives; looked at once."""
        if self._softmax is None:
            self._softmax = ends_in_softmax(self.model, inputs)
        return self._softmax

    @abc.abstractmethod
    def snapshot(self, inputs: list[tf.Tensor]) -> Snapshot:
        """The model on one minibatch, at its weights as they are now."""


class Snapshot(abc.ABC):
    """A model on one minibatch at the weights that it had: what J_l and G_l are made of.

    Everything is computed when it is asked for, at the weights of that time, and kept.

    Args:
        engine: The `Engine`.
        inputs: The minibatch, a list of tensors.
        weights: Values of all variables of the model, in their order.

    Attributes:
        values: The weights that may vary, by name.
    """

    def __init__(self, engine: Engine, inputs: list[tf.Tensor], weights: list[tf.Tensor]) -> None:
        self._engine = engine
        self._inputs = inputs
        self._weights = weights
        self.values = {name: self._weights[place] for name, place in engine.value_places.items()}

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
    def gradient_tensor(self, name: str, neuron: int | None = None) -> tf.Tensor:
        """G_l or G_alpha of every example, (B, p_L, ...)."""

    @abc.abstractmethod
    def mean_gradient_tensor(self, name: str) -> tf.Tensor:
        """The mean of G_l over the minibatch, (p_L, *kernel.shape)."""

    @abc.abstractmethod
    def change(self, changes: Mapping[str, tf.Tensor]) -> tf.Tensor:
        """sum_l <G_l, V_l - W_l> of every example, (B, p_L), for changes of weights by name."""

    def tapped_gradient_tensor(self, name: str, neuron: int | None = None) -> tf.Tensor:
        """`gradient_tensor`, from J_l and x_{l-1}."""
        tap = self._engine.weights[name].reached
        jacobian = self.jacobian(name)  # first, for it brings the layer's input along
        if self._engine.weights[name].is_bias:
            tensor = tap.rule.bias_gradient_tensor(tap.layer, jacobian)
            return tensor if neuron is None else tensor[..., neuron]
        return tap.rule.gradient_tensor(tap.layer, jacobian, self.layer_input(name), neuron)

    def preactivation_changes(self, changes: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """By how much each a_l moves when weights move by so much, by the name of the tap."""
        moved: dict[str, tf.Tensor] = {}
        for name, change in changes.items():
            weight, preactivation = self._engine.weights[name], self.preactivation(name)
            rule, layer = weight.reached.rule, weight.reached.layer
            change = tf.cast(change, preactivation.dtype)
            if weight.is_bias:
                change = rule.spread(layer, change, preactivation.shape.rank)
                change = tf.broadcast_to(change, tf.shape(preactivation))
            else:
                change = rule.linear_map(layer, self.layer_input(name), change)
            place = self._engine.place(name)
            moved[place] = moved[place] + change if place in moved else change
        return moved
