"""Figures 3, 4 and 6 of the convnet show what its tables say."""

import numpy as np
import pandas as pd
import pytest

from reproduce import figures
from reproduce.figures import figure_3, figure_4, figure_6
from reproduce.figures.options import Options
from reproduce.optimizers import Optimizer
from reproduce.results import load, words
from reproduce.results.runs import NoResults, ResultsError, find_runs
from reproduce.results.select import Reading
from reproduce.results.tables import Tables

_RMSPROP = Optimizer.of("rmsprop", 0.0005)


def _sheet_3(root, record="figures", ball=False, optimizer=_RMSPROP):
    return figure_3.compose(Tables(find_runs(root)), Reading(record, ball), optimizer)


def _figure_3(root, **options):
    return _sheet_3(root, **options).figure


def _figure_4(root, record="figures", ball=False, **options):
    tables = Tables(find_runs(root))
    return figure_4.compose(tables, Reading(record, ball), Options(**options)).figure


def _figure_6(root):
    return figure_6.compose(Tables(find_runs(root)))


def _panels(figure):
    """The three panels of Figure 3; strips of regret lie below the last two."""
    return [figure.axes[0], figure.axes[1], figure.axes[3]]


def _lines(axes):
    return {
        line.get_label(): line for line in axes.get_lines() if not line.get_label().startswith("_")
    }


def _labelled(axes, label):
    return [line for line in axes.get_lines() if line.get_label() == label]


def _caption(figure):
    return " ".join(figure.get_supxlabel().split())


def _variants(paths):
    """Names of the drawings beside those of the paper."""
    return sorted(p.stem for p in paths if p.suffix == ".png" and p.parent.name != "paper")


@pytest.fixture
def neurons(tmp_path, write_convnet):
    """A run of RMSProp with eight neurons a layer and no noise."""
    write_convnet(tmp_path, "rmsprop", "rmsprop", 0.0005, neurons=8, noise=0)
    return tmp_path


def test_figure_3a_averages_the_neurons_of_each_layer(neurons):
    panel = _figure_3(neurons).axes[0]
    lines = _lines(panel)
    assert list(lines) == ["layer 1", "layer 2", "layer 3"]
    # The k-th of eight neurons has (0.5 + k / 8) times 0.6 times the layer's factor.
    factors = 0.5 + np.arange(8) / 8
    for (_label, line), scale in zip(lines.items(), [0.3, 1.0, 0.9]):
        np.testing.assert_allclose(line.get_ydata(), 0.6 * scale * factors.mean())
        np.testing.assert_array_equal(line.get_xdata(), np.arange(5, 101, 5))
    assert len({line.get_color() for line in lines.values()}) == 3
    edges = panel.collections[1].get_paths()[0].vertices[:, 1]
    deviation = 0.6 * factors.std(ddof=1)
    expected = [0.6 * factors.mean() - deviation, 0.6 * factors.mean() + deviation]
    np.testing.assert_allclose([edges.min(), edges.max()], expected)


def test_figure_3a_shows_the_first_middle_and_last_neuron_of_each_layer(neurons):
    sheet = _sheet_3(neurons)
    dashed = _labelled(sheet.figure.axes[0], "_individual")
    assert len(dashed) == 9 and all(line.is_dashed() for line in dashed)
    middle = [line.get_ydata()[0] for line in dashed[3:6]]  # of layer 2
    np.testing.assert_allclose(middle, [0.6 * (0.5 + k / 8) for k in (0, 3, 7)])
    assert "single neurons of layer 1: 0, 3, 7; layer 2: 0, 3, 7; layer 3: 0, 3, 7" in sheet.details


def test_figures_3b_and_3c_show_losses_optima_and_regret(neurons):
    table = load.read_regret(neurons)
    panels = _panels(_figure_3(neurons, record="definition"))[1:]
    for axes, layer in zip(panels, ["conv2d_1", "conv2d_2"]):
        lines = {label: line.get_ydata() for label, line in _lines(axes).items()}
        assert list(lines) == ["network loss", "neuron loss", "Taylor optimal", "regret"]
        rows = table[(table["scope"] == f"{layer}:0") & (table["record"] == "definition")]
        np.testing.assert_allclose(
            lines["network loss"], rows["network_loss"] / rows["round"] ** 0.5
        )
        np.testing.assert_allclose(lines["neuron loss"], 1.02 * lines["network loss"])
        np.testing.assert_allclose(lines["regret"], lines["neuron loss"] - lines["Taylor optimal"])
        assert axes.get_xlim() == (0, 100) and axes.get_ylim()[0] == 0


def test_losses_that_coincide_are_one_curve(neurons):
    """Of whole minibatches neurons see the network's loss."""
    sheet = _sheet_3(neurons, record="figures")
    for axes in _panels(sheet.figure)[1:]:
        lines = {label: line.get_ydata() for label, line in _lines(axes).items()}
        assert list(lines) == ["network, neuron loss", "Taylor optimal", "regret"]
        gap = lines["network, neuron loss"] - lines["Taylor optimal"]
        np.testing.assert_allclose(lines["regret"], gap)
    assert "network and neuron loss are at most 0 of themselves apart" in sheet.details


@pytest.mark.parametrize("record", ["figures", "definition"])
def test_strips_show_regret_on_a_scale_of_its_own(neurons, record):
    table = load.read_regret(neurons)
    strips = _figure_3(neurons, record=record).axes[2::2]
    for axes, layer in zip(strips, ["conv2d_1", "conv2d_2"], strict=True):
        rows = table[table["scope"].str.startswith(f"{layer}:") & (table["record"] == record)]
        share = 100 * rows["regret"] / rows["cumulative_loss"]
        expected = share.groupby(rows["round"]).mean()
        np.testing.assert_allclose(_lines(axes)["regret, % of loss"].get_ydata(), expected)
    assert strips[0].get_ylim() == strips[1].get_ylim()


def test_figure_3_of_a_dead_run_has_no_regret(tmp_path, write_convnet):
    write_convnet(tmp_path, "sgd", "sgd", 1.0, neurons=4, slope=1e-8)
    first, second, strip = _figure_3(tmp_path, optimizer=Optimizer.of("sgd", 1.0)).axes[:3]
    assert not _lines(first) and first.texts[0].get_text().startswith("not applicable")
    assert "regret" not in _lines(second) and "Taylor optimal" in _lines(second)
    assert strip.texts[0].get_text() == "regret: not applicable"


def test_figure_3_has_the_layer_of_one_colour_throughout(neurons):
    first, *others = _panels(_figure_3(neurons))
    for axes, label in zip(others, ["layer 1", "layer 2"]):
        assert _lines(axes)["regret"].get_color() == _lines(first)[label].get_color()


def test_figure_3_names_the_papers_axes(neurons):
    texts = [axes.texts[0].get_text() for axes in _panels(_figure_3(neurons))]
    assert texts == ["paper's axis: 0 to 8", "paper's axis", "paper's axis"]


def test_figure_3_states_what_it_rests_on(neurons):
    sheet, definition = _sheet_3(neurons), _caption(_figure_3(neurons, record="definition"))
    caption = _caption(sheet.figure)
    for phrase in (
        "RMSProp, 8 neurons a layer",
        "figures protocol: batch_mean, 4 rounds an epoch, whole minibatches, no ball",
        "RMSProp and Adam as in TensorFlow of 2016",
        "convnet: paper scale, CIFAR-10, 50,000 images, JPEG-compressed copies, 100 epochs, seed 0",
        "bands: one standard deviation over neurons",
        "relative gap of optima at most 1e-3 for V within twice their distance",
    ):
        assert phrase in caption
    assert "linear output" not in caption  # the autoencoder's open choice
    assert "definition protocol: per_example, 1 round an epoch, 8 examples a round" in definition
    details = "\n".join(sheet.details)
    assert "minibatches of 128" in details
    assert "bfloat16 training steps, float32 records" in details


@pytest.mark.slow
def test_figure_3_takes_the_ball_where_only_that_was_solved(tmp_path, write_convnet):
    options = {"neurons": 4, "neuron_radii": (0.9,)}
    write_convnet(tmp_path / "runs", "rmsprop", "rmsprop", 0.0005, **options)
    written = figures.draw(["3"], tmp_path / "runs", tmp_path / "out")
    assert _variants(written) == ["figure_3_definition_ball", "figure_3_figures_ball"]
    sheet = _sheet_3(tmp_path / "runs", ball=True)
    caption = _caption(sheet.figure)
    assert "inside the ball" in caption and "no ball" not in caption
    assert "radius of the balls 0.14 to 1.1" in sheet.details
    assert "twice their distance" not in caption
    with pytest.raises(NoResults, match="No regret was solved so"):
        figures.draw(["3"], tmp_path / "runs", tmp_path / "out", ball=False)


def test_figure_3_marks_and_counts_optima_without_a_certificate(tmp_path, write_convnet):
    loose = [("conv2d_1:2", 30), ("conv2d_1:3", 30), ("conv2d_2:0", 50)]
    write_convnet(tmp_path, "rmsprop", "rmsprop", 0.0005, neurons=4, uncertified=loose)
    figure = _figure_3(tmp_path)
    panel = figure.axes[0]
    hollow = _labelled(panel, "_not certified")
    by_colour = [
        line for line in hollow if line.get_color() == _lines(panel)["layer 1"].get_color()
    ]
    assert all(line.get_xdata().tolist() == [30] for line in by_colour) and by_colour
    assert all(line.get_markerfacecolor() == "white" for line in hollow)
    marked = _labelled(figure.axes[1], "_not certified")  # the optimum and the regret, not losses
    assert [line.get_xdata().tolist() for line in marked] == [[30], [30]]
    assert _labelled(figure.axes[2], "_not certified")  # and its share of the loss
    assert "3 of 240 optima not certified to a relative gap of 1e-3" in _caption(figure)
    assert "(hollow points): up to 0.02" in _caption(figure)


def test_figure_3_of_another_optimizer_has_its_name(tmp_path, write_convnet_set):
    root = write_convnet_set(tmp_path / "runs", **{"sgd_0.1": {"neurons": 3}})
    written = figures.draw(["3"], root, tmp_path / "out", records=["figures"])
    assert _variants(written) == ["figure_3_figures_free", "figure_3_figures_free_sgd_0.1"]
    caption = _caption(_figure_3(root, optimizer=Optimizer.of("sgd", 0.1)))
    assert caption.startswith("SGD lr=0.1, 3 neurons")


def test_figure_3_keeps_the_place_of_a_layer_without_neurons(neurons):
    path = neurons / "rmsprop/results/regret.csv"
    table = pd.read_csv(path)
    table[~table["scope"].str.startswith("conv2d_1:")].to_csv(path, index=False)
    first, second, third, _ = _figure_3(neurons).axes
    assert list(_lines(first)) == ["layer 2", "layer 3"]
    assert second.texts[0].get_text() == "no neurons of conv2d_1"
    assert "regret" in _lines(third)


@pytest.mark.parametrize(
    "neurons_, phrase",
    [(0, "the convnet's tables hold only conv2d_1.*network.*--neurons 50"), (None, "no run of it")],
)
def test_figure_3_without_neurons_says_what_to_do(
    tmp_path, write_set, write_convnet_set, neurons_, phrase
):
    root = tmp_path / "runs"
    write_set(root) if neurons_ is None else write_convnet_set(root, neurons=0)
    with pytest.raises(NoResults, match=phrase):
        figures.draw(["3"], root, tmp_path / "out")


@pytest.mark.slow
def test_all_figures_are_those_that_there_are_results_for(tmp_path, write_set, write_convnet_set):
    write_set(tmp_path / "runs/autoencoder/linear")
    write_convnet_set(tmp_path / "runs/convnet/cifar10")
    written = figures.draw(figures.ALL, tmp_path / "runs", tmp_path / "out")
    where = {(path.parent.name, path.stem) for path in written}
    assert ("cifar10", "figure_3_figures_free") in where
    assert ("cifar10", "figure_4_layers_figures_free") in where
    assert ("linear", "figure_4_layers_figures_free") in where
    assert {("linear", "figure_6"), ("cifar10", "figure_6")} <= where
    assert {("paper", f"figure_{number}") for number in (3, 4, 6)} <= where
    assert ("paper", "figure_5") not in where
    assert not {name for group, name in where if group == "linear" and "_3_" in name}
    # Asked for by number, a figure must be in one of the experiments.
    assert figures.draw(["3"], tmp_path / "runs", tmp_path / "out")


def test_a_set_that_was_only_trained_has_figure_6(tmp_path, write_convnet):
    run = write_convnet(tmp_path / "runs", "adam_seed0", "adam", 0.0002)
    (run / "results/regret.csv").write_text("record,reduction,scope,radius\n")
    written = figures.draw(figures.ALL, tmp_path / "runs", tmp_path / "out")
    assert _variants(written) == ["figure_6"]
    for number in ("3", "4"):
        with pytest.raises(NoResults, match="no regret at all"):
            figures.draw([number], tmp_path / "runs", tmp_path / "out")


def test_figure_4a_alone_compares_the_optimizers(tmp_path, write_convnet_set):
    root = write_convnet_set(tmp_path, rmsprop={"noise": 0})
    figure = _figure_4(root)
    panel, losses, strip = figure.axes
    lines = _lines(panel)
    assert list(lines) == ["RMSProp", "Adam", "SGD lr=0.1"]  # SGD lr=1.0 diverged
    assert "RMSProp, Taylor optimal" in _lines(losses)
    assert strip.get_xlabel() == "epochs\nCumul. losses for convnet"
    np.testing.assert_allclose(lines["RMSProp"].get_ydata(), 0.6)
    assert "(a) Convnet regret, layer 2" in panel.get_xlabel()
    assert "4 rounds an epoch, whole minibatches, no ball" in _caption(figure)
    legend = [text.get_text() for text in figure.legends[0].get_texts()]
    assert legend == ["RMSProp", "Adam", "SGD lr=0.1", "cumul. loss", "Taylor optimal"]


def test_figure_4_of_a_diverged_rate_says_so(tmp_path, write_convnet_set):
    figure = _figure_4(write_convnet_set(tmp_path), sgd=[1.0])
    legend = [text.get_text() for text in figure.legends[0].get_texts()]
    assert "SGD lr=1.0 (diverged in epoch 3)" in legend


def test_a_rate_that_diverged_in_the_other_task_is_not_blamed(
    tmp_path, write_set, write_convnet_set
):
    write_set(tmp_path / "autoencoder")
    write_convnet_set(tmp_path / "convnet")
    figure = _figure_4(tmp_path)
    assert len(figure.axes) == 4
    legend = [text.get_text() for text in figure.legends[0].get_texts()]
    assert legend[:4] == ["RMSProp", "Adam", "SGD lr=1.0", "SGD lr=0.1"]
    assert (
        "figures protocol: batch_mean, no ball (convnet: 4 rounds an epoch, whole minibatches; "
        "autoencoder: 1 round an epoch)" in _caption(figure)
    )


def test_figure_4_names_what_was_trained_but_not_solved(tmp_path, write_convnet):
    write_convnet(tmp_path, "rmsprop_seed0", "rmsprop", 0.0005, radii=(1.2,))
    write_convnet(tmp_path, "adam_seed0", "adam", 0.0002)
    assert "trained but not solved so: RMSProp" in _caption(_figure_4(tmp_path))


def test_figure_4_names_the_task_that_was_solved_in_the_other_domain(
    tmp_path, write_set, write_convnet_set
):
    write_set(tmp_path / "autoencoder")
    write_convnet_set(tmp_path / "convnet", radii=(1.2,))
    figure = _figure_4(tmp_path)
    assert len(figure.axes) == 3  # regret, losses and their gap of the autoencoder
    assert "not solved so: convnet" in _caption(figure)


@pytest.mark.parametrize(
    "record, radius",
    [("figures", True), pytest.param("definition", True, marks=pytest.mark.slow)],
)
def test_each_protocol_has_its_own_domain(tmp_path, write_convnet_set, record, radius):
    root = write_convnet_set(tmp_path / "runs", radii=(1.2, np.inf))
    written = figures.draw(["4"], root, tmp_path / "out", records=[record])
    slug = f"{record}_{'ball' if radius else 'free'}"
    assert _variants(written) == [f"figure_4_{slug}", f"figure_4_layers_{slug}"]
    sheet = figure_4.compose(Tables(find_runs(root)), Reading(record, radius))
    assert ("radius of the ball 1.2" in sheet.details) == radius


def test_the_convnets_layers_and_network_have_a_column_each(tmp_path, write_convnet_set):
    root = write_convnet_set(tmp_path, rmsprop={"noise": 0})
    scopes = ["conv2d_1", "conv2d_3", "network"]
    figure = figure_4.compose_layers(Tables(find_runs(root)), Reading("figures"), scopes).figure
    above, below = figure.axes[:3], figure.axes[3:6]
    titles = [axes.get_title() for axes in above]
    assert titles == ["Layer 1 (conv2d_1)", "Layer 3 (conv2d_3)", "Network"]
    for axes, scale in zip(above, [0.3, 0.9, 1.4]):
        np.testing.assert_allclose(_lines(axes)["RMSProp"].get_ydata(), 0.6 * scale)
    gap = [_lines(below[2])[name].get_ydata() for name in ("RMSProp", "RMSProp, Taylor optimal")]
    np.testing.assert_allclose(gap[0] - gap[1], 0.6 * 1.4)


@pytest.mark.slow
def test_a_layer_that_was_asked_for_is_shown_of_its_task(tmp_path, write_set, write_convnet_set):
    write_set(tmp_path / "runs/autoencoder")
    write_convnet_set(tmp_path / "runs/convnet", rmsprop={"noise": 0})
    root, options = tmp_path / "runs", {"records": ["figures"], "layer": "conv2d_1"}
    written = _variants(figures.draw(["4"], root, tmp_path / "out", **options))
    assert "figure_4_figures_free_conv2d_1" in written
    panels = _figure_4(root, layer="conv2d_1").axes
    np.testing.assert_allclose(_lines(panels[0])["RMSProp"].get_ydata(), 0.18)
    assert "layer 1" in panels[0].get_xlabel() and "layer 6" in panels[1].get_xlabel()


def test_datasets_are_never_mixed_in_a_panel(tmp_path, write_convnet, mnist):
    write_convnet(tmp_path / "runs", "adam_seed0", "adam", 0.0002)
    write_convnet(tmp_path / "runs", "sgd_seed0", "sgd", 0.1, data=mnist)
    for number in ("3", "4", "5", "6"):
        with pytest.raises(ResultsError, match="share their data"):
            figures.draw([number], tmp_path / "runs", tmp_path / "out")


def test_figure_6b_has_the_papers_range_and_the_accuracies(tmp_path, write_set, write_convnet_set):
    write_set(tmp_path / "autoencoder")
    write_convnet_set(tmp_path / "convnet", adam={"accuracy": 0.991})
    sheet = _figure_6(tmp_path)
    convnet, autoencoder = sheet.figure.axes
    assert convnet.get_ylim()[1] == 2.5 and autoencoder.get_ylim()[1] == 0.12
    assert "(b) Convnet" in convnet.get_xlabel() and "(c)" in autoencoder.get_xlabel()
    expected = pd.read_csv(tmp_path / "convnet/adam_seed0/results/losses.csv")["loss"]
    np.testing.assert_allclose(_lines(convnet)["Adam"].get_ydata(), expected)
    (told,) = [text for text in sheet.details if "training accuracy" in text]
    assert told == (
        "convnet: training accuracy of the last epoch: RMSProp 99.7%, Adam 99.1%, "
        "SGD lr=0.1 99.7%, SGD lr=0.01 86.0%"
    )
    assert "JPEG-compressed copies" in _caption(sheet.figure)
    assert "bfloat16 training steps" in "\n".join(sheet.details)


def test_a_burst_in_the_first_epochs_does_not_flatten_figure_6(tmp_path, write_convnet_set):
    root = write_convnet_set(tmp_path)
    path = root / "sgd_0.01_seed0/results/losses.csv"
    table = pd.read_csv(path)
    table.loc[0, "loss"] = 500.0
    table.to_csv(path, index=False)
    (panel,) = _figure_6(root).figure.axes
    low, high = panel.get_ylim()
    assert panel.get_yscale() == "log" and high > 500
    # What is below the paper's axis keeps most of the height.
    assert np.log10(2.5 / low) > 0.4 * np.log10(high / low)


@pytest.mark.parametrize(
    "status, gap, phrase",
    [
        ("UNATTAINED", 0.02, "up to 0.01, 2 of them approached only at infinity"),
        ("OPTIMAL", np.nan, "2 of 3 optima without a certificate"),
    ],
)
def test_certificates_in_words(status, gap, phrase):
    rows = pd.DataFrame(
        {
            "taylor_optimum": [2.0, 2.0, 2.0, np.nan],
            "gap": [0.0, gap, gap, np.nan],
            "status": ["OPTIMAL", status, status, "NON_FINITE"],
            "certified": [True, False, False, False],
        }
    )
    assert phrase in words.certificate(rows)
