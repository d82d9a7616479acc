"""One writer a run: a lock of the operating system, which ends with the process that holds it."""

from __future__ import annotations

import contextlib
import errno
import os
import pathlib
import socket
from collections.abc import Iterator

from nta_tf.trace import directory as directories
from nta_tf.trace.directory import LOCK, RunDirectoryError

try:
    import fcntl
except ImportError:  # Windows: there is no such lock, and one writer is up to the user
    fcntl = None  # type: ignore[assignment]

# Where the directory cannot be written, or the file system has no locks, there is none to take:
# what is written there fails for itself.
_NO_LOCKS = (errno.EACCES, errno.EROFS, errno.ENOLCK, errno.ENOTSUP, errno.EPERM, errno.ENOSPC)


@contextlib.contextmanager
def writing(directory: str | os.PathLike[str] | None) -> Iterator[None]:
    """Holds the right to write a run, which one process at a time has.

    Args:
        directory: Path of the run, which is made if it is not there; None for one in memory.

    Raises:
        RunDirectoryError: If another process, or another training in this one, has it, or the
            directory cannot be made.
    """
    file = None
    if directory is not None and not directories.is_foreign(pathlib.Path(directory)):
        directories.make(pathlib.Path(directory))  # else nothing will be written there
        file = acquire(pathlib.Path(directory))
    try:
        yield
    finally:
        if file is not None:
            os.close(file)


@contextlib.contextmanager
def waiting(folder: pathlib.Path) -> Iterator[None]:
    """Holds a folder, after whoever held it before; for moments only."""
    file = None
    if fcntl is not None:
        file = os.open(folder, os.O_RDONLY)
        with contextlib.suppress(OSError):  # a file system without locks
            fcntl.flock(file, fcntl.LOCK_EX)
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
        # Not through a link: the file would be emptied.
        file = os.open(directory / LOCK, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666)
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
        if error.errno == errno.ELOOP:
            raise RunDirectoryError(
                f"{directory / LOCK} is a link, and is written by whoever trains. Remove it."
            ) from error
        if error.errno not in _NO_LOCKS:
            if file is not None:
                os.close(file)
            raise
    return file
