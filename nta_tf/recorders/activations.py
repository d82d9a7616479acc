"""Record of activation configurations: which rectifier units are active on which points."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from nta_tf import provenance, schedules
from nta_tf.compiling import compiled
from nta_tf.recorders.base import (
    ArraySpecification,
    Rounds,
    ScheduledRecorder,
    Training,
    padded,
)
from nta_tf.rectifiers import rectifiers_of
from nta_tf.sampling import chosen_units, draw
from nta_tf.schedules import Schedule
from nta_tf.trace import Run
from nta_tf.training_data import inputs_of
from nta_tf.variables import Values

KIND = "activation_rounds"

_VALUES_AT_ONCE = 2**23  # of the widest call of the network; 32 MiB of float32
_READ_AT_ONCE = 2**25  # bytes of packed bits
_PLACES = np.array([[128], [64], [32], [16], [8], [4], [2], [1]], np.float32)


class ActivationRounds(ScheduledRecorder):
    """Records activation configurations A(W^n) while a model trains (Definition 2).

    A configuration is a binary matrix (D, M): whether each of M rectifier units is active,
    a > 0, on each of D data points, in inference mode and in the model's own dtype. It is
    packed on the device, eight units to a byte, each rectifier layer from a byte of its own.
    What is recorded is what `nta.exploration` measures.

    Any model is taken. Its rectifiers are found wherever they are in a graph of layers, as layers
    of their own or as activations of others; in a model that is no graph, where they are layers.

    Args:
        x: Data points, (D, ...), NumPy array or tensor; a list or dictionary of them if the model
            has several inputs; or a `tf.data.Dataset` of them, or of (inputs, targets).
        layers: Names of rectifier layers, or None for all of them.
        points: How many of the data points are taken, chosen with `seed`; None for all.
            (Appendix A6 takes 1% of CIFAR-10.)
        units: At most how many units of each layer are taken, chosen with `seed`; None for
            all. (Appendix A6 takes 10,000.)
        schedule: Which steps are rounds; see `nta.schedules.get`.
        seed: Seed of both choices.
        name: Name of the record in the trace.

    Raises:
        ValueError: For an unknown schedule, or counts that are no positive whole numbers.

    Example:

    >>> import nta_tf as nta
    >>> digits = nta.data.load("sample").x[:256].reshape(256, 784)
    >>> run = nta.train(nta.models.autoencoder(seed=0), digits, digits, optimizer="rmsprop",
    ...                 epochs=3, batch_size=64,
    ...                 recorders=[nta.ActivationRounds(digits, points=100)])
    >>> nta.exploration.minimum_hamming(run).shape
    (3,)
    """

    def __init__(
        self,
        x: Any,
        layers: Sequence[str] | None = None,
        points: int | None = None,
        units: int | None = None,
        schedule: str | Schedule = "1 an epoch",
        seed: int = 0,
        name: str = "activations",
    ) -> None:
        for argument, count in (("points", points), ("units", units)):
            if count is not None and not (isinstance(count, (int, np.integer)) and count > 0):
                raise ValueError(
                    f"{argument} must be a positive whole number or None. Received: {count!r}"
                )
        self.layers = layers
        self.points = points
        self.units = units
        self.schedule = schedules.get(schedule)
        self.seed = seed
        self.name = name
        self._x = x

    def start(self, training: Training) -> dict[str, ArraySpecification]:
        self._training = training
        self._most = self._most_rounds()
        self._rectifiers = rectifiers_of(training.model, training.sample, self.layers)
        self._values = Values(training.model, self._rectifiers.variables)
        self._points = self._chosen_points()
        shapes = self._rectifiers.shapes
        self._chosen = {
            name: chosen_units(name, shape, self.units, self.seed) for name, shape in shapes.items()
        }
        self._block = max(1, _VALUES_AT_ONCE // self._rectifiers.widest)
        self._look = compiled(self._look_at_block, autograph=False, reduce_retracing=True)
        count = len(self._points[0])
        bits = {
            _array(name): ArraySpecification((self._most, count, -(-len(units) // 8)), "uint8")
            for name, units in self._chosen.items()
        }
        return {"rounds": ArraySpecification((), "int64"), **bits}

    def begin_epoch(self, epoch: int) -> None:
        self._rows = {name: [] for name in self._chosen}

    def record(self, rounds: Rounds) -> None:
        for n in range(len(rounds.steps)):
            weights = {name: value[n] for name, value in rounds.weights.items()}
            blocks = [
                self._look(
                    weights, [inputs[first : first + self._block] for inputs in self._points]
                )
                for first in range(0, len(self._points[0]), self._block)
            ]
            for name, rows in self._rows.items():
                rows.append(np.concatenate([block[name].numpy() for block in blocks]))

    def end_epoch(self) -> dict[str, Any]:
        counts = {len(rows) for rows in self._rows.values()}
        arrays = {"rounds": counts.pop()}
        if arrays["rounds"]:
            for name, rows in self._rows.items():
                arrays[_array(name)] = padded(np.stack(rows), self._most)
        return arrays

    def config(self) -> dict[str, Any]:
        return {
            "kind": KIND,
            "schedule": str(self.schedule),
            "points": len(self._points[0]),
            "units": self.units,
            "seed": self.seed,
            "data": [provenance.fingerprint(inputs, inputs)[0] for inputs in self._as_arrays()],
            "layers": {
                name: {"shape": list(self._rectifiers.shapes[name]), "units": len(units)}
                for name, units in self._chosen.items()
            },
        }

    def _as_arrays(self):
        return [inputs.numpy() for inputs in self._points]

    def _chosen_points(self):
        inputs = self._rectifiers.checked(inputs_of(self._training.model, self._x))
        count = len(inputs[0])
        if self.points is not None and self.points > count:
            raise ValueError(f"There are {count} data points. Received: points={self.points}")
        if self.points is None:
            return inputs
        chosen = draw(count, self.points, self.seed)
        return [tf.gather(tensor, chosen) for tensor in inputs]

    def _look_at_block(self, weights, inputs):
        """Packed bits of a block of data points, {rectifier: (B, bytes)}."""
        packed = {}
        values = [
            tf.cast(value, variable.dtype)  # configurations are those of the model's own precision
            for value, variable in zip(self._values(weights), self._rectifiers.variables)
        ]
        for name, active in self._rectifiers(inputs, values).items():
            rows = tf.reshape(active, (-1, math.prod(active.shape[1:])))
            if len(self._chosen[name]) < rows.shape[1]:
                rows = tf.gather(rows, self._chosen[name], axis=1)
            packed[name] = _pack(rows)
        return packed


class ActivationReader:
    """The configurations that an `ActivationRounds` recorder kept, packed.

    Args:
        run: A `nta.Run`.
        name: Name of the record.
        layers: Names of layers. Defaults to all.

    Attributes:
        shapes: {layer: shape of its units}, of the layers that are read.
        layers: {layer: how many of its units were recorded}.
        points: D, number of data points.
        rounds: N, number of rounds.
        epochs: When each round was, (N,): n for the last of k rounds of epoch n and
            n - 1 + 1 / k for the first.

    Raises:
        ValueError: If the run has no such record or layers.
    """

    def __init__(
        self, run: Run, name: str = "activations", layers: str | Sequence[str] | None = None
    ) -> None:
        if name not in run.records or run.records[name].kind != KIND:
            raise ValueError(
                f"{run!r} has no record {name!r} of activation configurations; train or "
                "replay it with a nta.ActivationRounds recorder. Its records are "
                f"{sorted(run.records)}."
            )
        self._record = run.records[name]
        self._config = self._record.config
        recorded = self._config["layers"]
        wanted = list(recorded) if layers is None else [str(name) for name in np.atleast_1d(layers)]
        if not wanted or not set(wanted) <= set(recorded):
            raise ValueError(
                f"Layers whose activations {run!r} recorded are {list(recorded)}. "
                f"Received: layers={layers!r}"
            )
        self.shapes = {layer: tuple(recorded[layer]["shape"]) for layer in wanted}
        self.layers = {layer: recorded[layer]["units"] for layer in wanted}
        self.points = self._config["points"]
        counts = self._record.rounds
        self._places = [(e, row) for e, count in enumerate(counts) for row in range(count)]
        self.rounds = len(self._places)
        self.epochs = np.array([epoch + (row + 1) / counts[epoch] for epoch, row in self._places])

    def units(self, layer: str) -> np.ndarray:
        """Which of the layer's flattened units were recorded, sorted."""
        config = self._config
        return chosen_units(layer, self.shapes[layer], config["units"], config["seed"])

    def block(self, rounds: int, first: int, last: int) -> np.ndarray:
        """Packed bits of the first rounds on some data points.

        Args:
            rounds: How many rounds.
            first: First data point.
            last: The one behind the last.

        Returns:
            uint8 array (rounds, last - first, bytes), the layers side by side.
        """
        widths = [-(-units // 8) for units in self.layers.values()]
        ends = np.cumsum(widths)
        block = np.empty((rounds, last - first, ends[-1]), np.uint8)
        epochs = np.array([epoch for epoch, _ in self._places[:rounds]])
        rows = np.array([row for _, row in self._places[:rounds]])
        # Some epochs at a time: reading them one by one would take longer than measuring.
        at_once = max(1, _READ_AT_ONCE // (self.points * ends[-1]))
        for start in range(epochs[0], epochs[-1] + 1, at_once):
            chosen = (epochs >= start) & (epochs < start + at_once)
            several = slice(start, min(start + at_once, epochs[-1] + 1))
            for layer, width, end in zip(self.layers, widths, ends):
                bits = self._record.read(_array(layer), several)
                kept = bits[epochs[chosen] - start, rows[chosen], first:last]
                block[chosen, :, end - width : end] = kept
        return block


def _array(layer):
    return f"bits/{layer}"


def _pack(bits):
    """Eight bits to a byte, the first unit highest, as `np.packbits` has it."""
    width = bits.shape[1]
    bits = tf.pad(tf.cast(bits, tf.float32), [[0, 0], [0, -width % 8]])
    # A product with powers of two: exact, and quick on every device.
    packed = tf.matmul(tf.reshape(bits, (-1, 8)), _PLACES)
    return tf.cast(tf.reshape(packed, (-1, -(-width // 8))), tf.uint8)
