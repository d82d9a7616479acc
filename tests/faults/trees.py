"""Directories compared file by file, byte by byte."""

from __future__ import annotations

import os
import pathlib
import shutil

_LOCK = ".lock"  # says which process wrote last, which differs


def contents(root: pathlib.Path) -> dict[str, bytes]:
    """{path below a directory: bytes} of all its files but locks; links are followed."""
    paths = (
        pathlib.Path(at, name) for at, _, names in os.walk(root, True, None, True) for name in names
    )
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in paths
        if path.is_file() and path.name != _LOCK
    }


def differences(expected: pathlib.Path, found: pathlib.Path) -> list[str]:
    """What two directories differ in, a line a file."""
    one, other = contents(expected), contents(found)
    lines = []
    for name in sorted(one.keys() | other.keys()):
        if name not in other:
            lines.append(f"{name} is missing")
        elif name not in one:
            lines.append(f"{name} should not be there")
        elif one[name] != other[name]:
            lines.append(f"{name} differs")
    return lines


def copy(source: pathlib.Path, target: pathlib.Path) -> pathlib.Path:
    """A copy of a directory, links and all; empty if there is nothing to copy."""
    if source.exists():
        return shutil.copytree(source, target, symlinks=True)
    target.mkdir(parents=True)
    return target
