"""`python -m reproduce solve`: Taylor optima and regret of saved runs, as tables."""

import math
import pathlib
import shutil

import pandas as pd

import nta_tf as nta
from reproduce import tables

# Theorem 2's ball (None: the trajectory's own) and the paper's free least squares.
RADII = (None, math.inf)


def find_run_directories(root):
    """Directories of runs at or below `root`, sorted.

    Args:
        root: A run directory, or a directory of them.

    Returns:
        A list of paths.

    Raises:
        nta.RunDirectoryError: If there is none.
    """
    # Saved copies have a config but no trace, so nothing that could be solved.
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


def solve(directory, progress=None):
    """Writes the tables of one run: losses, regret and growth exponents.

    Args:
        directory: A run directory.
        progress: Function that wraps the list of (record, layer) pairs to show progress.

    Returns:
        Paths of the written tables.

    Raises:
        nta.RunDirectoryError: If the directory is not a run, or cannot be written.
    """
    run = nta.Run.open(directory)
    pairs = [
        (record, layer)
        for record, config in run.config["records"].items()
        for layer in config["layers"]
        if run.read(f"records/{record}/rounds").any()
    ]
    solved = [_regret(run, *pair) for pair in (progress or iter)(pairs)]
    columns = ["record", "reduction", "scope", "radius"]
    regret = pd.concat(solved) if solved else pd.DataFrame(columns=columns)
    return [
        run.save_table("losses", losses(run)),
        run.save_table("regret", regret),
        run.save_table("exponents", _exponents(regret)),
    ]


def save(directory, out):
    """Copies a solved run without its trace, as `reproduce/traces` holds them.

    Args:
        directory: A run directory that was solved.
        out: Directory that gets a directory of the run's name, with its config and tables.

    Returns:
        Path of the copy.
    """
    directory = pathlib.Path(directory)
    target = pathlib.Path(out, directory.name)
    shutil.copytree(directory / "results", target / "results", dirs_exist_ok=True)
    shutil.copy(directory / "config.json", target / "config.json")
    return target


def losses(run):
    """Training loss of every epoch (Figure 6): mean and last loss of its steps.

    Args:
        run: A `nta.Run`.

    Returns:
        A `pandas.DataFrame` with columns `epoch`, `loss`, `last_loss`, `status`.
    """
    steps = run.losses
    return pd.DataFrame(
        {
            "epoch": range(1, len(steps) + 1),
            "loss": steps.mean(axis=1, dtype="float64"),
            "last_loss": steps[:, -1],
            "status": run.status,
        }
    )


def _regret(run, record, layer):
    table = nta.regret(run, layer, record=record, radius=list(RADII))
    table.insert(0, "record", record)
    table.insert(1, "reduction", run.config["records"][record]["reduction"])
    table.insert(2, "scope", layer)
    return table


def _exponents(regret):
    rows = []
    keys = ["record", "scope", "radius"]
    for key, table in regret.groupby(keys, sort=False):
        rows.append({**dict(zip(keys, key)), **vars(nta.growth_exponent(table))})
    columns = keys + "exponent low high first_epoch last_epoch status".split()
    return pd.DataFrame(rows, columns=columns)
