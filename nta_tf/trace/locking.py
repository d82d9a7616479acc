"""One writer a run: a lock of the operating system, which ends with the process that holds it."""

from __future__ import annotations

import contextlib
import errno
import os
import pathlib
import socket
from collections.abc import Iterator

from nta_tf.trace.directory import LOCK, RunDirectoryError

try:
    import fcntl
except ImportError:  # Windows: there is no such lock, and one writer is up to the user
    fcntl = None  # type: ignore[assignment]

# Where the directory cannot be written, or the file system has no locks, there is none to take:
# what is written there fails for itself.
_NO_LOCKS = (errno.EACCES, errno.EROFS, errno.ENOLCK, errno.ENOTSUP, errno.EPERM, errno.ENOSPC)


@contextlib.contextmanager
def writing(directory: pathlib.Path | None) -> Iterator[None]:
    """Holds the lock of a run directory, which must exist; None is a run in memory.

    Args:
        directory: The run.

    Raises:
        RunDirectoryError: If another process, or another training in this one, writes the run.
    """
    file = None if directory is None or fcntl is None else acquire(directory)
    try:
        yield
    finally:
        if file is not None:
            os.close(file)


def acquire(directory: pathlib.Path) -> int | None:
    """Takes the lock; returns the open file that holds it until it is closed, or None.

    Args:
        directory: The run.

    Raises:
        RunDirectoryError: If somebody else has it.
    """
    if fcntl is None:
        return None
    file = None
    try:
        file = os.open(directory / LOCK, os.O_RDWR | os.O_CREAT, 0o666)
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.ftruncate(file, 0)
        os.pwrite(file, f"process {os.getpid()} on {socket.gethostname()}\n".encode(), 0)
    except BlockingIOError as error:
        holder = os.pread(file, 200, 0).decode(errors="replace").strip() if file else ""
        if file is not None:
            os.close(file)
        raise RunDirectoryError(
            f"{directory} is being written by {holder or 'another process'}; wait until it has "
            "ended, or choose another directory."
        ) from error
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            if file is not None:
                os.close(file)
            raise
    return file
