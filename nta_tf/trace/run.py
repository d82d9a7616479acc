"""Runs on disk and in memory: their settings, their progress and their arrays."""

from __future__ import annotations

import json
import os
import pathlib
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
import pandas as pd
import tensorflow as tf

from nta_tf.trace import checkpoints
from nta_tf.trace import directory as directories
from nta_tf.trace.arrays import Arrays, ArrayStore
from nta_tf.trace.directory import (
    FORMAT,
    SCHEMA_VERSION,
    RunDirectoryError,
    damaged,
    short,
    unwritable,
)
from nta_tf.trace.files import write_json, write_text
from nta_tf.trace.record import Record, Records, path_of


class Run:
    """One training run: its settings, its progress and its trace.

    Returned by `nta.train` and opened again by `nta.Run.open(directory)`.

    Attributes:
        directory: Path of the run, or None for a run in memory.
        config: Dictionary of everything that makes the run; `config["records"]` has the
            records that were made while it trained and those that were added since.
        progress: Dictionary: epochs done, status ("running", "finished", "diverged").
        records: {name: `nta.trace.Record`}.
    """

    def __init__(
        self,
        directory: pathlib.Path | None,
        config: dict[str, Any],
        progress: dict[str, Any],
        store: ArrayStore,
    ) -> None:
        self.directory = directory
        added = {name: record["config"] for name, record in progress.get("added", {}).items()}
        self.config = {**config, "records": {**config["records"], **added}}
        self.progress = progress
        self.records: Mapping[str, Record] = Records(self, store)
        self._store = store

    @classmethod
    def create(
        cls,
        directory: str | os.PathLike[str] | None,
        config: dict[str, Any],
        measured: Arrays,
        recorded: Mapping[str, Arrays],
    ) -> Run:
        """Starts a run, or takes up the one that the directory already holds.

        A run with the same config but fewer epochs is extended.

        Args:
            directory: Path, or None for a run that lives in memory.
            config: JSON-ready dictionary of everything that makes the run.
            measured: {name: `ArraySpecification`} of what is measured at every step.
            recorded: The same of each record, by its name. Every array has a row an epoch.

        Returns:
            A `Run`.

        Raises:
            RunDirectoryError: If the directory holds something else, a damaged run or a
                run with another config, or cannot be written.
        """
        config = {"format": FORMAT, "schema_version": SCHEMA_VERSION, **config}
        config = json.loads(json.dumps(config))
        if directory is None:
            run = cls(None, config, _fresh(), ArrayStore.create(None))
            run._add_arrays(measured, recorded)
            return run
        directory = pathlib.Path(directory)
        if directory.exists() and not directories.is_empty(directory):
            existing = directories.read_config(directory)
            if directories.is_shorter(existing, config):
                cls.open(directory)._extend(config["epochs"])
            directories.check_same(directory, directories.read_config(directory), config)
        if (directory / "progress.json").exists():
            run = cls.open(directory)
            if run.status == "finished" and run.epochs < config["epochs"]:
                run.commit(status="running")
            return run
        try:
            directory.mkdir(parents=True, exist_ok=True)
            write_json(directory / "config.json", config)
            run = cls(directory, config, _fresh(), ArrayStore.create(directory))
            run._add_arrays(measured, recorded)
            run.commit()
        except OSError as error:
            raise unwritable(directory, error) from error
        return run

    @classmethod
    def open(cls, directory: str | os.PathLike[str]) -> Run:
        """Opens a run directory for reading, or for resuming.

        Args:
            directory: Path of a directory that `nta.train` wrote.

        Returns:
            A `Run`.

        Raises:
            RunDirectoryError: If the directory is not a run, or is damaged.
        """
        directory = pathlib.Path(directory)
        config = directories.read_config(directory)
        try:
            progress = json.loads((directory / "progress.json").read_text())
            progress["epochs"], progress["status"]
            store = ArrayStore.open(directory)
            store.read("losses", slice(0, 0))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise damaged(directory, error) from error
        return cls(directory, config, progress, store)

    @property
    def epochs(self) -> int:
        """How many epochs are done."""
        return self.progress["epochs"]

    @property
    def status(self) -> str:
        """`"running"` (or interrupted), `"finished"` or `"diverged"`."""
        return self.progress["status"]

    @property
    def whole_epochs(self) -> int:
        """How many epochs have complete records: not the one in which the run diverged."""
        return self.epochs - (self.status == "diverged")

    @property
    def losses(self) -> np.ndarray:
        """The loss of every step of the epochs that are done, (epochs, steps)."""
        return self.read("losses")

    @property
    def measured(self) -> list[str]:
        """Names of what is measured at every step: `"losses"`, `"accuracies"`."""
        return [name for name in self._store.shapes if "/" not in name]

    def read(self, name: str, epochs: int | slice | None = None) -> np.ndarray:
        """What was measured at every step.

        Args:
            name: `"losses"`, or `"accuracies"` of a classifier.
            epochs: Index or slice of epochs. Defaults to all that are done.

        Returns:
            NumPy array (epochs, steps), without the first axis for a single index.
        """
        return self._store.read(name, slice(0, self.epochs) if epochs is None else epochs)

    def write(self, epoch: int, rows: Mapping[str, Any]) -> None:
        """Writes what was measured in an epoch; not yet committed."""
        self._store.write(epoch, rows)

    def checkpoint(self, epoch: int | None = None) -> pathlib.Path | None:
        """Where the checkpoint after an epoch lies, as `tf.train.Checkpoint` takes it.

        Args:
            epoch: How many epochs were done. Defaults to those of the last checkpoint.

        Returns:
            A path, or None if there is no checkpoint.
        """
        name = self.progress["checkpoint"]
        if epoch is not None:
            name = f"checkpoints/epoch_{epoch:04d}/weights"
        if self.directory is None or not name:
            return None
        return self.directory / name

    def add_record(self, name: str, config: dict[str, Any], arrays: Arrays) -> Record:
        """Makes room in the trace for a record of a run that has ended, or finds it there.

        Args:
            name: Name of the record.
            config: JSON-ready dictionary of what makes the record.
            arrays: {name: `ArraySpecification`}; every array has a row an epoch.

        Returns:
            The `Record`.

        Raises:
            ValueError: If the run has another record of that name.
        """
        config = json.loads(json.dumps(config))
        existing = self.config["records"].get(name)
        if existing is not None and existing != config:
            raise ValueError(
                f"{self!r} has another record {name!r} ({short(existing)}). Give the new one "
                "another name."
            )
        if existing is None:
            self._add_arrays({}, {name: arrays})
            self.commit_record(name, config, 0)
        return self.records[name]

    def load_weights(self, model: keras.Model) -> keras.Model:
        """Gives a model the weights that training had after the last epoch that is done.

        Args:
            model: A `keras.Model` built like the one that was trained.

        Returns:
            The model.

        Raises:
            ValueError: If the run has no checkpoint: it lives in memory, where the model that was
                trained has its weights, or was recorded in `model.fit`.
            RunDirectoryError: If the checkpoint is damaged, or is that of another model.

        Example:

        >>> import tempfile
        >>> import nta_tf as nta
        >>> digits = nta.data.load("sample").x[:128].reshape(128, 784)
        >>> with tempfile.TemporaryDirectory() as directory:
        ...     run = nta.train(nta.models.autoencoder(seed=0), digits, digits, epochs=1,
        ...                     batch_size=64, optimizer="sgd", directory=f"{directory}/run")
        ...     model = run.load_weights(nta.models.autoencoder())
        >>> model.count_params()
        84_064
        """
        if self.checkpoint() is None:
            raise ValueError(
                f"{self!r} keeps no checkpoint of the weights; those of a run in memory, or in "
                "`model.fit`, are in the model that was trained."
            )
        self.restore(tf.train.Checkpoint(model=model), partly=True)
        return model

    def save(self, checkpoint: tf.train.Checkpoint, epochs: int) -> str | None:
        """Writes the checkpoint after so many epochs; not yet committed.

        Args:
            checkpoint: A `tf.train.Checkpoint`.
            epochs: How many epochs are done.

        Returns:
            What `commit(checkpoint=...)` takes: None for a run in memory.
        """
        path = self.checkpoint(epochs)
        if path is None:
            return None
        checkpoints.write(self.directory, path, checkpoint)
        return path.relative_to(self.directory).as_posix()

    def restore(self, checkpoint: tf.train.Checkpoint, partly: bool = False) -> None:
        """Reads the last checkpoint, if there is one.

        Args:
            checkpoint: A `tf.train.Checkpoint` of what it was written of.
            partly: Whether the checkpoint may hold more, such as the optimizer.
        """
        path = self.checkpoint()
        if path is not None:
            checkpoints.read(self.directory, path, checkpoint, partly)

    def _extend(self, epochs: int) -> None:
        """Makes room for more epochs; the config is written last, so that it may be killed."""
        before = self.config["epochs"]
        for name, record in self.records.items():
            if not directories.is_extendable(record.config, self.config, self.epochs, epochs):
                raise RunDirectoryError(
                    f"{self.directory} cannot be extended from {before} to {epochs} epochs: which "
                    f"steps record {name!r} takes ({record.config['schedule']}) depends on the "
                    "number of epochs. Choose another directory."
                )
        self._store.resize(epochs)
        config = directories.read_config(self.directory)
        write_json(self.directory / "config.json", {**config, "epochs": epochs})

    def commit(self, **progress: Any) -> None:
        """Makes what was written so far count.

        Args:
            **progress: What has changed of `progress`.
        """
        self.progress = {**self.progress, **progress}
        if self.directory is not None:
            try:
                write_json(self.directory / "progress.json", self.progress)
            except OSError as error:
                raise unwritable(self.directory, error) from error

    def save_table(self, name: str, table: pd.DataFrame) -> pathlib.Path:
        """Writes a pandas table to results/NAME.csv, whole or not at all."""
        if self.directory is None:
            raise ValueError(f"{self!r} has no directory in which a table could be kept.")
        path = self.directory / "results" / f"{name}.csv"
        path.parent.mkdir(exist_ok=True)
        write_text(path, table.to_csv(index=False, lineterminator="\n", float_format="%.12g"))
        return path

    def commit_record(self, name: str, config: dict[str, Any], epochs: int) -> None:
        """Makes the first `epochs` epochs of an added record count."""
        added = {**self.progress.get("added", {}), name: {"config": config, "epochs": epochs}}
        self.commit(added=added)
        self.config["records"][name] = config

    def _add_arrays(self, measured: Arrays, recorded: Mapping[str, Arrays]) -> None:
        arrays = dict(measured)
        for record, specifications in recorded.items():
            for array, specification in specifications.items():
                arrays[path_of(record, array)] = specification
        self._store.add(arrays, self.config["epochs"])

    def __repr__(self) -> str:
        where = self.directory or "in memory"
        return f"<Run {where}: {self.epochs} epochs, {self.status}>"


def as_run(run_or_directory: Run | str | os.PathLike[str]) -> Run:
    """A `Run`, from one or from its directory."""
    if isinstance(run_or_directory, Run):
        return run_or_directory
    return Run.open(run_or_directory)


def _fresh():
    return {"epochs": 0, "status": "running", "checkpoint": None}
