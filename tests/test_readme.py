"""The README's Python runs as it stands there."""

import pathlib
import re

import pytest

_README = pathlib.Path(__file__).resolve().parent.parent / "README.md"


@pytest.mark.parametrize(
    "number, directory, scope, rows",
    [(0, "runs/mine", ("dense_3", 7), 5), (1, "runs/convnet", "conv2d_2:7", 2)],
)
def test_python_of_the_readme_runs(number, directory, scope, rows, tmp_path, monkeypatch):
    blocks = re.findall(r"```python\n(.*?)```", _README.read_text(), re.DOTALL)
    monkeypatch.chdir(tmp_path)
    names = {}
    exec(compile(blocks[number], "README.md", "exec"), names)
    assert len(names["nta"].regret(directory, scope)) == rows


def test_readme_has_no_other_python():
    assert _README.read_text().count("```python") == 2
