"""Writes of a process, seen one by one before they are done: let pass, refused, or its last.

A seccomp filter hands every system call that changes files to the parent, whatever library makes
it: Python, zarr, or TensorFlow's own C++. So moments can be drawn among writes and not only in
time, and a disk can be full at any of them. Linux only (5.5 or later).
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import platform
import struct
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class _Call:
    """A system call: what it does, and which of its arguments say to which file.

    A descriptor, or a path that may be relative to a folder; `flags` of opening.
    """

    name: str
    descriptor: int | None = None
    path: int | None = None
    folder: int | None = None
    old: tuple[int | None, int] | None = None  # of renaming: folder and path
    flags: int | None = None


def _on(name: str, descriptor: int = 0) -> _Call:
    return _Call(name, descriptor)


def _at(name: str, path: int, folder: int | None = None, **more: object) -> _Call:
    return _Call(name, None, path, folder, **more)


_TABLES: dict[str, dict[int, _Call]] = {
    "x86_64": {
        1: _on("write"), 18: _on("pwrite"), 20: _on("writev"), 296: _on("pwritev"),
        40: _on("sendfile"), 326: _on("copy_file_range", 2), 285: _on("fallocate"),
        74: _on("fsync"), 75: _on("fsync"), 306: _on("syncfs"), 77: _on("truncate"),
        2: _at("open", 0, flags=1), 257: _at("open", 1, 0, flags=2), 76: _at("truncate", 0),
        82: _at("rename", 1, old=(None, 0)), 264: _at("rename", 3, 2, old=(0, 1)),
        316: _at("rename", 3, 2, old=(0, 1)), 83: _at("mkdir", 0), 258: _at("mkdir", 1, 0),
        87: _at("unlink", 0), 263: _at("unlink", 1, 0), 84: _at("unlink", 0),
    },
    "aarch64": {
        64: _on("write"), 68: _on("pwrite"), 66: _on("writev"), 70: _on("pwritev"),
        71: _on("sendfile"), 285: _on("copy_file_range", 2), 47: _on("fallocate"),
        82: _on("fsync"), 83: _on("fsync"), 267: _on("syncfs"), 46: _on("truncate"),
        56: _at("open", 1, 0, flags=2), 45: _at("truncate", 0), 34: _at("mkdir", 1, 0),
        38: _at("rename", 3, 2, old=(0, 1)), 276: _at("rename", 3, 2, old=(0, 1)),
        35: _at("unlink", 1, 0),
    },
}  # fmt: skip
_SECCOMP = {"x86_64": 317, "aarch64": 277}
_CALLS = _TABLES.get(platform.machine(), {})

_ALLOW, _NOTIFY = 0x7FFF0000, 0x7FC00000
_RECEIVE, _SEND, _CONTINUE = 0xC0502100, 0xC0182101, 1
_LOAD, _EQUAL, _ANY_BIT, _RETURN = 0x20, 0x15, 0x45, 0x06

# What fails on a disk that has no room: reading, removing and waiting still succeed.
GROWING = {"write", "pwrite", "writev", "pwritev", "sendfile", "copy_file_range", "fallocate"}
GROWING |= {"open", "mkdir"}


def is_possible() -> bool:
    """Whether this machine can intercept writes."""
    return hasattr(os, "pidfd_open") and bool(_CALLS)


def install() -> int:
    """Filters this process from now on, and all that it starts; returns the listener's file.

    Every write waits for whoever holds the listener.
    """
    code = [(_LOAD, 0, 0, 0)]  # the call's number
    for number, call in _CALLS.items():
        if call.flags is None:
            code += [(_EQUAL, 0, 1, number), (_RETURN, 0, 0, _NOTIFY)]
        else:  # opening changes a file where it makes or empties it
            code += [(_EQUAL, 0, 4, number), (_LOAD, 0, 0, 16 + 8 * call.flags)]
            code += [(_ANY_BIT, 0, 1, os.O_CREAT | os.O_TRUNC)]
            code += [(_RETURN, 0, 0, _NOTIFY), (_RETURN, 0, 0, _ALLOW)]
    code.append((_RETURN, 0, 0, _ALLOW))
    filters = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *line) for line in code))
    program = struct.pack("HxxxxxxQ", len(code), ctypes.addressof(filters))
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(38, 1, 0, 0, 0)  # no new privileges, which filters ask for
    number, listen = _SECCOMP[platform.machine()], 8
    listener = libc.syscall(number, 1, listen, ctypes.create_string_buffer(program))
    if listener < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return listener


@dataclass(frozen=True)
class Write:
    """One system call that is about to change a file.

    Attributes:
        name: What it does: `"write"`, `"rename"`, `"open"`, ...
        path: The file; of renaming, what it is called then.
        index: How many were before it below the watched directory.
    """

    name: str
    path: str
    index: int
    _process: int
    _arguments: tuple[int, ...]

    def do_part(self, share: float) -> None:
        """Does the first part of it in the place of the process, if it writes bytes."""
        if self.name not in ("write", "pwrite"):
            return
        descriptor, address, size, position = self._arguments[:4]
        with open(f"/proc/{self._process}/mem", "rb", buffering=0) as memory:
            memory.seek(address)
            data = memory.read(int(share * size))
        if self.name == "write":
            with open(f"/proc/{self._process}/fdinfo/{descriptor}") as about:
                position = int(about.readline().split()[1])
        file = os.open(f"/proc/{self._process}/fd/{descriptor}", os.O_WRONLY)
        os.pwrite(file, data, position)
        os.close(file)


class Interception:
    """The parent's end: sees every write below a directory, and says what becomes of it.

    Args:
        listener: What `install` returned, in the other process.
        root: The directory.
        decide: Function of a `Write`: None lets it pass, an error number refuses it. It may end
            the process, too.

    Attributes:
        writes: How many were seen.
        unsynced: Files that were written and not waited for: what a loss of power may take.
    """

    def __init__(
        self, listener: int, root: str | os.PathLike, decide: Callable[[Write], int | None] | None
    ) -> None:
        self.listener = listener
        self.writes = 0
        self.unsynced: set[str] = set()
        self._root = os.path.join(os.path.realpath(root), "")
        self._decide = decide

    def answer(self) -> None:
        """Answers the write that waits."""
        received = bytearray(80)
        with contextlib.suppress(OSError):  # the process has ended in the meantime
            fcntl.ioctl(self.listener, _RECEIVE, received)
            key, process, _, number = struct.unpack_from("QIIi", received)
            error = self._look(process, _CALLS[number], struct.unpack_from("6Q", received, 32))
            reply = struct.pack("QqiI", key, 0, -(error or 0), 0 if error else _CONTINUE)
            fcntl.ioctl(self.listener, _SEND, reply)

    def _look(self, process: int, call: _Call, arguments: tuple[int, ...]) -> int | None:
        try:
            path = _changed(process, call, arguments)
        except OSError:
            return None
        if not path.startswith(self._root):
            return None
        write = Write(call.name, path, self.writes, process, arguments)
        self.writes += 1
        error = self._decide(write) if self._decide else None
        if error is None:
            self._note(write, call)
        return error

    def _note(self, write: Write, call: _Call) -> None:
        if write.name == "syncfs":
            self.unsynced.clear()
        elif write.name == "fsync":
            self.unsynced.discard(write.path)
        elif call.old is not None:
            old = _named(write._process, *call.old, write._arguments)
            if old in self.unsynced:
                self.unsynced.add(write.path)
            self.unsynced.discard(old)
        elif write.name not in ("unlink", "mkdir"):
            self.unsynced.add(write.path)


def _changed(process: int, call: _Call, arguments: tuple[int, ...]) -> str:
    """The file that a call changes."""
    if call.path is None:
        return os.readlink(f"/proc/{process}/fd/{arguments[call.descriptor]}")
    return _named(process, call.folder, call.path, arguments)


def _named(process: int, folder: int | None, path: int, arguments: tuple[int, ...]) -> str:
    """A path among the arguments, made absolute."""
    with open(f"/proc/{process}/mem", "rb", buffering=0) as memory:
        memory.seek(arguments[path])
        name = os.fsdecode(memory.read(4096).partition(b"\0")[0])
    at = None if folder is None else ctypes.c_int(arguments[folder] & 0xFFFFFFFF).value
    where = "cwd" if at is None or at < 0 else f"fd/{at}"  # AT_FDCWD is negative
    return os.path.normpath(os.path.join(os.readlink(f"/proc/{process}/{where}"), name))
