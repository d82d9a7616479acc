"""Chunked arrays on disk or in memory, to which every epoch adds one row, one chunk.

Arrays come in groups: what is measured at every step, and what each recorder keeps. A group has
an array of checksums beside them, whose row of an epoch says which arrays have a row there and what
its CRC-32 is. So a row that was changed, taken away or exchanged for another is never read as if it
were right; zarr's own checksum (CRC-32C of each chunk) stands too, for those who know only zarr.
"""

from __future__ import annotations

import contextlib
import pathlib
import zlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import zarr
import zarr.codecs

from nta_tf.trace import specification
from nta_tf.trace.directory import RunDirectoryError, damaged, told
from nta_tf.trace.specification import Arrays, ArraySpecification

_NAME = "trace.zarr"
MEASURED = ""  # the group of what is measured at every step
_CHECKSUMS = "checksums"
_OWNER = "run"  # an attribute of the whole
# zarr leaves out rows that are all NaN, and fills in another NaN than the one that was there.
_EVERY_ROW: dict[str, Any] = {"write_empty_chunks": True}
_PRESENT = np.uint64(2**32)  # beside the 32 bits of a checksum: the row exists


class ArrayStore:
    """The arrays of a trace, by group and name.

    Args:
        group: A zarr group.
        directory: The run that it belongs to, for errors.
    """

    def __init__(self, group: zarr.Group, directory: pathlib.Path | None) -> None:
        self._group = group
        self._directory = directory
        self._opened: dict[str, zarr.Array] = {}
        self._about: dict[str, tuple[list[str], dict]] = {}
        self._sums: dict[tuple[str, int], np.ndarray] = {}

    @classmethod
    def create(cls, directory: pathlib.Path | None, owner: str = "") -> ArrayStore:
        """The empty store of a new run; in memory if there is no directory.

        Args:
            directory: The run.
            owner: What the store says of whose it is.
        """
        store: Any = {}
        if directory is not None:
            store = directory / _NAME
            if store.is_symlink():  # all behind it would be removed
                raise RunDirectoryError(
                    f"{store} is a link, and a new run empties what is there. Remove the link, or "
                    "choose another directory."
                )
        group = zarr.open_group(store, mode="w", zarr_format=3, attributes={_OWNER: owner})
        return cls(group, directory)

    @classmethod
    def open(cls, directory: pathlib.Path, owner: str = "") -> ArrayStore:
        """The store of a run.

        Only of zarr's third format: what the second reads may be a pickle, which runs programs.

        Args:
            directory: The run.
            owner: As `create` was told.

        Raises:
            RunDirectoryError: If it cannot be read, or is that of another run.
        """
        try:
            group = zarr.open_group(directory / _NAME, mode="r+", zarr_format=3)
            store = cls(group, directory)
            for name in store.names(MEASURED):
                store.shape(MEASURED, name)
        except (OSError, ValueError, LookupError, TypeError) as error:
            raise damaged(directory, _NAME, error) from error
        if group.attrs.get(_OWNER, owner) != owner:
            raise damaged(directory, _NAME, "it is that of another run")
        return store

    @staticmethod
    def holds_rows(directory: pathlib.Path) -> bool:
        """Whether any row was written in the store of a run."""
        return any((directory / _NAME).glob("**/c"))

    def add(self, group: str, arrays: Arrays, epochs: int) -> None:
        """Makes room for `epochs` rows of each array of a group.

        Args:
            group: Path of the group, "" or with a slash behind it.
            arrays: {name: `ArraySpecification`}.
            epochs: How many rows.
        """
        if _CHECKSUMS in arrays:
            raise ValueError(f"No array of a record can be called {_CHECKSUMS!r}.")
        names = sorted(arrays)
        sums = ArraySpecification((1 + len(names),), "uint64")
        about = {"arrays": names, "rows": specification.described(arrays)}
        for name, one in {**arrays, _CHECKSUMS: sums}.items():
            self._group.create_array(
                group + name,
                shape=(epochs, *one.shape),
                chunks=(1, *one.shape),
                dtype=one.dtype,
                fill_value=specification.fill_value(one.dtype),
                compressors=zarr.codecs.Crc32cCodec(),  # random mantissas do not compress
                overwrite=True,  # what a kill left before the record counted
                attributes=about if name == _CHECKSUMS else None,
                config=_EVERY_ROW,
            )
            self._opened.pop(group + name, None)
        self._about.pop(group, None)
        self._sums = {key: row for key, row in self._sums.items() if key[0] != group}

    def names(self, group: str) -> list[str]:
        """Names of the arrays of a group."""
        return list(self._described(group)[0])

    def shape(self, group: str, name: str) -> tuple[int, ...]:
        """Shape of a row of an array."""
        return self._array(group, name).shape[1:]

    def resize(self, groups: Sequence[str], epochs: int) -> None:
        """Makes room for `epochs` rows of every array of the groups."""
        with told(self._directory):
            for group in groups:
                for name in (*self.names(group), _CHECKSUMS):
                    array = self._array(group, name)
                    array.resize((epochs, *array.shape[1:]))

    def read(self, group: str, name: str, epochs: int | slice, done: int) -> np.ndarray:
        """Rows of an array, held against their checksums.

        Args:
            group: Path of the group.
            name: Name of the array.
            epochs: Index or slice of epochs.
            done: How many epochs count; rows of others are filled.

        Returns:
            NumPy array, without the first axis for a single index.

        Raises:
            RunDirectoryError: If a row is damaged.
        """
        array = self._array(group, name)
        if array.shape[0] < done:
            raise self._unreadable(group, name, f"{array.shape[0]} rows, not {done}")
        chosen = range(array.shape[0])[epochs]
        indices = [chosen] if isinstance(chosen, int) else list(chosen)
        self._read_checksums(group, [epoch for epoch in indices if epoch < done])
        rows = self._rows(group, name, indices)
        for position, epoch in enumerate(indices):
            if epoch >= done:
                rows[position] = array.fill_value
            elif not self._is_whole(group, name, epoch, rows[position]):
                raise self._damaged(group, name, epoch)
        return rows[0] if isinstance(chosen, int) else rows

    def write(self, group: str, epoch: int, rows: Mapping[str, Any]) -> None:
        """Writes the epoch's row of arrays of a group."""
        if not rows:
            return
        names = self.names(group)
        sums = np.zeros(1 + len(names), np.uint64)
        sums[0] = epoch + 1
        with told(self._directory):
            for name, row in rows.items():
                array = self._array(group, name)
                row = np.broadcast_to(np.asarray(row, array.dtype), array.shape[1:])
                array[epoch] = row
                sums[1 + names.index(name)] = _checksum(row)
            self._array(group, _CHECKSUMS)[epoch] = sums
        self._sums[group, epoch] = sums

    def damaged_rows(self, group: str, first: int, done: int) -> Iterator[tuple[str, int]]:
        """Yields (file, epoch) of every row from `first` on, up to `done`, that is damaged."""
        for epoch in range(first, done):
            for name in self.names(group):
                try:
                    self.read(group, name, epoch, done)
                except RunDirectoryError:
                    yield self.file(group, name, epoch), epoch

    def missing_groups(self, groups: Sequence[str]) -> Iterator[str]:
        """Yields the file of every group that has arrays, but no metadata any more."""
        within = {_NAME}
        for group in groups:
            with contextlib.suppress(RunDirectoryError, LookupError):  # damage of its own
                for name in self.names(group):
                    parents = pathlib.PurePosixPath(_NAME, group, name).parents
                    within |= {str(path) for path in parents}
        for place in sorted(within - {"."}):
            if not (self._directory / place / "zarr.json").exists():
                yield f"{place}/zarr.json"

    def file(self, group: str, name: str, epoch: int) -> str:
        """Where a row lies, from the run directory on."""
        array = self._array(group, name)
        key = array.metadata.encode_chunk_key((epoch, *[0] * (array.ndim - 1)))
        return f"{_NAME}/{group}{name}/{key}"

    def _rows(self, group, name, indices):
        """Rows as they lie there; those that zarr refuses raise an error that names them."""
        array = self._array(group, name)
        try:
            if not indices:
                return np.empty((0, *array.shape[1:]), array.dtype)
            return np.array(array[indices[0] : indices[-1] + 1 : _step(indices)])
        except (ValueError, OSError):  # a checksum of zarr's, or a chunk of another size
            for epoch in indices:
                try:
                    np.asarray(array[epoch])
                except (ValueError, OSError) as error:
                    raise self._damaged(group, name, epoch) from error
            raise

    def _is_whole(self, group, name, epoch, row):
        expected = self._sums[group, epoch][1 + self.names(group).index(name)]
        return expected in (0, _checksum(row))  # zero: the epoch has no row of this array

    def _read_checksums(self, group, epochs):
        unread = [epoch for epoch in epochs if (group, epoch) not in self._sums]
        if not unread:
            return
        first, last = min(unread), max(unread)
        rows = self._rows(group, _CHECKSUMS, list(range(first, last + 1)))
        for epoch in unread:
            if rows[epoch - first][0] != epoch + 1:
                raise self._damaged(group, _CHECKSUMS, epoch)
            self._sums[group, epoch] = rows[epoch - first]

    def _damaged(self, group, name, epoch):
        file = self.file(group, name, epoch)
        missing = self._directory is not None and not (self._directory / file).exists()
        return RunDirectoryError(
            f"{self._directory}: {file} is {'missing' if missing else 'damaged'}. Epochs before "
            f"{epoch + 1} can still be read. {remedy(group)}"
        )

    def _array(self, group, name):
        """An array, opened once: that takes longer than reading a short row."""
        path = group + name
        if path not in self._opened:
            named = None if name == _CHECKSUMS else self._described(group)
            if named and name not in named[0]:
                raise KeyError(f"The trace has no array {path!r}; it has {named[0]} there.")
            try:
                with zarr.config.set({f"array.{key}": value for key, value in _EVERY_ROW.items()}):
                    array = self._group[path]
                specification.check(array, named[1].get(name) if named else None)
            except (KeyError, ValueError, TypeError, OSError) as error:
                raise self._unreadable(group, name, error) from error
            self._opened[path] = array
        return self._opened[path]

    def _described(self, group):
        """Names of the arrays of a group, and {name: [shape, dtype]} where that is said."""
        if group not in self._about:
            sums = self._array(group, _CHECKSUMS)
            try:
                names = [str(name) for name in sums.attrs["arrays"]]
                rows = dict(sums.attrs.get("rows", {}))
                if sums.shape[1:] != (1 + len(names),) or not rows.keys() <= set(names):
                    raise ValueError("its attributes are not what is written")
            except (LookupError, ValueError, TypeError) as error:
                raise self._unreadable(group, _CHECKSUMS, error) from error
            self._about[group] = names, rows
        return self._about[group]

    def _unreadable(self, group, name, why):
        return RunDirectoryError(
            f"{self._directory}: {_NAME}/{group}{name}/zarr.json is damaged or missing ({why}). "
            f"{remedy(group)}"
        )


def remedy(group: str) -> str:
    """What to do about a damaged row of a group."""
    if not group:
        return "To have it again, take the run away and train again."
    return (
        "To have it again, replay the recorder under another name where the run kept its weights, "
        "or take the run away and train again."
    )


def _checksum(row):
    return _PRESENT | np.uint64(zlib.crc32(np.ascontiguousarray(row).view(np.uint8).data))


def _step(indices):
    return indices[1] - indices[0] if len(indices) > 1 else 1
