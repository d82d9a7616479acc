"""`python -m reproduce bound`: regret beside the bound of the run's own gradients, as a table."""

from collections.abc import Callable, Sequence
from pathlib import Path

import pandas as pd

import nta_tf as nta
from reproduce import tasks
from reproduce.stages import outputs
from reproduce.stages.solve import DOMAINS


def find_recorded(root: str | Path) -> tuple[list[Path], list[Path]]:
    """Directories of runs at or below `root` that recorded gradient norms.

    Args:
        root: A run directory, or a directory of them.

    Returns:
        A list of paths, and a list of those of the other runs.

    Raises:
        nta.RunDirectoryError: If there is no run.
        ValueError: If none has such a record.
    """
    directories = outputs.find_run_directories(root)
    recorded = [path for path in directories if _norms(nta.Run.open(path))]
    if not recorded:
        raise ValueError(
            f"No run in {root} has a record of gradient norms. Train some with `python -m "
            f"reproduce train --protocols definition {tasks.GRADIENT_NORMS} --out DIR`."
        )
    return recorded, [path for path in directories if path not in recorded]


def bound(
    directory: str | Path,
    progress: Callable | None = None,
    *,
    scopes: Sequence[str] | None = None,
    checkpoints: int | None = None,
    domains: Sequence[str] = ("ball",),
) -> list[Path]:
    """Writes the tables of one run: losses, and regret beside its bound.

    Args:
        directory: A directory of a run that recorded gradient norms and Taylor rounds at every
            step.
        progress: Function that wraps the list of problems to show progress.
        scopes: Scopes, instead of all layers that both records have, and the network where the
            Taylor record offers it.
        checkpoints: At the end of how many epochs; see `nta.regret`.
        domains: Over which V the optima are taken: `"ball"`, `"free"` or both.

    Returns:
        Paths of the written tables.

    Raises:
        nta.RunDirectoryError: If the directory is not a run, or cannot be written.
        ValueError: If the run has no such records or scope.
    """
    run = nta.Run.open(directory)
    (norms, *_) = _norms(run)
    problems = [
        (record, scope, domain)
        for record in _every_step(run)
        for scope in scopes or _scopes(run, record, norms)
        for domain in domains
    ]
    tables = []
    for record, scope, domain in (progress or iter)(problems):
        table = nta.regret_bound(
            run, scope, record, norms, radius=DOMAINS[domain], checkpoints=checkpoints
        )
        tables.append(pd.concat([pd.DataFrame({"record": record}, table.index), table], axis=1))
    return [
        run.save_table("losses", outputs.losses(run)),
        run.save_table("bound", pd.concat(tables, ignore_index=True)),
    ]


def _norms(run: nta.Run) -> list[str]:
    """Names of the records of gradient norms that hold any."""
    kind = nta.recorders.GradientNorms.kind
    return [
        name for name, record in run.records.items() if record.kind == kind and record.rounds.any()
    ]


def _every_step(run: nta.Run) -> list[str]:
    """Names of the Taylor records of which the bound speaks."""
    records = {
        name: record.config
        for name, record in run.records.items()
        if record.kind == "taylor_rounds" and record.rounds.any()
    }
    fitting = [
        name
        for name, config in records.items()
        if config["reduction"] == "per_example"
        and config["schedule"] == "every step"
        and config.get("examples") is None
    ]
    if not fitting:
        raise ValueError(
            "The bound needs a record of every step with one G an example, such as that of "
            f"`--protocols definition`. Received: {run!r} with Taylor records {list(records)}"
        )
    return fitting


def _scopes(run: nta.Run, record: str, norms: str) -> list[str]:
    layers, known = (run.records[name].config["layers"] for name in (record, norms))
    both = [layer for layer in layers if layer in known]
    if not both:
        raise ValueError(
            f"Record {norms!r} of {run!r} has gradient norms of {known}, record {record!r} Taylor "
            f"rounds of {layers}: no layer is in both."
        )
    tensors = run.records[record].config["form"] != "normal_equations"
    return [*both, "network"] if tensors and both == layers else both
