"""Which runs there are below a directory, and what each of them is."""

import os
from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from reproduce import files, paths
from reproduce.optimizers import COLUMNS, Optimizer
from reproduce.results.errors import NoResults, ResultsError

__all__ = ["IDENTITY", "NoResults", "ResultsError", "find_runs", "require_one_protocol"]

# What identifies the run of a row, in every table.
IDENTITY = ["experiment", "task", "scale", *COLUMNS, "seed", "run"]

_SHARED = ["scale", "data", "epochs", "batch_size", "protocol"]


def find_runs(root: str | Path) -> pd.DataFrame:
    """All runs below a directory.

    Args:
        root: Directory that holds runs at any depth, or is a run itself.

    Returns:
        A frame with one row a run: `experiment` (the directories between `root` and the run
        without the task's own, `""` when there are none), `task`, `scale`, `optimizer`,
        `learning_rate`, `variant`, `seed`, `run` (path as text) and `config` (the whole of
        `config.json`, with the metadata of `python -m reproduce train` beside the rest).

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


def run_directories(root: str | Path) -> Iterator[Path]:
    """Directories at or below `root` that hold a run's config.

    Args:
        root: Directory that holds runs at any depth, or is a run itself.

    Yields:
        Each as a `pathlib.Path`, without looking inside it. Links are followed; what several
        lead to comes once.
    """
    seen = set()
    for directory, children, names in os.walk(root, followlinks=True):
        real = os.path.realpath(directory)
        if real in seen:  # a link may lead back, or to a run that was there
            children.clear()
            continue
        seen.add(real)
        if paths.CONFIG in names:
            children.clear()  # A run's trace holds thousands of files, none of them a run.
            yield Path(directory)


def require_one_protocol(runs: pd.DataFrame) -> None:
    """Checks that the runs of each task can share a figure.

    Args:
        runs: Frame that `find_runs` gave.

    Raises:
        ResultsError: If runs of one task differ in experiment, scale, data, epochs, batch size,
            protocol or records, so that a comparison would mix two experiments, or if one run
            is there twice.
    """
    advice = "Put them into directories of their own, or name one with --runs."
    for task, group in runs.groupby("task"):
        seen: dict = {}
        for _, run in group.iterrows():
            for key, value in _shared(run).items():
                first, expected = seen.setdefault(key, (run["run"], value))
                if value != expected:
                    raise ResultsError(
                        f"Runs of one figure must share their {key}, but for the {task} "
                        f"'{first}' has {expected} and '{run['run']}' has {value}. {advice}"
                    )
        twice = group[group.duplicated([*COLUMNS, "seed"], keep=False)]
        if len(twice):
            first, second = twice.iloc[0], twice.iloc[1]
            slug = Optimizer(*first[COLUMNS]).slug
            raise ResultsError(
                f"'{first['run']}' and '{second['run']}' are both seed {first['seed']} of "
                f"{slug}. {advice}"
            )


def taylor_records(config: dict) -> dict:
    """The records of a run that hold Taylor rounds.

    Args:
        config: A run's configuration, as `find_runs` gives it.

    Returns:
        A dictionary from a record's name to its options.
    """
    return _records(config, "taylor_rounds")


def activation_records(config: dict) -> dict:
    """The records of a run that hold activation configurations.

    Args:
        config: A run's configuration, as `find_runs` gives it.

    Returns:
        A dictionary from a record's name to its options.
    """
    return _records(config, "activation_rounds")


def norm_records(config: dict) -> dict:
    """The records of a run that hold gradient norms.

    Args:
        config: A run's configuration, as `find_runs` gives it.

    Returns:
        A dictionary from a record's name to its options.
    """
    return _records(config, "gradient_norms")


def _records(config: dict, kind: str) -> dict:
    return {name: options for name, options in config["records"].items() if options["kind"] == kind}


def _shared(run: pd.Series) -> dict:
    """What runs must share to appear in one figure, where they have it at all."""
    config = run["config"]
    shared = {"experiment": run["experiment"], **{key: config[key] for key in _SHARED}}
    # An option that a run does not name has its default, which is None.
    shared["protocol"] = {
        key: value for key, value in config["protocol"].items() if value is not None
    }
    for name, record in taylor_records(config).items():  # of partial results, not all have all
        chosen = ("reduction", "schedule", "examples")
        shared[f"records ({name})"] = tuple(record.get(key) for key in chosen)
    for name, record in activation_records(config).items():
        units = {layer: options["units"] for layer, options in record["layers"].items()}
        chosen = ("points", "seed", "schedule")
        shared[f"records ({name})"] = (*(record.get(key) for key in chosen), units)
    return shared


def _read_run(root: Path, directory: Path) -> dict:
    path = directory / paths.CONFIG
    try:
        config, progress = files.read_run(directory)
        version = config["schema_version"]
        if version == files.SCHEMA_VERSION:
            if "task" not in config["metadata"]:
                raise ResultsError(
                    f"'{directory}' is a run of nta.train, of a model that is none of the paper's. "
                    f"Draw it with `python -m reproduce figures {directory}`."
                )
            added = progress.get("added", {})
            config |= config["metadata"]  # what `python -m reproduce train` says of a run
            config["records"] |= {name: record["config"] for name, record in added.items()}
            _check_names(config["task"], config["scale"], *config["records"])
            options = config["optimizer"]
            optimizer = Optimizer(
                options["name"], float(options["learning_rate"]), options["variant"]
            )
            between = [
                part for part in directory.relative_to(root).parts[:-1] if part != config["task"]
            ]
            return {
                "experiment": "/".join(between),
                "task": config["task"],
                "scale": config["scale"],
                **optimizer.columns,
                "seed": config["seed"],
                "run": str(directory),
                "config": config,
            }
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ResultsError(
            f"{path} does not describe a run of `python -m reproduce train` "
            f"({type(error).__name__}: {error}). Train the run again, or take the file away."
        ) from error
    raise ResultsError(
        f"{path} has schema version {version}; this version of the package reads "
        f"{files.SCHEMA_VERSION}. Use the version that made it, or train the run again."
    )


def _check_names(*names: str) -> None:
    """Raises unless names may become names of files, which lead nowhere else."""
    for name in names:
        if not name or set(name) & set("/\\\0") or not name.strip(". "):
            raise ValueError(f"{name!r} cannot be the name of a file")
