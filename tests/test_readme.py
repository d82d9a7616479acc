"""The README's Python runs as it stands there."""

import pathlib
import re

import pytest

_README = pathlib.Path(__file__).resolve().parent.parent / "README.md"


@pytest.mark.parametrize("number", [0])
def test_python_of_the_readme_runs(number, tmp_path, monkeypatch):
    blocks = re.findall(r"```python\n(.*?)```", _README.read_text(), re.DOTALL)
    monkeypatch.chdir(tmp_path)
    names = {}
    exec(compile(blocks[number], "README.md", "exec"), names)
    assert len(names["nta"].regret("runs/mine", ("dense_3", 7))) == 5


def test_readme_has_no_other_python():
    assert _README.read_text().count("```python") == 1
