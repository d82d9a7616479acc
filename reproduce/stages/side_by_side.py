"""Trainings of `stages.train` side by side, a process each.

What a new process imports first is this module, so that it can keep TensorFlow quiet.
"""

import concurrent.futures
import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from reproduce import quiet
from reproduce.optimizers import Optimizer
from reproduce.stages import processes


def train(
    jobs: int, optimizers: Sequence[Optimizer], seeds: Sequence[int], options: Mapping[str, Any]
) -> Iterator[str]:
    """Trains with every optimizer from every seed.

    Args:
        jobs: How many processes at a time; they share the cores.
        optimizers: Optimizers.
        seeds: Seeds.
        options: All other arguments of `stages.train.train`.

    Yields:
        The directory of each run as it ends.
    """
    pairs = list(itertools.product(seeds, optimizers))
    jobs = min(jobs, len(pairs))
    with processes.sharing_cores(jobs), processes.pool(jobs) as pool:
        futures = [pool.submit(_train_one, one, seed, options) for seed, one in pairs]
        for future in concurrent.futures.as_completed(futures):
            yield future.result()


def _train_one(optimizer: Optimizer, seed: int, options: Mapping[str, Any]) -> str:
    quiet.import_tensorflow()
    from reproduce.stages.train import train as train_all

    (run,) = train_all(optimizers=[optimizer], seeds=[seed], **options)
    return str(run.directory)
