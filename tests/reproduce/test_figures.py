"""What is drawn is what the tables say, down to the bytes."""

import numpy as np
import pandas as pd
import pytest
from reproduce.tables import ResultsError

from reproduce import captions, curves, figure_4, figure_6, figures, style, tables


def _figure_4(root, **options):
    runs = tables.find_runs(root)
    return figure_4.compose(runs, tables.read_regret(root), tables.read_losses(root), **options)


def _figure_6(root):
    return figure_6.compose(tables.find_runs(root), tables.read_losses(root))


def _lines(axes):
    return {
        line.get_label(): line for line in axes.get_lines() if not line.get_label().startswith("_")
    }


def _legend_texts(figure):
    return [text.get_text() for text in figure.legends[0].get_texts()]


def _names(paths):
    return sorted(path.name for path in paths)


def test_sqrt_growth_is_flat_in_panel_b(tmp_path, write_set):
    left, right = _figure_4(write_set(tmp_path)).axes
    lines = _lines(left)
    assert list(lines) == ["RMSProp", "Adam", "SGD lr=1.0"]
    for label, slope in [("RMSProp", 4.0), ("Adam", 3.0), ("SGD lr=1.0", 6.0)]:
        np.testing.assert_allclose(lines[label].get_ydata(), slope)
        np.testing.assert_array_equal(lines[label].get_xdata(), np.arange(1, 101))
    assert "1000" in left.get_ylabel() and "(b)" in left.get_xlabel()
    assert "(c)" in right.get_xlabel()


def test_panel_c_shows_loss_and_optimum_whose_distance_is_regret(tmp_path, write_set):
    lines = _lines(_figure_4(write_set(tmp_path)).axes[1])
    gap = lines["Adam"].get_ydata() - lines["Adam, Taylor optimal"].get_ydata()
    np.testing.assert_allclose(gap, 0.003)
    assert not lines["Adam"].is_dashed()
    assert lines["Adam, Taylor optimal"].is_dashed()


def test_the_record_and_the_layer_are_the_ones_asked_for(tmp_path, write_set):
    root = write_set(tmp_path)
    path = root / "adam_seed0" / "results" / "regret.csv"
    table = pd.read_csv(path)
    other = (table["record"] == "definition") & (table["scope"] == "dense_5")
    table.loc[other, ["regret", "regret_over_sqrt_n"]] *= 2
    table.to_csv(path, index=False)
    doubled = _figure_4(root, record="definition", layer="dense_5").axes[0]
    same = _figure_4(root, record="figures", layer="dense_5").axes[0]
    np.testing.assert_allclose(_lines(doubled)["Adam"].get_ydata(), 6.0)
    np.testing.assert_allclose(_lines(same)["Adam"].get_ydata(), 3.0)
    assert "layer 5" in doubled.get_xlabel()


@pytest.mark.parametrize(
    "sgd, label", [(None, "SGD lr=1.0"), (0.1, "SGD lr=0.1"), ("SGD lr=0.01", "SGD lr=0.01")]
)
def test_sgd_is_the_best_rate_or_the_one_asked_for(tmp_path, write_set, sgd, label):
    assert label in _lines(_figure_4(write_set(tmp_path), sgd=sgd).axes[0])


def test_an_sgd_rate_without_a_run_is_refused(tmp_path, write_set):
    with pytest.raises(ResultsError, match="no run of SGD lr=0.5; there is SGD lr=0.01, "):
        _figure_4(write_set(tmp_path), sgd=0.5)


def test_seeds_become_a_mean_and_a_band(tmp_path, write):
    for seed, slope in enumerate([0.002, 0.004, 0.006]):
        write(tmp_path, f"adam_seed{seed}", "adam", 0.01, seed=seed, slope=slope)
    axes = _figure_4(tmp_path).axes[0]
    np.testing.assert_allclose(_lines(axes)["Adam"].get_ydata(), 4.0)
    edges = axes.collections[0].get_paths()[0].vertices[:, 1]
    np.testing.assert_allclose([edges.min(), edges.max()], [2.0, 6.0])


def test_one_seed_has_no_band(tmp_path, write_set):
    assert not _figure_4(write_set(tmp_path)).axes[0].collections


def test_negative_regret_is_inside_the_axis_with_a_zero_line(tmp_path, write_set):
    axes = _figure_4(write_set(tmp_path, adam={"slope": -0.003})).axes[0]
    np.testing.assert_allclose(_lines(axes)["Adam"].get_ydata(), -3.0)
    assert axes.get_ylim()[0] < -3.0
    assert any(np.allclose(line.get_ydata(), 0) for line in axes.get_lines())


def test_positive_regret_far_from_zero_has_no_zero_line(tmp_path, write_set):
    axes = _figure_4(write_set(tmp_path)).axes[0]
    assert not any(np.allclose(line.get_ydata(), 0) for line in axes.get_lines())


def test_the_papers_axis_is_shown_whole_where_the_data_allow(tmp_path, write_set):
    axes = _figure_4(write_set(tmp_path)).axes[0]
    low, high = axes.get_ylim()
    assert low <= 2.0 and high >= 7.0
    assert "paper's axis" in [text.get_text() for text in axes.texts]


def test_the_papers_axis_out_of_sight_is_named(tmp_path, write_set):
    slopes = {"adam": 0.30, "rmsprop": 0.31, "sgd": 0.32}
    root = write_set(tmp_path, **{name: {"slope": slope} for name, slope in slopes.items()})
    axes = _figure_4(root).axes[0]
    assert axes.get_ylim()[0] > 7.0
    assert axes.texts[0].get_text() == "paper's axis: 2 to 7, below"


def test_a_transient_may_leave_the_axis_but_only_if_the_caption_says_so():
    epoch = np.arange(1.0, 101.0)
    spike = curves.Curve(epoch, np.where(epoch < 3, 500.0, 4.0 + np.sin(epoch)), None)
    calm = curves.Curve(epoch, 4.0 + np.sin(epoch), None)
    assert curves.limits([spike])[1:] == (pytest.approx(5.12, abs=0.05), True)
    assert curves.limits([calm])[2] is False


def test_what_is_flat_looks_flat():
    epoch = np.arange(1.0, 101.0)
    wiggle = curves.Curve(epoch, 0.6 + 0.003 * np.sin(epoch), None)
    low, high, _ = curves.limits([wiggle])
    assert high - low > 0.15 and (low + high) / 2 == pytest.approx(0.6, abs=1e-3)


def test_diverged_runs_are_labelled_and_cut_not_dropped(tmp_path, write_set):
    root = write_set(tmp_path, sgd={"diverged_in": 4})
    figure = _figure_4(root)
    assert "at most 1e-3" in figure.get_supxlabel()
    assert any("SGD lr=0.01 (diverged in epoch 4)" in text for text in _legend_texts(figure))
    assert "SGD lr=1.0\n(diverged in epoch 4)" in _legend_texts(_figure_6(root))
    drawn = _lines(_figure_6(root).axes[0])["SGD lr=1.0"].get_ydata()
    assert np.isfinite(drawn[:3]).all() and np.isnan(drawn[3:]).all()


def test_a_mean_ends_where_one_seed_diverges(tmp_path, write):
    write(tmp_path, "sgd_seed0", "sgd", 1.0)
    write(tmp_path, "sgd_seed1", "sgd", 1.0, seed=1, diverged_in=50)
    figure = _figure_6(tmp_path)
    drawn = _lines(figure.axes[0])["SGD lr=1.0"].get_ydata()
    assert np.isfinite(drawn[:49]).all() and np.isnan(drawn[49:]).all()
    assert "1 of 2 seeds diverged" in _legend_texts(figure)[0]


def test_figure_6_has_the_papers_legend_and_range(tmp_path, write_set):
    figure = _figure_6(write_set(tmp_path))
    (panel,) = figure.axes
    assert _legend_texts(figure) == ["RMSProp", "Adam", "SGD lr=1.0", "SGD lr=0.1", "SGD lr=0.01"]
    assert panel.get_ylim() == (0.0, 0.12)
    expected = pd.read_csv(tmp_path / "adam_seed0/results/losses.csv")["loss"]
    np.testing.assert_allclose(_lines(panel)["Adam"].get_ydata(), expected)


def test_figure_6_widens_its_range_for_larger_losses(tmp_path, write_set):
    panel = _figure_6(write_set(tmp_path, sgd={"final": 0.2})).axes[0]
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
    panels = _figure_4(tmp_path).axes
    assert [axes.get_xlabel().split("\n")[1][:3] for axes in panels] == ["(a)", "(b)", "(c)"]
    np.testing.assert_allclose(_lines(panels[0])["Adam"].get_ydata(), 8.0)
    assert len(_figure_6(tmp_path).axes) == 2


def test_all_layers_have_a_column_each(tmp_path, write_set):
    root = write_set(tmp_path)
    figure = figure_4.compose_layers(
        tables.find_runs(root),
        tables.read_regret(root),
        tables.read_losses(root),
        layers=["dense_2", "dense_6"],
    )
    assert [axes.get_title() for axes in figure.axes[:2]] == [
        "Layer 2 (dense_2)",
        "Layer 6 (dense_6)",
    ]


def test_the_caption_comes_from_the_configuration(tmp_path, write):
    write(
        tmp_path,
        "adam_seed3",
        "adam",
        0.01,
        seed=3,
        epochs=40,
        protocol={"output_activation": "sigmoid", "kernel_initializer": "he_normal"},
        records={"mine": {"reduction": "batch_mean", "schedule": "8 an epoch"}},
    )
    caption = " ".join(_figure_4(tmp_path, record="mine").get_supxlabel().split())
    for words in (
        "mine protocol: batch_mean, 8 rounds an epoch, no ball",
        "quick scale: MNIST sample, 4,000 digits",
        "40 epochs",
        "seed 3",
        "sigmoid output, He normal",
        "TensorFlow 2.21",
        "at most 1e-3",
    ):
        assert words in caption


@pytest.mark.parametrize("gap, words", [(0.5, "up to"), (np.nan, "without a certificate")])
def test_the_caption_admits_a_large_gap(tmp_path, write, gap, words):
    run = write(tmp_path, "adam_seed0", "adam", 0.01)
    table = pd.read_csv(run / "results/regret.csv")
    table.assign(gap=gap).to_csv(run / "results/regret.csv", index=False)
    assert words in _figure_4(tmp_path).get_supxlabel()


def test_long_captions_break_between_phrases():
    figure = style.new_figure(2.0)
    style.caption(figure, [["a phrase of some length"] * 12])
    for row in figure.get_supxlabel().split("\n"):
        assert set(row.split("  |  ")) == {"a phrase of some length"}
    assert figure.get_supxlabel().count("\n") == 1


def test_redrawing_gives_identical_bytes(tmp_path, write_set):
    root = write_set(tmp_path / "runs", seeds=(0, 1))
    first = figures.draw(["4", "6"], root, tmp_path / "first")
    second = figures.draw(["4", "6"], root, tmp_path / "second")
    assert (
        _names(first)
        == _names(second)
        == sorted(
            f"figure_{name}.{kind}"
            for kind in ("png", "pdf")
            for name in (
                "4_figures",
                "4_figures_layers",
                "4_definition",
                "4_definition_layers",
                "6",
            )
        )
    )
    for one, other in zip(first, second):
        assert one.read_bytes() == other.read_bytes(), one.name


def test_several_result_sets_are_drawn_apart(tmp_path, write_set):
    for name in ("linear", "sigmoid"):
        write_set(tmp_path / "runs" / "autoencoder" / name)
    written = figures.draw([6], tmp_path / "runs", tmp_path / "out")
    assert {path.parent.name for path in written} == {"linear", "sigmoid"}


@pytest.mark.parametrize(
    "number, words",
    [
        (3, "Figure 3 needs the regret of neurons"),
        ("5", "Figure 5 needs the exploration measures"),
        (9, "There is no figure 9; the figures are 1, 2, 3, 4"),
    ],
)
def test_figures_without_results_say_what_is_missing(tmp_path, write_set, number, words):
    with pytest.raises(ResultsError, match=words):
        figures.draw([number], write_set(tmp_path), tmp_path / "out")


@pytest.mark.parametrize(
    "options, words",
    [
        ({"records": ["mine"]}, "no record mine; there is figures, definition"),
        ({"layer": "dense_9"}, "no regret of dense_9 .*dense_2, dense_3"),
        ({"ball": True}, "no regret of dense_3 with a ball"),
    ],
)
def test_what_was_not_solved_is_named(tmp_path, write_set, options, words):
    with pytest.raises(ResultsError, match=words):
        figures.draw([4], write_set(tmp_path), tmp_path / "out", **options)


def test_colours_do_not_depend_on_what_else_is_drawn():
    assert style.colours(["Adam"])["Adam"] == style.colours(["Adam", "SGD lr=0.3"])["Adam"]
    drawn = style.colours(
        [
            "Adam",
            "RMSProp",
            "SGD lr=1.0",
            "SGD lr=0.1",
            "SGD lr=0.01",
            "SGD lr=0.3",
            "Adam lr=0.1",
            "RMSProp (Keras 3)",
        ]
    )
    assert len(set(drawn.values())) == len(drawn)


def test_protocol_in_words(tmp_path, write):
    write(tmp_path, "adam_seed0", "adam", 0.01)
    runs = tables.find_runs(tmp_path)
    assert captions.protocol(runs, "definition", ball=True) == (
        "definition protocol: per_example, 4 rounds an epoch, inside the ball"
    )


@pytest.mark.parametrize(
    "data, words",
    [
        (
            {"name": "mnist", "source": "MNIST, 60,000 digits", "examples": 60000},
            "quick scale: MNIST, 60,000 digits",
        ),
        (
            {"name": "mnist", "source": "MNIST, 60,000 digits", "examples": 512},
            "quick scale: MNIST, 60,000 digits, 512 of them used",
        ),
        ({"name": "mnist"}, "quick scale: mnist"),
    ],
)
def test_data_in_words(tmp_path, write, data, words):
    write(tmp_path, "adam_seed0", "adam", 0.01)
    runs = tables.find_runs(tmp_path)
    runs.iloc[0]["config"]["data"] = data
    assert captions.experiment(runs)[0] == words
