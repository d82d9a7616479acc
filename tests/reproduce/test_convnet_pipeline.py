"""The convnet's stages: train, record, solve, figures, on real digits."""

import json
import shutil

import pandas as pd
import pytest

from nta_tf.trace import files
from reproduce.cli import main
from reproduce.results.runs import find_runs

_RUN = "rmsprop_0.0005_seed0"


@pytest.fixture(scope="module")
def runs(tmp_path_factory, narrow_convnet):
    """A short run on the shipped digits, trained, recorded and solved by the command line."""
    root = tmp_path_factory.mktemp("runs")
    arguments = "--task convnet --scale quick --epochs 3 --optimizers rmsprop --out"
    assert main(["train", *arguments.split(), str(root)]) == 0
    assert main(["record", str(root), "--layers", "conv2d_1", "conv2d_2"]) == 0
    solve = ["solve", str(root), "--neurons", "2", "--checkpoints", "2"]
    assert main([*solve, "--domains", "ball"]) == 0
    assert main([*solve, "--domains", "free", "--scopes", "conv2d_1", "--records", "figures"]) == 0
    return root


def test_training_keeps_weights_and_accuracy_and_records_come_later(runs):
    config = json.loads((runs / _RUN / "config.json").read_text())
    assert set(config["records"]) == {"weights"}
    assert config["dtype_policy"] is config["metadata"]["protocol"]["dtype_policy"] is None
    losses = pd.read_csv(runs / _RUN / "results" / "losses.csv")
    assert losses["accuracy"].between(0, 1).all()


def test_records_added_since_are_known_to_the_readers(runs):
    records = find_runs(runs)["config"].iloc[0]["records"]
    assert records["figures"]["reduction"] == "batch_mean"
    assert records["definition"]["examples"] == 4
    assert records["activations"]["points"] == 64
    units = {name: layer["units"] for name, layer in records["activations"]["layers"].items()}
    assert units == {"conv2d_1": 10_000, "conv2d_2": 3136, "conv2d_3": 784, "dense_4": 24}


def test_replayed_activations_are_explored(runs, tmp_path):
    root = shutil.copytree(runs, tmp_path / "runs")
    assert main(["explore", str(root)]) == 0
    totals = pd.read_csv(root / _RUN / "results/exploration.csv")
    network = totals[totals["scope"] == "network"].set_index("measure")
    assert network["count"].tolist() == [2, 64, 13_944]
    assert 0 < network["total"]["switches"] < 1
    assert (
        len(pd.read_csv(root / _RUN / "results/log_volume.csv").query("scope == 'network'")) == 401
    )
    assert main(["figures", "5", "--runs", str(root), "--out", str(tmp_path)]) == 0


def test_every_optimum_on_the_ball_is_certified(runs):
    regret = pd.read_csv(runs / _RUN / "results" / "regret.csv")
    assert set(regret["record"]) == {"figures", "definition"}
    assert {"conv2d_1", "conv2d_2", "network"} < set(regret["scope"])
    assert regret["scope"].str.contains(":").sum() == 2 * 2 * 2 * 2
    ball = regret[regret["radius"] < float("inf")]
    assert (ball["gap"] <= 1e-3 * ball["taylor_optimum"]).all()
    network = ball[ball["scope"] == "network"].set_index(["record", "round"])
    layer = ball[ball["scope"] == "conv2d_2"].set_index(["record", "round"])
    # What a layer can reach the network can reach, in a ball that is at least as large.
    assert (network["taylor_optimum"] <= layer["taylor_optimum"] + layer["gap"]).all()


@pytest.mark.slow
def test_recording_again_changes_nothing_and_says_what_it_would_cost(runs, capsys):
    before = (runs / _RUN / "progress.json").read_text()
    assert main(["record", str(runs), "--layers", "conv2d_1", "conv2d_2"]) == 0
    assert (runs / _RUN / "progress.json").read_text() == before
    assert "record figures: 3 rounds" in capsys.readouterr().out


def test_figures_and_saved_copy(runs, tmp_path):
    assert (
        main(
            [
                "solve",
                str(runs / _RUN),
                "--neurons",
                "1",
                "--checkpoints",
                "2",
                "--scopes",
                "conv2d_1:3",
                "conv2d_2:4",
                "conv2d_2",
                "--save",
                str(tmp_path / "saved"),
            ]
        )
        == 0
    )
    config = json.loads((tmp_path / "saved" / _RUN / "config.json").read_text())
    assert {"figures", "definition"} < set(config["records"])
    assert (
        main(
            [
                "figures",
                "3",
                "4",
                "6",
                "--runs",
                str(tmp_path / "saved"),
                "--out",
                str(tmp_path / "drawn"),
            ]
        )
        == 0
    )
    drawn = {path.name for path in (tmp_path / "drawn/paper").iterdir()}
    assert {"figure_3.png", "figure_4.png", "figure_6.png"} <= drawn


@pytest.mark.slow
def test_a_single_neuron_is_a_scope_like_any_other(runs, tmp_path):
    root = shutil.copytree(runs, tmp_path / "runs")
    assert main(["solve", str(root), "--neurons", "1", "--checkpoints", "2"]) == 0
    scopes = set(pd.read_csv(root / _RUN / "results/regret.csv")["scope"])
    assert not any("[" in scope for scope in scopes)
    assert main(["compare", "--runs", str(root)]) == 0


@pytest.mark.parametrize(
    "arguments, sentence",
    [
        ("train --task autoencoder --scale medium", "has scales.*'medium'"),
        ("train --task autoencoder --data cifar10", "data.*'cifar10'"),
        ("record {tmp}", "There is no run in"),
        ("solve {runs} --scopes conv2d_9", "has layers.*'conv2d_9'"),
        ("record {runs} --protocols mine", "Protocols of this scale are.*'activations'.*mine"),
        ("explore {weights}", "No run in .* record of activation.*--protocols activations"),
    ],
)
def test_errors_are_one_sentence(arguments, sentence, runs, tmp_path, capsys):
    import re

    weights = shutil.copytree(runs, tmp_path / "weights") if "weights" in arguments else None
    for path in weights.glob("*/progress.json") if weights else ():  # as before recording
        progress = files.without_checksum(json.loads(path.read_text()))
        path.write_text(json.dumps(files.with_checksum({**progress, "added": {}})))
    places = {"tmp": tmp_path, "runs": runs, "weights": weights}
    words = [word.format(**places) for word in arguments.split()]
    assert main(words) == 1
    message = capsys.readouterr().err
    assert re.search(sentence, message), message
    assert message.startswith("error: ") and "Traceback" not in message
