"""The GradientTape loop: compiled over whole segments of steps, recorded, resumable."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from tqdm import tqdm

from nta_tf import compilers, losses, optimizers, precision, replicas, session, training_data
from nta_tf.compiling import compiled
from nta_tf.recorders.base import Recorder, Rounds, Training
from nta_tf.trace import Run, RunDirectoryError
from nta_tf.trace.opening import found
from nta_tf.variables import LOW_PRECISION, recorded_dtype, recorded_variables, seed_states

# What XLA raises where a step needs something that it has not.
_NOT_FOR_XLA = (
    tf.errors.InvalidArgumentError,
    tf.errors.UnimplementedError,
    tf.errors.NotFoundError,
)


def train(
    model: keras.Model,
    x: Any,
    y: Any = None,
    *,
    optimizer: str | keras.optimizers.Optimizer,
    loss: Any = "mse",
    epochs: int,
    batch_size: int,
    seed: int = 0,
    sample_weight: Any = None,
    class_weight: Mapping[int, float] | None = None,
    recorders: Iterable[Recorder] = (),
    directory: str | os.PathLike[str] | None = None,
    metadata: Mapping[str, Any] | None = None,
    dtype_policy: str | None = None,
    jit_compile: bool | str = "auto",
    progress: bool | None = None,
) -> Run:
    """Trains a Keras model as in section 2.4, and records the loss of every step.

    For `"cross_entropy"` the accuracy on each minibatch, before its step, is recorded too.

    Every epoch visits the examples in an order that is a pure function of (seed, epoch);
    examples that do not fill a last minibatch are left out of that epoch. Segments of steps
    between records run inside one compiled function, with the data on the device.

    With a directory the run survives being killed: calling `train` again with the same
    arguments takes it up after its last complete epoch and ends with the same weights and
    the same trace, bit for bit on the CPU. With more epochs than before it goes on from where it
    ended, as if it had been planned that long. Recorders never change the training. A loss that
    becomes NaN or infinite ends the run with status "diverged", which is a result.

    Args:
        model: A `keras.Model` with one output: a graph of layers, or any that can be called.
            Its weights are trained in place. One that was made in the scope of a
            `tf.distribute.MirroredStrategy` is trained on its devices, each with an equal part
            of every minibatch (and an optimizer that is an object must be made in it too).
        x: Inputs, (D, ...), NumPy array or tensor; a list or dictionary of them for a model with
            several inputs; or a `tf.data.Dataset` of (inputs, targets) or (inputs, targets,
            weights), which is read into memory once, in its order (so do not let it shuffle), in
            minibatches or one by one.
        y: Targets: rows (D, p_L), or of the shape of the outputs; integer labels (D,) or (D, 1)
            or one-hot rows for `"cross_entropy"`. Pass the very same object as `x` for an
            autoencoder. None for a dataset.
        optimizer: A name of `nta.optimizers.get` or any Keras optimizer, one of your own too, whose
            `get_config` says all that makes it.
        loss: `"mse"`, `"cross_entropy"` (on logits), another name of `nta.losses.LOSSES`, or a
            loss of Keras that is the same as one of them (`nta.losses.name_of`).
        epochs: Number of epochs.
        batch_size: Examples in a minibatch.
        seed: Seed of the order of the examples.
        sample_weight: How often each example counts in the mean over its minibatch, (D,).
        class_weight: `{class: weight}` instead, as `model.fit` takes it.
        recorders: `Recorder` objects, such as `nta.TaylorRounds`, with different names.
        directory: Where the run is kept, or None to keep it in memory.
        metadata: JSON-ready dictionary to store in the run's config.
        dtype_policy: Name of a Keras dtype policy, such as `"mixed_bfloat16"`, in which the
            training steps compute. Variables, and what recorders make of them, stay in
            their own dtype. None is the policy that each layer has.
        jit_compile: Whether segments are compiled with XLA; or `"auto"`: where it is faster by
            the rule of `nta.compilers` and can be done. The run's config keeps the answer, so
            that going on with more epochs changes nothing.
        progress: Whether to show a progress bar. Defaults to only on a terminal.

    Returns:
        A `nta.Run`.

    Raises:
        ValueError: If data, loss, batch size or epochs do not fit.
        RunDirectoryError: If the directory holds something else or cannot be written.

    Example:

    >>> import nta_tf as nta
    >>> digits = nta.data.load("sample").x[:256].reshape(256, 784)
    >>> model = nta.models.autoencoder(seed=0)
    >>> run = nta.train(model, digits, digits, optimizer="adam", epochs=2,
    ...                 batch_size=64, seed=0, recorders=[nta.TaylorRounds(["dense_3"])])
    >>> run.status, run.losses.shape
    ('finished', (2, 4))
    """
    loss = losses.name_of(loss)
    weights = sample_weight, class_weight
    data = training_data.checked(model, x, y, loss, epochs, batch_size, *weights)
    strategy = replicas.strategy_of(model, batch_size)
    with strategy.scope():
        optimizer = optimizers.get(optimizer) if isinstance(optimizer, str) else optimizer
        optimizers.check(optimizer, model.trainable_variables)
        optimizer.build(model.trainable_variables)
    steps = len(data) // batch_size
    shape = epochs, steps, batch_size, data.sample, data.layout.weighted
    training = Training(model, loss, *shape)
    if dtype_policy is not None:
        dtype_policy = precision.check_policy(model, dtype_policy).name
    recorders = session.by_name(recorders)
    arrays = session.start_recorders(training, recorders)
    segments = _Segments(training, optimizer, data, recorders, dtype_policy)
    with strategy.scope():
        jit_compile = segments.compiler(jit_compile, directory)
    config = session.run_config(
        training,
        optimizer,
        data,
        recorders,
        seed=seed,
        metadata=metadata,
        dtype_policy=dtype_policy,
        jit_compile=jit_compile,
    )
    with Run.writing(directory):
        run = Run.create(directory, config, session.measured_arrays(training), arrays)
        with strategy.scope():
            loop = _Loop(training, optimizer, data, recorders, seed, segments, jit_compile)
            loop.run(run, progress)
    return run


class _Loop:
    """One training: the compiled segment, its recorders, its checkpoints."""

    def __init__(self, training, optimizer, data, recorders, seed, segments, jit_compile):
        self.training = training
        self.recorders = recorders
        self.seed = seed
        self.data, self.tensors = data, segments.tensors
        self.variables = recorded_variables(training.model)
        self.slots = segments.slots
        self.segment = segments.compiled(jit_compile)
        self.gather = compiled(self._gather, reduce_retracing=True, autograph=False)
        self.checkpoint = tf.train.Checkpoint(model=training.model, optimizer=optimizer)
        seeds = seed_states(training.model)
        if seeds:  # Keras leaves them out of the model's own
            self.checkpoint.seeds = [state.value for state in seeds]

    def run(self, run, progress):
        run.restore(self.checkpoint)
        training = self.training
        if run.status != "running":
            return
        with tqdm(
            total=training.epochs * training.steps_per_epoch,
            initial=run.epochs * training.steps_per_epoch,
            unit="step",
            desc=run.directory.name if run.directory else training.model.name,
            disable=None if progress is None else not progress,
        ) as bar:
            for epoch in range(run.epochs, training.epochs):
                step_losses = self._epoch(run, epoch, bar)
                diverged = np.flatnonzero(~np.isfinite(step_losses))
                self._commit(run, epoch, diverged)
                if diverged.size:
                    break

    def _epoch(self, run, epoch, bar):
        """Trains one epoch and writes its row of the trace."""
        order = session.epoch_order(self.seed, epoch, len(self.data), self.training.batch_size)
        wanted = {name: r.steps(epoch) for name, r in self.recorders.items()}
        for recorder in self.recorders.values():
            recorder.begin_epoch(epoch)
        measured = {
            name: np.full(len(order), np.nan, np.float32)
            for name in session.measurements(self.training.loss)
        }
        step_losses = measured["losses"]
        for first, last, recorded in _segments(wanted, len(order), self.slots):
            snapshots = self._run_segment(order, first, last, recorded, measured)
            bar.update(last - first)
            bar.set_postfix(loss=f"{step_losses[last - 1]:.4g}", refresh=False)
            if not np.isfinite(step_losses[first:last]).all():
                break
            if len(recorded):
                self._record(order, recorded, snapshots, step_losses, wanted)
        run.write(epoch, measured)
        if np.isfinite(step_losses).all():
            for name, recorder in self.recorders.items():
                run.records[name].write(epoch, recorder.end_epoch())
        return step_losses

    def _run_segment(self, order, first, last, recorded, measured):
        slot_of_step = np.full(len(order), -1, np.int32)
        slot_of_step[recorded] = np.arange(len(recorded))
        values, snapshots = self.segment(
            self.tensors,
            tf.constant(order),
            tf.constant(first, tf.int32),
            tf.constant(last, tf.int32),
            tf.constant(slot_of_step),
        )
        for name, value in values.items():
            measured[name][first:last] = value.numpy()[first:last]
        return snapshots

    def _record(self, order, recorded, snapshots, step_losses, wanted):
        """Gives each recorder those rounds of the block that it asked for."""
        for name, recorder in self.recorders.items():
            slots = np.flatnonzero(np.isin(recorded, wanted[name]))
            if not slots.size:
                continue
            steps = recorded[slots]
            weights, inputs, targets, counts = self.gather(snapshots, slots, order[steps])
            recorder.record(
                Rounds(
                    steps,
                    dict(zip(self.variables, weights)),
                    inputs,
                    targets,
                    step_losses[steps],
                    counts,
                )
            )

    def _gather(self, snapshots, slots, examples):
        weights = snapshots
        if slots.shape[0] != self.slots:  # otherwise every snapshot is wanted, in order
            weights = [tf.gather(snapshot, slots) for snapshot in snapshots]
        weights = [
            tf.cast(snapshot, recorded_dtype(variable))
            for snapshot, variable in zip(weights, self.variables.values())
        ]
        return weights, *self.data.layout.split([tf.gather(one, examples) for one in self.tensors])

    def _commit(self, run, epoch, diverged):
        """Checkpoints the epoch and makes it count; drops the checkpoint before."""
        progress = {"epochs": epoch + 1, "status": "running"}
        if epoch + 1 == self.training.epochs:
            progress["status"] = "finished"
        if diverged.size:
            progress["status"] = "diverged"
            progress["diverged_step"] = epoch * self.training.steps_per_epoch + int(diverged[0]) + 1
        final = progress["status"] != "running"
        run.commit(final=final, **progress, checkpoint=run.save(self.checkpoint, epoch + 1))


class _Segments:
    """The training's compiled segment, by either compiler, each made once."""

    def __init__(self, training, optimizer, data, recorders, dtype_policy):
        self.slots = min((r.rounds_at_once() for r in recorders.values()), default=1)
        self.tensors = data.tensors()
        self._training = training
        self._parts = training, optimizer, data.layout, self.slots, dtype_policy
        self._dtype_policy = dtype_policy
        self._made = {}

    def compiled(self, jit_compile):
        """The segment, compiled with XLA or without."""
        if jit_compile not in self._made:
            self._made[jit_compile] = _compile_segment(*self._parts, jit_compile)
        return self._made[jit_compile]

    def compiler(self, asked, directory):
        """Whether XLA compiles it, if "auto" was asked for; a run that exists has its answer."""
        if asked != "auto":
            return asked
        training, started = self._training, _begun(directory)
        if started is not None:
            return started.config["jit_compile"]
        steps, alone = training.epochs * training.steps_per_epoch, not tf.distribute.has_strategy()
        faster = alone and compilers.xla_is_faster(training.model, steps, self._dtype_policy)
        return faster and self._is_compiled_by_xla()

    def _is_compiled_by_xla(self):
        """Whether XLA has all that a step of this model and optimizer needs."""
        steps, size = self._training.steps_per_epoch, self._training.batch_size
        order = tf.reshape(tf.range(steps * size), (steps, size))
        nothing = tf.constant(0)  # compiled, and not run
        try:
            self.compiled(True)(self.tensors, order, nothing, nothing, tf.fill([steps], -1))
        except _NOT_FOR_XLA:
            return False
        return True


def _begun(directory):
    """The run that is gone on with, or None; what is wrong with a directory is said elsewhere."""
    try:
        return found(directory)
    except RunDirectoryError:
        return None


def _compile_segment(training, optimizer, layout, slots, dtype_policy=None, jit_compile=False):
    """A compiled function that trains steps first..last-1 of an epoch.

    It takes the data's tensors (inputs, and targets if they are something else), the order of the
    epoch, first, last, and for each step the slot in which the weights before the step are kept (or
    -1), and returns what is measured at each step and the snapshots. The snapshots are copies of
    variables, so that what recorders make of them can never reach the arithmetic of the training.
    The data are arguments: the graph stays in memory for as long as the process lives, since
    Keras's optimizers register a gradient of it, and so does what it has captured.
    """
    model, variables = training.model, training.model.trainable_variables
    strategy = model.distribute_strategy
    kept, loss_of = list(recorded_variables(model).values()), losses.get(training.loss)
    steps, measured = training.steps_per_epoch, session.measurements(training.loss)

    def train_on(tensors, examples, share):
        inputs, targets, counts = layout.batch([tf.gather(one, examples) for one in tensors])
        with tf.GradientTape() as tape, precision.computing_in(model, dtype_policy):
            outputs = model(inputs, training=True)
            outputs = tf.reshape(keras.tree.flatten(outputs)[0], (examples.shape[0], -1))
            if outputs.dtype.name in LOW_PRECISION:  # losses are no place to save digits
                outputs = tf.cast(outputs, tf.float32)
            loss = losses.mean(loss_of, outputs, targets, counts)
            # The loss itself, but for several replicas and a LossScaleOptimizer.
            scaled = optimizer.scale_loss(loss if share == 1 else share * loss)
        optimizer.apply(tape.gradient(scaled, variables), variables)
        values = {"losses": loss}
        if "accuracies" in measured:
            values["accuracies"] = losses.accuracy(outputs, targets)
        return values

    # Not converted, as in Keras: converting the layers takes seconds.
    train_step = tf.autograph.experimental.do_not_convert(replicas.shared(train_on, strategy))

    def segment(tensors, order, first, last, slot_of_step):
        values = {name: tf.TensorArray(tf.float32, steps, element_shape=()) for name in measured}
        snapshots = [tf.TensorArray(v.dtype, slots, element_shape=v.shape) for v in kept]
        step = first
        while step < last:
            slot = slot_of_step[step]
            if slot >= 0:
                snapshots = [
                    array.write(slot, variable.value) for array, variable in zip(snapshots, kept)
                ]
            # Copy first, then update: the snapshot of round n is W^n.
            with tf.control_dependencies([array.flow for array in snapshots]):
                of_step = train_step(tensors, order[step])
            values = {
                name: array.write(step, tf.cast(of_step[name], tf.float32))
                for name, array in values.items()
            }
            step += 1
        stacked = {name: array.stack() for name, array in values.items()}
        return stacked, [array.stack() for array in snapshots]

    return compiled(segment, jit_compile=jit_compile, autograph=True)


def _segments(wanted, steps, slots):
    """Splits an epoch where the snapshots of a segment are full.

    Yields (first, last, recorded steps in between, at most `slots` of them).
    """
    recorded = np.unique(np.concatenate([np.empty(0, int), *wanted.values()]))
    first = 0
    for begin in range(0, len(recorded), slots):
        block = recorded[begin : begin + slots].astype(int)
        last = int(block[-1]) + 1
        yield first, last, block
        first = last
    if first < steps:
        yield first, steps, recorded[:0].astype(int)
