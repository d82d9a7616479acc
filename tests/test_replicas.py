"""Training on two logical devices: the same losses, to rounding."""

import pathlib
import subprocess
import sys

import pytest

PROGRAM = pathlib.Path(__file__).with_name("on_two_devices.py")


@pytest.mark.slow
def test_two_devices_train_as_one(tmp_path):
    command = [sys.executable, str(PROGRAM), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=PROGRAM.parent.parent)
    assert done.returncode == 0 and done.stdout.endswith("agreed\n"), done.stderr[-2000:]
