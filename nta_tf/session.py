"""What training, callbacks and replaying share: checked data, the run's config, its order."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import keras
import numpy as np

from nta_tf import losses, provenance
from nta_tf.linearization.graph import is_graph
from nta_tf.linearization.softmax import refuse_softmax, softmax_output
from nta_tf.recorders.base import Recorder, Training
from nta_tf.trace import ArraySpecification


def epoch_order(seed: int, epoch: int, examples: int, batch_size: int) -> np.ndarray:
    """Which example stands where in an epoch: a pure function of its arguments.

    Args:
        seed: Seed of the run.
        epoch: Index of the epoch, from zero.
        examples: D, how many examples there are.
        batch_size: Examples in a minibatch.

    Returns:
        NumPy array (steps, batch_size) of indices.

    Example:

    >>> import nta_tf as nta
    >>> nta.session.epoch_order(seed=0, epoch=3, examples=7, batch_size=3).shape
    (2, 3)
    """
    steps = examples // batch_size
    order = np.random.default_rng([seed, epoch]).permutation(examples)
    return order[: steps * batch_size].reshape(steps, batch_size).astype(np.int32)


def run_config(
    training: Training,
    optimizer: keras.optimizers.Optimizer,
    inputs: np.ndarray,
    targets: np.ndarray,
    recorders: Mapping[str, Recorder],
    *,
    seed: int | None,
    metadata: Mapping[str, Any] | None = None,
    dtype_policy: str | None = None,
    jit_compile: bool = False,
) -> dict[str, Any]:
    """Everything that makes a run, as it is written into its config.

    Args:
        training: The `Training`.
        optimizer: The Keras optimizer.
        inputs: All examples.
        targets: Their targets.
        recorders: {name: `Recorder`}, started.
        seed: Seed of the order of the examples, or None if that is not known.
        metadata: What the caller wants to keep.
        dtype_policy: Dtype policy of the training steps.
        jit_compile: Whether they are compiled with XLA.

    Returns:
        A JSON-ready dictionary.
    """
    return {
        "model": provenance.model_config(training.model),
        "optimizer": provenance.optimizer_config(optimizer),
        "loss": training.loss,
        "epochs": training.epochs,
        "steps_per_epoch": training.steps_per_epoch,
        "batch_size": training.batch_size,
        "seed": seed,
        "examples": len(inputs),
        "data": provenance.fingerprint(inputs, targets),
        "dtype_policy": dtype_policy,
        "jit_compile": jit_compile,
        "records": {name: recorder.config() for name, recorder in recorders.items()},
        "metadata": dict(metadata or {}),
        **provenance.circumstances(),
    }


def measurements(loss: str) -> tuple[str, ...]:
    """What is measured at every step of a training with that loss."""
    return ("losses", "accuracies") if loss == "cross_entropy" else ("losses",)


def measured_arrays(training: Training) -> dict[str, ArraySpecification]:
    """The arrays of the trace for what is measured at every step."""
    row = ArraySpecification((training.steps_per_epoch,), "float32")
    return dict.fromkeys(measurements(training.loss), row)


def start_recorders(
    training: Training, recorders: Mapping[str, Recorder]
) -> dict[str, dict[str, ArraySpecification]]:
    """Starts every recorder; returns the arrays of each, by its name."""
    return {name: recorder.start(training) for name, recorder in recorders.items()}


def by_name(recorders: Iterable[Recorder]) -> dict[str, Recorder]:
    """{name: recorder}, or an error if two share a name."""
    recorders = list(recorders)
    named = {recorder.name: recorder for recorder in recorders}
    if len(named) != len(recorders):
        raise ValueError(
            "Every recorder needs a name of its own. "
            f"Received: {[recorder.name for recorder in recorders]}"
        )
    return named


def checked_data(
    model: keras.Model, x: Any, y: Any, loss: str, epochs: int, batch_size: int
) -> tuple[np.ndarray, np.ndarray]:
    """Inputs and targets as arrays that fit the model and the loss, or a clear error.

    Args:
        model: The `keras.Model`.
        x: Inputs, (D, ...).
        y: Targets, or the same object as `x`.
        loss: Name of the loss.
        epochs: Number of epochs.
        batch_size: Examples in a minibatch.

    Returns:
        Inputs and targets; the same array twice if `y` is `x`.

    Raises:
        ValueError: If anything does not fit.
    """
    if len(getattr(model, "outputs", ())) != 1:
        raise ValueError(f"The model must have one output. Received: {model!r}")
    if model.losses:
        raise ValueError(
            f"Model {model.name!r} adds losses of its own (regularizers, add_loss), of which the "
            "Taylor loss knows nothing; leave them out."
        )
    inputs = np.asarray(x, dtype=model.inputs[0].dtype)
    expected = tuple(model.inputs[0].shape[1:])
    if inputs.ndim != len(expected) + 1 or any(
        size not in (None, given) for size, given in zip(expected, inputs.shape[1:])
    ):
        raise ValueError(
            f"Inputs of {model.name!r} must have shape (D, {', '.join(map(str, expected))}"
            f"). Received: {inputs.shape}"
        )
    if not np.isfinite(inputs).all():
        raise ValueError("The inputs hold NaN or infinite values; remove them first.")
    if epochs < 1 or not 1 <= batch_size <= len(inputs):
        raise ValueError(
            f"There must be at least one epoch, and between 1 and {len(inputs)} examples "
            f"in a minibatch. Received: epochs={epochs}, batch_size={batch_size}"
        )
    if loss == "cross_entropy" and is_graph(model) and softmax_output(model):
        refuse_softmax(model.name)
    targets = inputs if y is x else np.asarray(y)
    components = int(np.prod(model.outputs[0].shape[1:]))
    losses.check_targets(loss, targets, len(inputs), components)
    if targets is not inputs and not np.issubdtype(targets.dtype, np.integer):
        targets = targets.astype(model.outputs[0].dtype)
    elif loss == "mse":
        targets = targets.astype(model.outputs[0].dtype, copy=False)
    return inputs, targets
