"""Run directories: what their config says, and errors that name them and the remedy."""

from __future__ import annotations

import json
import pathlib
from typing import Any

import numpy as np

from nta_tf import schedules

SCHEMA_VERSION = 2
FORMAT = "nta_tf run"
# Facts about where a run was made; a run may be resumed elsewhere.
_CIRCUMSTANCES = ("versions", "environment")


class RunDirectoryError(OSError):
    """A run directory that cannot be used: foreign, damaged, different or unwritable."""


def damaged(directory: pathlib.Path | None, error: Exception) -> RunDirectoryError:
    """The error to raise when a run directory cannot be read."""
    return RunDirectoryError(
        f"{directory} is a damaged run ({type(error).__name__}: {error}); move it away and "
        "train again."
    )


def unwritable(directory: pathlib.Path | None, error: OSError) -> RunDirectoryError:
    """The error to raise when a run directory cannot be written."""
    return RunDirectoryError(
        f"Cannot write the run to {directory}: {error.strerror or error}. Free some disk "
        "space or choose a directory that you may write, then start again; what is "
        "complete will be resumed."
    )


def is_empty(directory: pathlib.Path) -> bool:
    """Whether there is nothing in it but what a kill during the first write leaves."""
    if not directory.is_dir():
        return False
    return all(path.name.startswith(".config.json.") for path in directory.iterdir())


def read_config(directory: pathlib.Path) -> dict[str, Any]:
    """The config of a run, or an error if the directory is none that can be read."""
    try:
        config = json.loads((directory / "config.json").read_text())
        known = config["format"] == FORMAT and isinstance(config["records"], dict)
    except (OSError, ValueError, KeyError, TypeError):
        known = False
    if not known:
        raise RunDirectoryError(
            f"{directory} is not a run of nta_tf (no config.json that says so); choose an "
            "empty or a new directory. Nothing in it was changed."
        )
    schema = config.get("schema_version")
    if schema != SCHEMA_VERSION:
        raise RunDirectoryError(
            f"{directory} has schema version {schema}; this nta_tf reads "
            f"version {SCHEMA_VERSION}. Use the nta_tf that made it."
        )
    return config


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
