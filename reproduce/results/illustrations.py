"""Tables of the illustrations (Figures 1, 2 and A4), which rest on no set of runs.

They lie in `illustrations` of a directory of results, each figure's beside a JSON file of
what made them. Nothing here imports TensorFlow.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from reproduce.results.runs import NoResults, ResultsError

_DIRECTORY = "illustrations"
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
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    written = [out / f"{name}.json"]
    written[0].write_text(json.dumps(settings, indent=2, sort_keys=True) + "\n")
    for table, frame in frames.items():
        written.append(out / f"{name}_{table}.csv")
        frame.to_csv(written[-1], index=False, lineterminator="\n", float_format="%.12g")
    return written


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
        settings = json.loads(path.read_text())
        frames = [pd.read_csv(directory(root) / f"{name}_{table}.csv") for table in tables]
    except (OSError, ValueError) as error:  # pandas' parser errors are ValueErrors
        raise ResultsError(
            f"{path} or a table beside it is damaged ({error}). Compute them again with {remedy}."
        ) from error
    return settings, *frames


def versions(settings: Mapping[str, Any]) -> str:
    """The versions with which an illustration was computed, in one phrase."""
    names = {"tensorflow": "TensorFlow", "keras": "Keras"}
    return ", ".join(
        f"{name} {'.'.join(settings['versions'][key].split('.')[:2])}"
        for key, name in names.items()
    )
