"""Tables of the illustrations (Figures 1, 2 and A4), which rest on no set of runs.

They lie in `illustrations` of a directory of results, each figure's beside a JSON file of
what made them. Nothing here imports TensorFlow.
"""

import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from reproduce import files
from reproduce.results.errors import NoResults, ResultsError

_DIRECTORY = "illustrations"
_CHECKSUMS = "checksums"
_STAGES = {"figure": "illustrations", "lines": "lines RUN"}


def directory(root: str | Path) -> Path:
    """Where the illustrations of a directory of results have their tables.

    Args:
        root: A directory of runs, or of result sets.

    Returns:
        A `pathlib.Path`.
    """
    return Path(root, _DIRECTORY)


def write(
    out: str | Path, name: str, frames: Mapping[str, pd.DataFrame], settings: Mapping[str, Any]
) -> list[Path]:
    """Writes the tables of an illustration and what made them.

    Args:
        out: Directory, made when it is not there.
        name: Name of the illustration, such as `"figure_1"`.
        frames: {name of a table: `pandas.DataFrame`}.
        settings: JSON-ready dictionary.

    Returns:
        The paths written.
    """
    tables = {table: Path(out, f"{name}_{table}.csv") for table in frames}
    for table, path in tables.items():
        files.write_csv(path, frames[table], digits=12)
    # Last, and with checksums: tables of two settings are never taken for those of one.
    sums = {table: files.checksum(path.read_bytes()) for table, path in tables.items()}
    about = files.write_json(Path(out, f"{name}.json"), {**settings, _CHECKSUMS: sums})
    return [about, *tables.values()]


def read(root: str | Path, name: str, tables: Sequence[str]) -> tuple:
    """The tables of an illustration and what made them.

    Args:
        root: A directory of results.
        name: Name of the illustration.
        tables: Names of its tables.

    Returns:
        The settings, then each table as a `pandas.DataFrame`.

    Raises:
        NoResults: If there is no such illustration.
        ResultsError: If a file is damaged.
    """
    path = directory(root) / f"{name}.json"
    stage = _STAGES[name.split("_")[0]]
    remedy = f"`python -m reproduce {stage} --out {directory(root)}`"
    if not path.is_file():
        raise NoResults(f"There is no {path}. Compute it with {remedy}.")
    try:
        settings = json.loads(path.read_text(encoding="utf-8"))
        sums = settings.pop(_CHECKSUMS, {})
        frames = [
            _read_table(directory(root) / f"{name}_{table}.csv", sums.get(table))
            for table in tables
        ]
    except (OSError, ValueError, AttributeError) as error:  # pandas' parser errors are ValueErrors
        raise ResultsError(
            f"{path} or a table beside it is damaged ({error}). Compute them again with {remedy}."
        ) from error
    return settings, *frames


def _read_table(path: Path, checksum: str | None) -> pd.DataFrame:
    data = path.read_bytes()
    if checksum not in (None, files.checksum(data)):
        raise ValueError(f"{path.name} is not what was written: its checksum differs")
    return pd.read_csv(io.BytesIO(data))


def versions(settings: Mapping[str, Any]) -> str:
    """The versions with which an illustration was computed, in one phrase."""
    names = {"tensorflow": "TensorFlow", "keras": "Keras"}
    return ", ".join(
        f"{name} {'.'.join(settings['versions'][key].split('.')[:2])}"
        for key, name in names.items()
    )
