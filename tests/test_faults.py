"""A small round of the harness: kills of a small run, each resumed and compared bit for bit.

A process of its own imports TensorFlow and forks the programs; forking this one would not be safe.
"""

import json
import subprocess
import sys

import pytest

from tests.faults import interception

pytestmark = [
    pytest.mark.slow,  # a second process imports TensorFlow; tests/test_training.py kills one, too
    pytest.mark.skipif(
        not interception.is_possible(), reason="writes are intercepted on Linux alone"
    ),
]


def _round(path, *words):
    command = [sys.executable, "-m", "tests.faults", "--seed", "1", "--json", str(path), *words]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=600)
    kinds = json.loads(path.read_text())["kinds"]
    return ended, {kind["kind"]: kind for kind in kinds}


def test_kills_of_a_run_of_ones_own(tmp_path):
    words = ["--only", "killed in library", "--at-most", "2"]
    ended, kinds = _round(tmp_path / "kills.json", *words)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    kills = kinds["killed in library"]
    assert kills["tried"] == kills["survived"] == 2 and kills["signals"] >= 1


def test_a_few_of_several_kinds(tmp_path):
    ended, kinds = _round(tmp_path / "few.json", "--small")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert sum(kind["survived"] for kind in kinds.values()) >= 6
