"""The Python of README.md and docs/tour.md runs as it stands there."""

import pathlib
import re

import pytest

import nta_tf

_REPOSITORY = pathlib.Path(__file__).resolve().parent.parent
_README, _TOUR = "README.md", "docs/tour.md"
_LARGEST = 8000  # bytes of the README: it is a door, not the house


def _run_block(page, number, directory, monkeypatch):
    """Runs a block in an empty directory; returns the names that it leaves."""
    text = (_REPOSITORY / page).read_text()
    blocks = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    monkeypatch.chdir(directory)
    names = {}
    exec(compile(blocks[number], page, "exec"), names)
    return names


def test_linearize_of_the_readme(tmp_path, monkeypatch):
    names = _run_block(_README, 0, tmp_path, monkeypatch)
    assert names["lin"].jacobian("dense_3").shape == (64, 784, 20)
    assert names["lin"].gradient_tensor("dense_3", neuron=7).shape == (64, 784, 30)


def test_run_of_the_readme(tmp_path, monkeypatch):
    names = _run_block(_README, 1, tmp_path, monkeypatch)
    nta = names["nta"]
    assert len(nta.regret("runs/mine", ("dense_3", 7))) == 5
    assert len(nta.exploration.minimum_hamming(names["run"])) == 5
    assert len(nta.exploration.log_volume("runs/mine")) == 180


def test_model_fit_of_the_readme(tmp_path, monkeypatch):
    names = _run_block(_README, 2, tmp_path, monkeypatch)
    assert names["rounds"].run.epochs == 3
    assert len(names["nta"].regret(names["rounds"].run, "conv")) == 3


@pytest.mark.slow
def test_regret_of_the_tour(tmp_path, monkeypatch):
    load = nta_tf.data.load

    def few(*arguments, **options):
        """A quarter of the digits: a processor without bfloat16 takes a minute for all."""
        whole = load(*arguments, **options)
        return whole._replace(x=whole.x[:128], y=whole.y[:128])

    monkeypatch.setattr(nta_tf.data, "load", few)
    nta = _run_block(_TOUR, 0, tmp_path, monkeypatch)["nta"]
    assert len(nta.regret("runs/convnet", "conv2d_2:7")) == 2


@pytest.mark.slow
def test_bound_of_the_tour(tmp_path, monkeypatch):
    names = _run_block(_TOUR, 1, tmp_path, monkeypatch)
    table = names["nta"].regret_bound(names["run"], "dense_3")
    assert len(table) == 3 and (table["regret"] < table["bound"]).all()


@pytest.mark.slow
def test_exploration_of_the_tour(tmp_path, monkeypatch):
    names = _run_block(_TOUR, 2, tmp_path, monkeypatch)
    measures = names["nta"].exploration
    assert len(measures.switches(names["run"])) == len(names["digits"])
    assert len(measures.units("runs/explorer")) == len(measures.log_volume(names["run"])) == 180


@pytest.mark.parametrize("page, blocks", [(_README, 3), (_TOUR, 3)])
def test_pages_have_no_other_python(page, blocks):
    assert (_REPOSITORY / page).read_text().count("```python") == blocks


def test_the_readme_is_short():
    assert len((_REPOSITORY / _README).read_bytes()) <= _LARGEST
