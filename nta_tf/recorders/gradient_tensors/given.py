"""Taylor rounds that were given as arrays: checked, and laid out as the recorder does its own."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

import keras
import numpy as np

from nta_tf import losses
from nta_tf.linearization import REDUCTIONS
from nta_tf.recorders.base import ArraySpecification, padded
from nta_tf.recorders.gradient_tensors.recorder import FORM
from nta_tf.recorders.taylor_reader import KIND
from nta_tf.scopes import NETWORK

_ALONE = "layer"  # what a layer is called that was given without a name


@dataclasses.dataclass(frozen=True)
class GivenRounds:
    """What the rounds have beside their layers: labels are one-hot rows.

    Attributes:
        outputs: (N, B, p_L).
        targets: (N, B, p_L).
        losses: Of the outputs, (N,), float64.
        epochs: Index of the epoch of each round, (N,), from zero.
        loss: Name of the loss.
        reduction: Name of the reduction.
    """

    outputs: np.ndarray
    targets: np.ndarray
    losses: np.ndarray
    epochs: np.ndarray
    loss: str
    reduction: str

    @classmethod
    def of(
        cls, outputs: Any, targets: Any, loss: Any, reduction: str, epochs: Any = None
    ) -> GivenRounds:
        """Checks what `nta.run_from_arrays` was given."""
        if reduction not in REDUCTIONS:
            raise ValueError(f"The reduction must be one of {REDUCTIONS}. Received: {reduction!r}")
        loss = losses.name_of(loss)
        outputs = as_floats("outputs", outputs)
        if outputs.ndim != 3 or 0 in outputs.shape:
            raise ValueError(
                "The outputs must have shape (N, B, p_L): rounds, examples, components (flatten "
                f"images; one output is p_L = 1). Received: outputs of shape {outputs.shape}"
            )
        targets = _targets(outputs, _array("targets", targets), loss)
        incurred = np.asarray(losses.get(loss)(outputs, targets), np.float64).mean(axis=1)
        return cls(outputs, targets, incurred, _epochs(epochs, len(outputs)), loss, reduction)

    @property
    def epoch_count(self) -> int:
        """Number of epochs."""
        return int(self.epochs[-1]) + 1

    @property
    def most(self) -> int:
        """Rounds of the fullest epoch."""
        return int(np.bincount(self.epochs).max())


@dataclasses.dataclass(frozen=True)
class GivenLayer:
    """The weights of one layer, and its G or the factors of that; neurons are the last axis.

    Attributes:
        name: Its name.
        kernel: W^n, (N, *kernel.shape).
        arrays: `{"gradient_tensor": G}`, or `{"jacobian": J, "layer_input": x}`.
        keras_layer: What the factors make, or None.
    """

    name: str
    kernel: np.ndarray
    arrays: dict[str, np.ndarray]
    keras_layer: keras.layers.Layer | None = None

    @classmethod
    def of(
        cls,
        name: str,
        weights: Any,
        tensors: Any,
        rounds: GivenRounds,
        keras_layer: keras.layers.Layer | None = None,
        neuron_axis: int = -1,
    ) -> GivenLayer:
        """Checks what `nta.run_from_arrays` was given of one layer."""
        kernel = as_floats(f"weights of {name!r}", weights)
        if kernel.ndim < 2 or len(kernel) != len(rounds.outputs):
            raise ValueError(
                f"The weights of {name!r} must have shape (N, *kernel.shape), with N = "
                f"{len(rounds.outputs)} rounds and a kernel of at least one axis. Received: shape "
                f"{kernel.shape}"
            )
        axes = kernel.ndim - 1
        if not -axes <= neuron_axis < axes:
            raise ValueError(
                f"neuron_axis must be an axis of the kernel of {name!r}, which has shape "
                f"{kernel.shape[1:]}. Received: neuron_axis={neuron_axis}"
            )
        neurons = neuron_axis % axes - axes  # counted from the end, as in every array of the layer
        moved = np.moveaxis(kernel, neurons, -1)
        if isinstance(tensors, tuple):
            arrays, keras_layer = _factors(name, tensors, moved, rounds, keras_layer)
            return cls(name, moved, arrays, keras_layer)
        tensor = _gradient_tensor(name, tensors, kernel, rounds)
        return cls(name, moved, {"gradient_tensor": np.moveaxis(tensor, neurons, -1)})

    @property
    def form(self) -> str:
        """`"gradient_tensor"` or `"factors"`."""
        return "gradient_tensor" if self.keras_layer is None else "factors"

    def config(self) -> dict[str, Any]:
        """What a reader needs to make G of the factors, as the recorder writes it."""
        if self.keras_layer is None:
            return {}
        shape = list(self.arrays["layer_input"].shape[2:])
        return {"layer": keras.layers.serialize(self.keras_layer), "input_shape": shape}


class GivenRecord:
    """The record that a recorder would have made of the rounds.

    Args:
        rounds: The `GivenRounds`.
        layers: A `GivenLayer` each.
    """

    def __init__(self, rounds: GivenRounds, layers: list[GivenLayer]) -> None:
        self._rounds = rounds
        self._layers = layers

    def arrays(self) -> Iterator[tuple[str, np.ndarray]]:
        """Yields (name, array) of all that has the rounds as first axis."""
        yield "losses", self._rounds.losses
        yield "outputs", self._rounds.outputs
        yield "targets", self._rounds.targets
        for layer in self._layers:
            yield f"{layer.name}/kernel", layer.kernel
            for name, array in layer.arrays.items():
                yield f"{layer.name}/{name}", array

    def config(self) -> dict[str, Any]:
        """As `Recorder.config`."""
        return {
            "kind": KIND,
            "form": FORM,
            "layers": [layer.name for layer in self._layers],
            "reduction": self._rounds.reduction,
            "schedule": "every step",  # of those that were given
            "bias": False,
            "examples": None,
            "seed": 0,
            "loss": self._rounds.loss,
            "forms": {layer.name: layer.form for layer in self._layers},
            "kernels": {layer.name: layer.config() for layer in self._layers},
        }

    def specifications(self) -> dict[str, ArraySpecification]:
        """As `Recorder.start`."""
        most = self._rounds.most
        return {
            "rounds": ArraySpecification((), "int64"),
            "incurred": ArraySpecification((), "float64"),
            **{
                name: ArraySpecification((most, *array.shape[1:]), array.dtype.name)
                for name, array in self.arrays()
            },
        }

    def row(self, epoch: int) -> dict[str, Any]:
        """As `Recorder.end_epoch`."""
        places = np.flatnonzero(self._rounds.epochs == epoch)
        row = {"rounds": len(places), "incurred": float(self._rounds.losses[places].sum())}
        if len(places):
            most = self._rounds.most
            row |= {name: padded(array[places], most) for name, array in self.arrays()}
        return row


def pairs(weights: Any, gradient_tensors: Any, layers: Mapping) -> list[tuple[str, Any, Any]]:
    """(name, weights, G) of each layer, from arrays or dictionaries of them."""
    if not isinstance(weights, Mapping) and not isinstance(gradient_tensors, Mapping):
        name = next(iter(layers), _ALONE)
        weights, gradient_tensors = {name: weights}, {name: gradient_tensors}
    names, others = (
        list(given) if isinstance(given, Mapping) else "an array"
        for given in (weights, gradient_tensors)
    )
    usable = names and all(isinstance(n, str) and n and ":" not in n for n in names)
    if not usable or NETWORK in names or set(names) != set(others) or not set(layers) <= set(names):
        raise ValueError(
            "Weights and gradient_tensors must both be arrays, or dictionaries with the same names "
            f"of layers (without colons, none of them {NETWORK!r}), of which layers= names some. "
            f"Received: weights of {names}, gradient_tensors of {others}, layers={list(layers)}"
        )
    return [(name, weights[name], gradient_tensors[name]) for name in names]


def as_floats(what: str, array: Any) -> np.ndarray:
    """An array of float32 or float64, finite."""
    array = _array(what, array)
    if array.dtype not in (np.float32, np.float64):
        array = array.astype(np.float32 if array.dtype.itemsize < 4 else np.float64)
    if not np.isfinite(array).all():
        raise ValueError(
            f"The {what} hold NaN or infinite values; leave out the rounds in which training has "
            "diverged."
        )
    return array


def _array(what, array):
    try:
        array = np.asarray(array)
    except (TypeError, ValueError, RuntimeError) as error:
        raise ValueError(
            f"The {what} do not become a NumPy array ({error}). All rounds must have the same "
            "number of examples; tensors of PyTorch need .detach().cpu()."
        ) from error
    if array.dtype.kind not in "fiub" and array.dtype.name != "bfloat16":
        raise ValueError(f"The {what} must be numbers. Received: an array of {array.dtype}")
    return array


def _targets(outputs, targets, loss):
    """Targets as rows like the outputs."""
    rounds, examples, components = outputs.shape
    integers = np.issubdtype(targets.dtype, np.integer)
    if loss == "cross_entropy" and integers and targets.shape == (rounds, examples, 1):
        targets = targets[..., 0]
    labels = integers and targets.shape == (rounds, examples)
    if not labels and targets.shape != outputs.shape:
        raise ValueError(
            f"Targets must have shape {outputs.shape} like the outputs, or be integer labels of "
            f"shape {(rounds, examples)}. Received: targets of shape {targets.shape}, "
            f"{targets.dtype}"
        )
    flat = targets.reshape(rounds * examples, *targets.shape[2:])
    losses.check_targets(loss, flat, len(flat), components)
    if loss == "cross_entropy" and _are_probabilities(outputs):
        raise ValueError(
            "The outputs look like probabilities (none is negative, every row sums to one), and "
            "cross-entropy takes the logits before the softmax. Received: outputs between "
            f"{outputs.min():.3g} and {outputs.max():.3g}"
        )
    return (
        np.eye(components)[targets].astype(outputs.dtype)
        if labels
        else as_floats("targets", targets)
    )


def _are_probabilities(outputs):
    return outputs.min() >= 0 and np.allclose(outputs.sum(axis=-1), 1, atol=1e-3)


def _epochs(epochs, rounds):
    """Index of the epoch of each round, from zero."""
    if epochs is None:
        return np.arange(rounds)
    numbers = _array("epochs", epochs)
    whole = np.issubdtype(numbers.dtype, np.integer) and numbers.shape == (rounds,)
    if not whole or numbers[0] < 1 or (np.diff(numbers) < 0).any():
        raise ValueError(
            f"epochs must say in which epoch each of the {rounds} rounds was: whole numbers from 1 "
            f"on that never fall. Received: {numbers}"
        )
    return numbers.astype(np.int64) - 1


def _gradient_tensor(name, tensors, kernel, rounds):
    """G, reduced as asked for."""
    tensor = as_floats(f"G of {name!r}", tensors)
    number, examples, components = rounds.outputs.shape
    whole = (number, examples, components, *kernel.shape[1:])
    expected = whole
    if rounds.reduction == "batch_mean":
        expected = (number, components, *kernel.shape[1:])
        if tensor.shape == whole:
            tensor = tensor.mean(axis=1, dtype=np.float64).astype(tensor.dtype)
    if tensor.shape != expected:
        raise ValueError(
            f"G of {name!r} must have shape {expected} under {rounds.reduction!r}: rounds, "
            "examples (unless it is their mean), components, kernel; or be the pair (J, x) of its "
            f"factors. Received: shape {tensor.shape}"
        )
    return tensor


def _factors(name, factors, kernel, rounds, keras_layer):
    """The factors of G, checked against the layer that they are said to be of."""
    if len(factors) != 2:
        raise ValueError(
            f"The factors of {name!r} must be a tuple (J, x). Received: {len(factors)} of them"
        )
    jacobian, layer_input = factors
    jacobian = as_floats(f"J of {name!r}", jacobian)
    layer_input = as_floats(f"x of {name!r}", layer_input)
    if layer_input.ndim < 3:
        raise ValueError(
            f"x of {name!r}, the layer's input, must have shape (N, B, ...). Received: shape "
            f"{layer_input.shape}"
        )
    if keras_layer is None:
        keras_layer = keras.layers.Dense(kernel.shape[-1], use_bias=False, name=name)
    else:  # a copy: building must not touch the layer that was given
        keras_layer = type(keras_layer).from_config(keras_layer.get_config())
    of_example = (None, *layer_input.shape[2:])
    keras_layer.build(of_example)
    preactivation = keras_layer.compute_output_shape(of_example)[1:]
    of_layer = tuple(keras_layer.kernel.shape)
    expected = (*rounds.outputs.shape, *preactivation), rounds.outputs.shape[:2], of_layer
    given = jacobian.shape, layer_input.shape[:2], kernel.shape[1:]
    if given != expected:
        raise ValueError(
            f"The factors of {name!r} must be those of its {type(keras_layer).__name__} layer "
            f"(layers= may name another): J of shape {expected[0]}, x of {expected[1]} and more, a "
            f"kernel {expected[2]}, neurons last. Received: J of shape {given[0]}, x of "
            f"{layer_input.shape}, kernel {given[2]}"
        )
    return {"jacobian": jacobian, "layer_input": layer_input}, keras_layer
