"""Curves of runs, copies, tables and arrays: what is on the axes is what was recorded."""

import math
import re
import shutil

import keras
import matplotlib.image
import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

import nta_tf as nta
from reproduce.cli import main
from tests.networks import dense_chain

EPOCHS = 4


def _data():
    return np.random.default_rng(4).normal(size=(24, 6)).astype(np.float32)


def _train(directory=None, rate=0.05, reduction="per_example"):
    x = _data()
    return nta.train(
        dense_chain((6, 5, 4, 6), ("relu", "relu", "linear"), seed=3, dtype="float32"),
        x,
        x,
        optimizer=nta.optimizers.get("sgd", rate),
        epochs=EPOCHS,
        batch_size=8,
        recorders=[
            nta.TaylorRounds(["dense_2", "dense_3"], reduction, "1 an epoch", dtype="float64"),
            nta.ActivationRounds(x),
        ],
        directory=directory,
    )


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Two runs on disk."""
    root = tmp_path_factory.mktemp("runs")
    return [_train(root / name, rate) for name, rate in (("slow", 0.01), ("fast", 0.1))]


def _another(run, directory):
    """The run in a directory of its own."""
    return nta.Run.open(shutil.copytree(run.directory, directory))


def _labels(ax):
    return [line.get_label() for line in ax.lines]


def _copy(run, target, table):
    """A copy without the trace, as `solve --save` leaves it."""
    (target / "results").mkdir(parents=True)
    shutil.copy(run.directory / "config.json", target)
    table.to_csv(target / "results" / "regret.csv", index=False)
    return target


class TestCurves:
    def test_losses_are_means_of_steps(self, runs):
        ax = nta.plotting.losses(runs)
        assert _labels(ax) == ["SGD 0.01", "SGD 0.1"]
        for line, run in zip(ax.lines, runs):
            np.testing.assert_allclose(line.get_ydata(), run.losses.mean(axis=1), rtol=1e-6)
        assert [text.get_text() for text in ax.get_legend().get_texts()] == _labels(ax)

    def test_axes_may_be_given(self, runs):
        ax = Figure().subplots()
        assert nta.plotting.losses({"mine": runs[0]}, ax) is ax
        assert nta.plotting.losses({"theirs": runs[1].directory}, ax) is ax
        assert _labels(ax) == ["mine", "theirs"]

    @pytest.mark.parametrize("normalized", [True, False])
    def test_regret_is_that_of_the_table(self, runs, normalized):
        ax = nta.plotting.regret(runs, "dense_2", normalized=normalized)
        for line, run in zip(ax.lines, runs):
            table = nta.regret(run, "dense_2")
            expected = table["regret_over_sqrt_n" if normalized else "regret"]
            np.testing.assert_allclose(line.get_ydata(), expected, rtol=1e-9, atol=1e-12)
        assert ax.get_title() == "dense_2"

    def test_a_curve_for_each_neuron(self, runs):
        ax = nta.plotting.regret(runs[0], ("dense_2", [0, 3]))
        assert _labels(ax) == ["SGD 0.01, dense_2:0", "SGD 0.01, dense_2:3"]

    def test_mine_against_theirs(self, runs, tmp_path):
        theirs = nta.regret(runs[1], "dense_2")
        theirs.to_csv(tmp_path / "regret.csv")
        ax = nta.plotting.taylor_optimum(
            {"mine": runs[0], "table": theirs, "file": tmp_path / "regret.csv"}, "dense_2"
        )
        lines = [ax.lines[place] for place in (2, 4)]
        assert [label for label in _labels(ax) if label[0] != "_"] == [
            "mine (per_example)",
            "table (reading not known)",
            "file (reading not known)",
        ]
        for line in lines:
            expected = theirs["cumulative_loss"] / np.sqrt(theirs["round"])
            np.testing.assert_allclose(line.get_ydata(), expected, rtol=1e-6)

    def test_different_readings_are_told_apart(self, runs):
        other = _train(reduction="batch_mean")
        ax = nta.plotting.regret({"a": runs[0], "b": other}, "dense_2")
        assert _labels(ax) == ["a (per_example)", "b (batch_mean)"]

    def test_hollow_marks_where_the_optimum_is_not_certain(self, runs):
        table = nta.regret(runs[0], "dense_2")
        assert not nta.plotting.regret(table, "dense_2").collections
        table.loc[1, "gap"] = table.loc[1, "taylor_optimum"]
        table.loc[2, "status"] = "STALLED"
        (marks,) = nta.plotting.regret(table, "dense_2").collections
        assert marks.get_offsets()[:, 0].tolist() == [2, 3]

    @pytest.mark.parametrize("measure", ["minimum_hamming", "switches", "log_volume"])
    def test_exploration_is_that_of_the_measure(self, runs, measure):
        values = getattr(nta.exploration, measure)(runs[0], "dense_1")
        for source in (runs[0], runs[0].directory):
            (line,) = nta.plotting.exploration(source, measure, layers="dense_1").lines
            drawn = line.get_ydata()
            expected = values if measure == "minimum_hamming" else np.sort(values)[::-1]
            np.testing.assert_array_equal(drawn, expected)

    def test_accuracy_of_a_classifier_in_fit(self):
        x, y = _data(), np.arange(24) % 3
        model = keras.Sequential([keras.Input((6,)), keras.layers.Dense(3)])
        model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
        rounds = nta.callbacks.RecordRounds(
            x[:8], y[:8], [nta.WeightRounds("1 an epoch")], "cross_entropy"
        )
        model.fit(x, y, 8, epochs=2, verbose=0, callbacks=[rounds])
        (line,) = nta.plotting.losses(rounds, measure="accuracy").lines
        assert line.get_label() == "Adam 0.001"
        np.testing.assert_allclose(line.get_ydata(), rounds.run.read("accuracies")[:, -1])


class TestSavedTables:
    def test_what_is_solved_is_not_solved_again(self, runs, tmp_path, monkeypatch):
        run = _another(runs[0], tmp_path / "run")
        table = nta.regret(run, "dense_2", radius=[None, math.inf])
        run.save_table("regret", table.assign(record="per_example", comparator="static"))
        monkeypatch.setattr("nta_tf.plotting.sources.regret", _never)
        for radius in (None, math.inf):
            (line,) = nta.plotting.regret(run, "dense_2", radius=radius).lines
            chosen = np.isinf(table["radius"]) == (radius is not None)
            np.testing.assert_allclose(line.get_ydata(), table["regret_over_sqrt_n"][chosen])
        for options in ({"radius": 0.1}, {"checkpoints": 2}, {"comparator": "each_round"}):
            with pytest.raises(AssertionError, match="solved"):
                nta.plotting.regret(run, "dense_2", **options)

    def test_a_run_that_went_on_is_solved_anew(self, runs, tmp_path):
        run = _another(runs[0], tmp_path / "run")
        table = nta.regret(run, "dense_2").assign(record="per_example", comparator="static")
        run.save_table("regret", table[:-1])
        (line,) = nta.plotting.regret(run, "dense_2").lines
        assert len(line.get_ydata()) == EPOCHS

    def test_a_copy_without_a_trace(self, runs, tmp_path):
        table = nta.regret(runs[0], "dense_2").assign(
            record="per_example", comparator="static", reduction="per_example"
        )
        copy = _copy(runs[0], tmp_path / "copy", table)
        ax = nta.plotting.regret({"mine": runs[1], "theirs": copy}, "dense_2")
        assert _labels(ax) == ["mine", "theirs"]
        np.testing.assert_allclose(ax.lines[1].get_ydata(), table["regret_over_sqrt_n"])
        with pytest.raises(ValueError, match="'SGD 0.01' has no regret of 'dense_3'.*dense_2"):
            nta.plotting.regret(copy, "dense_3")


def _never(*_, **__):
    raise AssertionError("solved again")


class TestOverview:
    def test_one_figure_of_everything(self, runs):
        figure = nta.plotting.figure(runs)
        assert [ax.get_title() or ax.get_ylabel() for ax in figure.axes] == [
            "training loss",
            *("dense_2", "dense_2", "dense_3", "dense_3"),
            *("minimum Hamming distance", "switches", "log-volume"),
        ]
        legends = [ax for ax in figure.axes if ax.get_legend() is not None]
        assert legends == figure.axes[:1]
        colours = {line.get_color() for ax in figure.axes for line in ax.lines}
        assert colours == {"C0", "C1"}

    def test_scopes_may_be_chosen(self, runs):
        titles = [ax.get_title() for ax in nta.plotting.figure(runs[0], ["dense_2:1"]).axes]
        assert titles[:3] == ["", "dense_2:1", "dense_2:1"]

    def test_a_table_alone(self, runs):
        figure = nta.plotting.figure(nta.regret(runs[0], "dense_3"))
        assert [ax.get_title() for ax in figure.axes] == ["dense_3", "dense_3"]


class TestWrongInput:
    def test_sources(self, runs, tmp_path):
        for given, message in {
            3: "a nta.Run, its directory, a table",
            (): "empty",
        }.items():
            with pytest.raises(ValueError, match=message):
                nta.plotting.losses(given)
        with pytest.raises(nta.RunDirectoryError, match="not a run"):
            nta.plotting.losses(tmp_path)

    def test_what_is_not_there(self, runs):
        table = pd.DataFrame({"epoch": [1], "other": [2.0]})
        calls = {
            "has no losses": lambda: nta.plotting.losses(table),
            "has no accuracy": lambda: nta.plotting.losses(runs[0], measure="accuracy"),
            "has no columns": lambda: nta.plotting.regret(table, "dense_2"),
            "Measures are": lambda: nta.plotting.exploration(runs[0], "volume"),
            "nothing to draw": lambda: nta.plotting.figure(table),
            "has no table of switches": lambda: nta.plotting.exploration(table, "switches"),
        }
        for message, call in calls.items():
            with pytest.raises(ValueError, match=message):
                call()


class TestCommandLine:
    def test_a_run_of_a_model_that_the_paper_never_saw(self, runs, tmp_path, capsys):
        for run, name in zip(runs, ("mine", "other")):
            _another(run, tmp_path / name)
        assert main(["figures", str(tmp_path / "mine")]) == 0
        path = tmp_path / "mine/figures/overview.png"
        assert capsys.readouterr().out.strip().endswith(str(path))
        assert matplotlib.image.imread(path).std() > 0.05
        saved = nta.trace.read_table(tmp_path / "mine/results/regret.csv")
        assert set(saved["scope"]) == {"dense_2", "dense_3"}
        both = [str(tmp_path / name) for name in ("mine", "other")]
        assert main(["figures", *both, "--layer", "dense_2", "--out", str(tmp_path / "out")]) == 0
        assert (tmp_path / "out/overview.png").is_file()

    def test_solving_it_says_how_it_is_drawn(self, runs, tmp_path, capsys):
        _another(runs[0], tmp_path / "mine")
        assert main(["solve", str(tmp_path / "mine")]) == 0
        assert f"next: python -m reproduce figures {tmp_path / 'mine'}" in capsys.readouterr().out

    def test_errors_are_one_sentence(self, runs, tmp_path, capsys):
        root = str(runs[0].directory)
        for arguments, message in {
            ("figures", "6", "--runs", root): "run of nta.train.*reproduce figures .*slow",
            ("figures", "4", root): "figures RUN.*--runs",
            ("figures", root, "--sgd", "0.1"): "figures RUN.*--sgd",
            ("figures", root, "--layer", "dense_9"): "dense_9",
            ("figures", str(tmp_path)): "holds no run",
            ("figures", str(tmp_path / "none")): "no figure",
        }.items():
            assert main(list(arguments)) == 1
            assert re.search(message, capsys.readouterr().err), arguments

    def test_a_saved_run_of_the_paper(self):
        from reproduce import paths

        theirs = paths.traces() / "autoencoder/linear/sgd_1_seed0"
        figure = nta.plotting.figure(theirs, ["dense_3"])
        assert [ax.get_title() for ax in figure.axes][1:3] == ["dense_3", "dense_3"]
