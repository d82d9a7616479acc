"""What a worker does: one job of a stage, in a process that may not have started TensorFlow.

Everything here can be sent to another process or machine, and returns little: what a job computes
lies in its run directory.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from reproduce import quiet


def train(options: dict[str, Any]) -> str:
    """Trains one run; see `stages.train.train`, of one optimizer and one seed.

    Args:
        options: Arguments of `stages.train.train`.

    Returns:
        Its directory.
    """
    quiet.import_tensorflow()
    from reproduce.stages import train as stage

    (run,) = stage.train(**options)
    return str(run.directory)


def record(
    directory: str,
    protocols: Sequence[str] | None,
    layers: Sequence[str] | None,
    data_dir: str | None,
) -> None:
    """Records the protocols of one run; see `stages.record.prepare`."""
    quiet.import_tensorflow()
    from reproduce.stages import record as stage

    stage.prepare(directory, protocols, layers, data_dir).record(progress=False)


def solve(
    directory: str, problem: tuple, checkpoints: int | None, domains: Sequence[str]
) -> list[str]:
    """Solves one problem of a run; see `stages.solve.solve_problem`.

    Returns:
        The scopes that it solved, as they stand in the table.
    """
    quiet.import_tensorflow()
    from reproduce.stages import solve as stage

    return stage.solve_problem(directory, stage.Problem(*problem), checkpoints, domains)


def explore(directory: str) -> list[Path]:
    """Measures the exploration of one run; see `stages.explore.explore`.

    Returns:
        Paths of the written tables.
    """
    quiet.import_tensorflow()
    from reproduce.stages import explore as stage

    return stage.explore(directory)
