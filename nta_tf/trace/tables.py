"""Tables of a run as CSV files, whole or not at all, each with its checksum in a file beside it."""

from __future__ import annotations

import io
import json
import os
import pathlib
from collections.abc import Callable
from typing import Any

import pandas as pd

from nta_tf.trace import directory as directories
from nta_tf.trace import files, locking
from nta_tf.trace.directory import RunDirectoryError

_ENDING = ".checksum"
_PENDING = "pending"  # of a checksum whose table is about to be written
REMEDY = "Remove it and compute it again from the trace."


def write_table(path: pathlib.Path, table: pd.DataFrame) -> None:
    """Writes a table and its checksum, whatever was there.

    Args:
        path: Where the CSV file goes.
        table: The table.

    Raises:
        RunDirectoryError: If there is no room or no right to write.
    """
    _replace(path, lambda: table)


def change_table(
    path: str | os.PathLike[str], change: Callable[[pd.DataFrame | None], pd.DataFrame]
) -> pd.DataFrame:
    """Replaces a table by what is made of it, while no other process writes tables beside it.

    So several processes may add rows to one table, and none of the rows is lost.

    Args:
        path: The CSV file.
        change: Function of the table that is there, or None, that returns the new one. It may read
            tables beside it.

    Returns:
        The new table.

    Raises:
        RunDirectoryError: If the old table is damaged, or there is no room or no right to write.

    Example:

    >>> import pathlib, tempfile
    >>> import pandas as pd
    >>> import nta_tf as nta
    >>> def longer(table):
    ...     return pd.concat([table, pd.DataFrame({"epoch": [1]})], ignore_index=True)
    >>> with tempfile.TemporaryDirectory() as directory:
    ...     path = pathlib.Path(directory, "epochs.csv")
    ...     for _ in range(2):
    ...         table = nta.trace.change_table(path, longer)
    >>> len(table)
    2
    """
    path = pathlib.Path(path)
    return _replace(path, lambda: change(read_table(path) if path.exists() else None))


def read_table(path: str | os.PathLike[str], **options: Any) -> pd.DataFrame:
    """Reads a table that `Run.save_table` wrote, and holds it against its checksum.

    Args:
        path: The CSV file.
        **options: As for `pandas.read_csv`.

    Returns:
        The table.

    Raises:
        RunDirectoryError: If the file is missing, or not what was written.
    """
    path = pathlib.Path(path)
    data, problem = _read(path)
    if problem:
        raise RunDirectoryError(f"{path} {problem}. {REMEDY}")
    return pd.read_csv(io.BytesIO(data), **options)


def written(folder: pathlib.Path) -> list[pathlib.Path]:
    """Tables that were written into a folder, whether they are still there or not."""
    known = (path.with_name(path.name.removesuffix(_ENDING)) for path in folder.glob(f"*{_ENDING}"))
    return sorted({*folder.glob("*.csv"), *(path for path in known if _has_been_there(path))})


def has_checksum(path: pathlib.Path) -> bool:
    """Whether a table has a checksum beside it; saved copies have none."""
    return _beside(path).is_file()


def damage(path: pathlib.Path) -> str | None:
    """What is wrong with a table, or None."""
    return _read(path)[1]


def _replace(path, make):
    with directories.told(path):
        path.parent.mkdir(exist_ok=True)
        with locking.waiting(path.parent):
            table = make()
            _write(path, table)
    return table


def _write(path, table):
    """Writes a table and its checksum.

    The checksums of the old table and of the new one both count until the new one is there, so
    that a kill at any moment leaves one of the two.
    """
    text = table.to_csv(index=False, lineterminator="\n", float_format="%.12g")
    new = {"checksum": files.checksum(text.encode()), "rows": len(table)}
    beside = _beside(path)
    for file in (path, beside):
        files.sweep_beside(file)
    files.write_json(beside, [*_known(path), {**new, _PENDING: True}])
    files.write_text(path, text)
    files.write_json(beside, [new])


def _read(path):
    """(bytes of a table, what is wrong with it or None)."""
    seen = None
    while True:
        data, known = files.content(path), _known(path)
        if data is None:
            return b"", "is missing or cannot be read"
        if not known:
            problem = f"has no checksum ({_beside(path).name}) beside it"
        elif files.checksum(data) in [entry["checksum"] for entry in known]:
            return data, None
        else:
            rows = max(data.count(b"\n") - 1, 0)
            problem = f"is damaged: it has {rows} rows, of {known[-1]['rows']} that were written"
        if seen == (data, known):
            return data, problem
        seen = data, known  # a writer may have been between the two: then they are others now


def _known(path):
    """Checksums that count, or none if there are none that can be read."""
    try:
        known = json.loads(_beside(path).read_text(encoding="utf-8"))
        return [entry for entry in known if {"checksum", "rows"} <= entry.keys()]
    except (OSError, ValueError, TypeError, AttributeError):
        return []


def _has_been_there(path):
    """Whether a table was written to its end: a kill may leave a checksum for none."""
    return any(not entry.get(_PENDING) for entry in _known(path))


def _beside(path):
    return path.with_name(path.name + _ENDING)
