"""Runs on disk and in memory: their settings, their progress and their arrays."""

from __future__ import annotations

import json
import os
import pathlib
import time
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
import pandas as pd
import tensorflow as tf

from nta_tf.trace import checkpoints, files, integrity, locking, resuming, tables
from nta_tf.trace import directory as directories
from nta_tf.trace.arrays import MEASURED, ArrayStore
from nta_tf.trace.directory import (
    CONFIG,
    FORMAT,
    PROGRESS,
    SCHEMA_VERSION,
    RunDirectoryError,
    damaged,
    short,
)
from nta_tf.trace.integrity import Damage
from nta_tf.trace.record import Record, Records, group_of
from nta_tf.trace.specification import Arrays, check_names

# Epochs count at once; that they are on the disk is waited for only so often, since it takes some
# hundredths of a second. After a loss of power a run goes on from where it was waited for last.
_SYNC_SECONDS = 5.0


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
        added = {name: record["config"] for name, record in progress["added"].items()}
        self.config = {**config, "records": {**config["records"], **added}}
        self.progress = progress
        self.records: Mapping[str, Record] = Records(self, store)
        self._store = store
        self._synced_at = time.monotonic()

    @classmethod
    def create(
        cls,
        directory: str | os.PathLike[str] | None,
        config: dict[str, Any],
        measured: Arrays,
        recorded: Mapping[str, Arrays],
    ) -> Run:
        """Starts a run, or takes up the one that the directory already holds.

        A run with the same config but fewer epochs is extended. The caller holds `writing`.

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
        check_names(recorded)
        config = {"format": FORMAT, "schema_version": SCHEMA_VERSION, **config}
        config = json.loads(json.dumps(config))
        path = None if directory is None else pathlib.Path(directory)
        if path is not None and path.exists() and not directories.is_empty(path):
            existing = directories.read_config(path)
            if not directories.is_shorter(existing, config):
                directories.check_same(path, existing, config)
            if (path / PROGRESS).exists():
                run = cls.open(path)
                resuming.take_up(run, run._store, config["epochs"])
                return run
            if ArrayStore.holds_rows(path):
                raise damaged(path, PROGRESS, "it is missing beside a trace that has rows")
        with directories.told(path):
            if path is not None:
                path.mkdir(parents=True, exist_ok=True)
                files.write_json(path / CONFIG, config)
            store = ArrayStore.create(path, directories.identity(config))
            run = cls(path, config, directories.fresh_progress(config), store)
            run._store.add(MEASURED, measured, config["epochs"])
            for name, arrays in recorded.items():
                run._store.add(group_of(name), arrays, config["epochs"])
            run.commit(final=True)
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
        try:
            config, progress = directories.read(directory)
        except directories.DamagedRunError as error:
            if (directory / PROGRESS).exists() or ArrayStore.holds_rows(directory):
                raise
            raise RunDirectoryError(
                f"{directory} was begun, and ended before its first step: nothing is recorded. "
                "Train again with the same settings."
            ) from error
        store = ArrayStore.open(directory, directories.identity(config))
        return cls(directory, config, progress, store)

    writing = staticmethod(locking.writing)

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
        return self._store.names(MEASURED)

    def read(self, name: str, epochs: int | slice | None = None) -> np.ndarray:
        """What was measured at every step.

        Args:
            name: `"losses"`, or `"accuracies"` of a classifier.
            epochs: Index or slice of epochs. Defaults to all that are done.

        Returns:
            NumPy array (epochs, steps), without the first axis for a single index.

        Raises:
            RunDirectoryError: If a row of them is damaged or missing.
        """
        rows = slice(0, self.epochs) if epochs is None else epochs
        return self._store.read(MEASURED, name, rows, self.epochs)

    def write(self, epoch: int, rows: Mapping[str, Any]) -> None:
        """Writes what was measured in an epoch; not yet committed."""
        self._store.write(MEASURED, epoch, rows)

    def checkpoint(self, epoch: int | None = None) -> pathlib.Path | None:
        """Where the checkpoint after an epoch lies, as `tf.train.Checkpoint` takes it.

        Args:
            epoch: How many epochs were done. Defaults to those of the last checkpoint.

        Returns:
            A path, or None if there is no checkpoint.
        """
        name = self.progress["checkpoint"]
        if epoch is not None:
            name = f"{checkpoints.FOLDER}/epoch_{epoch:04d}/weights"
        return self._path(name)

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
        >>> model.name
        'autoencoder'
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
        name = path.relative_to(self.directory).as_posix()
        sums = checkpoints.write(self.directory, path, checkpoint)
        self.progress["checkpoint_files"] = {**self._checkpoint_files, name: sums}
        return name

    def restore(self, checkpoint: tf.train.Checkpoint, partly: bool = False) -> None:
        """Reads the last checkpoint, if there is one.

        Args:
            checkpoint: A `tf.train.Checkpoint` of what it was written of.
            partly: Whether the checkpoint may hold more, such as the optimizer.
        """
        path = self.checkpoint()
        try:
            if path is not None:
                sums = self._checkpoint_files.get(self.progress["checkpoint"])
                checkpoints.read(self.directory, path, checkpoint, partly, sums)
        except RunDirectoryError:
            if not self._has_moved_on():
                raise
            self.restore(checkpoint, partly)

    def has_whole_checkpoint(self) -> bool:
        """Whether the last checkpoint, if there is one, is what was written."""
        path, sums = self.checkpoint(), self._checkpoint_files.get(self.progress["checkpoint"])
        whole = path is None or checkpoints.is_whole(path, sums)
        return whole or (self._has_moved_on() and self.has_whole_checkpoint())

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
        check_names({name: arrays})
        config = json.loads(json.dumps(config))
        existing = self.config["records"].get(name)
        if existing is not None and existing != config:
            raise ValueError(
                f"{self!r} has another record {name!r} ({short(existing)}). Give the new one "
                "another name."
            )
        if existing is None:
            self._store.add(group_of(name), arrays, self.config["epochs"])
            self.commit_record(name, config, 0)
        return self.records[name]

    def commit_record(self, name: str, config: dict[str, Any], epochs: int) -> None:
        """Makes the first `epochs` epochs of an added record count."""
        record = {**self.progress["added"].get(name, {"synced": 0}), "config": config}
        added = {**self.progress["added"], name: {**record, "epochs": epochs}}
        self.commit(final=epochs in (0, self.whole_epochs), added=added)
        self.config["records"][name] = config

    def commit(self, final: bool = False, **progress: Any) -> None:
        """Makes what was written so far count.

        Args:
            final: Whether nothing more is to come soon, so that it must be on the disk.
            **progress: What has changed of `progress`.
        """
        self.progress = {**self.progress, **progress}
        if self.directory is None:
            return
        with directories.told(self.directory):
            if final or time.monotonic() - self._synced_at > _SYNC_SECONDS:
                files.sync(self.directory)
                self._note_synced()
            kept = {self.progress["checkpoint"], self.progress["synced_checkpoint"]}
            sums = {name: of for name, of in self._checkpoint_files.items() if name in kept}
            self.progress["checkpoint_files"] = sums
            directories.write_progress(self.directory, self.progress)
        checkpoints.remove(self.directory, [self._path(name) for name in kept])

    def refresh(self) -> None:
        """Reads again what counts, which another process may have changed."""
        if self.directory is not None:
            _, self.progress = directories.read(self.directory)
            for name, record in self.progress["added"].items():
                self.config["records"][name] = record["config"]

    def save_table(self, name: str, table: pd.DataFrame) -> pathlib.Path:
        """Writes a pandas table to results/NAME.csv, whole or not at all, with its checksum.

        `nta.trace.read_table` reads it and holds it against that.
        """
        directories.check_name("The name of a table", name)
        if self.directory is None:
            raise ValueError(f"{self!r} has no directory in which a table could be kept.")
        path = self.directory / "results" / f"{name}.csv"
        tables.write_table(path, table)
        return path

    def verify(self) -> list[Damage]:
        """Reads everything that the run holds, and says what of it is damaged.

        Returns:
            A list of `nta.trace.Damage` (file, problem, remedy); empty if the run is whole. Damage
            that keeps a run from being opened is found by `nta.trace.verify`.

        Example:

        >>> import nta_tf as nta
        >>> digits = nta.data.load("sample").x[:128].reshape(128, 784)
        >>> run = nta.train(nta.models.autoencoder(seed=0), digits, digits, epochs=1,
        ...                 batch_size=64, optimizer="sgd")
        >>> run.verify()
        []
        """
        return list(integrity.find_damage(self, self._store))

    def _note_synced(self) -> None:
        self._synced_at = time.monotonic()
        self.progress["synced"] = self.epochs
        self.progress["synced_checkpoint"] = self.progress["checkpoint"]
        for record in self.progress["added"].values():
            record["synced"] = record["epochs"]

    @property
    def _checkpoint_files(self):
        """{checkpoint: {file: checksum}} of those that are kept; older runs do not say."""
        return self.progress.get("checkpoint_files", {})

    def _has_moved_on(self):
        """Whether whoever writes the run has another checkpoint by now, and removed the last."""
        before = self.progress["checkpoint"]
        self.refresh()
        return self.progress["checkpoint"] != before

    def _path(self, name: str | None) -> pathlib.Path | None:
        return None if self.directory is None or not name else self.directory / name

    def __repr__(self) -> str:
        where = self.directory or "in memory"
        return f"<Run {where}: {self.epochs} epochs, {self.status}>"
