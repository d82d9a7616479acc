"""Counts of cases, in a file for docs/reliability.md: NTA_TF_FUZZ_JSON=path.

What is in the file of other properties stays, so that files can be run one by one.
"""

import json
import os
import pathlib
import time

import pytest

from tests.fuzz.profiles import HELD

_FAILED: set[tuple[str, str]] = set()
_SECONDS: dict[tuple[str, str], float] = {}


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item):
    report = yield
    key = item.module.__name__, item.originalname
    if report.when == "call":
        _SECONDS[key] = _SECONDS.get(key, 0.0) + report.duration
    if report.failed:
        _FAILED.add(key)
    return report


def pytest_sessionfinish():
    path = os.environ.get("NTA_TF_FUZZ_JSON")
    if not path:
        return
    file, rows = pathlib.Path(path), {}
    if file.exists():
        rows = {(r["file"], r["property"]): r for r in json.loads(file.read_text())["properties"]}
    for key, count in HELD.items():
        row = {
            "file": f"tests/fuzz/{key[0].rpartition('.')[2]}.py",
            "property": key[1].removeprefix("test_").replace("_", " "),
            "cases": count,
            "failed": key in _FAILED,
            "seconds": round(_SECONDS.get(key, 0.0)),
        }
        rows[row["file"], row["property"]] = row
    content = {"date": time.strftime("%Y-%m-%d"), "properties": [rows[key] for key in sorted(rows)]}
    file.write_text(json.dumps(content, indent=1) + "\n")
