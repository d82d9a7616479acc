"""Chunked arrays on disk or in memory, to which every epoch adds one row, one chunk."""

from __future__ import annotations

import dataclasses
import pathlib
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import zarr

from nta_tf.trace.directory import unwritable


@dataclasses.dataclass(frozen=True)
class ArraySpecification:
    """One array of the trace, to which every epoch adds one row.

    Attributes:
        shape: Shape of a row.
        dtype: Its dtype.
    """

    shape: tuple[int, ...]
    dtype: str


_NAME = "trace.zarr"
Arrays = Mapping[str, ArraySpecification]


class ArrayStore:
    """The arrays of a trace, by path.

    Args:
        group: A zarr group.
        directory: The run that it belongs to, for errors.
    """

    def __init__(self, group: zarr.Group, directory: pathlib.Path | None) -> None:
        self._group = group
        self._directory = directory
        self._opened: dict[str, zarr.Array] = {}
        self._shapes: dict[str, tuple[int, ...]] | None = None

    @classmethod
    def create(cls, directory: pathlib.Path | None) -> ArrayStore:
        """The empty store of a new run; in memory if there is no directory."""
        store = {} if directory is None else str(directory / _NAME)
        return cls(zarr.open_group(store, mode="w"), directory)

    @classmethod
    def open(cls, directory: pathlib.Path) -> ArrayStore:
        """The store of a run."""
        return cls(zarr.open_group(str(directory / _NAME), mode="r+"), directory)

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """{path: shape of a row} of all arrays."""
        if self._shapes is None:
            self._shapes = dict(sorted(_shapes(self._group)))
        return self._shapes

    def add(self, arrays: Arrays, epochs: int) -> None:
        """Makes room for `epochs` rows of each of the arrays."""
        for path, specification in arrays.items():
            self._group.create_array(
                path,
                shape=(epochs, *specification.shape),
                chunks=(1, *specification.shape),
                dtype=specification.dtype,
                fill_value=np.nan if specification.dtype.startswith("float") else 0,
                compressors=None,  # random mantissas do not compress
                overwrite=True,  # what a kill left before the record counted
            )
            self._opened.pop(path, None)
        self._shapes = None

    def resize(self, epochs: int) -> None:
        """Makes room for `epochs` rows of every array."""
        try:
            for path in self.shapes:
                array = self._array(path)
                array.resize((epochs, *array.shape[1:]))
        except OSError as error:
            raise unwritable(self._directory, error) from error

    def read(self, path: str, epochs: int | slice) -> np.ndarray:
        """Rows of an array."""
        return np.asarray(self._array(path)[epochs])

    def write(self, epoch: int, rows: Mapping[str, Any]) -> None:
        """Writes the epoch's row of each of the arrays."""
        try:
            for path, row in rows.items():
                self._array(path)[epoch] = row
        except OSError as error:
            raise unwritable(self._directory, error) from error

    def _array(self, path: str) -> zarr.Array:
        """An array, opened once: that takes longer than reading a short row."""
        if path not in self._opened:
            if path not in self.shapes:
                raise KeyError(f"The trace has no array {path!r}; it has {list(self.shapes)}.")
            self._opened[path] = self._group[path]
        return self._opened[path]


def _shapes(group: zarr.Group, prefix: str = "") -> Iterator[tuple[str, tuple[int, ...]]]:
    for name, member in group.members():
        if isinstance(member, zarr.Group):
            yield from _shapes(member, f"{prefix}{name}/")
        else:
            yield f"{prefix}{name}", member.shape[1:]
