"""Training on two logical devices: the same losses, to rounding."""

import pathlib
import subprocess
import sys

import pytest

REPOSITORY = pathlib.Path(__file__).resolve().parent.parent


@pytest.mark.slow
def test_two_devices_train_as_one(tmp_path):
    command = [sys.executable, "-m", "tests.on_two_devices", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=REPOSITORY)
    assert done.returncode == 0 and done.stdout.endswith("agreed\n"), done.stderr[-2000:]
