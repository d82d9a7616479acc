"""Claims 3, 4, 11 and 12 follow the growth of regret."""

import numpy as np
import pandas as pd
import pytest

from reproduce.claims.growth import variation
from reproduce.claims.verdicts import Verdict

REPRODUCED, NOT, OPEN = Verdict.REPRODUCED, Verdict.NOT_REPRODUCED, Verdict.INCONCLUSIVE
ABSENT, MISSING = Verdict.NOT_APPLICABLE, Verdict.NOT_MEASURED


def _multiply_regret(rows, chosen, factor):
    rows.loc[chosen, ["regret", "regret_over_sqrt_n"]] *= factor


def _all(**options):
    """The same options for the three methods."""
    return {name: dict(options) for name in ("adam", "rmsprop", "sgd")}


@pytest.mark.parametrize(
    "power, interval, verdict",
    [
        (0.5, 0.02, REPRODUCED),
        (0.45, 0.02, REPRODUCED),
        (0.58, 0.01, REPRODUCED),
        (0.59, 0.02, OPEN),
        (0.7, 0.22, OPEN),
        (0.27, 0.245, OPEN),  # holds one half, and reaches far below
        (0.7, 0.05, NOT),
        pytest.param(0.1, 0.05, NOT, marks=pytest.mark.slow),
        pytest.param(1.0, 0.1, NOT, marks=pytest.mark.slow),
        (0.5, 0.6, OPEN),
    ],
)
def test_claim_4_is_an_equivalence(tmp_path, write_set, only, power, interval, verdict):
    changes = {"power": power, "interval": interval}
    row = only(write_set(tmp_path, adam=changes), 4, "layer 3", "figures")
    assert row.verdict == verdict
    assert f"Adam {power:.2f} [{power - interval:.2f}, {power + interval:.2f}]" in row.details
    if verdict == NOT:
        assert (row.value, row.low, row.high) == pytest.approx(
            (power, power - interval, power + interval)
        )
        assert (row.margin_low, row.margin_high, row.interval) == (0.4, 0.6, "fit")


def test_each_record_is_judged_separately(tmp_path, write_set, only, change):
    root = write_set(tmp_path, adam={"slope": 0.02})

    def turn(rows):
        _multiply_regret(rows, (rows["record"] == "definition") & (rows["epoch"] > 30), -1)

    change(root / "adam_seed0", turn)
    assert only(root, 4, "layer 3", "figures").verdict == REPRODUCED
    row = only(root, 4, "layer 3", "definition")
    assert row.verdict == NOT and row.subject == "Adam, dense_3"
    assert row.quantity == "regret / cumulative loss" and row.high < 0
    assert "regret is negative" in row.reason


def test_regret_that_is_hardly_negative_settles_nothing(tmp_path, write_set, only, change):
    root = write_set(tmp_path)
    change(root / "adam_seed0", lambda rows: _multiply_regret(rows, rows["epoch"] > 30, -0.05))
    assert only(root, 4, "layer 3", "figures").verdict == OPEN


def test_rounding_below_zero_is_no_sign(tmp_path, write_set, only, change):
    root = write_set(tmp_path)
    change(root / "adam_seed0", lambda rows: _multiply_regret(rows, rows["epoch"] == 50, -1e-7))
    assert only(root, 4, "layer 3", "figures").verdict == REPRODUCED


def test_the_gap_of_an_optimum_may_hide_a_sign(tmp_path, write_set, only, change):
    root = write_set(tmp_path)

    def edit(rows):
        chosen = rows["epoch"] == 50
        _multiply_regret(rows, chosen, -0.01)
        rows.loc[chosen, "gap"] = rows.loc[chosen, "regret"].abs() * 2

    change(root / "adam_seed0", edit)
    assert only(root, 4, "layer 3", "figures").verdict == REPRODUCED


def test_negative_regret_before_the_fitted_window_does_not_count(tmp_path, write_set, only, change):
    root = write_set(tmp_path)
    change(root / "adam_seed0", lambda rows: _multiply_regret(rows, rows["epoch"] < 5, -1))
    assert only(root, 4, "layer 3", "figures").verdict == REPRODUCED


def test_other_layers_have_a_row_of_their_own(tmp_path, write_set, rows):
    table = rows(write_set(tmp_path), 4, "other layers").set_index("record")["details"]
    assert len(table) == 2
    assert "dense_6" in table["definition"] and "dense_3" not in table["definition"]
    # Under `figures`, "layer 3" is the third of the decoder.
    assert "dense_3" in table["figures"] and "dense_6" not in table["figures"]


def test_without_sgd_claim_4_is_open(tmp_path, write, only):
    write(tmp_path, "adam_seed0", "adam", 0.01)
    row = only(tmp_path, 4, "layer 3", "figures")
    assert row.verdict == OPEN and row.reason.startswith("not all of it was measured")


def test_seeds_take_the_place_of_the_fits(tmp_path, write, only):
    for name, rate in (("adam", 0.01), ("rmsprop", 0.001), ("sgd", 1.0)):
        for seed, power in enumerate([0.48, 0.5, 0.52]):
            write(tmp_path, f"{name}_{seed}", name, rate, seed, power=power, interval=0.3)
    row = only(tmp_path, 4, "layer 3", "figures")
    half = 4.302653 * 0.02 / 3**0.5
    assert (row.low, row.high) == pytest.approx((0.5 - half, 0.5 + half))
    assert (row.verdict, row.seeds, row.interval) == (REPRODUCED, 3, "seeds")
    assert row.p < 0.05


def test_seeds_that_disagree_settle_nothing(tmp_path, write, only):
    for name, rate in (("adam", 0.01), ("rmsprop", 0.001), ("sgd", 1.0)):
        for seed, power in enumerate([0.4, 0.5, 0.6]):
            write(tmp_path, f"{name}_{seed}", name, rate, seed, power=power, interval=0.001)
    assert only(tmp_path, 4, "layer 3", "figures").verdict == OPEN


def test_two_seeds_span_their_fits(tmp_path, write, only):
    for seed, power in enumerate([0.45, 0.55]):
        write(tmp_path, f"adam_seed{seed}", "adam", 0.01, seed=seed, power=power)
    row = only(tmp_path, 4, "layer 3", "figures")
    assert "Adam 0.50 [0.43, 0.57]" in row.details and "2 seeds, interval of the fit" in row.reason


@pytest.mark.parametrize("power, verdict", [(0.9, NOT), (0.5, OPEN)])
def test_one_negative_seed_of_three(tmp_path, three, change, only, power, verdict):
    """Growth fails where every seed fails in its own way."""
    changes = {"slope": 0.02, "power": power}
    root = three(tmp_path, adam=changes)
    change(root / "adam_seed1", lambda rows: _multiply_regret(rows, rows["epoch"] > 30, -1))
    row = only(root, 4, "layer 3", "figures")
    assert row.verdict == verdict and "negative" in row.reason


def test_a_diverged_optimizer_settles_nothing(tmp_path, write_set, only):
    row = only(write_set(tmp_path, adam={"diverged_in": 30}), 4, "layer 3", "figures")
    assert row.verdict == OPEN and row.reason.startswith("a run diverged")


def test_nothing_fitted_is_inconclusive(tmp_path, write_set, change, only):
    root = write_set(tmp_path)

    def forget(rows):
        rows[["exponent", "low", "high"]] = np.nan

    change(root / "adam_seed0", forget, "exponents")
    row = only(root, 4, "layer 3", "figures")
    assert row.verdict == OPEN and row.reason.startswith("no exponent could be fitted")


def test_optima_without_a_certificate_settle_nothing(tmp_path, write_convnet_set, only):
    few = [("conv2d_2", 40), ("conv2d_2", 60)]
    many = [("conv2d_2", epoch) for epoch in range(30, 101)]
    root = write_convnet_set(tmp_path / "few", adam={"uncertified": few})
    assert only(root, 3, "layer 2", "figures").verdict == REPRODUCED
    root = write_convnet_set(tmp_path / "many", adam={"uncertified": many})
    row = only(root, 3, "layer 2", "figures")
    assert row.verdict == OPEN and "no certificate" in row.reason


def test_the_bound_and_the_rate_are_judged_apart(tmp_path, write_set, only):
    """Slow and negative growth stays within a bound from above, and attains no rate."""
    slow = write_set(tmp_path / "slow", **_all(power=0.1))
    at = {"scale": "layer", "record": "definition"}
    assert only(slow, 11, "bound", **at).verdict == REPRODUCED
    assert only(slow, 11, "rate", **at).verdict == NOT
    fast = write_set(tmp_path / "fast", adam={"power": 0.9})
    assert only(fast, 11, "bound", **at).verdict == NOT
    row = only(write_set(tmp_path / "below", **_all(slope=-0.02)), 11, "bound", **at)
    assert row.verdict == REPRODUCED and "as a bound from above allows" in row.reason
    assert only(tmp_path / "below", 11, "rate", **at).verdict == NOT


def test_the_bound_does_not_apply_to_means_over_minibatches(tmp_path, write_set, only):
    row = only(write_set(tmp_path), 11, "bound", "figures", scale="layer")
    assert row.verdict == ABSENT and "each of one example" in row.reason
    assert "Reddi" in row.remark and "RMSProp is not in its list" in row.remark


@pytest.mark.slow
def test_claim_11_has_a_row_a_scale(tmp_path, write_set, rows, only):
    layers = rows(write_set(tmp_path / "layers"), 11, "rate")
    assert layers.set_index("scale")["verdict"].to_dict() | {"layer": REPRODUCED} == {
        "network": MISSING,
        "layer": REPRODUCED,
        "neuron": MISSING,
    }
    every = _all(layers=["network", "dense_3", "dense_3:0", "dense_3:1"])
    table = rows(write_set(tmp_path / "all", **every), 11, "rate", "figures")
    assert table["verdict"].tolist() == [REPRODUCED] * 3
    neurons = only(tmp_path / "all", 11, "rate", "figures", scale="neuron")
    assert neurons.value == 1.0 and neurons.quantity == "neurons for which it holds"
    every["sgd"]["power"] = 0.9
    table = rows(write_set(tmp_path / "fast", **every), 11, "rate", "figures")
    assert table["verdict"].tolist() == [NOT, NOT, OPEN]  # two neurons of three optimizers fail


@pytest.mark.slow
def test_claim_11_takes_each_scale_where_it_was_solved(tmp_path, write_convnet_set, rows, only):
    root = write_convnet_set(tmp_path, rmsprop={"neuron_radii": (0.9,)})
    table = rows(root, 11, "rate", "figures").set_index("scale")
    assert table["ball"].to_dict() == {"network": False, "layer": False, "neuron": True}
    assert table["verdict"].tolist() == [REPRODUCED] * 3
    assert table["own_domain"].tolist() == [False, False, True]
    assert only(root, 1, "on average", "figures").ball
    assert not only(root, 3, "layer 2", "figures").ball


def test_claim_12_follows_the_digits(tmp_path, write_convnet_set, mnist, rows):
    assert set(rows(write_convnet_set(tmp_path / "a", data=mnist), 12)["verdict"]) == {REPRODUCED}
    worse = write_convnet_set(tmp_path / "b", data=mnist, rmsprop={"power": 0.9})
    assert set(rows(worse, 12)["verdict"]) == {NOT}


@pytest.mark.parametrize(
    "changes, verdict",
    [
        ({}, REPRODUCED),
        ({"adam": {"noise": 0.06}}, NOT),  # Adam varies more than SGD
        # as much as SGD
        pytest.param({"adam": {"noise": 0.02}}, NOT, marks=pytest.mark.slow),
        pytest.param({"adam": {"diverged_in": 30}}, OPEN, marks=pytest.mark.slow),
    ],
)
def test_claim_3_follows_the_variation(tmp_path, write_convnet_seeds, only, changes, verdict):
    root = write_convnet_seeds(tmp_path, seeds=range(6), **changes)
    row = only(root, 3, "SGD varies most", "figures")
    assert row.verdict == verdict
    assert only(root, 3, "layer 2", "figures").verdict == (
        OPEN if "diverged" in str(changes) else REPRODUCED
    )


def test_one_seed_of_variation_is_not_enough(tmp_path, write_convnet_seeds, only):
    root = write_convnet_seeds(tmp_path, seeds=[0], sgd={"noise": 0.006})
    row = only(root, 3, "SGD varies most", "figures")
    assert row.verdict == OPEN and "assumed deviation of logarithms over seeds 0.5" in row.reason


def _regret_of(n, values, losses=None):
    losses = 2.0 * n if losses is None else losses
    return pd.DataFrame({"round": n, "epoch": n, "regret": values, "cumulative_loss": losses})


def test_variation_ignores_size_smooth_growth_and_the_end_of_training():
    n = np.arange(20, 101, 5)
    rough = np.where(np.arange(len(n)) % 2, 0.1, -0.1)
    smooth, uneven = np.sqrt(n), np.sqrt(n) + rough
    values = [variation(_regret_of(n, one)) for one in (5 * smooth, uneven, 3 * uneven)]
    assert values[0] < 1e-12 < 0.01 < values[1]
    assert values[1] == pytest.approx(values[2])
    kinked = np.sqrt(np.minimum(n, 60))
    assert variation(_regret_of(n, kinked)) < 1e-12  # one kink, no noise
    ended = _regret_of(n, kinked, losses=2.0 * np.minimum(n, 30))
    assert np.isnan(variation(ended))
