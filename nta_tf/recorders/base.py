"""What a recorder is: an observer of training that never changes it."""

import abc
import dataclasses

import numpy as np
import tensorflow as tf


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
    """

    model: object
    loss: str
    epochs: int
    steps_per_epoch: int
    batch_size: int


@dataclasses.dataclass(frozen=True)
class Rounds:
    """R consecutive recorded rounds: the weights W^n and the minibatch of each.

    Attributes:
        steps: NumPy array (R,), steps of the epoch.
        weights: For each trainable variable of the model, by path, a tensor (R, ...).
        inputs: Tensor (R, B, ...).
        targets: Tensor (R, B, ...).
        losses: NumPy array (R,), the loss that training incurred on each round.
    """

    steps: object
    weights: dict
    inputs: tf.Tensor
    targets: tf.Tensor
    losses: object


@dataclasses.dataclass(frozen=True)
class ArraySpecification:
    """One array of the trace, to which every epoch adds one row.

    Attributes:
        shape: Shape of a row.
        dtype: Its dtype.
    """

    shape: tuple
    dtype: str


class Recorder(abc.ABC):
    """Watches chosen rounds of training and keeps something of them in the trace.

    `nta.train` calls `start` once, then for every epoch `begin_epoch`, `record` for each
    block of rounds that `steps` asked for, and `end_epoch`, whose arrays become the
    epoch's row of the trace. A recorder holds nothing over from one epoch to the next, so
    that a run that was killed resumes with the same trace.

    Attributes:
        name: Under which its arrays lie in the trace.
    """

    name = None

    @abc.abstractmethod
    def start(self, training):
        """Prepares for a `Training`; returns {array name: `ArraySpecification`}."""

    @abc.abstractmethod
    def steps(self, epoch):
        """Sorted array of the steps of the epoch that are to be recorded."""

    def rounds_at_once(self):
        """How many rounds at most `record` is given in one block."""
        return 32

    @abc.abstractmethod
    def begin_epoch(self, epoch):
        """Forgets the epoch before."""

    @abc.abstractmethod
    def record(self, rounds):
        """Takes a block of `Rounds` of the current epoch."""

    @abc.abstractmethod
    def end_epoch(self):
        """The epoch's row of the trace: {array name: NumPy array}."""

    @abc.abstractmethod
    def config(self):
        """What made the recording, as JSON-ready dictionary."""


class ScheduledRecorder(Recorder):
    """A recorder whose rounds are those of a schedule.

    `start` must set `_training`.

    Attributes:
        schedule: A schedule of `nta.schedules`.
    """

    schedule = None

    def steps(self, epoch):
        training = self._training
        return self.schedule.steps(epoch, training.steps_per_epoch, training.epochs)

    def _most_rounds(self):
        """Rounds of the fullest epoch."""
        return max(len(self.steps(epoch)) for epoch in range(self._training.epochs))


def padded(rows, count):
    """Rows (rounds, ...) of an epoch, with zeros behind them up to `count` rounds."""
    return np.pad(rows, [(0, count - len(rows))] + [(0, 0)] * (rows.ndim - 1))
