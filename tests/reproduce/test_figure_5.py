"""Figure 5 says what the tables of exploration say."""

import shutil

import numpy as np
import pandas as pd
import pytest

from reproduce import figures
from reproduce.figures import figure_5
from reproduce.optimizers import Optimizer, rows
from reproduce.results import exploration, load, words
from reproduce.results.intervals import t_interval
from reproduce.results.runs import NoResults, ResultsError, find_runs, require_one_protocol
from reproduce.results.tables import Tables
from tests.reproduce.explored import explored, set_writer

_LABELS = ["RMSProp", "Adam", "SGD lr=1.0", "SGD lr=0.1", "SGD lr=0.01"]
_CONV_UNITS = {"conv2d_1": 10_000, "dense_4": 192}


@pytest.fixture
def explore_set(write):
    """Writes the paper's five optimizers, three seeds each."""
    return set_writer(write)


def _sheet(root, **options):
    return figure_5.compose(Tables(find_runs(root)), **options)


def _lines(axes):
    return {
        line.get_label(): line for line in axes.get_lines() if not line.get_label().startswith("_")
    }


def _caption(figure):
    return " ".join(figure.get_supxlabel().split())


def test_figure_5_shows_means_over_seeds_and_bands(tmp_path, explore_set):
    hamming, switches, volume = _sheet(explore_set(tmp_path)).figure.axes
    lines = _lines(hamming)
    assert list(lines) == _LABELS
    np.testing.assert_array_equal(lines["Adam"].get_xdata(), np.arange(1, 101))
    np.testing.assert_allclose(lines["Adam"].get_ydata()[1:], 0.02)
    edges = hamming.collections[0].get_paths()[0].vertices[:, 1]
    np.testing.assert_allclose([edges.min(), edges.max()], [0.0392, 0.0408])
    # Sorted curves are drawn seed by seed: of the first seed, 2% below the level.
    drawn = _lines(switches)["RMSProp"].get_ydata()
    np.testing.assert_allclose(drawn[[0, -1]], [0.06 * 0.98, 0.02 * 0.98])
    seeds = [line for line in switches.get_lines() if line.get_label() == "_seed"]
    assert len(seeds) == 2 * len(_LABELS)
    assert switches.get_xlim() == (0, 4000)
    drawn = _lines(volume)["Adam"].get_ydata()
    assert drawn[59] - drawn[79] == pytest.approx(400) and drawn.size == 180
    assert [axes.get_ylim()[0] for axes in (hamming, switches)] == [0, 0]


def test_figure_5_names_the_papers_axes_and_what_it_rests_on(tmp_path, explore_set):
    root = explore_set(tmp_path, levels={"rmsprop_keras": 1.2})
    sheet = _sheet(root)
    texts = [axes.texts[0].get_text() for axes in sheet.figure.axes]
    assert texts == ["paper's axis", "paper's axis", "paper's axis: -2000 to 500"]
    details = "\n".join(sheet.details)
    for phrase in (
        "activations: 1 round an epoch, all 4,000 data points, 180 of 360 units, at most 10,000 "
        "a layer, chosen with seed 0",
        "50 singular values, at least 1e-3 each, so that no log-product lies below -345",
        "RMSProp and Adam as in TensorFlow of 2016 (mean square starting at one",
    ):
        assert phrase in details
    caption = _caption(sheet.figure)
    for phrase in (
        "RMSProp and Adam as in TensorFlow of 2016",
        "seeds 0 to 2",
        "bands: one standard deviation over seeds",
        "(b), (c): a thin line a seed",
    ):
        assert phrase in caption
    assert [text.get_text() for text in sheet.figure.legends[0].get_texts()] == _LABELS


@pytest.mark.slow
def test_each_variant_has_a_drawing_of_its_own(tmp_path, explore_set):
    root = explore_set(tmp_path / "runs", levels={"rmsprop_keras": 1.2})
    figure = _sheet(root, variant="keras_3").figure
    legend = [text.get_text() for text in figure.legends[0].get_texts()]
    assert legend == ["Adam", *_LABELS[2:], "RMSProp (Keras 3)"]  # no Adam of Keras 3 was trained
    assert "of Keras 3 where it is said" in _caption(figure)
    names = {path.stem for path in figures.draw(["5"], root, tmp_path / "out")}
    assert {"figure_5", "figure_5_keras_3", "figure_5_layers_keras_3"} <= names


def test_two_tasks_have_a_row_each(tmp_path, explore_set, write_convnet):
    explore_set(tmp_path / "autoencoder")
    run = write_convnet(tmp_path / "convnet", "rmsprop_seed0", "rmsprop", 0.0005)
    explored(run, 2.0, layers=_CONV_UNITS, points=500)
    sheet = _sheet(tmp_path)
    figure = sheet.figure
    above, below = figure.axes[:3], figure.axes[3:]
    assert [axes.get_title(loc="left") for axes in (above[0], below[0])] == [
        "Convnet",
        "Autoencoder",
    ]
    assert list(_lines(above[2])) == ["RMSProp"] and above[2].get_xlim() == (0, 10_192)
    assert above[1].get_xlim() == (0, 500)
    assert below[1].get_xlabel() == "data points (sorted)\n(b) Activation-state switches"
    details = "\n".join(sheet.details)
    assert "500 of 50,000 data points" in details
    assert "convnet: 500 data points, where the paper's axis ends at 1,000" in details
    assert "JPEG-compressed copies" in _caption(figure)


def test_layers_show_totals_with_intervals(tmp_path, explore_set):
    figure = figure_5.compose_layers(Tables(find_runs(explore_set(tmp_path)))).figure
    hamming = figure.axes[0]
    bars = {bar.get_label(): bar for bar in hamming.containers}
    np.testing.assert_allclose(
        bars["Adam"].lines[0].get_ydata().astype(float), 99 * np.array([0.04, 0.06])
    )
    assert [text.get_text() for text in hamming.get_xticklabels()] == ["1", "2"]
    assert "bars: 95% intervals over seeds" in _caption(figure)
    segment = bars["Adam"].lines[2][0].get_segments()[0]
    # Student's t of two degrees of freedom, times the deviation over the root of three.
    half = 4.302653 * 0.02 * 0.04 * 99 / 3**0.5
    np.testing.assert_allclose(np.ptp(segment[:, 1]) / 2, half, rtol=1e-5)


@pytest.mark.parametrize("epochs, in_a", [(5, True), (1, False)])
def test_a_diverged_run_has_no_sorted_curves(tmp_path, explore_set, write, epochs, in_a):
    root = explore_set(tmp_path, seeds=(0,))
    _diverge(write, root, epochs)
    figure = _sheet(root).figure
    hamming, switches, volume = (_lines(axes) for axes in figure.axes)
    assert ("SGD lr=1.0" in hamming) == in_a
    assert "SGD lr=1.0" not in switches and "SGD lr=1.0" not in volume
    legend = " ".join(text.get_text() for text in figure.legends[0].get_texts())
    if in_a:
        assert f"SGD lr=1.0 (diverged in epoch {epochs + 1})" in legend
        assert "without SGD lr=1.0 in (b) and (c): too few epochs" in _caption(figure)
    else:
        assert "trained but not measured so: SGD lr=1.0" in _caption(figure)
    assert figure_5.compose_layers(Tables(find_runs(root)))


def _diverge(write, root, epochs):
    """Replaces the run of SGD 1.0 by one that diverged after so many epochs."""
    shutil.rmtree(root / "sgd_1_seed0")
    run = write(root, "sgd_1_seed0", "sgd", 1.0, diverged_in=epochs + 1, layers=["dense_3"])
    losses = pd.read_csv(run / "results/losses.csv")[: epochs + 1]
    losses.to_csv(run / "results/losses.csv", index=False)
    for table in ("regret", "exponents"):
        (run / f"results/{table}.csv").unlink()
    explored(run, 9.0, epochs=epochs)


def test_the_mean_is_over_the_seeds_that_finished(tmp_path, explore_set, write):
    root = explore_set(tmp_path, spread=0.0)
    _diverge(write, root, 30)
    totals = exploration.totals(load.read_exploration(root), load.read_losses(root))
    table = rows(totals, Optimizer.of("sgd", 1.0)).query("scope == 'network'")
    assert (table["seeds"] == 2).all() and not table["diverged"].any()
    assert (table["fate"] == "1 of 3 seeds diverged").all()
    assert table["low"].isna().all()
    assert table.set_index("measure")["mean"]["minimum_hamming"] == pytest.approx(0.99)


@pytest.mark.slow
@pytest.mark.pixels
def test_an_experiment_on_exploration_has_figures_5_and_6(tmp_path, explore_set):
    root = explore_set(tmp_path / "runs", seeds=(0,))
    written = figures.draw(figures.ALL, root, tmp_path / "out")
    drawn = {path.stem for path in written if path.suffix == ".png"}
    assert drawn == {"figure_5", "figure_5_layers", "figure_6"}
    for number in ("3", "4"):
        with pytest.raises(NoResults):
            figures.draw([number], root, tmp_path / "out")
    for path in figures.draw(["5"], root, tmp_path / "again"):
        if path.suffix == ".png":
            other = tmp_path / "out" / path.relative_to(tmp_path / "again")
            assert path.read_bytes() == other.read_bytes()


def test_an_experiment_without_exploration_has_no_figure_5(tmp_path, write):
    root = write(tmp_path / "runs", "adam_seed0", "adam", 0.01, layers=["dense_3"])
    with pytest.raises(NoResults, match="python -m reproduce explore RUNS"):
        figures.draw(["5"], root, tmp_path / "out")
    drawn = {path.stem for path in figures.draw(figures.ALL, root, tmp_path / "out")}
    assert "figure_6" in drawn and "figure_5" not in drawn
    assert exploration.totals(load.read_exploration(root), load.read_losses(root)).empty


@pytest.mark.parametrize("name", ["minimum_hamming", "switches", "log_volume", "exploration"])
def test_the_table_that_one_run_lacks_is_named(tmp_path, explore_set, name):
    root = explore_set(tmp_path)
    path = root / f"adam_0.01_seed0/results/{name}.csv"
    path.write_text("scope\nnetwork\n")
    with pytest.raises(ResultsError, match=f"{name}.csv is damaged.*reproduce explore .*adam"):
        load.read_exploration(root)
    path.unlink()
    with pytest.raises(ResultsError, match=f"{name}.csv is missing.*reproduce explore .*adam"):
        load.read_exploration(root)


@pytest.mark.parametrize("changes", [{"points": 500}, {"layers": {"dense_1": 100}}])
def test_runs_that_recorded_other_activations_are_not_mixed(tmp_path, explore_set, write, changes):
    root = explore_set(tmp_path, seeds=(0,))
    run = write(root, "adam_seed7", "adam", 0.01, seed=7, layers=["dense_3"])
    explored(run, 2.0, **changes)
    with pytest.raises(ResultsError, match=r"share their records \(activations\)"):
        require_one_protocol(find_runs(root))


def test_an_interval_needs_three_seeds():
    assert np.isnan(t_interval([1.0, 2.0])).all()
    low, high = t_interval([1.0, 2.0, 3.0])
    assert (low + high) / 2 == 2 and high == pytest.approx(2 + 4.302653 / 3**0.5)


def test_without_a_record_nothing_is_said_of_activations(tmp_path, write_set):
    assert words.activations(find_runs(write_set(tmp_path))) == ""
