"""What a recorder is: an observer of training that never changes it."""

from __future__ import annotations

import abc
import dataclasses
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from nta_tf import schedules
from nta_tf.linearization.graph import input_structure
from nta_tf.schedules import Schedule
from nta_tf.trace import ArraySpecification, Record


@dataclasses.dataclass(frozen=True)
class Training:
    """What a recorder is told about the training that it will watch.

    Attributes:
        model: The `keras.Model` that trains. A recorder reads its structure, never its
            live weights: those have moved on when the recorder is called.
        loss: Name of the loss.
        epochs: Number of epochs.
        steps_per_epoch: Number of steps (minibatches) in each of them.
        batch_size: Examples in a minibatch.
        sample: Inputs of the first examples, as the model takes them: what a model that is no
            graph of layers is understood by. None makes zeros, which do for a graph.
        weighted: Whether examples have weights.
    """

    model: keras.Model
    loss: str
    epochs: int
    steps_per_epoch: int
    batch_size: int
    sample: Any = None
    weighted: bool = False

    def __post_init__(self) -> None:
        if self.sample is None and getattr(self.model, "inputs", None):
            zeros = [
                tf.zeros((2, *(size or 1 for size in symbol.shape[1:])), symbol.dtype)
                for symbol in self.model.inputs
            ]
            sample = keras.tree.pack_sequence_as(input_structure(self.model), zeros)
            object.__setattr__(self, "sample", sample)


@dataclasses.dataclass(frozen=True)
class Rounds:
    """R consecutive recorded rounds: the weights W^n and the minibatch of each.

    Attributes:
        steps: NumPy array (R,), steps of the epoch.
        weights: For each variable that training moves, by name (`nta.variables`), a tensor
            (R, ...): W^n, statistics such as those of BatchNormalization, and states of the seeds
            of dropout, as they were before the step; float32 at least.
        inputs: Tensor (R, B, ...); a list of them for a model with several inputs.
        targets: Tensor (R, B, ...).
        losses: NumPy array (R,), the loss that training incurred on each round.
        example_weights: Tensor (R, B), how often each example counts in the loss; None is once.
    """

    steps: np.ndarray
    weights: Mapping[str, tf.Tensor]
    inputs: tf.Tensor | list[tf.Tensor]
    targets: tf.Tensor
    losses: np.ndarray
    example_weights: tf.Tensor | None = None

    def of(self, n: int) -> tuple[dict[str, tf.Tensor], list[tf.Tensor], tf.Tensor]:
        """Weights, inputs (a list, one an input of the model) and targets of one round."""
        inputs = self.inputs if isinstance(self.inputs, list) else [self.inputs]
        weights = {name: value[n] for name, value in self.weights.items()}
        return weights, [leaf[n] for leaf in inputs], self.targets[n]


class Recorder(abc.ABC):
    """Watches chosen rounds of training and keeps something of them in the trace.

    `nta.train` calls `start` once, then for every epoch `begin_epoch`, `record` for each
    block of rounds that `steps` asked for, and `end_epoch`, whose arrays become the
    epoch's row of the trace. A recorder holds nothing over from one epoch to the next, so
    that a run that was killed resumes with the same trace.

    Attributes:
        name: Under which its arrays lie in the trace.
    """

    name: str

    @abc.abstractmethod
    def start(self, training: Training) -> dict[str, ArraySpecification]:
        """Prepares for a `Training`; returns {array name: `ArraySpecification`}."""

    @abc.abstractmethod
    def steps(self, epoch: int) -> np.ndarray:
        """Sorted array of the steps of the epoch that are to be recorded."""

    def rounds_at_once(self) -> int:
        """How many rounds at most `record` is given in one block."""
        return 32

    @abc.abstractmethod
    def begin_epoch(self, epoch: int) -> None:
        """Forgets the epoch before."""

    @abc.abstractmethod
    def record(self, rounds: Rounds) -> None:
        """Takes a block of `Rounds` of the current epoch."""

    @abc.abstractmethod
    def end_epoch(self) -> dict[str, Any]:
        """The epoch's row of the trace: {array name: NumPy array}."""

    @abc.abstractmethod
    def config(self) -> dict[str, Any]:
        """What made the recording, as JSON-ready dictionary."""


class ScheduledRecorder(Recorder):
    """A recorder whose rounds are those of a schedule.

    `start` must set `_training`.

    Attributes:
        schedule: A schedule of `nta.schedules`.
    """

    schedule: Schedule
    _training: Training

    def steps(self, epoch: int) -> np.ndarray:
        training = self._training
        return self.schedule.steps(epoch, training.steps_per_epoch, training.epochs)

    def _most_rounds(self) -> int:
        """Rounds of the fullest epoch."""
        return max(len(self.steps(epoch)) for epoch in range(self._training.epochs))


def padded(rows: np.ndarray, count: int) -> np.ndarray:
    """Rows (rounds, ...) of an epoch, with zeros behind them up to `count` rounds."""
    return np.pad(rows, [(0, count - len(rows))] + [(0, 0)] * (rows.ndim - 1))


def recorded_steps(record: Record, epoch: int) -> np.ndarray:
    """Steps of an epoch that were rounds of the record, by its schedule."""
    config = record.run.config
    schedule = schedules.get(record.config["schedule"])
    return schedule.steps(epoch, config["steps_per_epoch"], config["epochs"])
