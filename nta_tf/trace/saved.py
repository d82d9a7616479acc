"""Runs without their trace: a config and tables, as `python -m reproduce solve --save` leaves."""

from __future__ import annotations

import io
import os
import pathlib
from typing import Any

import pandas as pd

from nta_tf.trace import directory as directories
from nta_tf.trace import tables
from nta_tf.trace.directory import CONFIG, PROGRESS, RunDirectoryError


class SavedRun:
    """A run of which config and tables are left.

    Args:
        directory: Path of the copy.

    Attributes:
        directory: The path.
        config: As of a `nta.Run`.

    Raises:
        RunDirectoryError: If the directory holds no run.
    """

    def __init__(self, directory: str | os.PathLike[str]) -> None:
        self.directory = pathlib.Path(directory)
        self.config: dict[str, Any] = directories.read_config(self.directory)

    @staticmethod
    def is_one(directory: str | os.PathLike[str]) -> bool:
        """Whether a directory has a config but nothing that says how far the run came."""
        path = pathlib.Path(directory)
        return (path / CONFIG).is_file() and not (path / PROGRESS).is_file()

    def table(self, name: str) -> pd.DataFrame | None:
        """A table of the run, or None if it has none of that name."""
        return saved_table(self.directory, name)

    def __repr__(self) -> str:
        return f"<SavedRun {self.directory}>"


def saved_table(directory: pathlib.Path | None, name: str) -> pd.DataFrame | None:
    """A table that lies with a run, held against its checksum where it has one.

    Args:
        directory: Path of the run, or None for one in memory.
        name: Name of the table, such as `"regret"`.

    Returns:
        The table, or None if it is not there.

    Raises:
        RunDirectoryError: If it is damaged.
    """
    path = None if directory is None else directory / "results" / f"{name}.csv"
    if path is None or not path.is_file():
        return None
    if tables.has_checksum(path) or not SavedRun.is_one(directory):
        return tables.read_table(path)
    try:
        return pd.read_csv(io.BytesIO(path.read_bytes()))
    except ValueError as error:
        raise RunDirectoryError(f"{path} is damaged ({error}). {tables.REMEDY}") from error
