"""Taylor rounds as they are: outputs, and G_l or its factors, of every recorded round."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from nta_tf import losses
from nta_tf.compiling import compiled
from nta_tf.linearization import methods, rules
from nta_tf.linearization.engines import tape_engine_of
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
from nta_tf.variables import Values

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
        training_mode: bool = False,
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
        self.training_mode = training_mode

    def start(self, training: Training) -> dict[str, ArraySpecification]:
        self._training = training
        if self.training_mode and self.examples is not None:
            raise ValueError(
                "In training mode a round has all examples of its minibatch, for which dropout "
                f"draws one mask. Received: training_mode=True, examples={self.examples}"
            )
        if self.examples is not None and self.examples > training.batch_size:
            raise ValueError(
                f"A minibatch has {training.batch_size} examples. Received: "
                f"examples={self.examples}"
            )
        self._count = self.examples or training.batch_size
        self._engine = tape_engine_of(
            training.model, training.sample, self.layers, self.training_mode
        )
        self.layers = list(self._engine.layers)
        self._values = Values(training.model, self._engine.model.variables)
        self._shapes = self._look_at_sample()
        self.forms = {name: self._form(name) for name in self.layers}
        self._most = self._most_rounds()
        self._look = compiled(self._look_at_round, autograph=False)
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
            weights, inputs, targets = rounds.of(n)
            if self.examples is not None:
                inputs = [tf.gather(leaf, chosen) for leaf in inputs]
                targets = tf.gather(targets, chosen)
            count = rounds.example_weights
            if count is not None:
                count = count[n] if self.examples is None else tf.gather(count[n], chosen)
            row = self._look(weights, inputs, targets, count)
            self._rows.append({name: value.numpy() for name, value in row.items()})

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
                    "layer": keras.layers.serialize(self._engine.weights[name].reached.layer),
                    "input_shape": list(self._shapes[name].layer_input),
                }
                for name in self.layers
                if _makes_factors(self._engine.weights[name])
            },
            **({"training_mode": True} if self.training_mode else {}),
        }

    def _look_at_round(self, recorded, inputs, targets, example_weights=None):
        """One round: outputs, incurred loss, kernels, and each layer's form of G."""
        engine, weights = self._engine, self._values(recorded)
        outputs, layer_inputs, _ = engine.tapped(inputs, weights)
        row = {}
        mean = self.reduction == "batch_mean"
        by_mean = [n for n in self.layers if mean and self._has_mean(n)]
        if by_mean:
            means = methods.mean_gradient_tensors(engine.tapped, inputs, by_mean, weights)
            row |= {f"{name}/gradient_tensor": tensor for name, tensor in means.items()}
        tapped = [n for n in self.layers if n not in by_mean and engine.is_tapped(n)]
        if tapped:
            places = list(dict.fromkeys(engine.place(name) for name in tapped))
            jacobians = methods.sweep(engine.tapped, inputs, places, weights)
            for name in tapped:
                place = engine.place(name)
                row |= self._form_of_example(name, jacobians[place], layer_inputs[place])
        for name in self.layers:
            if not engine.is_tapped(name):  # differentiated as a variable
                derivatives = engine.derivatives
                make = derivatives.mean_gradient_tensor if mean else derivatives.gradient_tensor
                row[f"{name}/gradient_tensor"] = make(inputs, weights, name)
            row[f"{name}/kernel"] = weights[self._places[name]]
        targets = _as_rows(targets, outputs)
        if example_weights is not None:
            row["sample_weights"] = example_weights
        return {
            **row,
            "outputs": outputs,
            "targets": targets,
            "losses": losses.mean(self._training.loss, outputs, targets, example_weights),
        }

    def _has_mean(self, name):
        """Whether the mean of G is made in backward passes that all such layers share."""
        weight = self._engine.weights[name]
        whole = self.forms[name] != "factors" and not weight.is_bias
        return whole and self._engine.is_tapped(name) and self._engine.place(name) == name

    def _form_of_example(self, name, jacobian, layer_input):
        if self.forms[name] == "factors":
            return {f"{name}/jacobian": jacobian, f"{name}/layer_input": layer_input}
        weight = self._engine.weights[name]
        tap = weight.reached
        if weight.is_bias:
            tensor = tap.rule.bias_gradient_tensor(tap.layer, jacobian)
        else:
            tensor = tap.rule.gradient_tensor(tap.layer, jacobian, layer_input)
        if self.reduction == "batch_mean":
            tensor = tf.reduce_mean(tensor, axis=0)
        return {f"{name}/gradient_tensor": tensor}

    def _look_at_sample(self):
        """Shapes of outputs, and of each layer's kernel, preactivation and input."""
        engine = self._engine
        inputs = engine.model.checked(self._training.sample)
        variables = engine.model.variables
        self._places = {
            name: next(p for p, v in enumerate(variables) if v is weight.variable)
            for name, weight in engine.weights.items()
        }

        def look(inputs):
            return engine.tapped(inputs, engine.model.snapshot())

        outputs, layer_inputs, preactivations = (
            tf.function(look, autograph=False).get_concrete_function(inputs).structured_outputs
        )
        self._components, self._dtype = int(outputs.shape[1]), outputs.dtype.name
        shapes = {}
        for name in self.layers:
            kernel = tuple(engine.weights[name].variable.shape)
            if engine.is_tapped(name):
                place = engine.place(name)
                inside = preactivations[place].shape[1:], layer_inputs[place].shape[1:]
                shapes[name] = _Shapes(kernel, *map(tuple, inside))
            else:
                shapes[name] = _Shapes(kernel)
        return shapes

    def _form(self, name):
        shapes = self._shapes[name]
        if not _makes_factors(self._engine.weights[name]):
            return "gradient_tensor"
        return smallest_form(
            self.reduction,
            self._count,
            self._components,
            math.prod(shapes.kernel),
            math.prod(shapes.preactivation),
            math.prod(shapes.layer_input),
        )

    def _specifications(self):
        count, most = self._count, self._most
        components, dtype = self._components, self._dtype
        arrays = {
            "rounds": ArraySpecification((), "int64"),
            "incurred": ArraySpecification((), "float64"),
            "losses": ArraySpecification((most,), dtype),
            "outputs": ArraySpecification((most, count, components), dtype),
            "targets": ArraySpecification((most, count, components), dtype),
        }
        if self._training.weighted:
            arrays["sample_weights"] = ArraySpecification((most, count), "float32")
        lead = (components,) if self.reduction == "batch_mean" else (count, components)
        for name, of_layer in self._shapes.items():
            shapes = {"kernel": of_layer.kernel}
            if self.forms[name] == "factors":
                shapes["jacobian"] = (count, components, *of_layer.preactivation)
                shapes["layer_input"] = (count, *of_layer.layer_input)
            else:
                shapes["gradient_tensor"] = (*lead, *of_layer.kernel)
            for array, shape in shapes.items():
                arrays[f"{name}/{array}"] = ArraySpecification((most, *shape), dtype)
        return arrays


@dataclasses.dataclass(frozen=True)
class _Shapes:
    kernel: tuple[int, ...]
    preactivation: tuple[int, ...] = ()
    layer_input: tuple[int, ...] = ()


def _makes_factors(weight):
    """Whether a reader can make G of J and x: of a kernel, whose rule its layer alone gives."""
    if weight.tap is None or weight.is_bias:
        return False
    return rules.has_kernel_rule(weight.tap.layer) and weight.tap.rule.attribute == "kernel"


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
