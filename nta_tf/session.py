"""What training, callbacks and replaying share: the run's config and arrays, its order."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import keras
import numpy as np

from nta_tf import provenance
from nta_tf.recorders.base import Recorder, Training
from nta_tf.trace import ArraySpecification
from nta_tf.training_data import TrainingData


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
    data: TrainingData,
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
        data: All examples.
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
        "examples": len(data),
        "data": data.fingerprint(),
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
