"""Processes side by side that end with the one that started them, however that ends."""

import concurrent.futures
import contextlib
import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool

from reproduce.results.errors import ResultsError


@contextlib.contextmanager
def pool(workers: int) -> Iterator[ProcessPoolExecutor]:
    """A pool of new processes, which is ended at once when an error comes out of its block.

    Args:
        workers: How many.

    Yields:
        A `concurrent.futures.ProcessPoolExecutor`.

    Raises:
        ResultsError: If one of the processes was killed.
    """
    # A forked TensorFlow hangs.
    context = multiprocessing.get_context("spawn")
    others = set(multiprocessing.active_children())
    with concurrent.futures.ProcessPoolExecutor(workers, context, _end_with_parent) as executor:
        try:
            yield executor
        except BaseException as error:
            for worker in set(multiprocessing.active_children()) - others:
                worker.terminate()  # what they have done is taken up again
            executor.shutdown(cancel_futures=True)
            if isinstance(error, BrokenProcessPool):
                raise ResultsError(
                    "A process was killed, perhaps for want of memory; the same command goes on "
                    "from there."
                ) from error
            raise


def _end_with_parent() -> None:
    """Ends this process when its parent ends: nobody else would, and it would hold its run."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # of Ctrl-C the parent tells
    parent = multiprocessing.parent_process()

    def watch() -> None:
        if parent is not None:
            parent.join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
