"""Files that are written whole or not at all, and that carry a checksum."""

from __future__ import annotations

import ctypes
import json
import os
import pathlib
import re
import uuid
import zlib
from typing import Any

_CHECKSUM = "checksum"
_OURS = re.compile(r"\..+\.[0-9a-f]{32}")  # as `write_text` calls them
_OF_ZARR = re.compile(r"\.[0-9a-f]{32}\.partial$")


def write_json(path: pathlib.Path, value: Any) -> None:
    """Writes a JSON file, indented and sorted, so that equal values are equal files."""
    write_text(path, json.dumps(value, indent=2, sort_keys=True) + "\n")


def write_text(path: pathlib.Path, text: str) -> None:
    """Writes beside the path and moves into place, so that it is whole or absent."""
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        with open(temporary, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def content(path: pathlib.Path) -> bytes | None:
    """The bytes of a file, or None if it cannot be read."""
    try:
        return path.read_bytes()
    except OSError:
        return None


def sweep(directory: pathlib.Path) -> None:
    """Removes what a kill left of files of a run that were being written; tables are left alone.

    Only for whoever holds the run's lock.
    """
    for path in directory.iterdir():
        if _OURS.fullmatch(path.name):
            path.unlink(missing_ok=True)
    for folder, _, names in os.walk(directory / "trace.zarr"):
        for name in names:
            if _OF_ZARR.search(name):
                pathlib.Path(folder, name).unlink(missing_ok=True)


def sweep_beside(path: pathlib.Path) -> None:
    """Removes what kills left of a file that was being written."""
    for left in path.parent.iterdir():
        if _OURS.fullmatch(left.name) and left.name.startswith(f".{path.name}."):
            left.unlink(missing_ok=True)


def with_checksum(value: dict[str, Any]) -> dict[str, Any]:
    """The dictionary with a checksum of all else in it."""
    return {**value, _CHECKSUM: _of_json(value)}


def without_checksum(value: dict[str, Any]) -> dict[str, Any]:
    """The dictionary that `with_checksum` was given.

    Raises:
        ValueError: If it has no checksum, or another.
    """
    rest = {key: entry for key, entry in value.items() if key != _CHECKSUM}
    if value.get(_CHECKSUM) != _of_json(rest):
        raise ValueError("its checksum does not match")
    return rest


def checksum(data: bytes) -> str:
    """CRC-32 in hexadecimal digits."""
    return f"{zlib.crc32(data):08x}"


def sync(directory: pathlib.Path) -> None:
    """Waits until all that was written on the file system of the directory is on the disk."""
    file = os.open(directory, os.O_RDONLY)
    try:
        if hasattr(_LIBC, "syncfs"):
            if _LIBC.syncfs(file):
                raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
        else:
            os.sync()
    finally:
        os.close(file)


def _of_json(value):
    return checksum(json.dumps(value, sort_keys=True).encode())


_LIBC = ctypes.CDLL(None, use_errno=True)
