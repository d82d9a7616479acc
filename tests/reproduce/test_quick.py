"""All stages at quick scale, in one command."""

import pathlib

import pandas as pd
import pytest

from reproduce import cli
from reproduce.results.runs import ResultsError, find_runs
from reproduce.stages import quick


def test_every_step_is_a_command_of_its_own(tmp_path):
    out = tmp_path / "with a space"
    chains = quick.chains(out, epochs=3)
    assert len(chains) == 6
    for name, lines in chains.items():
        task, _, run = name.partition(", ")
        run = out / task / f"{run}_seed0" if run else out / task
        for arguments in lines:
            options = cli._parser().parse_args(arguments)
            train = arguments[0] == "train"
            assert (options.out if train else options.runs) == str(out / task if train else run)
        assert lines[0][0] == "train" and lines[-1][0] == "explore"
        assert lines[0][-2:] == ["--epochs", "3"]


def test_a_stage_that_fails_is_named(tmp_path, capsys):
    (tmp_path / "taken").write_text("")
    with pytest.raises(ResultsError, match="solve .*taken` failed"):
        quick._chain([["solve", str(tmp_path / "taken")]])
    assert "taken" in capsys.readouterr().err


@pytest.mark.slow
def test_quick_runs_are_trained_solved_explored_and_drawn(tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("reproduce.paths.figures", lambda: tmp_path / "figures")
    assert cli.main(["quick", "--epochs", "3"]) == 0
    runs = find_runs("runs/quick")
    assert sorted(set(runs["task"])) == ["autoencoder", "convnet"] and len(runs) == 7
    for directory in map(pathlib.Path, runs["run"]):
        for name in ("losses", "regret", "switches"):
            assert len(pd.read_csv(directory / "results" / f"{name}.csv"))
    assert (tmp_path / "runs/quick/figures/paper/figure_6.png").is_file()
    lines = capfd.readouterr().out.splitlines()
    assert sum(line.startswith("$ python -m reproduce") for line in lines) == 19
    assert "The quick runs are in runs/quick" in lines[-1]
    assert cli.main(["quick", "--epochs", "3"]) == 0  # nothing is trained again
