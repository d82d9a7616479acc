"""The scripts of examples/ run as they stand, and show what they say they show."""

import importlib.util
import inspect
import pathlib

import numpy as np
import pytest

_EXAMPLES = pathlib.Path(__file__).resolve().parent.parent / "examples"


def _run(name, directory, monkeypatch, *arguments):
    """What an example's `main` returns, from a directory of its own."""
    specification = importlib.util.spec_from_file_location(name, _EXAMPLES / f"{name}.py")
    example = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(example)
    monkeypatch.chdir(directory)
    with_arguments = inspect.signature(example.main).parameters
    return example.main(list(arguments)) if with_arguments else example.main()


def test_porting(tmp_path, monkeypatch):
    table = _run("porting", tmp_path, monkeypatch)
    assert (tmp_path / "rounds.npz").is_file()
    assert table["round"].tolist() == [4, 8, 12, 16, 20]
    assert (table["gap"] <= 1e-3 * table["taylor_optimum"]).all()
    assert (table["cumulative_loss"].diff().dropna() > 0).all()


def test_porting_from_torch(tmp_path, monkeypatch):
    pytest.importorskip("torch", reason="PyTorch is not installed")
    table = _run("porting", tmp_path, monkeypatch, "--torch")
    assert (table["gap"] <= 1e-3 * table["taylor_optimum"]).all()


@pytest.mark.slow
def test_taylor_to_regret(tmp_path, monkeypatch):
    rows, by_hand, by_call = _run("taylor_to_regret", tmp_path, monkeypatch)
    (_, true, taylor), *others = rows
    assert taylor == pytest.approx(true, rel=1e-6)  # T1
    assert all(abs(b - a) > 1e-7 for _, a, b in others[1:])  # other masks
    for column in ("cumulative_loss", "taylor_optimum", "radius"):
        np.testing.assert_allclose(by_hand[column], by_call[column], rtol=1e-4)
    assert (tmp_path / "regret.png").is_file()


@pytest.mark.slow
def test_own_model(tmp_path, monkeypatch):
    run, table = _run("own_model", tmp_path, monkeypatch)
    assert run.status == "finished" and run.directory.as_posix() == "runs/halves"
    assert table["epoch"].tolist() == [2, 4, 6, 8]
    assert (table["gap"] <= 1e-3 * table["taylor_optimum"]).all()
    assert (tmp_path / "halves.png").is_file()


@pytest.mark.slow
def test_compare_optimizers(tmp_path, monkeypatch):
    measures = _run("compare_optimizers", tmp_path, monkeypatch)
    assert list(measures) == ["RMSProp 0.001", "SGD 1.0", "Sign 0.001"]
    loss, hamming, switches, _ = zip(*measures.values())
    assert max(loss) < 0.1 and hamming[0] > hamming[1] and switches[0] > switches[1]
    assert (tmp_path / "exploration.png").is_file()
