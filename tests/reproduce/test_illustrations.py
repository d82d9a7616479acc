"""Figures 1, 2 and A4 show what the paper says of them: facts of their tables."""

import numpy as np
import pytest

import nta_tf as nta
from reproduce import cli, figures, paths, tasks
from reproduce.optimizers import Optimizer
from reproduce.results import illustrations as tables
from reproduce.stages import illustrations, lines
from reproduce.stages.record import prepare
from reproduce.stages.train import train

TASKS = ["autoencoder", "convnet"]


@pytest.fixture(scope="module")
def regions():
    settings = illustrations.Shattered(widths=(1, 9, 7, 1), points=8, epochs=150, seed=3)
    return illustrations.smooth_regions(settings)


def _committed(name, *wanted):
    return tables.read(paths.traces(), name, wanted)[1:]


def _check_piecewise_linear(regions):
    np.testing.assert_array_equal(regions["end"][:-1], regions["start"][1:])
    assert (regions["start"].iloc[0], regions["end"].iloc[-1]) == (-1.0, 1.0)
    # Continuous, and linear in each smooth region with the gradient for its slope.
    np.testing.assert_allclose(regions["value_at_end"][:-1], regions["value_at_start"][1:])
    rises = regions["value_at_end"] - regions["value_at_start"]
    widths = regions["end"] - regions["start"]
    np.testing.assert_allclose(rises, widths * regions["gradient"], atol=1e-9)


def test_figure_1_is_piecewise_linear_with_a_gradient_of_steps(regions):
    assert len(regions) > 5
    _check_piecewise_linear(regions)


def test_the_committed_figure_1_is_shattered():
    (regions,) = _committed("figure_1", "regions")
    _check_piecewise_linear(regions)
    signs = np.sign(regions["gradient"])
    assert len(regions) > 40 and (signs.to_numpy()[1:] != signs.to_numpy()[:-1]).sum() >= 10


def test_switches_are_found_to_the_last_digits():
    places = np.array([-0.7123456789, 0.1, 0.1 + 2e-6, 0.9])

    def bits(points):
        return points[:, np.newaxis] > places

    np.testing.assert_allclose(illustrations.switches(bits, -1.0, 1.0), places, atol=1e-12)


@pytest.fixture(scope="module")
def one_weight():
    settings = illustrations.Flashlight(rounds=3, seed=7, first=-1.3, learning_rate=0.2)
    return settings, *illustrations.taylor_losses_in_one_weight(settings, count=161)


def _check_flashlight(losses, rounds):
    weight = losses["weight"].to_numpy()
    for row in rounds.itertuples():
        taylor = losses[f"taylor_loss_{int(row.round)}"].to_numpy()
        tangent = row.loss + row.gradient * (weight - row.weight)
        assert (taylor >= tangent - 1e-9).all()  # it touches the loss, with the same slope
        slopes = np.diff(taylor) / np.diff(weight)
        assert (np.diff(slopes) >= -1e-6).all()  # and is convex
        assert taylor.min() >= row.taylor_optimum - 1e-9
        inside = (weight >= row.start) & (weight <= row.end)
        np.testing.assert_allclose(taylor[inside], losses["loss"][inside], atol=1e-9)
        assert row.start <= row.weight <= row.end


def test_figure_2_taylor_losses_are_convex_touch_the_loss_and_end_at_kinks(one_weight):
    settings, losses, rounds = one_weight
    assert losses["kink"].sum() >= 3
    _check_flashlight(losses, rounds)
    steps = -settings.learning_rate * rounds["gradient"].to_numpy()
    np.testing.assert_allclose(np.diff(rounds["weight"]), steps[:-1], atol=1e-12)


def test_figure_2_beyond_a_kink_the_taylor_loss_is_another(one_weight):
    _, losses, rounds = one_weight
    for row in rounds.itertuples():
        difference = (losses[f"taylor_loss_{int(row.round)}"] - losses["loss"]).abs()
        assert difference.max() > 1e-3


def test_the_committed_figure_2_has_better_taylor_optima_round_after_round():
    losses, rounds = _committed("figure_2", "losses", "rounds")
    _check_flashlight(losses, rounds)
    assert (np.diff(rounds["taylor_optimum"]) < 0).all()
    assert rounds["start"].nunique() == len(rounds)  # every round is in another smooth region


def _small(task, sample):
    if task == "autoencoder":
        x = sample.x[:12].reshape(12, -1).astype("float64")
        return nta.models.autoencoder(seed=1, dtype="float64"), x, x, "mse"
    model = nta.models.convnet((28, 28, 1), 1, filters=4, dense_units=8, dtype="float64")
    return model, sample.x[:6].astype("float64"), sample.y[:6], "cross_entropy"


@pytest.fixture(
    params=["autoencoder", pytest.param("convnet", marks=pytest.mark.slow)], scope="module"
)
def followed(request, sample):
    """Tables of lines through random weights; one reaches as far as the figure, one hardly."""
    model, x, y, loss = _small(request.param, sample)
    for layer in model.layers:  # biases that differ from zero stay as they are
        if getattr(layer, "use_bias", False):
            layer.bias.assign(0.05 * np.cos(np.arange(layer.bias.shape[0])))
    found = lines.directions(model, x, y, loss, seed=2)
    near = {name: (direction, far / 1e6) for name, (direction, far) in found.items()}
    return lines.follow(model, x, y, loss, found, 21), lines.follow(model, x, y, loss, near, 3)


def _check_lines(table):
    for _, line in table.groupby("direction"):
        position = line["position"].to_numpy()
        taylor, affine, loss = (
            line[name].to_numpy()
            for name in ("taylor_loss", "taylor_approximation_of_the_loss", "loss")
        )
        middle = len(line) // 2
        assert position[middle] == 0.0
        np.testing.assert_allclose([taylor[middle], affine[middle]], loss[middle], rtol=1e-9)
        assert (taylor >= affine - 1e-9 * abs(affine).max()).all()
        assert np.diff(taylor, n=2).min() >= -1e-9 * taylor.max()  # convex
        assert abs(np.diff(affine, n=2)).max() <= 1e-9 * abs(affine).max()  # affine
        yield position, loss, taylor, affine, middle


def test_a4_taylor_losses_are_convex_above_the_affine_approximation(followed):
    assert len(list(_check_lines(followed[0]))) == 3


def test_a4_same_value_and_slope_at_the_weights(followed):
    for position, *curves, middle in _check_lines(followed[1]):
        steps = position[middle + 1] - position[middle - 1]
        slopes = [(curve[middle + 1] - curve[middle - 1]) / steps for curve in curves]
        np.testing.assert_allclose(slopes, slopes[-1], rtol=1e-5)


@pytest.mark.parametrize("task", TASKS)
def test_a4_the_committed_curves_are_convex_and_affine(task):
    (table,) = _committed(f"lines_{task}", "losses")
    curves = list(_check_lines(table))
    assert len(curves) == 3
    descent = table[table["direction"] == "negative gradient"]
    assert descent["taylor_approximation_of_the_loss"].min() < 0 < descent["taylor_loss"].min()


def test_a4_taylor_losses_are_those_of_the_library(sample):
    model, x, y, loss = _small("convnet", sample)
    found = lines.directions(model, x, y, loss, seed=2, count=1)
    table = lines.follow(model, x, y, loss, found, points=5)
    lin = nta.linearize(model, x)
    for name, (direction, _) in found.items():
        for row in table[table["direction"] == name].itertuples():
            kernels = {n: lin.kernel(n) + row.position * d for n, d in direction.items()}
            expected = float(nta.taylor_loss(lin, kernels, y, loss))
            assert row.taylor_loss == pytest.approx(expected, rel=1e-9)


def test_a4_directions_have_the_norms_that_they_say(sample):
    model, x, y, loss = _small("autoencoder", sample)
    norms = {
        layer.name: np.linalg.norm(layer.kernel) for layer in model.layers if layer.get_weights()
    }
    found = lines.directions(model, x, y, loss, seed=0)
    assert list(found) == ["negative gradient", "random 1", "random 2"]
    for name, (direction, _) in found.items():
        sizes = {layer: np.linalg.norm(change) for layer, change in direction.items()}
        assert np.linalg.norm(list(sizes.values())) == pytest.approx(
            np.linalg.norm(list(norms.values()))
        )
        if name != "negative gradient":
            assert sizes == pytest.approx(norms)


@pytest.fixture(scope="module")
def runs(tmp_path_factory, narrow_convnet):
    """The autoencoder after one epoch and after two, and the convnet with kept weights."""
    root = tmp_path_factory.mktemp("lines")
    options = {"protocols": ["figures"], "layers": ["dense_3"]}
    for epochs in (1, 2):
        list(
            train(
                "autoencoder",
                optimizers=[Optimizer.of("rmsprop", 0.001)],
                epochs=epochs,
                out=root / f"{epochs}",
                **options,
            )
        )
    list(
        train(
            "convnet", optimizers=[Optimizer.of("rmsprop", 0.0005)], epochs=1, out=root / "convnet"
        )
    )
    return {name: next((root / name).iterdir()) for name in ("1", "2", "convnet")}


@pytest.mark.slow
def test_a_round_is_the_one_that_the_run_went_through(runs):
    """The loss at its weights on its minibatch is the loss that training incurred there."""
    found = lines.round_of(prepare(runs["1"]))
    incurred = nta.Run.open(runs["2"]).losses[1, 0]
    assert (found.epoch, found.step) == (2, 1)
    outputs = found.model(found.x)
    assert lines._mean_loss(outputs, found.y, "mse") == pytest.approx(incurred, rel=1e-4)


@pytest.mark.slow
def test_a_round_of_kept_weights(runs):
    found = lines.round_of(prepare(runs["convnet"]), epoch=1)
    incurred = nta.Run.open(runs["convnet"]).losses[0, found.step - 1]
    assert (found.epoch, len(found.x)) == (1, tasks.TASKS["convnet"].batch_size)
    outputs = found.model(found.x)
    loss = lines._mean_loss(outputs, found.y, "cross_entropy")
    assert loss == pytest.approx(incurred, rel=0.02)  # training computed in bfloat16


@pytest.mark.slow
@pytest.mark.parametrize("run, epoch, words", [("1", 3, "after epoch 1"), ("convnet", 0, "1 to 1")])
def test_weights_that_were_not_kept_are_refused(runs, run, epoch, words):
    with pytest.raises(ValueError, match=f"{words}.*Received: epoch={epoch}"):
        lines.round_of(prepare(runs[run]), epoch)


def test_a_run_of_another_model_is_refused(tmp_path, sample, capsys):
    model, x, y, loss = _small("autoencoder", sample)
    nta.train(
        model, x, y, optimizer="sgd", loss=loss, epochs=1, batch_size=4, directory=tmp_path / "own"
    )
    assert cli.main(["lines", str(tmp_path / "own"), "--out", str(tmp_path)]) == 1
    assert "which of the paper's tasks" in capsys.readouterr().err


@pytest.mark.slow
def test_illustrations_are_written_where_figures_look_for_them(tmp_path):
    shattered = illustrations.Shattered(widths=(1, 5, 1), points=5, epochs=3)
    flashlight = illustrations.Flashlight(rounds=1)
    illustrations.illustrate(tmp_path / "illustrations", shattered, flashlight)
    written = figures.draw(["1", "2"], tmp_path, tmp_path / "out")
    names = sorted(path.name for path in written)
    of_two = [f"figure_{n}.{kind}" for n in (1, 2) for kind in ("pdf", "png")]
    assert names == ["README.md", *of_two]


@pytest.mark.slow
def test_lines_are_written_where_figures_look_for_them(runs, tmp_path):
    out = tmp_path / "illustrations"
    assert cli.main(["lines", str(runs["1"]), "--out", str(out), "--points", "9"]) == 0
    settings, table = tables.read(tmp_path, "lines_autoencoder", ["losses"])
    assert settings["config"]["metadata"]["scale"] == "quick" and len(table) == 3 * 9
    list(_check_lines(table))
