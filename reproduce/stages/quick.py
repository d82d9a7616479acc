"""`python -m reproduce quick`: every stage at quick scale, two chains of them side by side.

The stages are called as they are from the command line, so that what is printed can be repeated one
by one. A chain is what can only be done in this order: that of the convnet, and one for each
optimizer of the autoencoder. Each process starts TensorFlow once, for all chains that it gets.
"""

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from reproduce import optimizers, paper
from reproduce.results.runs import ResultsError
from reproduce.stages import engines

_CONVNET = (
    "train --task convnet --scale quick --epochs 10 --optimizers rmsprop sgd:0.1 --out {runs}",
    "record {runs}",
    "solve {runs} --domains ball --checkpoints 10",
    "explore {runs}",
)
_AUTOENCODER = (
    "train --task autoencoder --scale quick --data sample --epochs 20 --optimizers {optimizer} "
    "--out {runs}",
    "solve {run} --checkpoints 10",
    "explore {run}",
)


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
    """The command lines of each chain, in their order.

    Args:
        out: Directory of the runs.
        epochs: Number of epochs, instead of their own.

    Returns:
        {name of the chain, the task's first: a list of lists of arguments}.
    """
    runs = {task: str(Path(out, task)) for task in ("convnet", "autoencoder")}
    of = {"convnet": _filled(_CONVNET, runs=runs["convnet"])}
    names = paper.RATES["autoencoder"]
    for optimizer in (one for name in names for one in optimizers.parse(name, "autoencoder")):
        of[f"autoencoder, {optimizer.slug}"] = _filled(
            _AUTOENCODER,
            runs=runs["autoencoder"],
            run=str(Path(runs["autoencoder"], f"{optimizer.slug}_seed0")),
            optimizer=f"{optimizer.name}:{optimizer.rate:g}",
        )
    if epochs is not None:
        for lines in of.values():
            lines[0] += ["--epochs", str(epochs)]
    return of


def _filled(commands: tuple[str, ...], **words: str) -> list[list[str]]:
    return [[word.format(**words) for word in command.split()] for command in commands]


def run(
    out: str | Path, jobs: int | None = None, epochs: int | None = None
) -> Iterator[tuple[str, list[Step]]]:
    """Trains, records, solves and explores; what is there is not done again.

    Args:
        out: Directory of the runs.
        jobs: How many chains side by side. Defaults to one a core.
        epochs: Number of epochs, instead of their own.

    Yields:
        (name of the chain, its list of `Step`) as each chain ends.

    Raises:
        ResultsError: If a stage failed; it has said why. Or if a process was killed.
    """
    calls = {chain: (lines,) for chain, lines in chains(out, epochs).items()}
    workers = min(len(calls), jobs or os.cpu_count() or 1)
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
