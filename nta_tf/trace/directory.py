"""Run directories: what their config says, and errors that name them and the remedy."""

from __future__ import annotations

import contextlib
import json
import pathlib
import re
from collections.abc import Iterator
from typing import Any

import numpy as np

from nta_tf import schedules
from nta_tf.trace import files

SCHEMA_VERSION = 2
FORMAT = "nta_tf run"
CONFIG, PROGRESS, LOCK = "config.json", "progress.json", ".lock"
_STATUSES = ("running", "finished", "diverged")
_CHECKPOINT = re.compile(r"checkpoints/epoch_\d{4,}/weights")
# Facts about where a run was made; a run may be resumed elsewhere.
_CIRCUMSTANCES = ("versions", "environment")


class RunDirectoryError(OSError):
    """A run directory that cannot be used: foreign, damaged, different or unwritable."""


class DamagedRunError(RunDirectoryError):
    """A run of which a file without which nothing can be read is damaged.

    Attributes:
        file: That file, from the run directory on.
    """

    file: str = CONFIG


def damaged(directory: pathlib.Path | None, file: str, why: object) -> DamagedRunError:
    """The error to raise when a file of a run directory cannot be read."""
    error = DamagedRunError(
        f"{directory} is a damaged run: {file} cannot be read ({why}). Take the directory away and "
        "train again."
    )
    error.file = file
    return error


def unwritable(directory: pathlib.Path | None, error: OSError) -> RunDirectoryError:
    """The error to raise when a run directory cannot be written."""
    return RunDirectoryError(
        f"Cannot write the run to {directory}: {error.strerror or error}. Free some disk "
        "space or choose a directory that you may write, then start again; what is "
        "complete will be resumed."
    )


@contextlib.contextmanager
def told(directory: pathlib.Path | None) -> Iterator[None]:
    """Makes an error of the operating system, while a run is written, one that says what to do."""
    try:
        yield
    except RunDirectoryError:
        raise
    except OSError as error:
        raise unwritable(directory, error) from error


def check_name(what: str, name: Any) -> None:
    """Raises unless a name can be that of a file in the run directory.

    Args:
        what: Of what it is the name, for the error.
        name: The name.
    """
    plain = isinstance(name, str) and name.isprintable() and not set(name) & set("/\\")
    if not plain or not name.strip(". ") or name.startswith("__"):
        raise ValueError(
            f"{what} becomes the name of a file: it must be printable, without slashes, and more "
            f"than dots. Received: {name!r}"
        )


def is_empty(directory: pathlib.Path) -> bool:
    """Whether there is nothing in it but what a kill during the first write leaves."""
    if not directory.is_dir():
        return False
    return all(
        path.name == LOCK or path.name.startswith(f".{CONFIG}.") for path in directory.iterdir()
    )


def is_foreign(directory: pathlib.Path) -> bool:
    """Whether the path holds something that is no run, not even a damaged one."""
    if not directory.exists():
        return False
    return not is_empty(directory) and not (directory / CONFIG).is_file()


def read(directory: pathlib.Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Config and commit marker of a run, which belong together.

    Raises:
        RunDirectoryError: If the directory is no run, or one is damaged.
    """
    seen: object = None
    while True:
        try:
            config = read_config(directory)
            return config, read_progress(directory, config)
        except DamagedRunError:
            # A writer may have replaced the second since the first was read: then they are others.
            there = [files.content(directory / name) for name in (CONFIG, PROGRESS)]
            if there == seen:
                raise
            seen = there


def read_config(directory: pathlib.Path) -> dict[str, Any]:
    """The config of a run, or an error if the directory is none that can be read."""
    try:
        config = json.loads((directory / CONFIG).read_text(encoding="utf-8"))
        known = config["format"] == FORMAT
    except (OSError, ValueError, LookupError, TypeError, RecursionError) as error:
        if (directory / PROGRESS).is_file():
            raise damaged(directory, CONFIG, error) from error
        known = False
    if not known:
        raise RunDirectoryError(
            f"{directory} is not a run of nta_tf (no {CONFIG} that says so); choose an "
            "empty or a new directory. Nothing in it was changed."
        )
    schema = config.get("schema_version")
    if schema != SCHEMA_VERSION:
        raise RunDirectoryError(
            f"{directory} has schema version {schema}; this nta_tf reads "
            f"version {SCHEMA_VERSION}. Use the nta_tf that made it."
        )
    if not isinstance(config.get("epochs"), int) or not _are_records(config.get("records")):
        raise damaged(directory, CONFIG, "its epochs or records are not what nta_tf writes")
    return config


def _are_records(records):
    """Whether they are {name: config}, with names that stay within the directory."""
    try:
        for name, config in records.items():
            check_name("The name of a record", name)
            config["kind"]
    except (AttributeError, LookupError, TypeError, ValueError):
        return False
    return True


def make(directory: pathlib.Path) -> None:
    """Makes a directory if it is not there, with those above it."""
    with told(directory):
        directory.mkdir(parents=True, exist_ok=True)


def fresh_progress(config: dict[str, Any]) -> dict[str, Any]:
    """The commit marker of a run in which nothing is done yet."""
    return {
        "added": {},
        "checkpoint": None,
        "checkpoint_files": {},
        "config": [config_checksum(config)],
        "epochs": 0,
        "status": "running",
        "synced": 0,
        "synced_checkpoint": None,
    }


def write_progress(directory: pathlib.Path, progress: dict[str, Any]) -> None:
    """Replaces the commit marker."""
    files.write_json(directory / PROGRESS, files.with_checksum(progress))


def config_checksum(config: dict[str, Any]) -> str:
    """Checksum of a config, by which progress.json knows it."""
    return files.with_checksum(config)["checksum"]


def identity(config: dict[str, Any]) -> str:
    """Checksum of what stays the same of a run, wherever and for how many epochs it is trained."""
    kept = {key: value for key, value in config.items() if key not in (*_CIRCUMSTANCES, "epochs")}
    return config_checksum(kept)


def read_progress(directory: pathlib.Path, config: dict[str, Any]) -> dict[str, Any]:
    """The commit marker, or an error if it or the config is damaged."""
    try:
        written = json.loads((directory / PROGRESS).read_text(encoding="utf-8"))
        if "epochs" in written and not {"checksum", "config", "synced"} & written.keys():
            raise RunDirectoryError(
                f"{directory} was made before runs had checksums, which are needed to tell whether "
                "it is whole. Use the nta_tf that made it, or train again in another directory."
            )
        progress = files.without_checksum(written)
        if config_checksum(config) not in progress["config"]:
            raise damaged(directory, CONFIG, "its checksum does not match")
        _check_progress(progress, config)
    except RunDirectoryError:
        raise
    except (
        OSError,
        ValueError,
        LookupError,
        TypeError,
        AttributeError,
        RecursionError,
    ) as error:
        raise damaged(directory, PROGRESS, error) from error
    return progress


def _check_progress(progress, config):
    epochs, synced = progress["epochs"], progress["synced"]
    for name in (progress["checkpoint"], progress["synced_checkpoint"]):
        if name is not None and not _CHECKPOINT.fullmatch(name):
            raise ValueError(f"it names a checkpoint {name!r}")
    if not 0 <= synced <= epochs <= config["epochs"] or progress["status"] not in _STATUSES:
        raise ValueError(f"{epochs} epochs, {progress['status']}")
    if not _are_records({name: one["config"] for name, one in progress["added"].items()}):
        raise ValueError("its records are not what nta_tf writes")


def is_shorter(existing: dict[str, Any], wanted: dict[str, Any]) -> bool:
    """Whether a run is the one that is wanted, but for having fewer epochs."""
    return existing["epochs"] < wanted["epochs"] and not _differences(
        existing | {"epochs": wanted["epochs"]}, wanted
    )


def is_extendable(record: dict[str, Any], config: dict[str, Any], done: int, epochs: int) -> bool:
    """Whether a record would have had the same rounds in a longer run.

    Args:
        record: Config of the record.
        config: Config of the run.
        done: Epochs that are done.
        epochs: Epochs of the longer run.
    """
    if "schedule" not in record:
        return True
    try:
        schedule = schedules.get(record["schedule"])
    except ValueError:  # a schedule of the user's own
        return False
    steps = config["steps_per_epoch"]
    return all(
        np.array_equal(
            schedule.steps(epoch, steps, config["epochs"]), schedule.steps(epoch, steps, epochs)
        )
        for epoch in range(done)
    )


def check_same(directory: pathlib.Path, existing: dict[str, Any], wanted: dict[str, Any]) -> None:
    """Raises if a directory holds another run than the one that is wanted."""
    different = _differences(existing, wanted)
    if different:
        shown = "; ".join(
            f"{key}: {short(existing.get(key))} there, {short(wanted.get(key))} here"
            for key in different
        )
        raise RunDirectoryError(
            f"{directory} holds another run ({shown}). Choose another directory, or the "
            "same settings to resume it."
        )


def _differences(existing, wanted):
    return sorted(
        key
        for key in existing.keys() | wanted.keys()
        if key not in _CIRCUMSTANCES and existing.get(key) != wanted.get(key)
    )


def short(value: Any) -> str:
    """A value as JSON, on one line of at most 60 characters."""
    text = json.dumps(value)
    return text if len(text) <= 60 else text[:57] + "..."
