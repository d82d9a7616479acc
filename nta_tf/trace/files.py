"""Files that are written whole or not at all, and that carry a checksum."""

from __future__ import annotations

import ctypes
import json
import os
import pathlib
import uuid
import zlib
from typing import Any

_CHECKSUM = "checksum"


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
            _LIBC.syncfs(file)
        else:
            os.sync()
    finally:
        os.close(file)


def _of_json(value):
    return checksum(json.dumps(value, sort_keys=True).encode())


_LIBC = ctypes.CDLL(None)
