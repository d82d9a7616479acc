"""The README's Python runs as it stands there."""

import pathlib
import re

import pytest

_README = pathlib.Path(__file__).resolve().parent.parent / "README.md"


def _run_block(number, directory, monkeypatch):
    """Runs a block in an empty directory; returns the names that it leaves."""
    blocks = re.findall(r"```python\n(.*?)```", _README.read_text(), re.DOTALL)
    monkeypatch.chdir(directory)
    names = {}
    exec(compile(blocks[number], "README.md", "exec"), names)
    return names


@pytest.mark.parametrize(
    "number, directory, scope, rows",
    [(0, "runs/mine", ("dense_3", 7), 5), (1, "runs/convnet", "conv2d_2:7", 2)],
)
def test_regret_of_the_readme(number, directory, scope, rows, tmp_path, monkeypatch):
    nta = _run_block(number, tmp_path, monkeypatch)["nta"]
    assert len(nta.regret(directory, scope)) == rows


def test_exploration_of_the_readme(tmp_path, monkeypatch):
    names = _run_block(2, tmp_path, monkeypatch)
    measures = names["nta"].exploration
    assert len(measures.switches(names["run"])) == len(names["digits"])
    assert len(measures.units("runs/explorer")) == len(measures.log_volume(names["run"])) == 180


def test_model_fit_of_the_readme(tmp_path, monkeypatch):
    names = _run_block(3, tmp_path, monkeypatch)
    assert names["rounds"].run.epochs == 3
    assert len(names["nta"].regret(names["rounds"].run, "conv")) == 3


def test_readme_has_no_other_python():
    assert _README.read_text().count("```python") == 4
