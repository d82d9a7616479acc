"""Files that are written whole or not at all."""

from __future__ import annotations

import json
import os
import pathlib
import uuid
from typing import Any


def write_json(path: pathlib.Path, value: Any) -> None:
    """Writes a JSON file, indented and sorted, so that equal values are equal files."""
    write_text(path, json.dumps(value, indent=2, sort_keys=True) + "\n")


def write_text(path: pathlib.Path, text: str) -> None:
    """Writes beside the path and moves into place, so that it is whole or absent."""
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    with open(temporary, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)
