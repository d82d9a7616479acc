"""Record of gradient norms: what the bound of gradient descent's regret is made of (Theorem 2)."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from nta_tf import losses, schedules
from nta_tf.compiling import compiled
from nta_tf.linearization.taps import TappedModel
from nta_tf.recorders.base import ArraySpecification, Rounds, ScheduledRecorder, Training
from nta_tf.trace import Record, Run
from nta_tf.variables import Values, recorded_dtype, recorded_variables

KIND = "gradient_norms"

_BLOCK_BYTES = 2**26


class GradientNorms(ScheduledRecorder):
    """Records the gradient of the training loss by each kernel, at every step (Theorem 2).

    With g^n the gradient at W^n on the minibatch of round n, `nta.regret_bound` needs of an
    epoch ||g^n||^2 of every step, the weights before its first step and those after its last.
    Beside these the record keeps how far W^n lies from the epoch's first weights F, and the
    sums of g^n and of <g^n, W^n - F>: with them sum_n <g^n, W^n - V> is known for every V.

    Gradients are computed on the device, a block of rounds at a time, in the model's own dtype
    and in inference mode, as the Taylor loss is; what is summed is float64.

    Args:
        layers: Names of layers, or None for every layer with a kernel.
        name: Name of the record in the trace.

    Raises:
        ValueError: By `nta.train`: if a layer is unknown, or frozen.

    Example:

    >>> import nta_tf as nta
    >>> digits = nta.data.load("sample").x[:256].reshape(256, 784)
    >>> run = nta.train(nta.models.autoencoder(seed=0), digits, digits, optimizer="sgd",
    ...                 epochs=2, batch_size=64, recorders=[nta.GradientNorms(["dense_3"])])
    >>> run.records["gradient_norms"].read("dense_3/squared_norms").shape
    (2, 4)
    """

    kind = KIND

    def __init__(
        self, layers: str | Sequence[str] | None = None, name: str = "gradient_norms"
    ) -> None:
        self.layers = None if layers is None else [str(layer) for layer in np.atleast_1d(layers)]
        self.name = name
        self.schedule = schedules.get("every step")  # the sums telescope over all steps

    def start(self, training: Training) -> dict[str, ArraySpecification]:
        self._training = training
        self._tapped = TappedModel(training.model, self.layers)
        self._values = Values(training.model, self._tapped.variables)
        taps = self._tapped.taps.items()
        self._names = {name: self._values.name_of(tap.weight) for name, tap in taps}
        frozen = [name for name, recorded in self._names.items() if recorded is None]
        if frozen:
            raise ValueError(
                f"Gradient norms are those of layers that train. Received: frozen layers {frozen}; "
                "leave them out with layers=[...]."
            )
        self._look = compiled(self._look_at_rounds, autograph=False, reduce_retracing=True)
        return self._specifications()

    def rounds_at_once(self) -> int:
        """As many rounds as keep the weights of a block below 64 MiB."""
        variables = recorded_variables(self._training.model).values()
        size = sum(math.prod(v.shape) * tf.as_dtype(recorded_dtype(v)).size for v in variables)
        return int(np.clip(_BLOCK_BYTES // size, 1, 32))

    def begin_epoch(self, epoch: int) -> None:
        self._rows: list[dict] = []
        self._sums: dict[str, tf.Tensor] = {}
        self._first: dict[str, tf.Tensor] = {}
        self._last: dict[str, tf.Tensor] = {}

    def record(self, rounds: Rounds) -> None:
        if not self._first:
            self._first = {name: rounds.weights[kept][0] for name, kept in self._names.items()}
        inputs = rounds.inputs if isinstance(rounds.inputs, list) else [rounds.inputs]
        count = tf.ones(rounds.targets.shape[:2]) if rounds.example_weights is None else None
        rows, sums, self._last = self._look(
            dict(rounds.weights),
            inputs,
            rounds.targets,
            rounds.example_weights if count is None else count,
            self._first,
        )
        self._rows.append({name: row.numpy() for name, row in rows.items()})
        self._sums = {name: self._sums.get(name, 0) + value for name, value in sums.items()}

    def end_epoch(self) -> dict[str, Any]:
        if not self._rows:
            return {"rounds": 0}
        arrays = {name: np.concatenate([row[name] for row in self._rows]) for name in self._rows[0]}
        arrays |= {name: value.numpy() for name, value in {**self._sums, **self._last}.items()}
        for layer, kernel in self._first.items():
            arrays[f"{layer}/first_kernel"] = kernel.numpy()
        return {"rounds": sum(len(next(iter(row.values()))) for row in self._rows), **arrays}

    def config(self) -> dict[str, Any]:
        return {"kind": KIND, "schedule": str(self.schedule), "layers": list(self._names)}

    def _look_at_rounds(self, weights, inputs, targets, example_weights, first):
        """Of a block of rounds: an entry for each round, sums, and what its last round had."""
        gradients = tf.map_fn(
            self._gradients,
            (weights, inputs, targets, example_weights),
            fn_output_signature={
                name: tf.TensorSpec(tap.weight.shape, recorded_dtype(tap.weight))
                for name, tap in self._tapped.taps.items()
            },
        )
        rows, sums, last = {}, {}, {}
        for layer, gradient in gradients.items():
            kernel = weights[self._names[layer]]
            last[f"{layer}/last_kernel"], last[f"{layer}/last_gradient"] = kernel[-1], gradient[-1]
            gradient = tf.cast(gradient, tf.float64)
            moved = tf.cast(kernel, tf.float64) - tf.cast(first[layer], tf.float64)
            axes = list(range(1, gradient.shape.rank))
            rows[f"{layer}/squared_norms"] = tf.reduce_sum(tf.square(gradient), axes)
            rows[f"{layer}/distances"] = tf.sqrt(tf.reduce_sum(tf.square(moved), axes))
            sums[f"{layer}/gradient"] = tf.reduce_sum(gradient, axis=0)
            sums[f"{layer}/product"] = tf.reduce_sum(gradient * moved)
        return rows, sums, last

    def _gradients(self, one):
        """g of every layer at one round."""
        weights, inputs, targets, example_weights = one
        kernels = {name: weights[kept] for name, kept in self._names.items()}
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(list(kernels.values()))
            outputs = self._tapped.rows(inputs, self._values(weights))
            loss = losses.mean(self._training.loss, outputs, targets, example_weights)
        return tape.gradient(loss, kernels, unconnected_gradients=tf.UnconnectedGradients.ZERO)

    def _specifications(self):
        steps = (self._training.steps_per_epoch,)
        arrays = {"rounds": ArraySpecification((), "int64")}
        for name, tap in self._tapped.taps.items():
            shape, dtype = tuple(tap.weight.shape), recorded_dtype(tap.weight)
            arrays |= {
                f"{name}/squared_norms": ArraySpecification(steps, "float64"),
                f"{name}/distances": ArraySpecification(steps, "float64"),
                f"{name}/product": ArraySpecification((), "float64"),
                f"{name}/gradient": ArraySpecification(shape, "float64"),
                f"{name}/first_kernel": ArraySpecification(shape, dtype),
                # The weights after an epoch are those before the next one's first step, as they
                # were, for any optimizer. After the last epoch no step follows, a run in memory
                # has no checkpoint and one that is extended loses it: there gradient descent's
                # are known from these two, to the rounding of one step.
                f"{name}/last_kernel": ArraySpecification(shape, dtype),
                f"{name}/last_gradient": ArraySpecification(shape, dtype),
            }
        return arrays


@dataclasses.dataclass(frozen=True)
class LayerGradients:
    """The gradients of one layer in the first E epochs, as `nta.GradientNorms` kept them.

    Attributes:
        squared_norms: ||g^n||^2 of every step, (E, steps).
        distances: How far W^n lies from the first weights of its epoch, (E, steps).
        products: The sum over each epoch of <g^n, W^n - F>, F its first weights, (E,).
        sums: The sum over each epoch of g^n, (E, *kernel).
        first_kernels: F, the weights before each epoch's first step, (E, *kernel).
        last_kernel: The weights before the last step of the last epoch, (*kernel).
        last_gradient: The gradient there.
        epsilon: Machine epsilon of the weights as they were trained.
    """

    squared_norms: np.ndarray
    distances: np.ndarray
    products: np.ndarray
    sums: np.ndarray
    first_kernels: np.ndarray
    last_kernel: np.ndarray
    last_gradient: np.ndarray
    epsilon: float

    def after(self, epoch: int, rate: float) -> np.ndarray:
        """The weights after the last step of an epoch, W - rate g where no epoch follows."""
        if epoch + 1 < len(self.first_kernels):
            return self.first_kernels[epoch + 1]
        return self.last_kernel - rate * self.last_gradient

    def linearized(self, epoch: int, kernel: np.ndarray) -> float:
        """sum_n <g^n, W^n - V> of all steps up to the end of an epoch."""
        epochs = slice(0, epoch + 1)
        moved = self.first_kernels[epochs] - kernel
        return float(self.products[epochs].sum() + np.sum(self.sums[epochs] * moved))

    def reach(self, epoch: int, kernel: np.ndarray | float) -> np.ndarray:
        """A bound on ||W^n - V|| in each epoch up to this one, (epochs,)."""
        epochs = slice(0, epoch + 1)
        return _lengths(self.first_kernels[epochs] - kernel) + self.distances[epochs].max(axis=1)


class GradientNormReader:
    """The gradient norms that a `nta.GradientNorms` recorder kept.

    Args:
        run: A `nta.Run`.
        name: Name of the record.

    Attributes:
        record: The `nta.trace.Record`.
        layers: Names of the recorded layers.

    Raises:
        ValueError: If the run has no such record.
    """

    def __init__(self, run: Run, name: str = "gradient_norms") -> None:
        if name not in run.records or run.records[name].kind != KIND:
            raise ValueError(
                f"{run!r} has no record {name!r} of gradient norms; train it with a "
                f"nta.GradientNorms recorder. Its records are {sorted(run.records)}."
            )
        self.record: Record = run.records[name]
        self.layers: list[str] = self.record.config["layers"]

    def layer(self, name: str, epochs: int) -> LayerGradients:
        """What was kept of a layer in the first epochs.

        Args:
            name: Name of the layer.
            epochs: How many epochs.

        Returns:
            `LayerGradients`, in float64.
        """

        def read(array: str) -> np.ndarray:
            return self.record.read(f"{name}/{array}", slice(0, epochs))

        kernels = read("first_kernel")
        last = [read(array)[-1].astype(np.float64) for array in ("last_kernel", "last_gradient")]
        return LayerGradients(
            read("squared_norms"),
            read("distances"),
            read("product"),
            read("gradient"),
            kernels.astype(np.float64),
            *last,
            float(np.finfo(kernels.dtype).eps),
        )


def _lengths(kernels: np.ndarray) -> np.ndarray:
    return np.sqrt(np.square(kernels).reshape(len(kernels), -1).sum(axis=1))
