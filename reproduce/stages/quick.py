"""`python -m reproduce quick`: every stage at quick scale, the two networks side by side.

The stages are called as they are from the command line, so that what is printed can be repeated one
by one. Each network is a process of its own, which starts TensorFlow once.
"""

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from reproduce.results.runs import ResultsError
from reproduce.stages import engines

_CHAINS = {
    "convnet": (
        "train --task convnet --scale quick --optimizers rmsprop sgd:0.1 --out {runs}",
        "record {runs}",
        "solve {runs} --domains ball --checkpoints 10",
        "explore {runs}",
    ),
    "autoencoder": (
        "train --task autoencoder --scale quick --data sample --epochs 50 --out {runs}",
        "solve {runs} --checkpoints 25",
        "explore {runs}",
    ),
}


@dataclass(frozen=True)
class Step:
    """One stage that has ended.

    Attributes:
        command: What to call for it alone.
        seconds: How long it took.
    """

    command: str
    seconds: float


def chains(out: str | Path, epochs: int | None = None) -> dict[str, list[list[str]]]:
    """The command lines of each network, in their order.

    Args:
        out: Directory of the runs.
        epochs: Number of epochs, instead of the scales' own.

    Returns:
        {name of the task: a list of lists of arguments}.
    """
    lines = {}
    for task, commands in _CHAINS.items():
        runs = str(Path(out, task))
        lines[task] = [[word.format(runs=runs) for word in command.split()] for command in commands]
        if epochs is not None:
            lines[task][0] += ["--epochs", str(epochs)]
    return lines


def run(
    out: str | Path, jobs: int | None = None, epochs: int | None = None
) -> Iterator[tuple[str, list[Step]]]:
    """Trains, records, solves and explores both networks; what is there is not done again.

    Args:
        out: Directory of the runs.
        jobs: How many networks side by side. Defaults to one a core, at most both.
        epochs: Number of epochs, instead of the scales' own.

    Yields:
        (name of the task, its list of `Step`) as each network ends.

    Raises:
        ResultsError: If a stage failed; it has said why. Or if a process was killed.
    """
    of_tasks = chains(out, epochs)
    workers = min(len(of_tasks), jobs or os.cpu_count() or 1)
    calls = {task: (lines,) for task, lines in of_tasks.items()}
    with engines.environment({"TQDM_DISABLE": "1"}):
        yield from engines.completed(_chain, calls, workers)


def _chain(lines: list[list[str]]) -> list[Step]:
    """Calls one command after the other, in this process."""
    from reproduce import cli

    done = []
    for arguments in lines:
        command, start = "python -m reproduce " + " ".join(arguments), time.perf_counter()
        print(f"$ {command}", flush=True)
        if cli.main(arguments):
            raise ResultsError(f"`{command}` failed; the same command resumes when it is mended.")
        done.append(Step(command, time.perf_counter() - start))
    return done
