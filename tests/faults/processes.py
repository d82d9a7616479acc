"""Processes that import TensorFlow once for all: forked, watched, killed.

Importing takes seconds, and a fork milliseconds. It is safe as long as nothing of TensorFlow has
run in the parent, so the parent only imports; numbers of forked processes are those of others.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import pathlib
import platform
import select
import signal
import socket
import struct
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass

from tests.faults.interception import Interception, Write, install

TIMEOUT = 900.0
ESCAPED = 99  # the exit code after an exception that nobody caught

Program = Callable[[], int | None]


@dataclass(frozen=True)
class Ended:
    """How a process ended.

    Attributes:
        code: Its exit code; minus a signal's number if that ended it.
        out: What it wrote to standard output.
        err: And to standard error.
        seconds: How long it took.
        writes: How many changes of files were seen, if it was watched.
        unsynced: Files that were written and not waited for.
    """

    code: int
    out: str
    err: str
    seconds: float
    writes: int = 0
    unsynced: frozenset[str] = frozenset()


def import_everything() -> None:
    """Imports what programs need, and runs nothing of it."""
    for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = "1"
    os.environ |= {"TF_NUM_INTRAOP_THREADS": "1", "TF_NUM_INTEROP_THREADS": "1"}
    os.environ |= {"TF_CPP_MIN_LOG_LEVEL": "2", "MPLBACKEND": "Agg"}
    import reproduce.claims
    import reproduce.cli
    import reproduce.figures.registry
    import reproduce.stages.explore
    import reproduce.stages.lines
    import reproduce.stages.record
    import reproduce.stages.study
    import reproduce.stages.train  # noqa: F401


class Process:
    """A fork of this process that runs a program.

    Args:
        program: Function that returns an exit code; None is 0.
        directory: Its working directory.
        root: Directory below which its writes are watched, or None.
        decide: As for `Interception`; of a `Process` and a `Write`.
        powerless: Whether it gives up what the superuser may do beyond the owner of files.
        seconds: How long it may take.
    """

    def __init__(
        self,
        program: Program,
        directory: pathlib.Path,
        root: pathlib.Path | None = None,
        decide: Callable[[Process, Write], int | None] | None = None,
        powerless: bool = False,
        seconds: float = TIMEOUT,
    ) -> None:
        self._seconds = seconds
        self._files = [os.memfd_create(name) for name in ("out", "err")]
        self._start = time.monotonic()
        ours, theirs = socket.socketpair()
        self.number = os.fork()
        if self.number == 0:
            ours.close()
            _run(program, directory, self._files, theirs if root else None, powerless)
        theirs.close()
        with contextlib.suppress(OSError):  # here too: it may be killed before it gets there
            os.setpgid(self.number, self.number)
        self._alive = os.pidfd_open(self.number)
        self._poll = select.poll()
        self._poll.register(self._alive, select.POLLIN)
        self._interception = None
        if root:
            with contextlib.suppress(OSError):
                listener = socket.recv_fds(ours, 1, 1)[1][0]
                about = None if decide is None else lambda write: decide(self, write)
                self._interception = Interception(listener, root, about)
                self._poll.register(listener, select.POLLIN)
        ours.close()

    def send(self, number: int) -> None:
        """Sends a signal to it and to all that it has started."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.number, number)

    def send_alone(self, number: int) -> None:
        """Sends a signal to it, and not to what it has started."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.number, number)

    def is_alive(self) -> bool:
        """Whether it has not ended."""
        alive = select.poll()
        alive.register(self._alive, select.POLLIN)
        return not alive.poll(0)

    def work(self, seconds: float) -> bool:
        """Lets it work so long at most, answering its writes; returns whether it has ended."""
        until = self._start + seconds
        while (left := until - time.monotonic()) > 0:
            for file, event in self._poll.poll(left * 1000):
                if file == self._alive:
                    return True
                if event & select.POLLIN:
                    self._interception.answer()
                elif event & (select.POLLHUP | select.POLLERR):
                    self._poll.unregister(file)
        return False

    def wait(self) -> Ended:
        """Waits until it has ended.

        Raises:
            TimeoutError: If that takes too long; it is killed then.
        """
        late = not self.work(self._seconds)
        if late:
            self.send(signal.SIGKILL)
        _, status = os.waitpid(self.number, 0)
        seconds = time.monotonic() - self._start
        texts = [os.pread(file, 1 << 24, 0).decode(errors="replace") for file in self._files]
        interception = self._interception
        if interception:
            os.close(interception.listener)
        for file in (*self._files, self._alive):
            os.close(file)
        if late:
            raise TimeoutError(f"It did not end within {self._seconds} s: {texts}")
        return Ended(
            os.waitstatus_to_exitcode(status),
            *texts,
            seconds,
            interception.writes if interception else 0,
            frozenset(interception.unsynced if interception else ()),
        )


def _run(
    program: Program,
    directory: pathlib.Path,
    files: list[int],
    channel: socket.socket | None,
    powerless: bool,
) -> None:
    """What the fork does, up to its end."""
    code: int | None = ESCAPED
    try:
        os.setpgid(0, 0)
        for file, descriptor in zip(files, (1, 2)):
            os.dup2(file, descriptor)
        os.chdir(directory)
        if powerless:
            _give_up_capabilities()
        if channel:
            listener = install()
            socket.send_fds(channel, [b"."], [listener])
            os.close(listener)
            channel.close()
        code = program() or 0
    except SystemExit as stopped:
        code = stopped.code if isinstance(stopped.code, int) else 1
    except BaseException:
        traceback.print_exc()
    finally:
        with contextlib.suppress(BaseException):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


def _give_up_capabilities() -> None:
    """Rights of files count for the superuser, too."""
    header, nothing = struct.pack("Ii", 0x20080522, 0), bytes(24)
    libc = ctypes.CDLL(None, use_errno=True)
    if os.geteuid() == 0 and libc.syscall(_CAPSET[platform.machine()], header, nothing):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


_CAPSET = {"x86_64": 126, "aarch64": 91}
