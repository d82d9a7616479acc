"""The examples of a training: checked, in memory, as the model takes them."""

from __future__ import annotations

import collections.abc
import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from nta_tf import losses, provenance
from nta_tf.example_weights import example_weights
from nta_tf.linearization.called import structure_of
from nta_tf.linearization.graph import input_structure, is_graph
from nta_tf.linearization.softmax import refuse_softmax, softmax_output
from nta_tf.variables import LOW_PRECISION

_SAMPLE = 2  # examples from which a model that is no graph is built and understood


@dataclasses.dataclass(frozen=True)
class Layout:
    """How tensors of examples are inputs and targets; it holds none of them.

    Attributes:
        structure: How the model takes its inputs, with zeros in the place of arrays.
        own: Whether the only input is the target as well.
        weighted: Whether the last tensor is a weight for each example.
    """

    structure: Any
    own: bool
    weighted: bool = False

    def packed(self, leaves: Sequence) -> Any:
        """Inputs as the model takes them."""
        return keras.tree.pack_sequence_as(self.structure, list(leaves))

    def split(self, arrays: Sequence) -> tuple[Any, Any, Any]:
        """(a single input or a list of several, targets, weights of examples or None)."""
        leaves, targets, weights = self._parts(arrays)
        return (leaves[0] if len(leaves) == 1 else leaves), targets, weights

    def batch(self, arrays: Sequence) -> tuple[Any, Any, Any]:
        """(inputs as the model takes them, targets, weights of examples or None)."""
        leaves, targets, weights = self._parts(arrays)
        return self.packed(leaves), targets, weights

    def _parts(self, arrays):
        arrays = list(arrays)
        weights = arrays.pop() if self.weighted else None
        return (arrays if self.own else arrays[:-1]), arrays[-1], weights


@dataclasses.dataclass(frozen=True)
class TrainingData:
    """All examples of a training.

    Attributes:
        arrays: The inputs, (D, ...) each, the targets, if these are not the only input, and weights
            of examples, (D,), if there are any.
        layout: Their `Layout`.
    """

    arrays: list[np.ndarray]
    layout: Layout

    def __len__(self) -> int:
        return len(self.arrays[0])

    @property
    def targets(self) -> np.ndarray:
        """The targets, (D, ...)."""
        return self.layout.split(self.arrays)[1]

    @property
    def sample(self) -> Any:
        """The inputs of the first examples, as the model takes them."""
        return self.layout.batch([array[:_SAMPLE] for array in self.arrays])[0]

    def tensors(self) -> tuple[tf.Tensor, ...]:
        """The arrays on the device."""
        return tuple(tf.convert_to_tensor(array) for array in self.arrays)

    def taken(self, examples: np.ndarray) -> tuple[Any, Any, Any]:
        """`Layout.split` of some examples, as tensors."""
        return self.layout.split([tf.constant(array[examples]) for array in self.arrays])

    def fingerprint(self) -> list[str]:
        """SHA-256 of every array."""
        return [provenance.fingerprint(array, array)[0] for array in self.arrays]


def checked(
    model: keras.Model,
    x: Any,
    y: Any,
    loss: str,
    epochs: int,
    batch_size: int,
    sample_weight: Any = None,
    class_weight: Mapping[int, float] | None = None,
) -> TrainingData:
    """Examples that fit the model and the loss, or a clear error.

    Args:
        model: The `keras.Model`; one that is not built is built by calling it.
        x: Inputs, (D, ...): an array, or a list or dictionary of them for a model with several
            inputs; or a finite `tf.data.Dataset` of (inputs, targets) or (inputs, targets,
            weights), in minibatches or one by one.
        y: Targets, or the same object as `x`; None for a dataset.
        loss: Name of the loss.
        epochs: Number of epochs.
        batch_size: Examples in a minibatch.
        sample_weight: A weight for each example, (D,), or None.
        class_weight: A weight for each class, or None.

    Returns:
        `TrainingData`.

    Raises:
        ValueError: If anything does not fit.
    """
    if not isinstance(model, keras.Model):
        raise ValueError(f"The model must be a keras.Model. Received: {model!r}")
    if isinstance(x, tf.data.Dataset):
        if sample_weight is not None:
            raise ValueError("A tf.data.Dataset has its weights in it, as the third of its parts.")
        x, y, sample_weight = _of_dataset(model, x, y)
    elif not _is_arrays(x):
        raise ValueError(
            "Inputs must be arrays (a list or a dictionary of them for several inputs) or a "
            f"tf.data.Dataset, since every epoch orders its examples anew. Received: {type(x)}"
        )
    if y is None:
        raise ValueError("There must be targets; of an autoencoder they are the inputs, y=x.")
    if isinstance(model, keras.Sequential) and not model.built:
        model.build((None, *np.shape(x)[1:]))
    leaves, structure = _inputs(model, x)
    if epochs < 1 or not 1 <= batch_size <= len(leaves[0]):
        raise ValueError(
            f"There must be at least one epoch, and between 1 and {len(leaves[0])} examples "
            f"in a minibatch. Received: epochs={epochs}, batch_size={batch_size}"
        )
    sample = keras.tree.pack_sequence_as(structure, [leaf[:_SAMPLE] for leaf in leaves])
    shape, dtype = _output(model, sample)
    if model.losses:
        raise ValueError(
            f"Model {model.name!r} adds losses of its own (regularizers, add_loss), of which the "
            "Taylor loss knows nothing; leave them out."
        )
    if loss == "cross_entropy" and softmax_output(model, sample):
        refuse_softmax(model.name)
    own = y is x and len(leaves) == 1
    targets = losses.as_rows(loss, leaves[0] if own else np.asarray(y), shape)
    if not (loss == "cross_entropy" and np.issubdtype(targets.dtype, np.integer)):  # labels
        targets = targets.astype(dtype, copy=False)
    losses.check_targets(loss, targets, len(leaves[0]), math.prod(shape[1:]))
    own = targets is leaves[0]
    weights = example_weights(sample_weight, class_weight, targets)
    arrays = [*leaves, *([] if own else [targets]), *([] if weights is None else [weights])]
    return TrainingData(arrays, Layout(structure, own, weights is not None))


def inputs_of(model: Any, x: Any) -> Any:
    """The inputs of data points: those of a dataset in memory, anything else as it is.

    Args:
        model: A model with `inputs`.
        x: Arrays, or a `tf.data.Dataset` of inputs, or of pairs (inputs, targets).

    Returns:
        Arrays.
    """
    return _of_dataset(model, x, None)[0] if isinstance(x, tf.data.Dataset) else x


def _is_arrays(x: Any) -> bool:
    several = isinstance(x, (list, tuple, Mapping))
    leaves = keras.tree.flatten(x) if several else [x]
    streams = (collections.abc.Iterator, keras.utils.PyDataset)
    return not any(isinstance(leaf, streams) or np.asarray(leaf).dtype == object for leaf in leaves)


def _of_dataset(model: Any, dataset: tf.data.Dataset, y: Any) -> tuple[Any, Any, Any]:
    """Everything that a dataset yields, in its order: inputs, targets, weights of examples."""
    if y is not None:
        raise ValueError("A tf.data.Dataset has its targets in it: give y=None beside it.")
    if dataset.cardinality() == tf.data.INFINITE_CARDINALITY:
        raise ValueError(
            "The tf.data.Dataset never ends (repeat()); give one that yields every example once."
        )
    spec = dataset.element_spec
    if isinstance(spec, tuple) and len(spec) > 3:
        raise ValueError(
            "A tf.data.Dataset must yield inputs, targets and, if there are any, weights of "
            f"examples. Received: {len(spec)} parts"
        )
    inputs = keras.tree.flatten(spec[0] if isinstance(spec, tuple) else spec)
    symbols = getattr(model, "inputs", None)
    # Where the model does not say otherwise, a dataset is in minibatches, as for `fit`.
    if symbols is None or inputs[0].shape.rank == len(symbols[0].shape):
        dataset = dataset.unbatch()
    rows = [keras.tree.flatten(element) for element in dataset.as_numpy_iterator()]
    if not rows:
        raise ValueError("The tf.data.Dataset has no examples.")
    arrays = keras.tree.pack_sequence_as(spec, [np.stack(column) for column in zip(*rows)])
    parts = arrays if isinstance(spec, tuple) and len(spec) > 1 else (arrays,)
    return *parts, *[None] * (3 - len(parts))


def _inputs(model: keras.Model, x: Any) -> tuple[list[np.ndarray], Any]:
    """The inputs as arrays of the model's dtypes, and how the model takes them."""
    if not is_graph(model):
        structure = structure_of(x)
        leaves = [np.asarray(leaf) for leaf in keras.tree.flatten(x)] if structure else []
        leaves = [np.asarray(x)] if structure == 0 else leaves
        leaves = [leaf.astype(np.float32) if leaf.dtype == np.float64 else leaf for leaf in leaves]
        expected = None
    else:
        structure = input_structure(model)
        given = _in_order(model, x)
        leaves = [
            np.asarray(leaf, dtype=_dtype(symbol.dtype))
            for leaf, symbol in zip(given, model.inputs)
        ]
        expected = [tuple(symbol.shape[1:]) for symbol in model.inputs]
        if len(given) != len(expected) or not all(map(_fits, leaves, expected)):
            shapes = [f"(D, {', '.join(map(str, shape))})" for shape in expected]
            raise ValueError(
                f"Inputs of {model.name!r} must have shape {', '.join(shapes)}. Received: "
                f"{', '.join(str(np.shape(leaf)) for leaf in given)}"
            )
    if not leaves or len({leaf.shape[:1] for leaf in leaves}) != 1 or not leaves[0].ndim:
        raise ValueError(
            "All inputs must have the examples on their first axis, as many of them in each. "
            f"Received: inputs of shapes {[leaf.shape for leaf in leaves]}"
        )
    if not all(np.isfinite(leaf).all() for leaf in leaves if leaf.dtype.kind == "f"):
        raise ValueError("The inputs hold NaN or infinite values; remove them first.")
    return leaves, structure


def _in_order(model: keras.Model, x: Any) -> list:
    """What is given for each of the model's inputs, in their order."""
    if isinstance(x, Mapping):
        structure = input_structure(model)
        names = [symbol.name for symbol in model.inputs]
        if isinstance(structure, dict):
            names = sorted(structure)
        if set(x) != set(names):
            raise ValueError(
                f"The inputs of {model.name!r} are called {names}. Received: {list(x)}"
            )
        return [x[name] for name in names]
    if len(model.inputs) > 1 and isinstance(x, (list, tuple)):
        return keras.tree.flatten(x)
    alone = isinstance(x, (list, tuple)) and len(x) == 1
    alone = alone and np.ndim(x[0]) == len(model.inputs[0].shape)
    return [x[0] if alone else x]


def _fits(leaf: np.ndarray, expected: tuple) -> bool:
    same = leaf.ndim == len(expected) + 1
    return same and all(size in (None, got) for size, got in zip(expected, leaf.shape[1:]))


def _dtype(name: str) -> str:
    return "float32" if name in LOW_PRECISION else name


def _output(model: keras.Model, sample: Any) -> tuple[tuple, str]:
    """Shape and dtype of the model's only output."""
    outputs = model.outputs if is_graph(model) else keras.tree.flatten(model(sample))
    if len(outputs) != 1:
        raise ValueError(
            f"The model must have one output; {model.name!r} has {len(outputs)}. Train a "
            "keras.Model of the output that the loss is of."
        )
    dtype = keras.backend.standardize_dtype(outputs[0].dtype)
    return tuple(outputs[0].shape), _dtype(dtype)
