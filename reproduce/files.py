"""Files written whole or not at all, and read against their checksums; without TensorFlow.

`nta_tf.trace` does so for runs. Here it is for what is made of them: figures, claims, pages.
"""

import json
import os
import re
import uuid
import zlib
from pathlib import Path
from typing import Any

import pandas as pd

from reproduce import paths
from reproduce.results.errors import ResultsError

SCHEMA_VERSION = 2  # of `nta_tf.trace`, spelled out because drawing must not import TensorFlow


def write_bytes(path: str | Path, data: bytes) -> Path:
    """Writes a file beside its place and moves it there, so that it is whole or as it was.

    Args:
        path: Where it goes; its directory is made when it is not there.
        data: What is written.

    Returns:
        The path.

    Raises:
        ResultsError: If there is no room or no right to write.
    """
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _sweep(path)
        while not _replaced(path, data):
            pass
    except OSError as error:
        raise ResultsError(
            f"Cannot write {path}: {error.strerror or error}. Free some disk space or choose a "
            "directory that you may write, then start again."
        ) from error
    return path


def write_text(path: str | Path, text: str) -> Path:
    """Writes a text as UTF-8; see `write_bytes`."""
    return write_bytes(path, text.encode())


def write_json(path: str | Path, value: Any) -> Path:
    """Writes a value as JSON, indented and sorted; see `write_bytes`."""
    return write_text(path, json.dumps(value, indent=2, sort_keys=True) + "\n")


def write_csv(path: str | Path, table: pd.DataFrame, digits: int) -> Path:
    """Writes a table with so many digits of its numbers; see `write_bytes`."""
    text = table.to_csv(index=False, lineterminator="\n", float_format=f"%.{digits}g")
    return write_text(path, text)


def checksum(data: bytes) -> str:
    """CRC-32 in hexadecimal digits, as `nta_tf.trace` has it.

    Example:

    >>> checksum(b"123456789")
    'cbf43926'
    """
    return f"{zlib.crc32(data):08x}"


def read_table(path: Path) -> bytes:
    """The bytes of a run's table, held against its checksum; copies without a trace have none.

    Raises:
        OSError: If it cannot be read.
        ValueError: If it is not what was written.
    """
    beside, seen = path.with_name(path.name + paths.CHECKSUM), None
    while True:
        data = path.read_bytes()
        text = beside.read_bytes() if beside.is_file() else None
        if text is None and not (path.parents[1] / paths.PROGRESS).is_file():
            return data
        known = [entry["checksum"] for entry in json.loads(text)] if text else []
        if checksum(data) in known:
            return data
        if (data, text) == seen:
            raise ValueError(
                "it is not what was written: its checksum differs"
                if text
                else f"there is no {beside.name} beside it"
            )
        seen = data, text  # a writer may have been between the two: then they are others now


def read_run(directory: Path) -> tuple[dict, dict]:
    """Config of a run, and what its progress.json says, both held against their checksums.

    Args:
        directory: The run.

    Returns:
        Two dictionaries; the second is empty for copies without a trace, which have none.

    Raises:
        OSError: If they cannot be read.
        ValueError: If one of them is not what was written.
        LookupError: If one of them is something else.
        TypeError: As well.
    """
    seen: object = None
    while True:
        data = (directory / paths.CONFIG).read_bytes()
        marker = directory / paths.PROGRESS
        beside = marker.read_bytes() if marker.exists() else None
        config = json.loads(data)
        progress = json.loads(beside) if beside else {}
        if beside is None or config["schema_version"] != SCHEMA_VERSION:
            return config, progress
        rest = {key: value for key, value in progress.items() if key != "checksum"}
        if not {"checksum", "config", "synced"} & progress.keys():
            raise ValueError("it was made before runs had checksums; use the nta_tf that made it")
        if progress.get("checksum") != _of_json(rest):
            wrong = paths.PROGRESS
        elif _of_json(config) not in progress["config"]:
            wrong = paths.CONFIG
        else:
            return config, progress
        if (data, beside) == seen:
            raise ValueError(f"the checksum of {wrong} does not match")
        seen = data, beside  # a writer may have been between the two: then they are others now


def _replaced(path: Path, data: bytes) -> bool:
    """Whether it was written; not if somebody who writes the same file swept it away."""
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        with open(temporary, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except FileNotFoundError:
        if not path.parent.is_dir():
            raise
        return False
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    return True


def _sweep(path: Path) -> None:
    """Removes what kills left of the file while it was being written."""
    left = re.compile(re.escape(f".{path.name}.") + "[0-9a-f]{32}")
    for other in path.parent.iterdir():
        if left.fullmatch(other.name):
            other.unlink(missing_ok=True)


def _of_json(value: Any) -> str:
    return checksum(json.dumps(value, sort_keys=True).encode())
