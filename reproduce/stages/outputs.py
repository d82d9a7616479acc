"""What the stages that make tables share: directories of runs, losses, saved copies."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

import nta_tf as nta
from reproduce import files, paths
from reproduce.results.runs import run_directories


def find_run_directories(root: str | Path) -> list[Path]:
    """Directories of runs at or below `root`, sorted.

    Args:
        root: A run directory, or a directory of them.

    Returns:
        A list of paths.

    Raises:
        nta.RunDirectoryError: If there is none.
    """
    # Saved copies have a config but no trace, so nothing that tables could be made of.
    directories = sorted(
        directory
        for directory in run_directories(root)
        if (directory / paths.PROGRESS).is_file() or (directory / paths.TRACE).exists()
    )
    if not directories:
        raise nta.RunDirectoryError(
            f"There is no run in {root}. Make some with `python -m reproduce train --out {root}`."
        )
    return directories


def losses(run: nta.Run) -> pd.DataFrame:
    """Training loss of every epoch (Figure 6): mean and last loss of its steps.

    Args:
        run: A `nta.Run`.

    Returns:
        A `pandas.DataFrame` with columns `epoch`, `loss`, `last_loss`, `accuracy` (of a
        classifier: mean over the minibatches, before each step; otherwise NaN) and `status`.
    """
    steps = run.losses
    classifies = "accuracies" in run.measured
    return pd.DataFrame(
        {
            "epoch": range(1, len(steps) + 1),
            "loss": steps.mean(axis=1, dtype="float64"),
            "last_loss": steps[:, -1],
            "accuracy": run.read("accuracies").mean(axis=1, dtype="float64")
            if classifies
            else np.nan,
            "status": run.status,
        }
    )


def save(directory: str | Path, out: str | Path, written: Sequence[Path]) -> Path:
    """Copies a run without its trace, as `reproduce/traces` holds them.

    Args:
        directory: A run directory.
        out: Directory that gets a directory of the run's name, with its config and tables.
        written: Paths of the tables to copy; others that are there already stay.

    Returns:
        Path of the copy.
    """
    directory = Path(directory)
    tables = {path.stem: path.read_text() for path in written}
    # The run's config knows the records that were added since.
    return write_copy(Path(out, directory.name), nta.Run.open(directory).config, tables)


def write_copy(target: str | Path, config: Mapping, tables: Mapping[str, str]) -> Path:
    """Writes a run without its trace: its config, and its tables as CSV.

    Args:
        target: Directory of the copy.
        config: Config of a run of the present schema.
        tables: {name of the table: its text}.

    Returns:
        Path of the copy.
    """
    target = Path(target)
    for name, text in tables.items():
        files.write_text(target / paths.RESULTS / f"{name}.csv", text)
    files.write_json(target / paths.CONFIG, config)
    return target
