"""Taylor rounds as sums of normal equations: mean squared error, chains of Dense layers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from nta_tf.compiling import compiled
from nta_tf.linearization.chain import DenseChain, find_chain
from nta_tf.linearization.taps import TappedModel
from nta_tf.recorders.base import (
    ArraySpecification,
    Rounds,
    ScheduledRecorder,
    Training,
    padded,
)
from nta_tf.recorders.normal_equations import forms
from nta_tf.recorders.normal_equations.linearized_chain import LinearizedChain
from nta_tf.recorders.normal_equations.live import live_part, whole
from nta_tf.recorders.taylor_reader import KIND
from nta_tf.schedules import Schedule
from nta_tf.variables import recorded_dtype, recorded_variables

FORM = "normal_equations"

_BLOCK_BYTES = 2**26


class NormalEquationRecorder(ScheduledRecorder):
    """Keeps the sums from which a quadratic Taylor loss is read at the end of any epoch.

    At every recorded round n the cumulative Taylor loss of each layer (Theorem 2), a
    quadratic of the kernel for the mean squared error, is added to sums of an epoch. Weights
    that the network had at the end of each epoch are kept as well: they give the ball of
    Theorem 2. Arguments are those of `nta.TaylorRounds`.
    """

    def __init__(
        self,
        layers: Sequence[str] | None,
        reduction: str,
        schedule: Schedule,
        bias: bool,
        dtype: str,
        name: str,
    ) -> None:
        self.layers = layers
        self.reduction = reduction
        self.schedule = schedule
        self.bias = bias
        self.dtype = dtype
        self.name = name

    def start(self, training: Training) -> dict[str, ArraySpecification]:
        self._training = training
        self._chain = dense_chain_of(training.model)
        names = self._chain.names
        self.layers = names[1:] if self.layers is None else self.layers
        unknown = [layer for layer in self.layers if layer not in names]
        if unknown or not self.layers:
            raise ValueError(
                f"Layers that can be recorded are {names}. Received: layers={self.layers}"
            )
        if self.bias and not all(layer.use_bias for layer in self._chain.layers):
            raise ValueError("bias=True needs layers with biases.")
        self._names = {
            id(variable): name for name, variable in recorded_variables(training.model).items()
        }
        self._forms = {layer: self._make_form(layer) for layer in self.layers}
        self._accumulate = compiled(self._add, reduce_retracing=True, autograph=False)
        return self._specifications()

    def rounds_at_once(self) -> int:
        """As many rounds as keep the largest tensor of a block below 64 MiB."""
        widths = [layer.units for layer in self._chain.layers]
        hidden = max(widths[:-1], default=1)
        linear = self._chain.activations[-1] is None
        largest = max(hidden**2, widths[-1])  # S_l and f of an example
        if self.reduction == "batch_mean":
            rows = widths[-2] if linear and len(widths) > 1 else widths[-1]
            largest = max(largest, rows * hidden)  # U_l or J_l of an example
        elif not linear:
            largest = max(largest, hidden * widths[-1])  # W_L D_L of an example
        examples = self._training.batch_size
        return int(np.clip(_BLOCK_BYTES // (4 * examples * largest), 1, 32))

    def begin_epoch(self, epoch: int) -> None:
        self._sums = {
            name: tf.zeros(specification.shape, tf.float64)
            for name, specification in self._kept.items()
            if not self._is_by_round(name)
        }
        self._lists = {name: [] for name in self._kept if self._is_by_round(name)}
        self._first = self._last = None
        self._trajectory = {"rounds": 0, "incurred": 0.0}

    def record(self, rounds: Rounds) -> None:
        weights = {layer.name: self._weights_of(layer, rounds) for layer in self._chain.layers}
        self._sums, rows = self._accumulate(self._sums, weights, rounds.inputs, rounds.targets)
        for name, row in rows.items():
            self._lists[name].append(row)
        if self._first is None:
            self._first = self._scope_kernels(weights, 0)
        self._last = weights
        self._trajectory["rounds"] += len(rounds.steps)
        self._trajectory["incurred"] += float(np.sum(rounds.losses, dtype=np.float64))

    def end_epoch(self) -> dict[str, Any]:
        arrays = dict(self._trajectory)
        if self._first is None:
            return arrays
        for name, total in self._sums.items():
            arrays[name] = total.numpy()
        for name, parts in self._lists.items():
            rows = np.concatenate([part.numpy() for part in parts])
            # An epoch with fewer rounds than the fullest one gets zero factors.
            arrays[name] = padded(rows, self._kept[name].shape[0])
        last = self._scope_kernels(self._last, -1)
        for layer in self.layers:
            arrays[f"{layer}/first_kernel"] = self._first[layer].numpy()
            arrays[f"{layer}/kernel"] = last[layer].numpy()
        return arrays

    def config(self) -> dict[str, Any]:
        return {
            "kind": KIND,
            "form": FORM,
            "layers": self.layers,
            "reduction": self.reduction,
            "schedule": str(self.schedule),
            "bias": self.bias,
            "dtype": self.dtype,
            "forms": {layer: form.config() for layer, form in self._forms.items()},
        }

    def _add(self, sums, weights, inputs, targets):
        """Adds one block of rounds: the new sums, and the rows to keep as they are."""
        linear = self._linearized(weights, inputs, targets)
        sums, rows = dict(sums), {}
        for layer, form in self._forms.items():
            for array, value in form.accumulate(linear).items():
                name = f"{layer}/{array}"
                if name in sums:
                    sums[name] += value
                else:
                    rows[name] = value
        return sums, rows

    def _linearized(self, weights, inputs, targets):
        shape = (-1, self._training.batch_size, self._chain.width)
        inputs = tf.reshape(inputs, shape)
        kernels = [tf.cast(weights[n][0], self.dtype) for n in self._chain.names]
        biases = [
            None if weights[n][1] is None else tf.cast(weights[n][1], self.dtype)
            for n in self._chain.names
        ]
        evaluation = self._chain.evaluate(tf.cast(inputs, self.dtype), kernels, biases)
        lowest = min(self._chain.names.index(layer) for layer in self.layers)
        part = (whole if self.reduction == "batch_mean" else live_part)(evaluation, biases)
        return LinearizedChain(part, tf.cast(targets, self.dtype), self.bias, lowest)

    def _weights_of(self, layer, rounds: Rounds):
        """Kernel and bias (or None) of the layer on each round, (R, ...)."""
        variables = [layer.kernel, layer.bias if layer.use_bias else None]
        return tuple(
            None if variable is None else self._on_rounds(variable, rounds)
            for variable in variables
        )

    def _on_rounds(self, variable, rounds):
        """The variable on each round; one that is frozen never moves, so it is repeated."""
        name = self._names.get(id(variable))
        if name is not None:
            return rounds.weights[name]
        return tf.repeat(variable.value[tf.newaxis], len(rounds.steps), axis=0)

    def _scope_kernels(self, weights, index):
        """The weights V of each recorded layer at one round of the block."""
        kernels = {}
        for layer in self.layers:
            kernel, bias = weights[layer]
            kernels[layer] = kernel[index]
            if self.bias:
                kernels[layer] = tf.concat([kernel[index], bias[index][tf.newaxis]], 0)
        return kernels

    def _make_form(self, name):
        names = self._chain.names
        index = names.index(name)
        layer = self._chain.layers[index]
        width = layer.kernel.shape[0] + int(self.bias)
        mean = self.reduction == "batch_mean"
        linear = self._chain.activations[-1] is None
        outputs = self._chain.layers[-1].units
        shape = (index, width, layer.units, outputs, mean)
        if index == len(names) - 1:
            return forms.OutputLayer(*shape, linear=linear)
        if not mean:
            return forms.PerExample(*shape)
        rank = self._chain.layers[-1].kernel.shape[0] if linear else outputs
        most = self._most_rounds()
        size = width * layer.units
        if most * rank * (size + rank) < size * (size + 1) // 2:
            return forms.BatchMeanFactors(*shape, rank=rank, rounds=most, dtype=self.dtype)
        return forms.BatchMean(*shape)

    def _specifications(self):
        self._kept = {
            f"{name}/{array}": specification
            for name, form in self._forms.items()
            for array, specification in form.arrays().items()
        }
        kernels = {}
        for name, form in self._forms.items():
            dtype = recorded_dtype(self._chain.layers[form.layer].kernel)
            kernel = ArraySpecification((form.width, form.units), dtype)
            kernels |= {f"{name}/kernel": kernel, f"{name}/first_kernel": kernel}
        return {
            "rounds": ArraySpecification((), "int64"),
            "incurred": ArraySpecification((), "float64"),
            **self._kept,
            **kernels,
        }

    def _is_by_round(self, name):
        layer, array = name.split("/")
        return array in self._forms[layer].by_round


def dense_chain_of(model: keras.Model) -> DenseChain | None:
    """The chain of Dense layers that a model is, or None if it is anything else."""
    try:
        return find_chain(TappedModel(model))
    except (ValueError, NotImplementedError):  # layers that cannot be tapped
        return None
