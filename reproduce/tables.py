"""Saved results as tidy tables: the only place that reads them from disk."""

import json
import os
from pathlib import Path

import numpy as np
import pandas as pd

from reproduce import paths
from reproduce.labels import optimizer_label

_IDENTITY = ["set", "task", "scale", "optimizer", "seed", "run"]

_LOSSES = ["epoch", "loss", "last_loss", "status"]
_REGRET = [
    "record",
    "reduction",
    "scope",
    "radius",
    "round",
    "epoch",
    "cumulative_loss",
    "taylor_optimum",
    "regret",
    "regret_over_sqrt_n",
    "gap",
    "status",
]
_EXPONENTS = [
    "record",
    "scope",
    "radius",
    "exponent",
    "low",
    "high",
    "first_epoch",
    "last_epoch",
    "status",
]
_MINIMUM_HAMMING = ["scope", "epoch", "minimum_hamming"]
_SWITCHES = ["scope", "position", "switches"]
_LOG_VOLUME = ["scope", "position", "log_volume", "rank"]
_EXPLORATION = ["scope", "measure", "total", "count", "rounds", "values", "floor", "rank"]
_TEXT = {"record", "reduction", "scope", "status", "measure"}
# Columns that older tables, or tables of the other task, do not have, and the column that
# says the same there (None: nothing does). The autoencoder has no accuracy; its rounds
# took whole minibatches, so the network incurred what the record's examples did.
_OPTIONAL = {"accuracy": None, "network_loss": "cumulative_loss"}

# Figures and tables rest on optima whose gap is at most this fraction of them.
LARGEST_GAP = 1e-3
# Of an optimum that is all but zero the gap is as large as itself; what counts for regret is
# then how large it is as a fraction of the cumulative loss.
NEGLIGIBLE = 1e-4
# Names of those `nta_tf.solvers.Status` that end with a minimum, spelled out here because
# drawing must not import TensorFlow.
_SOLVED = {"OPTIMAL", "RANK_DEFICIENT", "ON_BALL"}

_SHARED = ["scale", "data", "epochs", "batch_size", "protocol"]


class ResultsError(Exception):
    """Saved results are missing, damaged or do not belong together."""


class NoResults(ResultsError):
    """A result set is sound, but does not hold what a figure shows."""


def find_runs(root):
    """All runs below a directory.

    Args:
        root: Directory that holds runs at any depth, or is a run itself.

    Returns:
        A frame with one row a run: `set` (the directories between `root` and
        the run without the task's own, `""` when there are none), `task`,
        `scale`, `optimizer` (label), `seed`, `run` (path as text) and
        `config` (the whole of `config.json`).

    Raises:
        ResultsError: If there is no run, or a `config.json` cannot be read.
    """
    root = Path(root)
    if not root.is_dir():
        raise ResultsError(
            f"There is no directory '{root}'. Give one that holds runs, or make it with "
            f"`python -m reproduce train --out {root}`."
        )
    rows = [_read_run(root, directory) for directory in sorted(run_directories(root))]
    if not rows:
        raise ResultsError(
            f"'{root}' holds no run (no {paths.CONFIG} at any depth). Make some with "
            f"`python -m reproduce train --out {root}`."
        )
    return pd.DataFrame(rows)


def read_losses(runs):
    """Training losses, one row an epoch of a run (Figure 6).

    Args:
        runs: Directory of runs, or the frame that `find_runs` gave.

    Returns:
        A frame with `set`, `task`, `scale`, `optimizer`, `seed`, `run` and
        the columns `epoch`, `loss`, `last_loss`, `status`, `accuracy` (NaN
        where it was not measured).

    Raises:
        ResultsError: If a run's table is missing or damaged.
    """
    return _read(runs, paths.LOSSES, _LOSSES, ["accuracy"])


def read_regret(runs):
    """Cumulative losses, Taylor optima and regret (Figure 4).

    Args:
        runs: Directory of runs, or the frame that `find_runs` gave.

    Returns:
        A frame with `set`, `task`, `scale`, `optimizer`, `seed`, `run` and
        one row a (record, scope, radius, checkpoint round): `record`,
        `reduction`, `scope`, `radius`, `round`, `epoch`, `cumulative_loss`,
        `taylor_optimum`, `regret`, `regret_over_sqrt_n`, `gap`, `status`,
        `network_loss` (cumulative, of the rounds' whole minibatches) and
        `certified`: whether the optimum is one, to a relative gap of `LARGEST_GAP`,
        or to `NEGLIGIBLE` of the cumulative loss.
        Of a task of which no run was solved it has no rows.

    Raises:
        ResultsError: If a run's table is missing or damaged, or `round` is
            not the number N of rounds by which regret is normalised.
    """
    table = _read(runs, paths.REGRET, _REGRET, ["network_loss"], taylor_records)
    small = table["gap"] <= LARGEST_GAP * table["taylor_optimum"].abs()
    small |= table["gap"] <= NEGLIGIBLE * table["cumulative_loss"]
    table["certified"] = small & table["status"].isin(_SOLVED)
    expected = table["regret"] / np.sqrt(table["round"])
    wrong = ~np.isclose(
        table["regret_over_sqrt_n"], expected, rtol=1e-4, atol=1e-12, equal_nan=True
    )
    if wrong.any():
        row = table[wrong].iloc[0]
        raise ResultsError(
            f"{Path(row['run'], paths.REGRET)}: regret_over_sqrt_n is "
            f"{row['regret_over_sqrt_n']:.6g} at round {row['round']}, but regret divided by "
            f"the root of the round is {expected[wrong].iloc[0]:.6g}. Write the table "
            f"again with `python -m reproduce solve {row['run']}`."
        )
    return table


def read_exponents(runs):
    """Growth exponents of regret with their bootstrap intervals (Theorem 2).

    Args:
        runs: Directory of runs, or the frame that `find_runs` gave.

    Returns:
        A frame with `set`, `task`, `scale`, `optimizer`, `seed`, `run` and
        one row a (record, scope, radius): `record`, `scope`, `radius`,
        `exponent`, `low`, `high`, `first_epoch`, `last_epoch`, `status`.

    Raises:
        ResultsError: If a run's table is missing or damaged.
    """
    return _read(runs, paths.EXPONENTS, _EXPONENTS, (), taylor_records)


def read_exploration(runs):
    """The three measures of exploration (Figure 5).

    Args:
        runs: Directory of runs, or the frame that `find_runs` gave.

    Returns:
        A dictionary of frames, all with `set`, `task`, `scale`, `optimizer`, `seed`, `run`
        and `scope`: `"minimum_hamming"` (`epoch`, `minimum_hamming`), `"switches"` and
        `"log_volume"` (`position` in the sorted order, counted from one, the measure, and
        the `rank` behind a log-volume) and `"totals"` (`measure`, `total`, `count`,
        `rounds`, `values`, `floor`, `rank`). Without rows where nothing was measured.

    Raises:
        ResultsError: If a run's table is missing or damaged.
    """
    named = {
        "minimum_hamming": (paths.MINIMUM_HAMMING, _MINIMUM_HAMMING),
        "switches": (paths.SWITCHES, _SWITCHES),
        "log_volume": (paths.LOG_VOLUME, _LOG_VOLUME),
        "totals": (paths.EXPLORATION, _EXPLORATION),
    }
    return {
        name: _read(runs, path, columns, (), activation_records, "explore")
        for name, (path, columns) in named.items()
    }


def require_one_protocol(runs):
    """Checks that the runs of each task can share a figure.

    Args:
        runs: Frame that `find_runs` gave.

    Raises:
        ResultsError: If runs of one task differ in scale, data, epochs,
            batch size, protocol or records, so that a comparison would mix
            two experiments, or if one run is there twice.
    """
    advice = "Put them into directories of their own, or name one with --runs."
    for task, group in runs.groupby("task"):
        seen = {}
        for _, run in group.iterrows():
            for key, value in _shared(run["config"]).items():
                first, expected = seen.setdefault(key, (run["run"], value))
                if value != expected:
                    raise ResultsError(
                        f"Runs of one figure must share their {key}, but for the {task} "
                        f"'{first}' has {expected} and '{run['run']}' has {value}. {advice}"
                    )
        twice = group[group.duplicated(["optimizer", "seed"], keep=False)]
        if len(twice):
            raise ResultsError(
                f"'{twice.iloc[0]['run']}' and '{twice.iloc[1]['run']}' are both seed "
                f"{twice.iloc[0]['seed']} of {twice.iloc[0]['optimizer']}. {advice}"
            )


def taylor_records(config):
    """The records of a run that hold Taylor rounds.

    Args:
        config: A run's configuration, as `find_runs` gives it.

    Returns:
        A dictionary from a record's name to its options; weights that were kept for
        recording afterwards are no such record.
    """
    return _records(config, "taylor_rounds")


def activation_records(config):
    """The records of a run that hold activation configurations.

    Args:
        config: A run's configuration, as `find_runs` gives it.

    Returns:
        A dictionary from a record's name to its options.
    """
    return _records(config, "activation_rounds")


def _records(config, kind):
    return {
        name: options
        for name, options in config.get("records", {}).items()
        if options.get("kind", "taylor_rounds") == kind
    }


def _shared(config):
    """What runs must share to appear in one figure, where they have it at all."""
    shared = {key: config.get(key) for key in _SHARED}
    # An option that a run does not name has its default, which is None.
    options = (config.get("protocol") or {}).items()
    shared["protocol"] = {key: value for key, value in options if value is not None}
    for name, record in taylor_records(config).items():  # of partial results, not all have all
        chosen = ("reduction", "schedule", "examples")
        shared[f"records ({name})"] = tuple(record.get(key) for key in chosen)
    for name, record in activation_records(config).items():
        units = {layer: options["units"] for layer, options in record["layers"].items()}
        chosen = ("points", "seed", "schedule")
        shared[f"records ({name})"] = (*(record.get(key) for key in chosen), units)
    return shared


def run_directories(root):
    """Directories at or below `root` that hold a run's config.

    Args:
        root: Directory that holds runs at any depth, or is a run itself.

    Yields:
        Each as a `pathlib.Path`, without looking inside it.
    """
    for directory, children, files in os.walk(root):
        if paths.CONFIG in files:
            children.clear()  # A run's trace holds thousands of files, none of them a run.
            yield Path(directory)


def _read_run(root, directory):
    path = directory / paths.CONFIG
    try:
        config = json.loads(path.read_text())
        config |= config.get("metadata", {})  # what `reproduce train` says of a run
        config["records"] = config.get("records", {}) | _added_records(directory)
        task, optimizer = config["task"], config["optimizer"]
        label = optimizer_label(task, optimizer["name"], optimizer["learning_rate"])
        between = [part for part in directory.relative_to(root).parts[:-1] if part != task]
        return {
            "set": "/".join(between),
            "task": task,
            "scale": config["scale"],
            "optimizer": label,
            "seed": config["seed"],
            "run": str(directory),
            "config": config,
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ResultsError(
            f"{path} does not describe a run ({type(error).__name__}: {error}). Train the run "
            f"again with `python -m reproduce train`, or take the file away."
        ) from error


def _added_records(directory):
    """Configs of the records that were added to a run since; saved copies have none."""
    path = directory / paths.PROGRESS
    added = json.loads(path.read_text()).get("added", {}) if path.exists() else {}
    return {name: record["config"] for name, record in added.items()}


def _read(runs, name, columns, optional=(), records=None, stage="solve"):
    """One table of all runs; what is made of `records` may be missing where nobody made it."""
    runs = runs if isinstance(runs, pd.DataFrame) else find_runs(runs)
    there = [Path(run, name).is_file() for run in runs["run"]]
    tasks = set(runs["task"][there])  # of which some run has the table
    found = []
    for _, run in runs.iterrows():
        path = Path(run["run"], name)
        unmade = records and not (run["task"] in tasks and records(run["config"]))
        table = None if unmade and not path.is_file() else path
        found.append(_read_table(run, table, columns, optional, stage))
    filled = [table for table in found if len(table)]  # an empty one would blur the dtypes
    return pd.concat(filled or found[:1], ignore_index=True)


def _read_table(run, path, columns, optional, stage):
    """The table of one run; without rows where it has none, and need not have one."""
    remedy = f"Write it with `python -m reproduce {stage} {run['run']}`."
    if path and not path.is_file():
        raise ResultsError(f"{path} is missing. {remedy}")
    try:
        table = _complete(pd.read_csv(path) if path else pd.DataFrame(), columns, optional)
        columns = [*columns, *optional]
        numbers = [column for column in columns if column not in _TEXT]
        table[numbers] = table[numbers].apply(pd.to_numeric)
    except (OSError, ValueError, TypeError) as error:  # pandas' parser errors are ValueErrors
        raise ResultsError(f"{path} is damaged ({error}). {remedy}") from error
    identity = pd.DataFrame({key: [run[key]] * len(table) for key in _IDENTITY})
    return pd.concat([identity, table[columns]], axis="columns")


def _complete(table, columns, optional):
    """The table with all its columns; one without rows, of a run without records, may lack some."""
    if table.empty:
        kinds = {name: str if name in _TEXT else float for name in [*columns, *optional]}
        return table.reindex(columns=list(kinds)).astype(kinds)
    missing = [column for column in columns if column not in table]
    if missing:
        raise ValueError(f"no column {', '.join(missing)}")
    for column in optional:
        if column not in table:
            same = _OPTIONAL[column]
            table[column] = table[same] if same else np.nan
    return table
