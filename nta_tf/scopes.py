"""Which weights vary: the network, a layer, or neurons of it."""

from __future__ import annotations

import dataclasses
import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

NETWORK = "network"


@dataclasses.dataclass(frozen=True)
class Scope:
    """A scope of the paper: what varies while all else stays at W.

    Attributes:
        layer: Name of the layer, or None for the network.
        neurons: Indices of neurons that vary one at a time, or None for the whole layer.
    """

    layer: str | None
    neurons: tuple[int, ...] | None = None

    @property
    def names(self) -> list[str]:
        """Name of each problem of the scope: "network", "conv2d_2" or "conv2d_2:7"."""
        if self.layer is None:
            return [NETWORK]
        if self.neurons is None:
            return [self.layer]
        return [f"{self.layer}:{neuron}" for neuron in self.neurons]


def parse(scope: Any) -> Scope:
    """The `Scope` of "network", "dense_3", "dense_3:7", ("dense_3", 7) or ("dense_3", [1, 7]).

    Args:
        scope: One of these, or a `Scope`.

    Returns:
        A `Scope`.

    Raises:
        ValueError: If it is none of these.

    Example:

    >>> import nta_tf as nta
    >>> nta.scopes.parse(("conv2d_2", [0, 7])).names
    ['conv2d_2:0', 'conv2d_2:7']
    """
    if isinstance(scope, Scope):
        return scope
    parts = scope
    if isinstance(scope, str):
        layer, colon, neuron = scope.partition(":")
        parts = (layer, int(neuron) if neuron.isdecimal() else None) if colon else (layer,)
    try:
        layer, *neurons = parts
        if not isinstance(layer, str) or not layer or len(neurons) > 1:
            raise ValueError
        if not neurons:
            return Scope(None if layer == NETWORK else layer)
        chosen = tuple(operator.index(neuron) for neuron in _several(neurons[0]))
        if min(chosen, default=0) < 0:
            raise ValueError
        return Scope(layer, chosen)
    except (TypeError, ValueError):
        raise ValueError(
            "A scope is 'network', a layer ('dense_3') or neurons of it (('dense_3', 7), "
            f"'dense_3:7' or ('dense_3', [1, 7])). Received: {scope!r}"
        ) from None


def _several(neurons):
    """Neurons as a list: of one, or of those of a list or an array."""
    return [neurons] if isinstance(neurons, (int, np.integer)) else list(neurons)


def check_layer(record: str, layer: str | None, layers: Sequence[str]) -> None:
    """Raises unless the record has the layer.

    Args:
        record: Name of the record.
        layer: Name of the layer, or None for the network.
        layers: Names of the layers that the record has.

    Raises:
        ValueError: If the layer is none of them.
    """
    if layer is not None and layer not in layers:
        raise ValueError(f"Record {record!r} has layers {layers}. Received: scope {layer!r}")


def check_neurons(layer: str, neurons: Sequence[int] | None, units: int) -> None:
    """Raises unless the layer has the neurons.

    Args:
        layer: Name of the layer.
        neurons: Their indices, or None for the whole layer.
        units: How many neurons the layer has.

    Raises:
        ValueError: If one of them is not there.
    """
    for neuron in neurons or ():
        if not 0 <= neuron < units:
            raise ValueError(
                f"Layer {layer!r} has neurons 0 to {units - 1}. Received: neuron {neuron}"
            )
