"""`python -m reproduce train`: the paper's training runs, recorded."""

import itertools
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import nta_tf as nta
from reproduce import tasks
from reproduce.optimizers import Optimizer
from reproduce.stages import engines, jobs


def train(
    task: str = "autoencoder",
    scale: str = "quick",
    data: str | None = None,
    optimizers: Sequence[Optimizer] | None = None,
    seeds: Sequence[int] = (0,),
    out: str | Path = "runs",
    epochs: int | None = None,
    protocols: Sequence[str] | None = None,
    layers: Sequence[str] | None = None,
    options: Mapping | None = None,
    data_dir: str | None = None,
    workers: int = 1,
    scheduler: str | None = None,
) -> Iterator[nta.Run]:
    """Trains a network of section 2.4 with each optimizer, recording it on the way.

    Args:
        task: Name of a task of `tasks.TASKS`.
        scale: Name of one of its scales.
        data: Dataset, instead of the scale's own.
        optimizers: Optimizers, instead of the paper's five.
        seeds: Seeds; each sets initial weights and the order of examples.
        out: Directory in which each run gets its own.
        epochs: Number of epochs, instead of the scale's own.
        protocols: Names of what is recorded: the scale's protocols, `"activations"`, and
            `"gradient_norms"`. Defaults to all of them but the last.
        layers: Names of the layers whose Taylor rounds and gradient norms are recorded, instead
            of the scale's.
        options: Changes of the protocol's training options, such as
            `{"output_activation": "sigmoid"}`.
        data_dir: Where TFDS keeps its datasets; see `nta.data.load`.
        workers: How many runs side by side, each in a process of its own if more than one.
        scheduler: Address of a Dask scheduler instead; see `engines.completed`.

    Yields:
        Each `nta.Run`, as it ends.

    Raises:
        ValueError: If the task has no such scale or data, or the scale no such protocol.
    """
    of_task = tasks.TASKS[task]
    if scale not in of_task.scales or (data or of_task.data[0]) not in of_task.data:
        raise ValueError(
            f"The {task} has scales {list(of_task.scales)} and data {list(of_task.data)}. "
            f"Received: scale={scale!r}, data={data!r}"
        )
    chosen = of_task.scales[scale]
    protocol = tasks.training(chosen, options)
    recorded = tasks.recorded(chosen, protocols)
    compared = list(optimizers or of_task.optimizers(protocol.optimizer_variant))
    if workers > 1 or scheduler:
        every = {
            "task": task,
            "scale": scale,
            "data": data,
            "out": os.path.abspath(out),
            "epochs": epochs,
            "protocols": protocols,
            "layers": layers,
            "options": options,
            "data_dir": data_dir,
        }
        yield from _side_by_side(every, compared, seeds, workers, scheduler)
        return
    dataset = nta.data.load(data or chosen.data, data_dir=data_dir, scaling=protocol.input_scaling)
    x, y = of_task.examples(dataset, chosen.examples)
    source = {"name": dataset.name, "source": dataset.source, "examples": len(x)}
    for seed in seeds:
        for optimizer in compared:
            yield nta.train(
                of_task.model(protocol, x, seed),
                x,
                y,
                optimizer=optimizer.keras_optimizer(),
                loss=of_task.loss,
                epochs=chosen.epochs if epochs is None else epochs,
                batch_size=of_task.batch_size,
                seed=seed,
                dtype_policy=protocol.dtype_policy,
                recorders=_recorders(chosen, x, recorded, layers),
                directory=Path(out, f"{optimizer.slug}_seed{seed}"),
                metadata=tasks.metadata(of_task, scale, source, optimizer, protocol),
            )


def _side_by_side(
    every: dict[str, Any],
    optimizers: Sequence[Optimizer],
    seeds: Sequence[int],
    workers: int,
    scheduler: str | None,
) -> Iterator[nta.Run]:
    """Each optimizer with each seed is a job."""
    pairs = itertools.product(seeds, optimizers)
    calls = {
        place: ({**every, "seeds": [seed], "optimizers": [optimizer]},)
        for place, (seed, optimizer) in enumerate(pairs)
    }
    for _, directory in engines.completed(jobs.train, calls, workers, scheduler):
        yield nta.Run.open(directory)


def _recorders(
    scale: tasks.Scale, x: np.ndarray, names: list[str], layers: Sequence[str] | None
) -> list[nta.Recorder]:
    """Where weights are kept, they are all that is recorded until `stages.record`."""
    if scale.weights:
        return [nta.WeightRounds(scale.weights)]
    return tasks.recorders(scale, x, names, layers)
