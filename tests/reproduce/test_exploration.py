"""Figure 5, its table and claims 6 to 8 say what the tables of exploration say."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest
from reproduce.curves import Curve
from reproduce.tables import NoResults, ResultsError

from reproduce import (
    captions,
    compare,
    exploration_curves,
    exploration_table,
    figure_5,
    figures,
    judgements,
    tables,
)
from reproduce import exploration_judgements as judged

REPRODUCED, NOT, OPEN = (judgements.REPRODUCED, judgements.NOT_REPRODUCED, judgements.INCONCLUSIVE)
_UNITS = {"dense_1": 100, "dense_2": 80}
_PROTOCOL = {"output_activation": "linear", "optimizer_variant": "tensorflow_2016"}
_PLAIN = {"protocol": _PROTOCOL, "layers": ["dense_3"]}
_CONV_UNITS = {"conv2d_1": 10_000, "dense_4": 192}
# How much each optimizer explores: as the paper tells it.
_PAPER = {"RMSProp": 4.0, "Adam": 2.0, "SGD lr=1.0": 1.0, "SGD lr=0.1": 0.6, "SGD lr=0.01": 0.3}


def _explored(run, level, drop=None, volume=0.0, epochs=100, layers=_UNITS, points=4000):
    """Adds an activation record and its tables: all measures are multiples of `level`.

    Log-volumes fall from 200 by one a neuron, less 40 / level, and after neuron `drop` by
    twenty; `volume` is added to all of them.
    """
    config = json.loads((run / "config.json").read_text())
    shapes = {name: {"shape": [2 * units], "units": units} for name, units in layers.items()}
    record = {"kind": "activation_rounds", "schedule": "1 an epoch", "points": points}
    record |= {"units": 10_000, "seed": 0, "layers": shapes}
    config["records"] = {**config.get("records", {}), "activations": record}
    (run / "config.json").write_text(json.dumps(config))
    found = {"minimum_hamming": [], "switches": [], "log_volume": [], "exploration": []}
    scopes = {"network": sum(layers.values()), **layers} if epochs > 1 else {}
    for factor, (scope, units) in enumerate(scopes.items(), start=1):
        hamming = np.full(epochs, 0.01 * level * factor)
        hamming[0] = np.nan
        switches = 0.01 * level * factor * np.linspace(1.5, 0.5, 101)
        position = np.linspace(1, units, min(units, 401)).round()
        volumes = 200.0 - position - 40 / level + volume
        if drop:
            volumes -= 19 * np.maximum(position - drop, 0)
        volumes = np.maximum(volumes, 50 * np.log(1e-3))
        at = np.linspace(1, points, 101).round()
        found["minimum_hamming"].append(
            {"epoch": np.arange(1, epochs + 1), "minimum_hamming": hamming}
        )
        found["switches"].append({"position": at, "switches": switches})
        found["log_volume"].append({"position": position, "log_volume": volumes, "rank": 49})
        totals = [np.nansum(hamming), switches.mean(), volumes.mean()]
        found["exploration"].append(
            {
                "measure": ["minimum_hamming", "switches", "log_volume"],
                "total": totals,
                "count": [epochs - 1, points, units],
                "rounds": [epochs, epochs, min(epochs, 50)],
                "values": [np.nan, np.nan, min(epochs, 50)],
                "floor": [np.nan, np.nan, 1e-3],
                "rank": [np.nan, np.nan, 49.0],
            }
        )
        for each in found.values():
            each[-1] = pd.DataFrame(each[-1]).assign(scope=scope)
    for name, parts in found.items():
        header = {"exploration": "scope,measure,total,count,rounds,values,floor,rank\n"}
        path = run / "results" / f"{name}.csv"
        if parts:
            pd.concat(parts).to_csv(path, index=False)
        else:
            path.write_text(header.get(name, f"scope,epoch,position,rank,{name}\n"))
    return run


@pytest.fixture
def explore_set(write):
    """Writes a set of runs as the paper tells it; levels and other options may be replaced."""

    def _write(root, seeds=(0, 1, 2), levels=None, spread=0.02, points=4000, **options):
        for label, level in {**_PAPER, **(levels or {})}.items():
            name, _, rate = label.replace(" (Keras 3)", "_keras").lower().partition(" lr=")
            rate = float(rate or {"a": 0.01, "r": 0.001}[name[0]])
            for seed in seeds:
                run = f"{name}_{rate}_seed{seed}"
                run = write(root, run, name, rate, seed=seed, **_PLAIN)
                own = {"drop": 60, "volume": 10.0} if name == "adam" else {}
                own |= options.get(label, {})
                turn = -1 if name == "sgd" else 1  # seeds that are lucky for one, not the other
                _explored(run, level * (1 + turn * spread * (seed - 1)), points=points, **own)
                for table in ("regret", "exponents"):
                    (run / f"results/{table}.csv").unlink()
        return root

    return _write


def _read(root):
    return tables.find_runs(root), tables.read_exploration(root), tables.read_losses(root)


def _lines(axes):
    return {
        line.get_label(): line for line in axes.get_lines() if not line.get_label().startswith("_")
    }


def _caption(figure):
    return " ".join(figure.get_supxlabel().split())


def _claims(root, number, words=""):
    table = compare.compare(root)
    rows = table[(table["claim"] == number) & table["statement"].str.contains(words, regex=False)]
    assert len(rows) == 1
    return rows.iloc[0]


def test_figure_5_shows_means_over_seeds_and_bands(tmp_path, explore_set):
    hamming, switches, volume = figure_5.compose(*_read(explore_set(tmp_path))).axes
    lines = _lines(hamming)
    assert list(lines) == list(_PAPER)
    np.testing.assert_array_equal(lines["Adam"].get_xdata(), np.arange(1, 101))
    np.testing.assert_allclose(lines["Adam"].get_ydata()[1:], 0.02)
    edges = hamming.collections[0].get_paths()[0].vertices[:, 1]
    np.testing.assert_allclose([edges.min(), edges.max()], [0.0392, 0.0408])
    np.testing.assert_allclose(_lines(switches)["RMSProp"].get_ydata()[[0, -1]], [0.06, 0.02])
    assert switches.get_xlim() == (0, 4000)
    drawn = _lines(volume)["Adam"].get_ydata()
    assert drawn[59] - drawn[79] == pytest.approx(400) and drawn.size == 180
    assert [axes.get_ylim()[0] for axes in (hamming, switches)] == [0, 0]


def test_figure_5_names_the_papers_axes_and_what_it_rests_on(tmp_path, explore_set):
    levels = {"RMSProp (Keras 3)": 1.2}
    figure = figure_5.compose(*_read(explore_set(tmp_path, levels=levels)))
    texts = [axes.texts[0].get_text() for axes in figure.axes]
    assert texts == ["paper's axis", "paper's axis", "paper's axis: -2000 to 500"]
    for words in (
        "activations: 1 round an epoch, all 4,000 data points, 180 of 360 units, at most 10,000 "
        "a layer, chosen with seed 0",
        "50 singular values, at least 1e-3 each, so that no log-product lies below -345",
        "RMSProp as in TensorFlow of 2016, its mean square starting at one and its epsilon being "
        "1e-10; of Keras 3, at zero and 1e-7",
        "seeds 0, 1, 2",
        "bands: one standard deviation over seeds",
    ):
        assert words in _caption(figure)
    legend = [text.get_text() for text in figure.legends[0].get_texts()]
    assert legend == [*_PAPER, "RMSProp (Keras 3)"]


def test_two_tasks_have_a_row_each(tmp_path, explore_set, write_convnet):
    explore_set(tmp_path / "autoencoder")
    run = write_convnet(tmp_path / "convnet", "rmsprop_seed0", "rmsprop", 0.0005)
    _explored(run, 2.0, layers=_CONV_UNITS, points=500)
    figure = figure_5.compose(*_read(tmp_path))
    above, below = figure.axes[:3], figure.axes[3:]
    assert [axes.get_title(loc="left") for axes in (above[0], below[0])] == [
        "Convnet",
        "Autoencoder",
    ]
    assert list(_lines(above[2])) == ["RMSProp"] and above[2].get_xlim() == (0, 10_192)
    assert above[1].get_xlim() == (0, 500)
    assert below[1].get_xlabel() == "data points (sorted)\n(b) Activation-state switches"
    caption = _caption(figure)
    assert "500 of 50,000 data points" in caption and "JPEG-compressed copies" in caption


def test_layers_show_totals_with_intervals(tmp_path, explore_set):
    figure = figure_5.compose_layers(*_read(explore_set(tmp_path)))
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
    figure = figure_5.compose(*_read(root))
    hamming, switches, volume = (_lines(axes) for axes in figure.axes)
    assert ("SGD lr=1.0" in hamming) == in_a
    assert "SGD lr=1.0" not in switches and "SGD lr=1.0" not in volume
    legend = " ".join(text.get_text() for text in figure.legends[0].get_texts())
    if in_a:
        assert f"SGD lr=1.0 (diverged in epoch {epochs + 1})" in legend
        assert "without SGD lr=1.0 in (b) and (c): too few epochs" in _caption(figure)
    else:
        assert "trained but not measured so: SGD lr=1.0" in _caption(figure)
    assert figure_5.compose_layers(*_read(root))
    row = _claims(root, 6, "autoencoder")
    assert row.verdict == (OPEN if in_a else REPRODUCED)


def _diverge(write, root, epochs):
    """Replaces the run of SGD 1.0 by one that diverged after so many epochs."""
    shutil.rmtree(root / "sgd_1.0_seed0")
    run = write(root, "sgd_1.0_seed0", "sgd", 1.0, diverged_in=epochs + 1, **_PLAIN)
    losses = pd.read_csv(run / "results/losses.csv")[: epochs + 1]
    losses.to_csv(run / "results/losses.csv", index=False)
    for table in ("regret", "exponents"):
        (run / f"results/{table}.csv").unlink()
    _explored(run, 9.0, epochs=epochs)


def test_the_mean_is_over_the_seeds_that_finished(tmp_path, explore_set, write):
    root = explore_set(tmp_path, spread=0.0)
    _diverge(write, root, 30)
    totals = exploration_table.totals(root)
    rows = totals[(totals["optimizer"] == "SGD lr=1.0") & (totals["scope"] == "network")]
    assert (rows["seeds"] == 2).all() and not rows["diverged"].any()
    assert (rows["fate"] == "1 of 3 seeds diverged").all()
    assert rows["low"].isna().all()
    assert rows.set_index("measure")["mean"]["minimum_hamming"] == pytest.approx(0.99)


def test_a_set_for_exploration_has_figures_5_and_6_and_their_claims(tmp_path, explore_set):
    root = explore_set(tmp_path / "runs", seeds=(0,))
    written = figures.draw(list(figures.FIGURES), root, tmp_path / "out")
    assert {path.stem for path in written} == {"figure_5", "figure_5_layers", "figure_6"}
    for number in ("3", "4"):
        with pytest.raises(NoResults):
            figures.draw([number], root, tmp_path / "out")
    claims = compare.compare(root)
    measured = claims[claims["verdict"] != "not yet measured"]
    assert set(measured["claim"]) == {6, 7, 8, 9}
    again = figures.draw(["5"], root, tmp_path / "again")
    for path in again:
        assert path.read_bytes() == (tmp_path / "out" / path.name).read_bytes()


def test_a_set_without_exploration_has_no_figure_5(tmp_path, write):
    root = write(tmp_path / "runs", "adam_seed0", "adam", 0.01, layers=["dense_3"])
    with pytest.raises(NoResults, match="python -m reproduce explore RUNS"):
        figures.draw(["5"], root, tmp_path / "out")
    drawn = {path.stem for path in figures.draw(list(figures.FIGURES), root, tmp_path / "out")}
    assert "figure_6" in drawn and "figure_5" not in drawn
    assert exploration_table.totals(root).empty


@pytest.mark.parametrize("name", ["minimum_hamming", "switches", "log_volume", "exploration"])
def test_the_table_that_one_run_lacks_is_named(tmp_path, explore_set, name):
    root = explore_set(tmp_path)
    path = root / f"adam_0.01_seed0/results/{name}.csv"
    path.write_text("scope\nnetwork\n")
    with pytest.raises(ResultsError, match=f"{name}.csv is damaged.*reproduce explore .*adam"):
        tables.read_exploration(root)
    path.unlink()
    with pytest.raises(ResultsError, match=f"{name}.csv is missing.*reproduce explore .*adam"):
        tables.read_exploration(root)


@pytest.mark.parametrize("changes", [{"points": 500}, {"layers": {"dense_1": 100}}])
def test_runs_that_recorded_other_activations_are_not_mixed(tmp_path, explore_set, write, changes):
    root = explore_set(tmp_path, seeds=(0,))
    run = write(root, "adam_seed7", "adam", 0.01, seed=7, **_PLAIN)
    _explored(run, 2.0, **changes)
    with pytest.raises(ResultsError, match=r"share their records \(activations\)"):
        tables.require_one_protocol(tables.find_runs(root))


@pytest.mark.parametrize(
    "levels, spread, verdict, words",
    [
        ({}, 0.02, REPRODUCED, "9 of 9 comparisons hold"),
        ({"SGD lr=1.0": 3.0}, 0.02, NOT, "not: minimum Hamming distance against SGD lr=1.0, "),
        ({"SGD lr=1.0": 2.6}, 0.3, OPEN, "open: minimum Hamming distance against SGD lr=1.0"),
        ({"RMSProp": 0.2}, 0.02, NOT, "0 of 9 comparisons hold"),
    ],
)
def test_claim_6_needs_every_measure_and_rate(
    tmp_path, explore_set, levels, spread, verdict, words
):
    # The log-volumes of these runs hang on the level too little to be the point here.
    volumes = {label: {"volume": -80.0} for label in _PAPER if label.startswith("SGD")}
    if levels.get("RMSProp"):
        volumes["RMSProp"] = {"volume": -80.0}
    row = _claims(explore_set(tmp_path, levels=levels, spread=spread, **volumes), 6)
    assert row.verdict == verdict and words in row.measured


def test_claim_6_is_judged_for_each_variant_of_rmsprop(tmp_path, explore_set):
    volumes = {label: {"volume": -80.0} for label in _PAPER if label.startswith("SGD")}
    root = explore_set(tmp_path, levels={"RMSProp (Keras 3)": 1.2}, **volumes)
    assert _claims(root, 6, "RMSProp (Keras 3)").verdict == NOT
    rows = compare.compare(root).query("claim == 6")
    assert rows["verdict"].tolist() == [REPRODUCED, NOT]
    assert rows["protocol"].str.startswith("activations: 1 round an epoch").all()


@pytest.mark.parametrize(
    "levels, verdict, words",
    [
        ({}, REPRODUCED, "8 of 8 comparisons hold"),
        ({"Adam": 5.0}, NOT, "not: minimum Hamming distance below RMSProp, switches below"),
        ({"Adam": 0.5}, NOT, "not: minimum Hamming distance above SGD lr=1.0, "),
        ({"Adam": 3.95}, OPEN, "open: minimum Hamming distance below RMSProp"),
    ],
)
def test_claim_7_needs_adam_between(tmp_path, explore_set, levels, verdict, words):
    row = _claims(explore_set(tmp_path, levels=levels), 7)
    assert row.verdict == verdict and words in row.measured


def test_runs_of_one_seed_are_compared_in_pairs(tmp_path, explore_set):
    """Intervals that overlap, though Adam is below RMSProp in every seed."""
    root = explore_set(tmp_path, levels={"Adam": 3.8}, spread=0.05)
    totals = exploration_curves.totals(tables.read_exploration(root), tables.read_losses(root))
    rows = totals.query("scope == 'network' and measure == 'switches'").set_index("optimizer")
    assert rows.loc["Adam", "high"] > rows.loc["RMSProp", "low"]
    assert _claims(root, 7).verdict == REPRODUCED


@pytest.mark.parametrize(
    "drop, volume, verdict",
    [(60, 10.0, REPRODUCED), (None, 10.0, NOT), (100, 10.0, NOT), (60, 40.0, NOT), (20, 10, NOT)],
)
def test_claim_8_needs_a_match_and_a_drop(tmp_path, explore_set, drop, volume, verdict):
    row = _claims(explore_set(tmp_path, Adam={"drop": drop, "volume": volume}), 8)
    assert row.verdict == verdict
    assert "log-volumes Adam/RMSProp of neurons 1, 20, 40, 60, 80, 120, 180" in row.measured
    if verdict == REPRODUCED:
        assert "falls by 20 a neuron from 60 to 80 and by 1 from 20 to 60" in row.measured


def test_claim_8_without_enough_neurons_is_open():
    few = Curve(np.arange(1.0, 51.0), np.zeros(50), None)
    assert judged.targeted(few, few, 10.0).verdict == OPEN
    assert judged.targeted(None, few, 10.0).verdict == OPEN


def test_the_table_has_a_row_for_each_layer_and_optimizer(tmp_path, explore_set):
    totals = exploration_table.totals(explore_set(tmp_path / "runs"))
    csv, text = exploration_table.write(totals, tmp_path / "out", compare.markdown)
    assert len(pd.read_csv(csv)) == 5 * 3 * 3
    rows = text.read_text().splitlines()
    assert len(rows) == 2 + 5 * 3
    assert (
        "| network | RMSProp | 3 | 3.9600 [3.7633, 4.1567] | 0.0400 [0.0380, 0.0420] |" in rows[2]
    )


def test_an_interval_needs_three_seeds():
    assert np.isnan(exploration_curves.interval(pd.Series([1.0, 2.0]))).all()
    low, high = exploration_curves.interval(pd.Series([1.0, 2.0, 3.0]))
    assert (low + high) / 2 == 2 and high == pytest.approx(2 + 4.302653 / 3**0.5)


def test_without_a_record_nothing_is_said_of_activations(tmp_path, write_set):
    assert captions.activations(tables.find_runs(write_set(tmp_path))) == ""
