"""Where numbers of a training go: scalars of TensorBoard, and a table as CSV."""

from __future__ import annotations

import os
import pathlib
from collections.abc import Mapping

import pandas as pd
import tensorflow as tf


class Scalars:
    """Scalars for TensorBoard, which need not be installed to write them.

    Args:
        directory: Where event files go, or None for nowhere.
    """

    def __init__(self, directory: str | os.PathLike[str] | None) -> None:
        self._writer = None
        if directory is not None:
            self._writer = tf.summary.create_file_writer(os.fspath(directory))
        self._kind = tf.compat.v1.SummaryMetadata()
        self._kind.plugin_data.plugin_name = "scalars"

    def write(self, step: int, numbers: Mapping[str, float]) -> None:
        """Writes numbers of a step, each under its name."""
        if self._writer is None:
            return
        with self._writer.as_default():
            for name, number in numbers.items():
                value = tf.constant(number, tf.float32)
                tf.summary.write(name, value, step=step, metadata=self._kind)
        self._writer.flush()

    def close(self) -> None:
        """Ends the event file."""
        if self._writer is not None:
            self._writer.close()


class Csv:
    """A CSV file with a row an epoch, whole at any moment.

    Args:
        path: The file, or None for none. Its rows of epochs that are done stay.
        epochs: How many epochs are done.
    """

    def __init__(self, path: str | os.PathLike[str] | None, epochs: int) -> None:
        self._path = None if path is None else pathlib.Path(path)
        self._rows: list[dict[str, float]] = []
        if self._path is not None and epochs and self._path.is_file():
            table = pd.read_csv(self._path)
            self._rows = table[table["epoch"] <= epochs].to_dict("records")

    def write(self, step: int, numbers: Mapping[str, float]) -> None:
        """Adds the row of an epoch."""
        if self._path is None:
            return
        self._rows.append({"epoch": step, **numbers})
        self._path.parent.mkdir(parents=True, exist_ok=True)
        part = self._path.with_name(self._path.name + ".part")
        pd.DataFrame(self._rows).to_csv(part, index=False, lineterminator="\n")
        part.replace(self._path)
