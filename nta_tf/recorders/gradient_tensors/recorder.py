"""Taylor rounds as they are: outputs, and G_l or its factors, of every recorded round."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from nta_tf import losses
from nta_tf.compiling import compiled
from nta_tf.linearization import methods
from nta_tf.linearization.taps import TappedModel
from nta_tf.recorders.base import (
    ArraySpecification,
    Rounds,
    ScheduledRecorder,
    Training,
    padded,
)
from nta_tf.recorders.taylor_reader import KIND
from nta_tf.sampling import chosen_examples
from nta_tf.schedules import Schedule

FORM = "gradient_tensors"


class GradientTensorRecorder(ScheduledRecorder):
    """Keeps every recorded round: outputs, targets, W^n, and G_l or J_l and x_{l-1}.

    Of each layer the smaller form is kept, by `smallest_form`. Arguments are those of
    `nta.TaylorRounds`.
    """

    def __init__(
        self,
        layers: Sequence[str] | None,
        reduction: str,
        schedule: Schedule,
        bias: bool,
        name: str,
        examples: int | None = None,
        seed: int = 0,
    ) -> None:
        if bias:
            raise NotImplementedError(
                "Gradient tensors are recorded for kernels; biases stay at their recorded "
                "values. Received: bias=True"
            )
        self.layers = layers
        self.reduction = reduction
        self.schedule = schedule
        self.name = name
        self.examples = examples
        self.seed = seed

    def start(self, training: Training) -> dict[str, ArraySpecification]:
        self._training = training
        if self.examples is not None and self.examples > training.batch_size:
            raise ValueError(
                f"A minibatch has {training.batch_size} examples. Received: "
                f"examples={self.examples}"
            )
        self._count = self.examples or training.batch_size
        self._tapped = TappedModel(training.model, self.layers)
        self.layers = list(self._tapped.taps)
        self.forms = {name: self._form(tap) for name, tap in self._tapped.taps.items()}
        self._most = self._most_rounds()
        self._look = compiled(self._look_at_round)
        return self._specifications()

    def rounds_at_once(self) -> int:
        return 4  # snapshots of large networks are large

    def begin_epoch(self, epoch: int) -> None:
        self._epoch = epoch
        self._rows = []

    def record(self, rounds: Rounds) -> None:
        for n, step in enumerate(rounds.steps):
            chosen = chosen_examples(
                self._training.batch_size, self.examples, (self.seed, self._epoch, int(step))
            )
            weights = {path: value[n] for path, value in rounds.weights.items()}
            inputs = tf.gather(rounds.inputs[n], chosen)
            targets = tf.gather(rounds.targets[n], chosen)
            row = {
                name: value.numpy() for name, value in self._look(weights, inputs, targets).items()
            }
            self._rows.append(row)

    def end_epoch(self) -> dict[str, Any]:
        arrays = {"rounds": len(self._rows), "incurred": 0.0}
        if not self._rows:
            return arrays
        for name in self._rows[0]:
            arrays[name] = padded(np.stack([row[name] for row in self._rows]), self._most)
        arrays["incurred"] = float(np.sum([row["losses"] for row in self._rows], dtype=np.float64))
        return arrays

    def config(self) -> dict[str, Any]:
        return {
            "kind": KIND,
            "form": FORM,
            "layers": self.layers,
            "reduction": self.reduction,
            "schedule": str(self.schedule),
            "bias": False,
            "examples": self.examples,
            "seed": self.seed,
            "loss": self._training.loss,
            "forms": self.forms,
            "kernels": {
                name: {
                    "layer": keras.layers.serialize(tap.layer),
                    "input_shape": list(tap.layer_input.shape[1:]),
                }
                for name, tap in self._tapped.taps.items()
            },
        }

    def _look_at_round(self, weights, inputs, targets):
        """One round: outputs, incurred loss, kernels, and each layer's form of G."""
        outputs, layer_inputs, _ = self._tapped(inputs, weights)
        factored = [name for name, form in self.forms.items() if form == "factors"]
        mean = self.reduction == "batch_mean"
        whole = [name for name in self.layers if name not in factored] if mean else []
        row = {}
        if whole:
            means = methods.mean_gradient_tensors(self._tapped, inputs, whole, weights)
            row |= {f"{name}/gradient_tensor": tensor for name, tensor in means.items()}
        by_example = [name for name in self.layers if name not in whole]
        if by_example:
            jacobians = methods.sweep(self._tapped, inputs, by_example, weights)
            for name, jacobian in jacobians.items():
                row |= self._form_of_example(name, jacobian, layer_inputs[name])
        for name in self.layers:
            kernel = self._tapped.taps[name].layer.kernel
            row[f"{name}/kernel"] = weights.get(kernel.path, kernel.value)
        targets = _as_rows(targets, outputs)
        return {
            **row,
            "outputs": outputs,
            "targets": targets,
            "losses": tf.reduce_mean(losses.get(self._training.loss)(outputs, targets)),
        }

    def _form_of_example(self, name, jacobian, layer_input):
        if self.forms[name] == "factors":
            return {f"{name}/jacobian": jacobian, f"{name}/layer_input": layer_input}
        tap = self._tapped.taps[name]
        return {
            f"{name}/gradient_tensor": tap.rule.gradient_tensor(tap.layer, jacobian, layer_input)
        }

    def _form(self, tap):
        return smallest_form(
            self.reduction,
            self._count,
            math.prod(self._tapped.output.shape[1:]),
            math.prod(tap.layer.kernel.shape),
            math.prod(tap.preactivation.shape[1:]),
            math.prod(tap.layer_input.shape[1:]),
        )

    def _specifications(self):
        count, most = self._count, self._most
        components = math.prod(self._tapped.output.shape[1:])
        dtype = self._tapped.output.dtype
        arrays = {
            "rounds": ArraySpecification((), "int64"),
            "incurred": ArraySpecification((), "float64"),
            "losses": ArraySpecification((most,), dtype),
            "outputs": ArraySpecification((most, count, components), dtype),
            "targets": ArraySpecification((most, count, components), dtype),
        }
        lead = (components,) if self.reduction == "batch_mean" else (count, components)
        for name, tap in self._tapped.taps.items():
            kernel = tuple(tap.layer.kernel.shape)
            shapes = {"kernel": kernel}
            if self.forms[name] == "factors":
                shapes["jacobian"] = (count, components, *tap.preactivation.shape[1:])
                shapes["layer_input"] = (count, *tap.layer_input.shape[1:])
            else:
                shapes["gradient_tensor"] = (*lead, *kernel)
            for array, shape in shapes.items():
                arrays[f"{name}/{array}"] = ArraySpecification((most, *shape), dtype)
        return arrays


def smallest_form(
    reduction: str,
    examples: int,
    components: int,
    kernel: int,
    preactivation: int,
    layer_input: int,
) -> str:
    """In which form a round keeps a layer's G: the one with fewer numbers.

    With E examples and p_L components, the gradient tensor itself takes E p_L |W_l| numbers
    (p_L |W_l| for the mean), its factors J_l and x_{l-1} take E (p_L |a_l| + |x_{l-1}|).

    Args:
        reduction: `"per_example"` or `"batch_mean"`.
        examples: E.
        components: p_L.
        kernel: |W_l|, number of weights of the scope.
        preactivation: |a_l|, of one example.
        layer_input: |x_{l-1}|, of one example.

    Returns:
        `"gradient_tensor"` or `"factors"`.

    Example:

    >>> import nta_tf as nta
    >>> convolution = (10, 5 * 5 * 64 * 64, 16 * 16 * 64, 16 * 16 * 64)  # conv2d_2
    >>> nta.recorders.smallest_form("per_example", 128, *convolution)
    'factors'
    >>> nta.recorders.smallest_form("batch_mean", 128, *convolution)
    'gradient_tensor'
    """
    dense = components * kernel * (1 if reduction == "batch_mean" else examples)
    factors = examples * (components * preactivation + layer_input)
    return "factors" if factors < dense else "gradient_tensor"


def _as_rows(targets, outputs):
    """Targets as rows (E, p_L) like the outputs; labels become one-hot rows."""
    if targets.dtype.is_integer and targets.shape.rank == outputs.shape.rank - 1:
        return tf.one_hot(targets, outputs.shape[-1], dtype=outputs.dtype)
    return tf.cast(tf.reshape(targets, tf.shape(outputs)), outputs.dtype)
