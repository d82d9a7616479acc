"""Figures 4 and 6 show what the tables say."""

import numpy as np
import pandas as pd
import pytest

from reproduce import figures
from reproduce.figures import axes as ranges
from reproduce.figures import figure_4
from reproduce.results.runs import ResultsError, find_runs
from reproduce.results.select import Reading
from reproduce.results.tables import Tables
from tests.reproduce.drawn import (
    KERAS,
    MINE,
    curve_of,
    figure_of_4,
    figure_of_6,
    legend_texts,
    lines_of,
    sheet_4,
)


def test_sqrt_growth_is_flat_in_panel_b(tmp_path, write_set):
    left, _, strip = figure_of_4(write_set(tmp_path)).axes
    lines = lines_of(left)
    assert list(lines) == ["RMSProp", "Adam", "SGD lr=1.0"]
    for label, slope in [("RMSProp", 4.0), ("Adam", 3.0), ("SGD lr=1.0", 6.0)]:
        np.testing.assert_allclose(lines[label].get_ydata(), slope)
        np.testing.assert_array_equal(lines[label].get_xdata(), np.arange(1, 101))
    assert "1000" in left.get_ylabel() and "(b)" in left.get_xlabel()
    assert "(c)" in strip.get_xlabel()


def test_panel_c_shows_loss_and_optimum_whose_distance_is_regret(tmp_path, write_set):
    lines = lines_of(figure_of_4(write_set(tmp_path)).axes[1])
    gap = lines["Adam"].get_ydata() - lines["Adam, Taylor optimal"].get_ydata()
    np.testing.assert_allclose(gap, 0.003)
    assert not lines["Adam"].is_dashed()
    assert lines["Adam, Taylor optimal"].is_dashed()


def test_panel_c_shows_a_gap_that_losses_hide(tmp_path, write_set):
    strip = figure_of_4(write_set(tmp_path)).axes[2]
    drawn = lines_of(strip)["Adam"].get_ydata()
    table = pd.read_csv(tmp_path / "adam_seed0/results/regret.csv")
    rows = table[(table["record"] == "figures") & (table["scope"] == "dense_3")]
    np.testing.assert_allclose(drawn, 100 * rows["regret"] / rows["cumulative_loss"])
    assert "%" in strip.get_ylabel()


def test_the_record_and_the_layer_are_the_ones_asked_for(tmp_path, write_set):
    root = write_set(tmp_path)
    path = root / "adam_seed0" / "results" / "regret.csv"
    table = pd.read_csv(path)
    other = (table["record"] == "definition") & (table["scope"] == "dense_5")
    table.loc[other, ["regret", "regret_over_sqrt_n"]] *= 2
    table.to_csv(path, index=False)
    doubled = figure_of_4(root, record="definition", layer="dense_5").axes[0]
    same = figure_of_4(root, record="figures", layer="dense_5").axes[0]
    np.testing.assert_allclose(lines_of(doubled)["Adam"].get_ydata(), 6.0)
    np.testing.assert_allclose(lines_of(same)["Adam"].get_ydata(), 3.0)
    assert "layer 5" in doubled.get_xlabel()


@pytest.mark.parametrize(
    "sgd, labels",
    [
        (None, ["SGD lr=1.0"]),
        ([0.1], ["SGD lr=0.1"]),
        ({"autoencoder": [0.1, 0.01]}, ["SGD lr=0.1", "SGD lr=0.01"]),
    ],
)
def test_sgd_is_the_best_rate_or_those_asked_for(tmp_path, write_set, sgd, labels):
    sheet = sheet_4(write_set(tmp_path), sgd=sgd)
    assert list(lines_of(sheet.figure.axes[0])) == ["RMSProp", "Adam", *labels]
    assert "not all rates of SGD are drawn" in sheet.figure.get_supxlabel()
    (told,) = [text for text in sheet.details if text.startswith("not drawn: ")]
    others = {"SGD lr=1.0", "SGD lr=0.1", "SGD lr=0.01"} - set(labels)
    assert set(told.removeprefix("not drawn: ").split(", ")) == others


def test_an_sgd_rate_without_a_run_is_refused(tmp_path, write_set):
    root = write_set(tmp_path / "runs")
    with pytest.raises(ResultsError, match="no run of SGD at rate 0.5; there is 1, 0.1, 0.01"):
        figures.draw(["4"], root, tmp_path / "out", sgd=[0.5])


def test_no_optimizer_is_dropped(tmp_path, write_set, write):
    """Whatever was trained is drawn, in a colour of its own."""
    root = write_set(tmp_path)
    write(root, "lion_seed0", "lion", 0.003)
    write(root, "adam_fast_seed0", "adam", 0.03)
    panel = figure_of_4(root).axes[0]
    lines = lines_of(panel)
    assert list(lines) == ["RMSProp", "Adam lr=0.03", "Adam", "SGD lr=1.0", "lion lr=0.003"]
    assert len({line.get_color() for line in lines.values()}) == 5
    assert list(lines_of(figure_of_6(root).axes[0]))[-1] == "lion lr=0.003"


def test_seeds_become_a_mean_and_a_band(tmp_path, write):
    for seed, slope in enumerate([0.002, 0.004, 0.006]):
        write(tmp_path, f"adam_seed{seed}", "adam", 0.01, seed=seed, slope=slope)
    axes = figure_of_4(tmp_path).axes[0]
    np.testing.assert_allclose(lines_of(axes)["Adam"].get_ydata(), 4.0)
    edges = axes.collections[0].get_paths()[0].vertices[:, 1]
    np.testing.assert_allclose([edges.min(), edges.max()], [2.0, 6.0])


def test_one_seed_has_no_band(tmp_path, write_set):
    assert not figure_of_4(write_set(tmp_path)).axes[0].collections


def test_negative_regret_is_inside_the_axis_with_a_zero_line(tmp_path, write_set):
    axes = figure_of_4(write_set(tmp_path, adam={"slope": -0.003})).axes[0]
    np.testing.assert_allclose(lines_of(axes)["Adam"].get_ydata(), -3.0)
    assert axes.get_ylim()[0] < -3.0
    assert any(np.allclose(line.get_ydata(), 0) for line in axes.get_lines())


def test_positive_regret_begins_at_zero_and_needs_no_zero_line(tmp_path, write_set):
    axes = figure_of_4(write_set(tmp_path)).axes[0]
    assert axes.get_ylim()[0] == 0
    assert not any(np.allclose(line.get_ydata(), 0) for line in axes.get_lines())


def test_the_papers_axis_is_shown_whole_where_the_data_allow(tmp_path, write_set):
    axes = figure_of_4(write_set(tmp_path)).axes[0]
    low, high = axes.get_ylim()
    assert low <= 2.0 and high >= 7.0
    assert "paper's axis" in [text.get_text() for text in axes.texts]


def test_a_speck_of_the_papers_axis_is_not_marked(tmp_path, write_set):
    slopes = {"adam": 0.30, "rmsprop": 0.31, "sgd": 0.32}
    root = write_set(tmp_path, **{name: {"slope": slope} for name, slope in slopes.items()})
    axes = figure_of_4(root).axes[0]
    assert axes.get_ylim()[1] > 300
    assert not axes.texts  # a speck on this axis


def test_the_papers_axis_out_of_sight_is_named(tmp_path, write_set):
    slopes = {"adam": 0.0003, "rmsprop": 0.0004, "sgd": 0.0005}
    root = write_set(tmp_path, **{name: {"slope": slope} for name, slope in slopes.items()})
    assert figure_of_4(root).axes[0].texts[0].get_text() == "paper's axis: 2 to 7, above"


def test_a_transient_may_leave_the_axis_but_only_if_the_caption_says_so():
    epoch = np.arange(1.0, 101.0)
    spike = curve_of(epoch, np.where(epoch < 3, 500.0, 4.0 + np.sin(epoch)))
    calm = curve_of(epoch, 4.0 + np.sin(epoch))
    assert ranges.limits([spike])[1:] == (pytest.approx(5.3, abs=0.05), True)
    assert ranges.limits([calm])[2] is False


def test_what_is_flat_looks_flat():
    epoch = np.arange(1.0, 101.0)
    wiggle = curve_of(epoch, 0.6 + 0.003 * np.sin(epoch))
    assert ranges.limits([wiggle])[:2] == (0, pytest.approx(0.64, abs=1e-2))
    assert ranges.limits([curve_of(epoch, -np.ones(100))])[:2] == pytest.approx((-1.06, 0.06))


def test_diverged_runs_are_labelled_and_cut_not_dropped(tmp_path, write_set):
    root = write_set(tmp_path, sgd={"diverged_in": 4})
    figure = figure_of_4(root)
    assert "at most 1e-3" in figure.get_supxlabel()
    assert "SGD lr=1.0 (diverged in epoch 4)" in legend_texts(figure)
    assert "SGD lr=1.0 (diverged in epoch 4)" in legend_texts(figure_of_6(root))
    drawn = lines_of(figure_of_6(root).axes[0])["SGD lr=1.0"].get_ydata()
    assert np.isfinite(drawn[:3]).all() and np.isnan(drawn[3:]).all()


def test_a_mean_ends_where_one_seed_diverges(tmp_path, write):
    write(tmp_path, "sgd_seed0", "sgd", 1.0)
    write(tmp_path, "sgd_seed1", "sgd", 1.0, seed=1, diverged_in=50)
    figure = figure_of_6(tmp_path)
    drawn = lines_of(figure.axes[0])["SGD lr=1.0"].get_ydata()
    assert np.isfinite(drawn[:49]).all() and np.isnan(drawn[49:]).all()
    assert "1 of 2 seeds diverged" in legend_texts(figure)[0]


def test_figure_6_has_the_papers_legend_and_range(tmp_path, write_set):
    figure = figure_of_6(write_set(tmp_path))
    (panel,) = figure.axes
    assert legend_texts(figure) == ["RMSProp", "Adam", "SGD lr=1.0", "SGD lr=0.1", "SGD lr=0.01"]
    assert panel.get_yscale() == "log" and panel.get_ylim()[1] == pytest.approx(0.12)
    assert panel.texts[0].get_text() == "paper's axis: 0 to 0.12"
    assert "logarithmic axes; the paper's are linear" in figure.get_supxlabel()
    expected = pd.read_csv(tmp_path / "adam_seed0/results/losses.csv")["loss"]
    np.testing.assert_allclose(lines_of(panel)["Adam"].get_ydata(), expected)


def test_figure_6_widens_its_range_for_larger_losses(tmp_path, write_set):
    panel = figure_of_6(write_set(tmp_path, sgd={"final": 0.2})).axes[0]
    assert panel.get_ylim()[1] > 0.24


def test_convnet_results_bring_their_panels(tmp_path, write_set, write):
    write_set(tmp_path / "autoencoder")
    write(
        tmp_path / "convnet",
        "adam_seed0",
        "adam",
        0.0002,
        task="convnet",
        layers=["conv2d_2"],
        slope=8.0,
        final=0.1,
    )
    first, second, _, third = figure_of_4(tmp_path).axes
    letters = [axes.get_xlabel().split("\n")[1][:3] for axes in (first, second, third)]
    assert letters == ["(a)", "(b)", "(c)"]
    np.testing.assert_allclose(lines_of(first)["Adam"].get_ydata(), 8.0)
    assert len(figure_of_6(tmp_path).axes) == 2


def _raise_regret(root, scope):
    """Multiplies the regret of a layer by one and a half."""
    for path in root.glob("*/results/regret.csv"):
        table = pd.read_csv(path)
        table.loc[table["scope"] == scope, ["regret", "regret_over_sqrt_n"]] *= 1.5
        optima = table["cumulative_loss"] - table["regret"]
        table.assign(taylor_optimum=optima).to_csv(path, index=False)
    return root


def test_all_layers_have_a_column_each_on_one_axis(tmp_path, write_set):
    root = _raise_regret(write_set(tmp_path), "dense_6")
    scopes = ["dense_2", "dense_6"]
    figure = figure_4.compose_layers(Tables(find_runs(root)), Reading("figures"), scopes).figure
    above = figure.axes[:2]
    titles = [axes.get_title() for axes in above]
    assert titles == ["Layer 2 (dense_2)", "Layer 6 (dense_6)"]
    assert above[0].get_ylim() == above[1].get_ylim()
    np.testing.assert_allclose(lines_of(above[1])["Adam"].get_ydata(), 4.5)


def test_layers_with_the_same_optima_share_a_panel(tmp_path, write_set):
    root = _raise_regret(write_set(tmp_path), "dense_6")
    scopes = ["dense_2", "dense_3", "dense_6"]
    sheet = figure_4.compose_layers(Tables(find_runs(root)), Reading("figures"), scopes)
    titles = [axes.get_title() for axes in sheet.figure.axes[:2]]
    assert titles == ["Layers 2, 3", "Layer 6 (dense_6)"]
    assert "layers in one panel have the same optima" in sheet.figure.get_supxlabel()
    assert any(text.startswith("dense_3, in the panel of another") for text in sheet.details)


def test_a_dead_run_has_no_regret(tmp_path, write_set):
    root = write_set(tmp_path, sgd={"slope": 1e-10})
    figure = figure_of_4(root)
    left, losses, strip = figure.axes
    assert "SGD lr=1.0" not in lines_of(left) and "SGD lr=1.0" not in lines_of(strip)
    assert "SGD lr=1.0" in lines_of(losses)
    assert "SGD lr=1.0 (dead)" in legend_texts(figure)
    assert "no regret but rounding, not drawn: SGD lr=1.0" in figure.get_supxlabel()


def test_the_caption_comes_from_the_configuration(tmp_path, write):
    write(
        tmp_path,
        "adam_seed3",
        "adam",
        0.01,
        seed=3,
        epochs=40,
        protocol={"output_activation": "sigmoid", "kernel_initializer": "he_normal"},
        records={"mine": MINE},
    )
    sheet = sheet_4(tmp_path, record="mine")
    caption = " ".join(sheet.figure.get_supxlabel().split())
    for phrase in (
        "mine protocol: batch_mean, 8 rounds an epoch, no ball",
        "quick scale, MNIST sample, 4,000 digits, 40 epochs, sigmoid output, seed 3",
        "RMSProp and Adam as in TensorFlow of 2016",
        "at most 1e-3",
    ):
        assert phrase in caption
    details = "\n".join(sheet.details)
    for phrase in ("sigmoid output, He normal", "TensorFlow 2.21", "epsilon 1e-10 and 1e-8"):
        assert phrase in details


@pytest.mark.slow
def test_the_variant_is_in_the_caption_and_in_the_legend(tmp_path, write_set, write):
    root = write_set(tmp_path / "runs")
    write(root, "adam_keras", "adam", 0.01, protocol=KERAS, slope=0.002)
    old, new = figure_of_4(root), figure_of_4(root, variant="keras_3")
    assert "Adam" in legend_texts(old) and "Adam (Keras 3)" not in legend_texts(old)
    assert "Adam (Keras 3)" in legend_texts(new) and "Adam" not in legend_texts(new)
    assert "RMSProp and Adam as in TensorFlow of 2016" in old.get_supxlabel()
    assert "as in TensorFlow of 2016, and of Keras 3 where it is said" in new.get_supxlabel()
    colours = [lines_of(figure.axes[0]) for figure in (old, new)]
    assert colours[0]["Adam"].get_color() != colours[1]["Adam (Keras 3)"].get_color()
    names = {path.stem for path in figures.draw(["4", "6"], root, tmp_path / "out")}
    assert {"figure_4_figures_free", "figure_4_figures_free_keras_3", "figure_6_keras_3"} <= names


@pytest.mark.parametrize("gap, phrase", [(0.5, "up to"), (np.nan, "without a certificate")])
def test_the_caption_admits_a_large_gap(tmp_path, write, gap, phrase):
    run = write(tmp_path, "adam_seed0", "adam", 0.01)
    table = pd.read_csv(run / "results/regret.csv")
    table.assign(gap=gap).to_csv(run / "results/regret.csv", index=False)
    assert phrase in figure_of_4(tmp_path).get_supxlabel()
