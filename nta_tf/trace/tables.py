"""Tables of a run as CSV files, whole or not at all, each with its checksum in a file beside it."""

from __future__ import annotations

import io
import json
import os
import pathlib
from typing import Any

import pandas as pd

from nta_tf.trace import files
from nta_tf.trace.directory import RunDirectoryError, unwritable

_ENDING = ".checksum"


def write_table(path: pathlib.Path, table: pd.DataFrame) -> None:
    """Writes a table and its checksum.

    The checksums of the old table and of the new one both count until the new one is there, so
    that a kill at any moment leaves one of the two.

    Args:
        path: Where the CSV file goes.
        table: The table.

    Raises:
        RunDirectoryError: If there is no room or no right to write.
    """
    text = table.to_csv(index=False, lineterminator="\n", float_format="%.12g")
    new = {"checksum": files.checksum(text.encode()), "rows": len(table)}
    beside = _beside(path)
    try:
        path.parent.mkdir(exist_ok=True)
        files.write_json(beside, [*_known(path), new])
        files.write_text(path, text)
        files.write_json(beside, [new])
    except OSError as error:
        raise unwritable(path, error) from error


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
    problem = damage(path)
    if problem:
        raise RunDirectoryError(f"{path} {problem}. {REMEDY}")
    return pd.read_csv(io.BytesIO(path.read_bytes()), **options)


REMEDY = "Remove it and compute it again from the trace."


def has_checksum(path: pathlib.Path) -> bool:
    """Whether a table has a checksum beside it; saved copies have none."""
    return _beside(path).is_file()


def damage(path: pathlib.Path) -> str | None:
    """What is wrong with a table, or None."""
    try:
        data = path.read_bytes()
    except OSError as error:
        return f"cannot be read ({error.strerror})"
    known = _known(path)
    if not known:
        return f"has no checksum ({_beside(path).name}) beside it"
    if files.checksum(data) not in [entry["checksum"] for entry in known]:
        rows = max(data.count(b"\n") - 1, 0)
        return f"is damaged: it has {rows} rows, of {known[-1]['rows']} that were written"
    return None


def _known(path):
    """Checksums that count, or none if there are none that can be read."""
    try:
        known = json.loads(_beside(path).read_text())
        return [{"checksum": entry["checksum"], "rows": entry["rows"]} for entry in known]
    except (OSError, ValueError, LookupError, TypeError):
        return []


def _beside(path):
    return path.with_name(path.name + _ENDING)
