"""Which weights vary: the network, a layer, or neurons of it."""

import dataclasses

import numpy as np


@dataclasses.dataclass(frozen=True)
class Scope:
    """A scope of the paper: what varies while all else stays at W.

    Attributes:
        layer: Name of the layer, or None for the network.
        neurons: Indices of neurons that vary one at a time, or None for the whole layer.
    """

    layer: str | None
    neurons: tuple | None = None

    @property
    def names(self):
        """Name of each problem of the scope: "network", "conv2d_2" or "conv2d_2:7"."""
        if self.layer is None:
            return ["network"]
        if self.neurons is None:
            return [self.layer]
        return [f"{self.layer}:{neuron}" for neuron in self.neurons]


def parse(scope):
    """The `Scope` of "network", "dense_3", "dense_3:7", ("dense_3", 7) or ("dense_3", [1, 7]).

    Args:
        scope: One of these, or a `Scope`.

    Returns:
        A `Scope`.

    Raises:
        ValueError: If it is none of these.

    Example:

    >>> from nta_tf.taylor_problems import scopes
    >>> scopes.parse(("conv2d_2", [0, 7])).names
    ['conv2d_2:0', 'conv2d_2:7']
    """
    if isinstance(scope, Scope):
        return scope
    if isinstance(scope, str):
        layer, _, neuron = scope.partition(":")
        scope = (layer, neuron) if neuron else (layer,)
    try:
        layer, *neurons = scope
        if not isinstance(layer, str) or len(neurons) > 1:
            raise ValueError
        if not neurons:
            return Scope(None if layer == "network" else layer)
        return Scope(layer, tuple(int(neuron) for neuron in np.atleast_1d(neurons[0])))
    except (TypeError, ValueError):
        raise ValueError(
            "A scope is 'network', a layer ('dense_3') or neurons of it (('dense_3', 7), "
            f"'dense_3:7' or ('dense_3', [1, 7])). Received: {scope!r}"
        ) from None


def sample_neurons(layer, units, count, seed=0):
    """Neurons of a layer, chosen by a seed, as the 50 a layer of Figure 3.

    Args:
        layer: Name of the layer; every layer has a choice of its own.
        units: Number of neurons that it has.
        count: How many are chosen; all of them where there are no more.
        seed: Seed of the choice.

    Returns:
        A sorted list of indices.

    Example:

    >>> from nta_tf.taylor_problems import scopes
    >>> len(scopes.sample_neurons("conv2d_2", units=64, count=50))
    50
    """
    generator = np.random.default_rng([seed, *layer.encode()])
    return sorted(generator.choice(units, min(count, units), replace=False).tolist())


def check_layer(record, layer, layers):
    """Raises unless the record has the layer."""
    if layer is not None and layer not in layers:
        raise ValueError(f"Record {record!r} has layers {layers}. Received: scope {layer!r}")


def check_neuron(layer, neuron, units):
    """Raises unless the layer has the neuron."""
    if neuron is not None and not 0 <= neuron < units:
        raise ValueError(f"Layer {layer!r} has neurons 0 to {units - 1}. Received: neuron {neuron}")
