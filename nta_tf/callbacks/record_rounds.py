"""The recorders of `nta.train` inside `model.fit`."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from nta_tf import losses, session, training_data
from nta_tf.compiling import compiled
from nta_tf.recorders.base import Recorder, Rounds, Training
from nta_tf.trace import Run
from nta_tf.variables import LOW_PRECISION, recorded_dtype, recorded_variables

Logs = Mapping[str, Any] | None
# `fit` tells no callback that it was interrupted, so that a lock may outlive it.
_LOCKS: dict[str, contextlib.ExitStack] = {}


class RecordRounds(keras.callbacks.Callback):
    """Records rounds of a model that trains in `model.fit`.

    `fit` does not tell its callbacks the minibatch of a step, nor its loss. So a round has the
    weights W^n before the step, as in `nta.train`, but its minibatch is one that you give, the
    same at every round; the loss incurred is the model's on it, in inference mode. All else is
    as in `nta.train`: the same recorders fill a `nta.Run`, of which `nta.regret` and the
    measures of `nta.exploration` take what they need. The training itself is not changed.

    Args:
        x: The minibatch at which the rounds are taken, (B, ...), as `nta.train` takes inputs: a
            list or dictionary for several inputs, or a `tf.data.Dataset`.
        y: Its targets; None for a dataset.
        recorders: `Recorder` objects with different names.
        loss: What the model is trained on, as for `nta.train`: `"mse"`, `"cross_entropy"` (on
            logits), or the object that `compile` was given.
        directory: Where the run is kept, or None to keep it in memory. A run that was
            interrupted is taken up by `fit(..., initial_epoch=its epochs)`.
        sample_weight: How often each example of the minibatch counts, as for `nta.train`.
        class_weight: `{class: weight}` instead: what `fit` is given.

    Attributes:
        run: The `nta.Run`, once `fit` was called. Its `losses` (and `accuracies`) are those of the
            minibatch at the recorded steps, and NaN at all others.

    Raises:
        ValueError: By `fit`: if minibatch, loss or recorders do not fit the model, if the model
            was compiled with another loss, if the
            number of steps is not known, if a recorder asks for steps that `fit` does not
            show (`steps_per_execution` hides all but the first of several), or if `fit` begins
            with another epoch than the run has.
        nta.RunDirectoryError: By `fit`: if the directory holds something else or cannot be
            written.

    Example:

    >>> import nta_tf as nta
    >>> digits = nta.data.load("sample").x[:256].reshape(256, 784)
    >>> model = nta.models.autoencoder(seed=0)
    >>> model.compile("adam", "mse")
    >>> recorder = nta.TaylorRounds(["dense_3"], schedule="1 an epoch")
    >>> rounds = nta.callbacks.RecordRounds(digits[:64], digits[:64], [recorder], loss="mse")
    >>> history = model.fit(digits, digits, 64, epochs=2, verbose=0, callbacks=[rounds])
    >>> nta.regret(rounds.run, "dense_3")["round"].tolist()
    [1, 2]
    """

    def __init__(
        self,
        x: Any,
        y: Any,
        recorders: Iterable[Recorder],
        loss: Any,
        directory: str | os.PathLike[str] | None = None,
        *,
        sample_weight: Any = None,
        class_weight: Mapping[int, float] | None = None,
    ) -> None:
        super().__init__()
        self._counts = sample_weight, class_weight
        self.run: Run | None = None
        self._diverged = False
        self._x, self._y, self._loss = x, y, loss and losses.name_of(loss)
        self._recorders = session.by_name(recorders)
        self._directory = directory

    def on_train_begin(self, logs: Logs = None) -> None:
        epochs, steps = self.params["epochs"], self.params["steps"]
        if steps is None:
            raise ValueError(
                "The number of steps an epoch is not known before the training; give "
                "`fit` steps_per_epoch."
            )
        data = self._minibatch(epochs)
        shape = epochs, steps, len(data), data.sample, data.layout.weighted
        training = Training(self.model, self._loss, *shape)
        arrays = session.start_recorders(training, self._recorders)
        config = session.run_config(
            training,
            self.model.optimizer,
            data,
            self._recorders,
            seed=None,  # `fit` draws the minibatches that it trains on
        )
        measured = session.measured_arrays(training)
        self._lock()
        self.run = Run.create(self._directory, config, measured, arrays)
        self._steps = steps
        self._data, self._tensors = data, data.tensors()
        self._variables = recorded_variables(self.model)
        self._evaluate = compiled(self._evaluate_minibatch, autograph=False)
        self._diverged = self.run.status == "diverged"

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        if self._diverged:
            return
        if epoch != self.run.epochs:
            raise ValueError(
                f"{self.run!r}: `fit` began with epoch {epoch}, counted from zero. Pass "
                f"initial_epoch={self.run.epochs}, or take another directory."
            )
        self._wanted = {name: r.steps(epoch) for name, r in self._recorders.items()}
        self._due = sorted({int(step) for steps in self._wanted.values() for step in steps})
        names = session.measurements(self._loss)
        self._measured = {name: np.full(self._steps, np.nan, np.float32) for name in names}
        for recorder in self._recorders.values():
            recorder.begin_epoch(epoch)

    def on_train_batch_begin(self, batch: int, logs: Logs = None) -> None:
        if self._diverged:
            return
        self._check_missed(batch)
        if self._due and self._due[0] == batch:
            self._record(self._due.pop(0))

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        if self.run.epochs != epoch:  # it diverged in an epoch before
            return
        self.run.write(epoch, self._measured)
        if not self._diverged:
            self._check_missed(self._steps)
            for name, recorder in self._recorders.items():
                self.run.records[name].write(epoch, recorder.end_epoch())
        self._commit(epoch + 1, "diverged" if self._diverged else "running")

    def on_train_end(self, logs: Logs = None) -> None:
        if self.run.status == "running":
            self._commit(self.run.epochs, "finished", final=True)
        self._unlock()

    def _minibatch(self, epochs):
        """The examples of every round, checked."""
        examples = 1 if isinstance(self._x, tf.data.Dataset) else _count(self._x)
        asked = self._loss, epochs, examples, *self._counts
        data = training_data.checked(self.model, self._x, self._y, *asked)
        _check_compiled_loss(self.model, data, self._loss)
        return data

    def _record(self, step):
        """Gives the recorders that ask for it the round of this step."""
        weights = {
            name: tf.cast(variable.value, recorded_dtype(variable))[tf.newaxis]
            for name, variable in self._variables.items()
        }
        for name, value in self._evaluate().items():
            self._measured[name][step] = value.numpy()
        loss = self._measured["losses"][[step]]
        if self._loss is not None:
            self._diverged = not np.isfinite(loss).all()
            if self._diverged:
                return
        *batch, counts = self._data.layout.split([one[tf.newaxis] for one in self._tensors])
        for name, recorder in self._recorders.items():
            if step in self._wanted[name]:
                recorder.record(Rounds(np.array([step]), weights, *batch, loss, counts))

    def _evaluate_minibatch(self):
        """Loss (and accuracy) of the minibatch at the weights of the moment, if it has one."""
        if self._loss is None:
            return {}
        outputs, targets, counts = _outputs(self.model, self._data, self._tensors)
        rows = tf.reshape(outputs, (len(self._data), -1))
        values = {"losses": losses.mean(self._loss, rows, targets, counts)}
        if "accuracies" in self._measured:
            values["accuracies"] = losses.accuracy(rows, targets)
        return values

    def _check_missed(self, step):
        if self._due and self._due[0] < step:
            raise ValueError(
                f"A recorder asks for step {self._due[0]} of an epoch, but `fit` went on to step "
                f"{step} without showing it. Compile the model with steps_per_execution=1, or "
                "choose steps that are multiples of it."
            )

    def _commit(self, epochs, status, final=False):
        self.run.commit(epochs=epochs, status=status, final=final)

    def _lock(self):
        self._unlock()
        if self._directory is not None:
            lock = contextlib.ExitStack()
            lock.enter_context(Run.writing(self._directory))
            _LOCKS[os.path.realpath(self._directory)] = lock

    def _unlock(self):
        """Gives the lock back: that of a `fit` which was interrupted in this process, too."""
        if self._directory is not None:
            lock = _LOCKS.pop(os.path.realpath(self._directory), None)
            if lock is not None:
                lock.close()


def _count(x):
    """How many examples there are."""
    leaves = keras.tree.flatten(x) if isinstance(x, (list, tuple, Mapping)) else [x]
    return len(leaves[0]) if leaves and np.ndim(leaves[0]) else len(x)


def _outputs(model, data, tensors):
    """The model's output in inference mode, in float32 at least, targets, weights of examples."""
    inputs, targets, counts = data.layout.batch(tensors)
    outputs = keras.tree.flatten(model(inputs, training=False))[0]
    if outputs.dtype.name in LOW_PRECISION:
        outputs = tf.cast(outputs, tf.float32)
    return outputs, targets, counts


def _check_compiled_loss(model, data, loss):
    """Raises if the compiled loss is another one: by its value on the minibatch.

    What cannot be called as it was given to `compile` (a list, a model's own training step) is
    not compared.
    """
    try:
        compiled = keras.losses.get(model.loss)
    except ValueError:
        return
    if compiled is None:
        return
    outputs, *_ = _outputs(model, data, data.tensors())
    rows, targets = tf.reshape(outputs, (len(data), -1)), data.targets
    recorded = float(tf.reduce_mean(losses.get(loss)(rows, targets)))
    values = [_value(compiled, same, outputs) for same in _alike(targets, outputs)]
    values = [value for value in values if value is not None]
    if values and not any(np.isclose(value, recorded, rtol=1e-3) for value in values):
        raise ValueError(
            f"The model is compiled with loss={model.loss!r}, which is {values[0]:.6g} on the "
            f"minibatch, and loss={loss!r} is {recorded:.6g}. Regret is that of the loss that "
            'training incurs: compile the mean squared error for "mse", or a cross-entropy '
            'from logits for "cross_entropy".'
        )


def _alike(targets, outputs):
    """The targets in the shapes that losses of Keras expect."""
    if targets.size == np.prod(outputs.shape):
        yield targets.reshape(outputs.shape)
        yield np.argmax(targets.reshape(outputs.shape), axis=-1)
    else:
        yield targets
        yield np.eye(outputs.shape[-1], dtype=np.float32)[targets]


def _value(compiled, targets, outputs):
    try:
        return float(tf.reduce_mean(compiled(tf.constant(targets), outputs)))
    except (ValueError, TypeError, tf.errors.InvalidArgumentError):
        return None  # another kind of targets
