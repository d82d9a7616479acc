"""Runs on disk: the only code that knows how a run directory is laid out.

    config.json      what makes the run: settings, seeds, versions, data; written once
    progress.json    epochs that are done, and records that were added since by `nta.replay`;
                     replaced atomically after each epoch
    trace.zarr       chunked arrays, one row (one chunk) an epoch
    checkpoints/     weights and optimizer after the last epoch that is done
    results/*.csv    tables made from the trace

`progress.json` is the only commit marker: an epoch counts once its row of the trace and its
checkpoint are on disk, and what lies beyond is overwritten by the resumed run. So a run may
be killed at any moment.
"""

import json
import os
import pathlib
import uuid

import numpy as np
import zarr

SCHEMA_VERSION = 1
_FORMAT = "nta_tf run"
# Facts about where a run was made; a run may be resumed elsewhere.
_CIRCUMSTANCES = ("versions", "environment")


class RunDirectoryError(OSError):
    """A run directory that cannot be used: foreign, damaged, different or unwritable."""


class Run:
    """One training run: its settings, its progress and its trace.

    Returned by `nta.train` and opened again by `nta.Run.open(directory)`.

    Attributes:
        directory: Path of the run, or None for a run in memory.
        config: Dictionary of everything that makes the run; `config["records"]` has the
            records that were made while it trained and those that were added since.
        progress: Dictionary: epochs done, status ("running", "finished", "diverged").
    """

    def __init__(self, directory, config, progress, group):
        self.directory = directory
        added = {name: record["config"] for name, record in progress.get("added", {}).items()}
        self.config = {**config, "records": {**config.get("records", {}), **added}}
        self.progress = progress
        self._group = group
        self._opened = {}

    @classmethod
    def create(cls, directory, config, arrays):
        """Starts a run, or takes up the one that the directory already holds.

        Args:
            directory: Path, or None for a run that lives in memory.
            config: JSON-ready dictionary of everything that makes the run.
            arrays: {name: `ArraySpecification`}; every array has a row an epoch.

        Returns:
            A `Run`.

        Raises:
            RunDirectoryError: If the directory holds something else, a damaged run or a
                run with another config, or cannot be written.
        """
        config = {"format": _FORMAT, "schema_version": SCHEMA_VERSION, **config}
        config = json.loads(json.dumps(config))
        if directory is None:
            return cls(None, config, _fresh(), _make_arrays({}, config, arrays))
        directory = pathlib.Path(directory)
        if directory.exists() and not _is_empty(directory):
            _check_same(directory, _read_config(directory), config)
        if (directory / "progress.json").exists():
            return cls.open(directory)
        try:
            directory.mkdir(parents=True, exist_ok=True)
            _write_json(directory / "config.json", config)
            group = _make_arrays(str(directory / "trace.zarr"), config, arrays)
            run = cls(directory, config, _fresh(), group)
            run.commit(**run.progress)
        except OSError as error:
            raise unwritable(directory, error) from error
        return run

    @classmethod
    def open(cls, directory):
        """Opens a run directory for reading, or for resuming.

        Args:
            directory: Path of a directory that `nta.train` wrote.

        Returns:
            A `Run`.

        Raises:
            RunDirectoryError: If the directory is not a run, or is damaged.
        """
        directory = pathlib.Path(directory)
        config = _read_config(directory)
        try:
            progress = json.loads((directory / "progress.json").read_text())
            progress["epochs"], progress["status"]
            group = zarr.open_group(str(directory / "trace.zarr"), mode="r+")
            group["losses"]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise damaged(directory, error) from error
        return cls(directory, config, progress, group)

    @property
    def epochs(self):
        """How many epochs are done."""
        return self.progress["epochs"]

    @property
    def status(self):
        """`"running"` (or interrupted), `"finished"` or `"diverged"`."""
        return self.progress["status"]

    @property
    def losses(self):
        """The loss of every step of the epochs that are done, (epochs, steps)."""
        return self.read("losses")

    def read(self, name, epochs=None):
        """Rows of an array of the trace.

        Args:
            name: Name of the array.
            epochs: Index or slice of epochs. Defaults to all that are done.

        Returns:
            NumPy array with the epochs as first axis, without it for a single index.
        """
        rows = slice(0, self.epochs) if epochs is None else epochs
        return np.asarray(self._array(name)[rows])

    def arrays(self, prefix=""):
        """{name: shape of a row} of the arrays whose names begin with `prefix`."""
        names = {}

        def visit(group, path):
            for name, array in group.members():
                if isinstance(array, zarr.Group):
                    visit(array, f"{path}{name}/")
                elif f"{path}{name}".startswith(prefix):
                    names[f"{path}{name}"] = array.shape[1:]

        visit(self._group, "")
        return dict(sorted(names.items()))

    def write(self, epoch, rows):
        """Writes the epoch's row of each of the arrays; not yet committed."""
        try:
            for name, row in rows.items():
                self._array(name)[epoch] = row
        except OSError as error:
            raise unwritable(self.directory, error) from error

    def _array(self, name):
        """An array of the trace, opened once: that takes longer than reading a short row."""
        if name not in self._opened:
            if name not in self._group:
                raise KeyError(f"The trace has no array {name!r}; it has {self.arrays()}.")
            self._opened[name] = self._group[name]
        return self._opened[name]

    def add_record(self, name, config, arrays):
        """Makes room in the trace for a record of a run that has ended, or finds it there.

        Args:
            name: Name of the record.
            config: JSON-ready dictionary of what makes the record.
            arrays: {name: `ArraySpecification`}; every array has a row an epoch.

        Returns:
            How many epochs of it are there already.

        Raises:
            ValueError: If the run has another record of that name.
        """
        config = json.loads(json.dumps(config))
        added = self.progress.get("added", {})
        existing = self.config["records"].get(name)
        if existing is not None and existing != config:
            raise ValueError(
                f"{self!r} has another record {name!r} ({_short(existing)}). Give the new one "
                "another name."
            )
        if existing is not None:
            return added[name]["epochs"] if name in added else self.epochs
        _add_arrays(self._group, self.config, arrays, f"records/{name}/")
        self.commit_record(name, config, 0)
        return 0

    def commit_record(self, name, config, epochs):
        """Makes the epochs of an added record count that were written so far."""
        added = {**self.progress.get("added", {}), name: {"config": config, "epochs": epochs}}
        self.commit(**{**self.progress, "added": added})
        self.config["records"][name] = config

    def commit(self, **progress):
        """Makes what was written so far count."""
        self.progress = progress
        if self.directory is not None:
            try:
                _write_json(self.directory / "progress.json", progress)
            except OSError as error:
                raise unwritable(self.directory, error) from error

    def save_table(self, name, table):
        """Writes a pandas table to results/NAME.csv, whole or not at all."""
        path = self.directory / "results" / f"{name}.csv"
        path.parent.mkdir(exist_ok=True)
        _write_text(path, table.to_csv(index=False, lineterminator="\n", float_format="%.12g"))
        return path

    def __repr__(self):
        where = self.directory or "in memory"
        return f"<Run {where}: {self.epochs} epochs, {self.status}>"


def as_run(run_or_directory):
    """A `Run`, from one or from its directory."""
    if isinstance(run_or_directory, Run):
        return run_or_directory
    return Run.open(run_or_directory)


def damaged(directory, error):
    """The error to raise when a run directory cannot be read."""
    return RunDirectoryError(
        f"{directory} is a damaged run ({type(error).__name__}: {error}); move it away and "
        "train again."
    )


def unwritable(directory, error):
    """The error to raise when a run directory cannot be written."""
    return RunDirectoryError(
        f"Cannot write the run to {directory}: {error.strerror or error}. Free some disk "
        "space or choose a directory that you may write, then start again; what is "
        "complete will be resumed."
    )


def _is_empty(directory):
    """Whether there is nothing in it but what a kill during the first write leaves."""
    if not directory.is_dir():
        return False
    return all(path.name.startswith(".config.json.") for path in directory.iterdir())


def _fresh():
    return {"epochs": 0, "status": "running", "checkpoint": None}


def _make_arrays(store, config, arrays):
    group = zarr.open_group(store, mode="w")
    _add_arrays(group, config, arrays)
    return group


def _add_arrays(group, config, arrays, prefix=""):
    for name, specification in arrays.items():
        group.create_array(
            f"{prefix}{name}",
            shape=(config["epochs"], *specification.shape),
            chunks=(1, *specification.shape),
            dtype=specification.dtype,
            fill_value=np.nan if specification.dtype.startswith("float") else 0,
            compressors=None,  # random mantissas do not compress
            overwrite=True,  # what a kill left before the record counted
        )


def _read_config(directory):
    try:
        config = json.loads((directory / "config.json").read_text())
        known = config["format"] == _FORMAT
    except (OSError, ValueError, KeyError, TypeError):
        known = False
    if not known:
        raise RunDirectoryError(
            f"{directory} is not a run of nta_tf (no config.json that says so); choose an "
            "empty or a new directory. Nothing in it was changed."
        )
    if config["schema_version"] != SCHEMA_VERSION:
        raise RunDirectoryError(
            f"{directory} has schema version {config['schema_version']}; this nta_tf reads "
            f"version {SCHEMA_VERSION}. Use the nta_tf that made it."
        )
    return config


def _check_same(directory, existing, wanted):
    different = sorted(
        key
        for key in existing.keys() | wanted.keys()
        if key not in _CIRCUMSTANCES and existing.get(key) != wanted.get(key)
    )
    if different:
        shown = "; ".join(
            f"{key}: {_short(existing.get(key))} there, {_short(wanted.get(key))} here"
            for key in different
        )
        raise RunDirectoryError(
            f"{directory} holds another run ({shown}). Choose another directory, or the "
            "same settings to resume it."
        )


def _short(value):
    text = json.dumps(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _write_json(path, value):
    _write_text(path, json.dumps(value, indent=2, sort_keys=True) + "\n")


def _write_text(path, text):
    """Writes beside the path and moves into place, so that it is whole or absent."""
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    with open(temporary, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)
