"""The stages of `python -m reproduce`, from training on real digits to drawn figures."""

import json
import pathlib
import shutil
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

import nta_tf as nta
from reproduce.cli import main
from reproduce.stages import solve as stage
from reproduce.stages.explore import evenly_spaced

_REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
_RUNS = ["adam_0.01_seed0", "sgd_0.1_seed0"]


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Two short runs on the shipped digits, trained and solved by the command line."""
    root = tmp_path_factory.mktemp("runs")
    arguments = "--scale quick --epochs 3 --optimizers adam sgd:0.1 --layers dense_3 --out"
    assert main(["train", *arguments.split(), str(root)]) == 0
    assert main(["solve", str(root)]) == 0
    return root


def test_train_writes_one_directory_a_run(runs):
    assert sorted(path.name for path in runs.iterdir()) == _RUNS
    config = json.loads((runs / _RUNS[0] / "config.json").read_text())
    assert config["seed"] == 0 and config["versions"]["tensorflow"]
    assert set(config["records"]) == {"figures", "definition", "activations"}
    assert config["metadata"]["protocol"]["output_activation"] == "sigmoid"


def test_training_again_changes_nothing(runs, capsys):
    before = {path: path.stat().st_mtime_ns for path in runs.glob("*/progress.json")}
    arguments = "--scale quick --epochs 3 --optimizers adam sgd:0.1 --layers dense_3 --out"
    assert main(["train", *arguments.split(), str(runs)]) == 0
    assert before == {path: path.stat().st_mtime_ns for path in before}
    assert "finished" in capsys.readouterr().out


@pytest.mark.slow
def test_trainings_side_by_side_are_the_same(runs, tmp_path):
    arguments = "--scale quick --epochs 3 --optimizers adam sgd:0.1 --layers dense_3 --jobs 2 --out"
    assert main(["train", *arguments.split(), str(tmp_path)]) == 0
    for name in _RUNS:
        expected, run = nta.Run.open(runs / name), nta.Run.open(tmp_path / name)
        np.testing.assert_allclose(run.losses, expected.losses, rtol=1e-3)
        assert set(run.records) == set(expected.records)


def test_solved_tables(runs):
    results = runs / _RUNS[0] / "results"
    losses = pd.read_csv(results / "losses.csv")
    assert losses["epoch"].tolist() == [1, 2, 3] and losses["loss"].is_monotonic_decreasing
    regret = pd.read_csv(results / "regret.csv")
    by_record = regret.groupby("record")["round"].unique()
    assert by_record["figures"].tolist() == [1, 2, 3]
    assert by_record["definition"].tolist() == [62, 124, 186]
    assert (regret["gap"] <= 1e-3 * regret["taylor_optimum"]).all()
    assert len(pd.read_csv(results / "exponents.csv")) == 4


def test_what_is_solved_is_not_solved_again(runs, monkeypatch):
    def refuse(*_):
        raise RuntimeError("solved again")

    monkeypatch.setattr(stage, "_regret", refuse)
    path = runs / _RUNS[0] / "results/regret.csv"
    before = path.read_bytes()
    stage.solve(runs / _RUNS[0])
    assert path.read_bytes() == before
    for asked in ({"again": True}, {"checkpoints": 1}, {"comparators": ["each_epoch"]}):
        with pytest.raises(RuntimeError, match="solved again"):
            stage.solve(runs / _RUNS[0], **asked)


def test_saved_copy_is_drawn_like_the_run(runs, tmp_path):
    assert main(["solve", str(runs / _RUNS[0]), "--save", str(tmp_path / "saved")]) == 0
    copied = sorted(p.name for p in (tmp_path / "saved" / _RUNS[0]).rglob("*") if p.is_file())
    assert copied == ["config.json", "exponents.csv", "losses.csv", "regret.csv"]
    arguments = ["figures", "6", "--runs", str(tmp_path / "saved"), "--out", str(tmp_path)]
    assert main(arguments) == 0 and (tmp_path / "paper/figure_6.png").exists()


@pytest.mark.slow
def test_explored_tables_hold_the_librarys_measures(runs, tmp_path, capsys):
    root = shutil.copytree(runs, tmp_path / "runs")
    assert main(["explore", str(root), "--save", str(tmp_path / "saved")]) == 0
    assert "figures 5 --runs" in capsys.readouterr().out
    run = tmp_path / "saved" / _RUNS[0]
    tables = {path.stem: pd.read_csv(path) for path in (run / "results").glob("*.csv")}
    assert set(tables) == {"losses", "minimum_hamming", "switches", "log_volume", "exploration"}
    layers = [f"dense_{number}" for number in range(1, 6)]
    for scope in ["network", "dense_3"]:
        of = {
            name: table[table["scope"] == scope]
            for name, table in tables.items()
            if name != "losses"
        }
        layer = None if scope == "network" else scope
        hamming = nta.exploration.minimum_hamming(root / _RUNS[0], layer)
        switches = np.sort(nta.exploration.switches(root / _RUNS[0], layer))[::-1]
        volumes = np.sort(nta.exploration.log_volume(root / _RUNS[0], layer))[::-1]
        np.testing.assert_allclose(of["minimum_hamming"]["minimum_hamming"], hamming)
        assert of["minimum_hamming"]["epoch"].tolist() == [1, 2, 3]
        place = of["switches"]["position"].to_numpy()
        assert place[[0, -1]].tolist() == [1, 4000] and len(place) <= 401
        np.testing.assert_allclose(of["switches"]["switches"], switches[place - 1])
        np.testing.assert_allclose(of["log_volume"]["log_volume"], volumes)
        totals = of["exploration"].set_index("measure")["total"]
        np.testing.assert_allclose(totals["minimum_hamming"], np.nansum(hamming))
        np.testing.assert_allclose(totals["switches"], switches.mean())
        np.testing.assert_allclose(totals["log_volume"], volumes.mean())
    assert list(dict.fromkeys(tables["exploration"]["scope"])) == ["network", *layers]
    assert main(["figures", "5", "--runs", str(tmp_path / "saved"), "--out", str(tmp_path)]) == 0
    assert (tmp_path / "paper/figure_5.png").exists()


def test_activations_alone_may_be_recorded(tmp_path, capsys):
    arguments = "--epochs 2 --optimizers sgd:0.1 --protocols activations --out"
    assert main(["train", *arguments.split(), str(tmp_path)]) == 0
    assert f"next: python -m reproduce explore {tmp_path}" in capsys.readouterr().out
    config = json.loads((tmp_path / _RUNS[1] / "config.json").read_text())
    assert set(config["records"]) == {"activations"}
    assert config["records"]["activations"]["points"] == 4000


@pytest.mark.parametrize(
    "count, positions, expected",
    [(5, 3, [1, 3, 5]), (3, 10, [1, 2, 3]), (1, 4, [1]), (1000, 401, None)],
)
def test_positions_are_even_with_both_ends(count, positions, expected):
    places, values = evenly_spaced(np.arange(count)[::-1], positions)
    assert places[0] == 1 and places[-1] == count and len(set(places)) == len(places)
    assert expected is None or places.tolist() == expected
    np.testing.assert_array_equal(values, count - places)


def test_a_run_that_diverged_at_once_has_tables_without_rows(tmp_path, capsys):
    arguments = "--epochs 3 --optimizers sgd:1e9 --set output_activation=linear "
    arguments += "--protocols activations --out"
    assert main(["train", *arguments.split(), str(tmp_path)]) == 0
    assert main(["explore", str(tmp_path)]) == 0
    assert "fewer than two rounds to compare" in capsys.readouterr().out
    for name in ("minimum_hamming", "switches", "log_volume", "exploration"):
        (path,) = tmp_path.glob(f"*/results/{name}.csv")
        assert pd.read_csv(path).empty


@pytest.mark.pixels
def test_figures_and_claims_are_drawn_from_the_tables(runs, tmp_path, capsys):
    assert main(["--runs", str(runs), "--out", str(tmp_path)]) == 0
    for name in ("figure_4", "figure_6"):
        for suffix in (".png", ".pdf"):
            assert (tmp_path / "paper" / (name + suffix)).stat().st_size > 5000
    claims = pd.read_csv(tmp_path / "claims.csv")
    assert set(claims["claim"]) >= set(range(1, 13))
    summary = capsys.readouterr().out.splitlines()
    assert len(summary) <= 24 and max(map(len, summary[:-1])) <= 80


def test_damage_is_told_file_by_file_and_never_drawn(runs, tmp_path, capsys):
    root = shutil.copytree(runs, tmp_path / "runs")
    assert main(["verify", str(root)]) == 0
    assert "no damaged files" in capsys.readouterr().out
    table = root / _RUNS[0] / "results/regret.csv"
    table.write_text("".join(table.read_text().splitlines(keepends=True)[:-5]))  # cut at a line
    assert main(["verify", str(root)]) == 1
    assert "regret.csv" in capsys.readouterr().out
    assert main(["figures", "4", "--runs", str(root)]) == 1
    assert "regret.csv is damaged" in capsys.readouterr().err


_SIGN = """
import keras

class Sign(keras.optimizers.SGD):
    def __init__(self, learning_rate=0.001, scale=1.0, **kwargs):
        super().__init__(learning_rate, **kwargs)
        self.scale = scale

    def update_step(self, gradient, variable, learning_rate):
        step = self.scale * keras.ops.sign(gradient)
        super().update_step(step, variable, learning_rate)

    def get_config(self):
        return {**super().get_config(), "scale": self.scale}
"""


@pytest.mark.slow
def test_an_optimizer_of_ones_own_goes_all_the_way(tmp_path, monkeypatch):
    (tmp_path / "descending.py").write_text(_SIGN)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [path for path in sys.path if path])
    own = "descending:Sign?scale=0.5&learning_rate=0.002"
    arguments = "--epochs 2 --layers dense_3 --protocols figures --optimizers sgd:0.1".split()
    assert main(["train", *arguments, own, "--out", "runs"]) == 0
    slugs = sorted(path.name for path in pathlib.Path("runs").iterdir())
    assert slugs == ["descending.Sign_scale=0.5_0.002_seed0", "sgd_0.1_seed0"]
    config = json.loads(pathlib.Path("runs", slugs[0], "config.json").read_text())
    assert config["metadata"]["optimizer"]["name"] == "descending:Sign?scale=0.5"
    assert config["optimizer"]["config"]["scale"] == 0.5
    assert config["optimizer"]["config"]["learning_rate"] == pytest.approx(0.002)
    assert main(["solve", "runs", "--domains", "free"]) == 0
    figure = _text_of_figure("4", pathlib.Path("runs"))
    assert "Sign (scale=0.5) lr=0.002" in figure


def _text_of_figure(number, runs):
    """All words of the variants of a figure."""
    from matplotlib.text import Text

    from reproduce.figures import options, registry
    from reproduce.results.runs import find_runs
    from reproduce.results.tables import Tables

    sheets = [
        sheet
        for _, sheet in registry.FIGURES[number].variants(
            Tables(find_runs(runs)), options.Options()
        )
    ]
    return " ".join(text.get_text() for s in sheets for text in s.figure.findobj(Text))


def test_own_runs_are_drawn_beside_themselves(runs, tmp_path, monkeypatch, capsys):
    root = shutil.copytree(runs, tmp_path / "runs")
    monkeypatch.chdir(tmp_path)
    assert main(["figures", "6", "--runs", str(root)]) == 0
    assert (root / "figures/paper/figure_6.png").exists()
    assert main(["compare", "--runs", str(root)]) == 0
    assert (root / "figures/claims.csv").exists()


@pytest.mark.parametrize(
    "arguments, sentence",
    [
        ("train --optimizers newton", "Optimizers are adam.*'newton'"),
        ("train --optimizers adam:fast", "positive number.*'adam:fast'"),
        ("train --optimizers nowhere:Mine", "cannot be imported.*directory.*'nowhere:Mine'"),
        ("train --optimizers keras.optimizers:Lion?colour=red", "Lion' cannot be made.*colour"),
        ("train --optimizers keras.optimizers:Lion?beta_1", "OPTION=VALUE.*'beta_1'"),
        ("train --optimizers keras.layers:Dense", "sub-class of keras.optimizers.Optimizer"),
        ("train --set use_bias=maybe", "True or False.*'maybe'"),
        ("solve {runs} --records nope", "Taylor records.*nope"),
        ("train --protocols mine", "Protocols of this scale are.*mine"),
        ("train --set colour=red", "Open choices of training are.*colour"),
        ("train --layers conv --out {tmp}", "dense_1.*'conv'"),
        ("train --data mnist --data-dir {tmp}/none --out {tmp}", "mnist"),
        ("solve {tmp}", "There is no run in"),
        ("figures 4 --runs {tmp}", "holds no run"),
        ("figures 5 --runs {runs}", "Figure 5 needs"),
        ("compare --runs {tmp}/none", "no directory"),
    ],
)
def test_errors_are_one_sentence(arguments, sentence, runs, tmp_path, capsys, monkeypatch):
    import re

    monkeypatch.setattr("requests.head", _no_network)
    monkeypatch.chdir(tmp_path)
    words = [word.format(tmp=tmp_path, runs=runs) for word in arguments.split()]
    assert main(words) == 1
    message = capsys.readouterr().err
    assert re.search(sentence, message), message
    assert message.startswith("error: ") and "Traceback" not in message


@pytest.mark.parametrize(
    "arguments, words",
    [
        ("train --epochs 0", "'0' is no whole number from 1 on"),
        ("train --epochs -3", "'-3' is no whole number from 1 on"),
        ("train --seeds 1.5", "'1.5' is no whole number from 0 on"),
        ("solve runs --checkpoints 0", "'0' is no whole number from 1 on"),
        ("solve runs --neurons -1", "'-1' is no whole number from 0 on"),
        ("lines run --points 0", "'0' is no whole number from 1 on"),
        ("figures 4 --sgd fast", "'fast' is no positive learning rate"),
        ("train --set use_bias", "not OPTION=VALUE"),
    ],
)
def test_options_out_of_range_are_errors_not_defaults(arguments, words, capsys):
    with pytest.raises(SystemExit) as stopped:
        main(arguments.split())
    assert stopped.value.code == 2
    assert words in capsys.readouterr().err


@pytest.mark.slow
def test_tensorflow_starts_quietly():
    command = [sys.executable, "-m", "reproduce", "explore", "nowhere"]
    ended = subprocess.run(command, capture_output=True, text=True, cwd=_REPOSITORY)
    assert ended.returncode == 1
    assert ended.stderr.count("\n") == 1 and ended.stderr.startswith("error: ")


def _no_network(*_, **__):
    import requests

    raise requests.ConnectionError("no network in tests")
