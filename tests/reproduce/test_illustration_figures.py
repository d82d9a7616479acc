"""Figures 1, 2 and A4 are drawn from their tables, without TensorFlow."""

import shutil
import subprocess
import sys

import numpy as np
import pytest

from reproduce import figures, paths
from reproduce.figures import figure_1, figure_2, figure_a4
from reproduce.results import illustrations
from reproduce.results.runs import NoResults, ResultsError


@pytest.fixture
def root(tmp_path):
    """A directory of results with the committed illustrations and no runs."""
    source = illustrations.directory(paths.traces())
    shutil.copytree(source, illustrations.directory(tmp_path / "results"))
    return tmp_path / "results"


def _read(name, *tables):
    return illustrations.read(paths.traces(), name, tables)


def test_figure_1_draws_the_regions_and_nothing_between_their_gradients():
    settings, regions = _read("figure_1", "regions")
    upper, lower = figure_1.compose(settings, regions).figure.axes
    drawn = upper.get_lines()[0]
    np.testing.assert_array_equal(drawn.get_xdata()[:-1], regions["start"])
    np.testing.assert_array_equal(drawn.get_ydata()[:-1], regions["value_at_start"])
    steps = np.array(lower.collections[1].get_segments())
    np.testing.assert_array_equal(steps[:, 0, 1], regions["gradient"])
    np.testing.assert_array_equal(steps[:, :, 0], regions[["start", "end"]])


def test_figure_2_draws_each_round_on_its_taylor_loss():
    settings, losses, rounds = _read("figure_2", "losses", "rounds")
    figure = figure_2.compose(settings, losses, rounds).figure
    (axes,) = figure.axes
    drawn = [line.get_ydata() for line in axes.get_lines() if len(line.get_xdata()) == len(losses)]
    names = ["loss", *(f"taylor_loss_{number}" for number in rounds["round"])]
    for values, name in zip(drawn, names, strict=True):
        np.testing.assert_array_equal(values, losses[name])
    low, high = axes.get_ylim()
    assert low < rounds["taylor_optimum"].min() and high > losses["loss"].max()
    assert "seed 1229" in figure.get_supxlabel()


def test_figure_a4_has_a_row_a_task_and_a_column_a_direction():
    found = {task: _read(f"lines_{task}", "losses") for task in ("convnet", "autoencoder")}
    sheet = figure_a4.compose(found)
    figure = sheet.figure
    assert len(figure.axes) == 6
    assert figure.axes[0].get_title() == "along the negative gradient"
    drawn = figure.axes[3].get_lines()[1].get_ydata()
    table = found["autoencoder"][1]
    descent = table[table["direction"] == "negative gradient"]
    np.testing.assert_array_equal(drawn, descent["taylor_loss"])
    caption = " ".join(figure.get_supxlabel().split())
    for words in ("convnet: RMSProp, step 97 of epoch 5", "minibatch of 128", "CIFAR-10", "seed 0"):
        assert words in caption
    assert "RMSProp and Adam as in TensorFlow of 2016" in caption
    assert "bfloat16 training steps" in "\n".join(sheet.details)


def test_captions_are_short():
    for number in ("1", "2", "A4"):
        sheet = figures.registry.FIGURES[number].whole(paths.traces())
        assert sheet.figure.get_supxlabel().count("\n") < 4


def test_figure_a4_of_one_task_has_one_row(root):
    for path in illustrations.directory(root).glob("lines_convnet*"):
        path.unlink()
    assert len(figure_a4.whole(root).figure.axes) == 3


@pytest.mark.slow
@pytest.mark.pixels
def test_illustrations_need_no_runs_and_are_drawn_alike_every_time(root, tmp_path):
    first = figures.draw([1, "2", "a4"], root, tmp_path / "first")
    second = figures.draw(["1", "2", "A4"], root, tmp_path / "second")
    assert {path.parent.name for path in first} == {"paper"}
    names = {path.name for path in first}
    expected = {f"figure_{n}.{kind}" for n in ("1", "2", "a4") for kind in ("png", "pdf")}
    assert names == {*expected, "README.md"}
    for one, other in zip(first, second, strict=True):
        assert one.read_bytes() == other.read_bytes(), one.name


@pytest.mark.parametrize(
    "number, words",
    [
        ("1", "reproduce illustrations --out .*nothing/illustrations"),
        ("2", "reproduce illustrations --out"),
        ("A4", "reproduce lines RUN --out"),
    ],
)
def test_missing_tables_say_how_they_are_computed(tmp_path, number, words):
    with pytest.raises(NoResults, match=words):
        figures.draw([number], tmp_path / "nothing", tmp_path / "out")


def test_all_figures_of_runs_without_illustrations_are_those_of_the_runs(tmp_path, write_set):
    written = figures.draw(figures.ALL, write_set(tmp_path / "runs"), tmp_path / "out")
    drawn = {path.stem.split("_")[1] for path in written if path.suffix == ".png"}
    assert drawn == {"4", "6"}


def test_damaged_tables_are_named(root, tmp_path):
    path = illustrations.directory(root) / "figure_1.json"
    path.write_text("{")
    with pytest.raises(ResultsError, match="figure_1.json or a table beside it is damaged"):
        figures.draw(["1"], root, tmp_path)


def test_drawing_does_not_import_tensorflow():
    code = "import reproduce.figures, sys; sys.exit('tensorflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
