"""Where independent jobs are done: here, in processes of this machine, or on a Dask cluster.

A job is a function of a module and its arguments, all of which can be pickled. It leaves what it
computes in run directories, so that a worker that dies costs its job only: the job is done again,
and takes up what it finds there.
"""

import concurrent.futures
import contextlib
import os
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from reproduce.results.errors import ResultsError
from reproduce.stages import processes

# TensorFlow keeps something of every graph for as long as a process lives.
_JOBS_A_PROCESS = 10
# What a process may use is said before it starts: thread pools are made once.
_THREADS = (
    "TF_NUM_INTRAOP_THREADS",
    "TF_NUM_INTEROP_THREADS",
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "NUMBA_NUM_THREADS",
)
# A job that fails on a cluster may have met another that was given up too early.
_RETRIES = 2


def completed(
    function: Callable,
    jobs: Mapping[Any, tuple],
    workers: int = 1,
    scheduler: str | None = None,
    threads: int | None = None,
) -> Iterator[tuple[Any, Any]]:
    """Does jobs side by side.

    Args:
        function: A function of a module, called with the arguments of each job.
        jobs: {key: its arguments}.
        workers: How many processes of this machine.
        scheduler: Address of a Dask scheduler, such as `"tcp://10.0.0.1:8786"`, whose workers do
            the jobs instead. They need this package and the same directories.
        threads: How many threads each process may use. Defaults to its share of the cores; on
            a cluster the workers' own settings count.

    Yields:
        (key, what the function returned), in the order in which jobs end.

    Raises:
        ResultsError: If a process was killed, the scheduler cannot be reached, or Dask is missing.
        Exception: What a job raises; the other jobs are given up.
    """
    done = (
        _on_cluster(function, jobs, scheduler)
        if scheduler
        else _here(function, jobs, workers, threads)
    )
    yield from done


@contextlib.contextmanager
def environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Variables that processes started meanwhile inherit; those that are set already stay."""
    new = {name: value for name, value in variables.items() if name not in os.environ}
    os.environ.update(new)
    try:
        yield
    finally:
        for name in new:
            del os.environ[name]


def _here(function, jobs, workers, threads):
    keys = list(jobs)
    share = max(1, (os.cpu_count() or 1) // min(workers, len(jobs) or 1))
    limits = dict.fromkeys(_THREADS, str(threads or share))
    # Not `max_tasks_per_child`, with which a pool may wait for ever (python/cpython#115634).
    batch = workers * _JOBS_A_PROCESS
    for first in range(0, len(keys), batch):
        chosen = keys[first : first + batch]
        with environment(limits), processes.pool(min(workers, len(chosen))) as pool:
            futures = {pool.submit(function, *jobs[key]): key for key in chosen}
            for future in concurrent.futures.as_completed(futures):
                yield futures[future], future.result()


def _on_cluster(function, jobs, scheduler):
    distributed = _dask()
    try:
        client = distributed.Client(scheduler, set_as_default=False)
    except (OSError, ValueError) as error:
        raise ResultsError(
            f"No Dask scheduler answers at {scheduler!r} ({error}). Start one with `dask "
            "scheduler`, and workers with `dask worker ADDRESS --nthreads 1`."
        ) from error
    with client:
        futures = {
            # Not pure: a job is done for what it leaves on the disk.
            client.submit(function, *arguments, pure=False, retries=_RETRIES): key
            for key, arguments in jobs.items()
        }
        try:
            for future in distributed.as_completed(futures, loop=client.loop):
                yield futures[future], future.result()
        except distributed.KilledWorker as error:
            raise ResultsError(
                f"The workers that did a job died, one after the other, perhaps for want of memory "
                f"({error}); the same command goes on from there."
            ) from error
        finally:
            client.cancel(list(futures))


def _dask():
    try:
        import distributed
    except ImportError as error:
        raise ResultsError(
            "--scheduler needs Dask, which is not installed: `pip install 'nta_tf[cluster]'`."
        ) from error
    return distributed
