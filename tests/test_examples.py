"""The scripts of examples/ run as they stand, and show what they say they show."""

import importlib.util
import pathlib

import pytest

_EXAMPLES = pathlib.Path(__file__).resolve().parent.parent / "examples"


def _run(name, directory, monkeypatch, *arguments):
    """What an example's `main` returns, from a directory of its own."""
    specification = importlib.util.spec_from_file_location(name, _EXAMPLES / f"{name}.py")
    example = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(example)
    monkeypatch.chdir(directory)
    return example.main(list(arguments))


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
