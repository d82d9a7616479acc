"""Rounds of a finished run, given to recorders as if they had watched the training."""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
import pandas as pd
import tensorflow as tf
from tqdm import tqdm

from nta_tf import provenance, session, training_data
from nta_tf.recorders.base import Recorder, Rounds, Training
from nta_tf.recorders.weights import WeightReader
from nta_tf.trace import Run, as_run
from nta_tf.variables import recorded_variables


def replay(
    run_or_directory: Run | str | os.PathLike[str],
    model: keras.Model,
    x: Any,
    y: Any,
    recorders: Sequence[Recorder],
    weights: str = "weights",
    progress: bool | None = None,
    sample_weight: Any = None,
    class_weight: Mapping[int, float] | None = None,
) -> Run:
    """Adds records to a finished run, from the weights that it kept.

    A run that was trained with a `nta.WeightRounds` recorder knows W^n on chosen rounds, and
    the minibatch of each round is a function of the run's seed. So other recorders can look
    at those rounds afterwards, and see exactly what they would have seen in training. What
    is added is resumed when it was interrupted, epoch by epoch.

    Args:
        run_or_directory: A run of `nta.train`, or its directory.
        model: A `keras.Model` like the one that was trained; its weights are not used.
        x: The inputs of the run, as `nta.train` takes them.
        y: The targets of the run; None for a dataset.
        recorders: `Recorder` objects with names that are new to the run.
        weights: Name of the `nta.WeightRounds` record.
        progress: Whether to show a progress bar. Defaults to only on a terminal.
        sample_weight: The weights of examples of the run, if it had any.
        class_weight: Those of classes.

    Returns:
        The `nta.Run`, with the new records.

    Raises:
        ValueError: If the run keeps no weights or still trains, if model or data are not those
            of the run, or if a recorder asks for steps whose weights were not kept.

    Example:

    >>> import nta_tf as nta
    >>> digits = nta.data.load("sample").x[:256].reshape(256, 784)
    >>> run = nta.train(nta.models.autoencoder(seed=0), digits, digits, optimizer="adam",
    ...                 epochs=2, batch_size=64, recorders=[nta.WeightRounds("2 an epoch")])
    >>> run = nta.replay(run, nta.models.autoencoder(), digits, digits,
    ...                  [nta.TaylorRounds(["dense_3"], schedule="1 an epoch")])
    >>> nta.regret(run, "dense_3")["round"].tolist()
    [1, 2]
    """
    run = as_run(run_or_directory)
    kept = WeightReader(run, weights)
    data = _checked(run, model, x, y, sample_weight, class_weight)
    with Run.writing(run.directory):
        run.refresh()
        _replay(run, kept, model, data, recorders, progress)
    return run


def _replay(run, kept, model, data, recorders, progress):
    training = _training(run, model, data)
    for recorder in recorders:
        arrays = recorder.start(training)
        _check_steps(run, recorder, kept)
        record = run.add_record(recorder.name, recorder.config(), arrays)
        if record.is_added:
            record.recover()
        epochs = range(record.done, run.whole_epochs)
        for epoch in tqdm(
            epochs, desc=recorder.name, disable=None if progress is None else not progress
        ):
            _replay_epoch(run, recorder, epoch, kept, model, data)
            record.commit(epoch + 1)


def replay_cost(
    run_or_directory: Run | str | os.PathLike[str],
    model: keras.Model,
    x: Any,
    y: Any,
    recorders: Sequence[Recorder],
    weights: str = "weights",
) -> pd.DataFrame:
    """What `replay` would take: each recorder looks at the run's first round, twice.

    Args:
        run_or_directory: As for `replay`, as are the others.
        model: A model like the one that was trained.
        x: The inputs of the run.
        y: The targets of the run.
        recorders: `Recorder` objects.
        weights: Name of the `nta.WeightRounds` record.

    Returns:
        A `pandas.DataFrame` with a row a recorder: `record`, `rounds` (of the whole run),
        `bytes` (on disk) and `seconds` (about, on this machine, beside what runs now).

    Raises:
        ValueError: As for `replay`.

    Example:

    >>> import nta_tf as nta
    >>> digits = nta.data.load("sample").x[:256].reshape(256, 784)
    >>> run = nta.train(nta.models.autoencoder(seed=0), digits, digits, optimizer="adam",
    ...                 epochs=2, batch_size=64, recorders=[nta.WeightRounds("2 an epoch")])
    >>> cost = nta.replay_cost(run, nta.models.autoencoder(), digits, digits,
    ...                        [nta.TaylorRounds(["dense_3"], schedule="2 an epoch")])
    >>> cost["rounds"].tolist()
    [4]
    """
    run = as_run(run_or_directory)
    kept = WeightReader(run, weights)
    data = _checked(run, model, x, y)
    training = _training(run, model, data)
    rows = []
    for recorder in recorders:
        arrays = recorder.start(training)
        epochs = range(run.whole_epochs)
        counts = [len(recorder.steps(epoch)) for epoch in epochs]
        of_epoch = sum(
            math.prod(array.shape) * np.dtype(array.dtype).itemsize for array in arrays.values()
        )
        seconds = []
        for _ in range(2):  # the first time compiles
            start = time.perf_counter()
            recorded = _look_at_epoch(run, recorder, int(np.argmax(counts)), kept, model, data, 1)
            seconds.append(time.perf_counter() - start)
        rows.append(
            (
                recorder.name,
                sum(counts),
                of_epoch * len(epochs),
                seconds[-1] / max(recorded, 1) * sum(counts),
            )
        )
    return pd.DataFrame(rows, columns=["record", "rounds", "bytes", "seconds"])


def _training(run, model, data):
    config = run.config
    size, steps = config["batch_size"], len(data) // config["batch_size"]
    shape = config["epochs"], steps, size, data.sample, data.layout.weighted
    return Training(model, config["loss"], *shape)


def _replay_epoch(run, recorder, epoch, kept, model, data):
    _look_at_epoch(run, recorder, epoch, kept, model, data)
    run.records[recorder.name].write(epoch, recorder.end_epoch())


def _look_at_epoch(run, recorder, epoch, kept, model, data, blocks=None):
    """Gives the recorder the rounds of an epoch (of its first blocks); returns how many."""
    order = session.epoch_order(run.config["seed"], epoch, len(data), run.config["batch_size"])
    block = recorder.rounds_at_once()
    wanted = np.asarray(recorder.steps(epoch))[: None if blocks is None else blocks * block]
    # By position: layers without names of their own are called otherwise in every model.
    weights = dict(zip(recorded_variables(model), kept.at(epoch, wanted).values()))
    losses = run.read("losses", epoch)
    recorder.begin_epoch(epoch)
    for first in range(0, len(wanted), block):
        chosen = slice(first, first + block)
        inputs, targets, counts = data.taken(order[wanted[chosen]])
        recorder.record(
            Rounds(
                wanted[chosen],
                {name: tf.constant(value[chosen]) for name, value in weights.items()},
                inputs,
                targets,
                losses[wanted[chosen]],
                counts,
            )
        )
    return len(wanted)


def _check_steps(run, recorder, kept):
    for epoch in range(run.whole_epochs):
        steps = kept.steps(epoch)
        missing = np.setdiff1d(recorder.steps(epoch), steps)
        if missing.size:
            raise ValueError(
                f"Record {recorder.name!r} asks for step {missing[0]} of epoch {epoch + 1}, of "
                f"which the run kept no weights; it kept those of steps {steps.tolist()} "
                f"({kept.schedule})."
            )


def _checked(run, model, x, y, sample_weight=None, class_weight=None):
    if run.status == "running":
        raise ValueError(f"{run!r} is still training; replay it when it has ended.")
    config = run.config
    if config["seed"] is None:
        raise ValueError(
            f"{run!r} was recorded in `model.fit`, whose minibatches are not known; give its "
            "nta.callbacks.RecordRounds the recorders."
        )
    asked = config["loss"], config["epochs"], config["batch_size"], sample_weight, class_weight
    data = training_data.checked(model, x, y, *asked)
    if _architecture(provenance.model_config(model)) != _architecture(config["model"]):
        raise ValueError(
            f"The model {model.name!r} is not built like the one of {run!r}; make it as it was "
            "made for the training (same layers, names and shapes)."
        )
    if data.fingerprint() != config["data"]:
        raise ValueError(f"The data are not those on which {run!r} was trained.")
    return data


def _architecture(layers):
    """A model's config without its initializers, which make no difference any more."""
    layers = json.loads(json.dumps(layers))
    for layer in layers:
        if "layers" in layer["config"]:  # a nested model
            layer["config"]["layers"] = _architecture(layer["config"]["layers"])
        for key in [key for key in layer["config"] if key.endswith("_initializer")]:
            del layer["config"][key]
    return layers
