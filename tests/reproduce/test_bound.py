"""Regret beside its bound: the stage, its table, the figure, the claim and the report."""

import json
import shutil

import matplotlib.colors
import numpy as np
import pandas as pd
import pytest

from reproduce import claims, figures, optimizers, paths, report, tasks
from reproduce.cli import main
from reproduce.figures import figure_bound
from reproduce.figures.options import Options
from reproduce.optimizers import Optimizer
from reproduce.results import load
from reproduce.results.runs import NoResults, ResultsError, find_runs
from reproduce.results.tables import Tables
from tests.reproduce.conftest import SAMPLE, config_of, written

RECORDS = {
    "definition": {
        "kind": "taylor_rounds",
        "form": "normal_equations",
        "layers": ["dense_3", "dense_6"],
        "reduction": "per_example",
        "schedule": "every step",
    },
    "gradient_norms": {
        "kind": "gradient_norms",
        "schedule": "every step",
        "layers": ["dense_3", "dense_6"],
    },
}
_EPOCHS = 10


def _write(root, name, rate, seed=0, slack=0.2, apart=0.0, scopes=("dense_3", "dense_6")):
    """A run whose slack is that share of its bound at the end, and more before."""
    identity = Optimizer.of(name, rate)
    config = config_of("autoencoder", "quick", SAMPLE, identity, seed, _EPOCHS, RECORDS)
    epoch = np.arange(1, _EPOCHS + 1)
    losses = {"epoch": epoch, "loss": 0.1 / epoch, "last_loss": 0.1, "accuracy": np.nan}
    rounds, tables = 62 * epoch, []
    bound = np.sqrt(rounds) / 10
    for scope in scopes:
        plain = name == "sgd"
        table = {
            "record": "definition",
            "scope": scope,
            "round": rounds,
            "epoch": epoch,
            "regret": bound * (1 - slack * _EPOCHS / epoch),
            "bound": bound if plain else np.nan,
            "slack": bound * slack * _EPOCHS / epoch if plain else np.nan,
            "d": 0.5,
            "g": 0.1,
            "g_d_root_n": 0.05 * np.sqrt(rounds),
            "linearized_regret": bound * (1 + apart),
            "rounding": 1e-3 * bound,
            "step_rounding": 5e-4 * bound,
            "radius": 0.3,
        }
        tables.append(pd.DataFrame(table))
    losses = pd.DataFrame({**losses, "status": "finished"})
    return written(root / f"{identity.slug}_seed{seed}", config, losses=[losses], bound=tables)


@pytest.fixture
def root(tmp_path):
    """SGD at two rates and Adam."""
    for name, rate in (("sgd", 1.0), ("sgd", 0.1), ("adam", 0.01)):
        _write(tmp_path / "saved", name, rate)
    return tmp_path / "saved"


class TestTable:
    def test_rows_say_whether_the_bound_holds(self, root):
        table = load.read_bound(root)
        assert len(table) == 3 * 2 * _EPOCHS and table["holds"].all() and table["agrees"].all()
        assert set(table["scope"]) == {"dense_3", "dense_6"}

    def test_what_exceeds_rounding_does_not_hold(self, tmp_path):
        _write(tmp_path, "sgd", 1.0, slack=-2e-4)  # twice the rounding in the first epoch alone
        table = load.read_bound(tmp_path)
        assert table["holds"].tolist() == [False, *[True] * (_EPOCHS - 1)] * 2
        _write(tmp_path, "sgd", 0.1, apart=-1e-3)
        apart = load.read_bound(tmp_path).query("learning_rate == 0.1")
        assert apart["holds"].all() and not apart["agrees"].any()

    def test_a_missing_table_is_named_with_its_remedy(self, root):
        (path,) = root.glob("adam*/results/bound.csv")
        path.unlink()
        with pytest.raises(ResultsError, match=r"python -m reproduce bound .*adam"):
            load.read_bound(root)

    def test_runs_without_it_are_left_alone(self, tmp_path, write_set):
        assert load.read_bound(write_set(tmp_path / "other")).empty
        _write(tmp_path / "every_step", "sgd", 1.0)
        assert len(load.read_bound(tmp_path)) == 2 * _EPOCHS
        # ... and those that were not solved, where others were, ask for no table of regret.
        assert set(load.read_regret(tmp_path)["experiment"]) == {"other"}


class TestClaim:
    def test_it_holds_with_the_smallest_slack(self, tmp_path):
        _write(tmp_path, "sgd", 1.0, slack=0.3)
        _write(tmp_path, "sgd", 0.1, slack=0.1)
        _write(tmp_path, "adam", 0.01, slack=0.01)  # has no bound of its own
        (row,) = claims.compare(tmp_path, [19]).itertuples()
        assert row.verdict == "reproduced" and row.value == pytest.approx(0.1)
        assert row.subject == "SGD lr=0.1, dense_3" and "one seed" in row.reason
        assert "SGD lr=1.0 30% (reproduced)" in row.details and "Adam" not in row.details

    def test_one_checkpoint_above_the_bound_refutes_it(self, tmp_path):
        _write(tmp_path, "sgd", 1.0)
        _write(tmp_path, "sgd", 0.1, slack=-2e-4)
        (row,) = claims.compare(tmp_path, [19]).itertuples()
        assert row.verdict == "not reproduced" and row.value == pytest.approx(-2e-3)

    def test_rounding_does_not(self, tmp_path):
        _write(tmp_path, "sgd", 1.0, slack=-5e-5)
        (row,) = claims.compare(tmp_path, [19]).itertuples()
        assert row.verdict == "reproduced" and row.value < 0

    def test_a_bound_of_other_steps_settles_nothing(self, tmp_path):
        _write(tmp_path, "sgd", 1.0, apart=0.01)
        (row,) = claims.compare(tmp_path, [19]).itertuples()
        assert row.verdict == "inconclusive" and "other steps" in row.reason

    def test_without_gradient_descent_it_is_not_measured(self, tmp_path):
        _write(tmp_path, "adam", 0.01)
        (row,) = claims.compare(tmp_path, [19]).itertuples()
        assert row.verdict == "not measured" and "reproduce bound" in row.reason


class TestFigure:
    def test_a_panel_an_optimizer_and_layer(self, root):
        ((name, sheet),) = figure_bound.variants(Tables(find_runs(root)), Options())
        assert name == "figure_bound"
        panels = sheet.figure.axes
        assert [axes.get_title() for axes in panels[:3]] == ["Adam", "SGD 1.0", "SGD 0.1"]
        assert [axes.get_ylabel().partition("\n")[0] for axes in panels[::3]] == [
            "dense_3",
            "dense_6",
        ]
        table = load.read_bound(root).query("scope == 'dense_3' and learning_rate == 1.0")
        lines = {line.get_label(): line for line in panels[1].lines}
        for label, column in (("regret", "regret"), ("bound", "bound"), ("G D", "g_d_root_n")):
            drawn = 1000 * table[column] / np.sqrt(table["round"])
            np.testing.assert_allclose(lines[label].get_ydata(), drawn)
        colour = matplotlib.colors.to_hex(lines["regret"].get_color())
        assert colour.upper() == "#00523B"
        dashes = {line.get_label(): line.get_linestyle() for line in panels[0].lines}
        assert dashes["bound"] == "--"  # of Adam it is the linearized regret
        texts = [text.get_text() for text in sheet.figure.legends[0].get_texts()]
        assert len(texts) == 4 and any("any optimizer" in text for text in texts)
        assert "at most the bound at 40 of 40 checkpoints" in "; ".join(sheet.details)

    def test_what_is_far_above_is_written(self, tmp_path):
        run = _write(tmp_path, "adam", 0.01, scopes=["dense_3"])
        path = run / "results" / "bound.csv"
        pd.read_csv(path).assign(g_d_root_n=1e3).to_csv(path, index=False)
        sheet = figure_bound.whole(Tables(find_runs(tmp_path)), Options())
        (axes,) = sheet.figure.axes
        assert "G D" not in [line.get_label() for line in axes.lines]
        assert any("G D" in text.get_text() for text in axes.texts)

    def test_drawn_by_its_name(self, root, tmp_path):
        written = figures.draw(["BOUND"], root, tmp_path / "out")
        assert "figure_bound.png" in [path.name for path in written]

    def test_without_a_table_it_says_what_to_do(self, tmp_path, write_set):
        with pytest.raises(NoResults, match="python -m reproduce bound"):
            figures.draw(["bound"], write_set(tmp_path / "runs"), tmp_path / "out")


def test_committed_bounds_are_those_of_the_trainings_that_figures_show():
    """The same trainings, recorded anew, have the same regret to the last digits."""
    bound, regret = load.read_bound(paths.traces()), load.read_regret(paths.traces())
    regret = regret[(regret["experiment"] == "linear") & np.isfinite(regret["radius"])]
    key = ["task", *optimizers.COLUMNS, "seed", "record", "scope", "round"]
    both = bound.merge(regret, on=key, suffixes=("", "_before"))
    assert len(both) == len(bound) == 1000
    np.testing.assert_allclose(both["radius"], both["radius_before"], rtol=1e-4)
    scale = both["cumulative_loss"]
    np.testing.assert_allclose(
        both["regret"] / scale, both["regret_before"] / scale, rtol=0, atol=1e-4
    )


def test_report_has_the_bound(root, tmp_path):
    page = report.write(root, tmp_path / "figures", tmp_path / "report.html").read_text()
    assert "The bound beside regret" in page and "40 of 40 checkpoints" in page
    assert page.count('<td class="">sgd_1_seed0') == 2


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A short run on the shipped digits that records what the bound needs."""
    root = tmp_path_factory.mktemp("runs")
    arguments = (
        "--epochs 2 --optimizers sgd:0.1 --layers dense_3 "
        "--protocols figures definition gradient_norms --out"
    )
    assert main(["train", *arguments.split(), str(root)]) == 0
    return root


class TestStage:
    """From training on real digits to the table."""

    def test_only_what_was_asked_for_is_recorded(self, runs):
        config = json.loads((runs / "sgd_0.1_seed0" / "config.json").read_text())
        assert set(config["records"]) == {"figures", "definition", "gradient_norms"}
        assert config["records"]["gradient_norms"]["layers"] == ["dense_3"]
        assert "gradient_norms" not in tasks.recorded(tasks.TASKS["autoencoder"].scales["paper"])
        with pytest.raises(ValueError, match="gradient_norms"):
            tasks.recorded(tasks.TASKS["convnet"].scales["paper"], ["gradient_norms"])

    def test_table_is_written_saved_and_verified(self, runs, tmp_path, capsys):
        root = shutil.copytree(runs, tmp_path / "runs")
        asked = ["bound", str(root), "--domains", "ball", "free"]
        assert main([*asked, "--save", str(tmp_path / "saved")]) == 0
        told = capsys.readouterr().out
        assert "smallest slack" in told and "0 above the bound" in told
        assert main(["verify", str(root)]) == 0
        copied = tmp_path / "saved" / "sgd_0.1_seed0"
        names = sorted(path.name for path in copied.rglob("*") if path.is_file())
        assert names == ["bound.csv", "config.json", "losses.csv"]
        table = load.read_bound(tmp_path / "saved")
        assert table["record"].unique().tolist() == ["definition"]
        assert table["round"].tolist() == [62, 124] * 2
        assert np.isfinite(table["radius"]).tolist() == [True, True, False, False]
        assert table["holds"].all() and table["agrees"].all()
        # On the ball of so short a run Taylor losses are linear, but for rounding.
        assert (table["slack"][2:] > table["rounding"][2:]).all()
        out = ["figures", "bound", "--runs", str(tmp_path / "saved"), "--out", str(tmp_path)]
        assert main(out) == 0
        drawn = capsys.readouterr().out
        assert "figure_bound.png" in drawn and "figure_bound_free.png" in drawn
        damaged = root / "sgd_0.1_seed0" / "results" / "bound.csv"
        damaged.write_text(damaged.read_text().replace("definition", "other", 1))
        assert main(["verify", str(root)]) == 1
        assert "bound.csv" in capsys.readouterr().out

    @pytest.mark.slow
    def test_runs_without_the_records_are_refused(self, runs, tmp_path, capsys):
        arguments = "--epochs 1 --optimizers sgd:0.1 --layers dense_3 --protocols figures "
        out = [*arguments.split(), "gradient_norms", "--out", str(tmp_path / "one")]
        assert main(["train", *out]) == 0
        assert "next: python -m reproduce bound" in capsys.readouterr().out
        assert main(["bound", str(tmp_path / "one")]) == 1
        assert "one G an example" in capsys.readouterr().err
        out = [*arguments.split(), "--out", str(tmp_path / "other")]
        assert main(["train", *out]) == 0
        assert main(["bound", str(tmp_path / "other")]) == 1
        assert "--protocols definition gradient_norms" in capsys.readouterr().err
