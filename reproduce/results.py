"""What the stages that make tables share: directories of runs, losses, saved copies."""

import json
import pathlib
import shutil

import pandas as pd

import nta_tf as nta
from reproduce import tables


def find_run_directories(root):
    """Directories of runs at or below `root`, sorted.

    Args:
        root: A run directory, or a directory of them.

    Returns:
        A list of paths.

    Raises:
        nta.RunDirectoryError: If there is none.
    """
    # Saved copies have a config but no trace, so nothing that tables could be made of.
    found = sorted(
        directory
        for directory in tables.run_directories(root)
        if (directory / "progress.json").is_file()
    )
    if not found:
        raise nta.RunDirectoryError(
            f"There is no run in {root}. Make some with `python -m reproduce train --out {root}`."
        )
    return found


def losses(run):
    """Training loss of every epoch (Figure 6): mean and last loss of its steps.

    Args:
        run: A `nta.Run`.

    Returns:
        A `pandas.DataFrame` with columns `epoch`, `loss`, `last_loss`, `status` and, of a
        classifier, `accuracy` (mean over the minibatches, before each step).
    """
    steps = run.losses
    table = pd.DataFrame(
        {
            "epoch": range(1, len(steps) + 1),
            "loss": steps.mean(axis=1, dtype="float64"),
            "last_loss": steps[:, -1],
            "status": run.status,
        }
    )
    if "accuracies" in run.measured:
        table["accuracy"] = run.read("accuracies").mean(axis=1, dtype="float64")
    return table


def save(directory, out, written):
    """Copies a run without its trace, as `reproduce/traces` holds them.

    Args:
        directory: A run directory.
        out: Directory that gets a directory of the run's name, with its config and tables.
        written: Paths of the tables to copy; others that are there already stay.

    Returns:
        Path of the copy.
    """
    directory = pathlib.Path(directory)
    target = pathlib.Path(out, directory.name)
    (target / "results").mkdir(parents=True, exist_ok=True)
    for path in written:
        shutil.copy2(path, target / "results")
    config = nta.Run.open(directory).config  # with the records that were added since
    text = json.dumps(config, indent=2, sort_keys=True) + "\n"
    (target / "config.json").write_text(text)
    return target
