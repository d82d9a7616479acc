"""`python -m reproduce solve`: Taylor optima and regret of saved runs, as tables."""

import json
import math
import pathlib
import shutil

import pandas as pd

import nta_tf as nta
from reproduce import tables, tasks

# Theorem 2's ball (None: the trajectory's own) and the paper's free least squares.
DOMAINS = {"ball": None, "free": math.inf}


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


def solve(
    directory,
    progress=None,
    neurons=None,
    scopes=None,
    records=None,
    checkpoints=None,
    domains=tuple(DOMAINS),
):
    """Writes the tables of one run: losses, regret and growth exponents.

    The regret table is written again after every scope; rows of other records, scopes and
    domains that an earlier call found are kept, so that a long solving may be done in parts.

    Args:
        directory: A run directory.
        progress: Function that wraps the list of (record, scope) pairs to show progress.
        neurons: Of how many neurons a layer the optima are found, chosen by a seed, where
            rounds were kept as gradient tensors. Defaults to as many as the run's scale says.
        scopes: Scopes to solve, instead of all layers and those neurons.
        records: Names of records to solve. Defaults to all of them.
        checkpoints: At the end of how many epochs; see `nta.regret`.
        domains: Over which V the optima are taken: `"ball"`, `"free"` or both.

    Returns:
        Paths of the written tables.

    Raises:
        nta.RunDirectoryError: If the directory is not a run, or cannot be written.
    """
    run = nta.Run.open(directory)
    pairs = [
        (record, scope)
        for record, config in run.config["records"].items()
        if config["kind"] == "taylor_rounds" and (records is None or record in records)
        if run.read(f"records/{record}/rounds").any()
        for scope in scopes or _scopes(run, record, neurons)
    ]
    path = run.directory / "results" / "regret.csv"
    columns = ["record", "reduction", "scope", "radius"]
    regret = pd.read_csv(path) if path.exists() else pd.DataFrame(columns=columns)
    for record, scope in (progress or iter)(pairs):
        regret = _merged(regret, _regret(run, record, scope, checkpoints, domains))
        run.save_table("regret", regret)
    return [
        run.save_table("losses", losses(run)),
        run.save_table("regret", regret),
        run.save_table("exponents", _exponents(regret)),
    ]


def _merged(old, new):
    """Both tables, without old rows of which the new one has record, scope and domain."""

    def problems(table):
        keys = zip(table["record"], table["scope"], table["radius"] < math.inf)
        return pd.Series(list(keys), index=table.index, dtype=object)

    if old.empty or new.empty:
        return new if old.empty else old
    kept = old[~problems(old).isin(set(problems(new)))]
    return pd.concat([kept, new], ignore_index=True)


def _scopes(run, record, neurons):
    """The record's layers and, of gradient tensors, the network and some neurons."""
    config = run.config["records"][record]
    layers = config["layers"]
    if config.get("form", "normal_equations") == "normal_equations":
        return layers
    if neurons is None:
        metadata = run.config["metadata"]
        neurons = tasks.TASKS[metadata["task"]].scales[metadata["scale"]].neurons
    sampled = []
    for layer in layers:
        units = run.arrays(f"records/{record}/{layer}/kernel").popitem()[1][-1]
        chosen = nta.taylor_problems.sample_neurons(layer, units, neurons)
        sampled += [(layer, chosen)] if chosen else []
    return [*layers, "network", *sampled]


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
    config = nta.Run.open(directory).config  # with the records that were added since
    text = json.dumps(config, indent=2, sort_keys=True) + "\n"
    (target / "config.json").write_text(text)
    return target


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
    if "accuracies" in run.arrays("accuracies"):
        table["accuracy"] = run.read("accuracies").mean(axis=1, dtype="float64")
    return table


def _regret(run, record, scope, checkpoints, domains):
    radii = [DOMAINS[domain] for domain in domains]
    if isinstance(scope, tuple) and "ball" in domains:
        # Free minimisers of single neurons lie hundreds of diameters away and take minutes each.
        radii = [DOMAINS["ball"]]
    table = nta.regret(run, scope, record=record, radius=radii, checkpoints=checkpoints)
    if "scope" not in table:
        table.insert(0, "scope", scope if isinstance(scope, str) else "{}:{}".format(*scope))
    table.insert(0, "record", record)
    table.insert(1, "reduction", run.config["records"][record]["reduction"])
    return table


def _exponents(regret):
    rows = []
    keys = ["record", "scope", "radius"]
    for key, table in regret.groupby(keys, sort=False):
        rows.append({**dict(zip(keys, key)), **vars(nta.growth_exponent(table))})
    columns = keys + "exponent low high first_epoch last_epoch status".split()
    return pd.DataFrame(rows, columns=columns)
