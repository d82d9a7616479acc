"""Claims 1, 2 and 15 follow the neurons."""

import numpy as np
import pandas as pd
import pytest

from reproduce.claims.verdicts import Verdict

REPRODUCED, NOT, OPEN = Verdict.REPRODUCED, Verdict.NOT_REPRODUCED, Verdict.INCONCLUSIVE


def _multiply_regret(rows, chosen, factor):
    rows.loc[chosen, ["regret", "regret_over_sqrt_n"]] *= factor


@pytest.mark.slow
def test_the_convnets_claims_hold_where_its_numbers_do(tmp_path, write_convnet_set, only):
    root = write_convnet_set(tmp_path)
    for record in ("figures", "definition"):
        for claim, part in ((1, "on average"), (1, "individually"), (2, None), (3, "layer 2")):
            assert only(root, claim, part, record).verdict == REPRODUCED
    row = only(root, 1, "on average", "figures")
    assert row.value == pytest.approx(0.5, abs=0.01) and row.interval == "neurons"
    assert "JPEG" in row.data and "bfloat16" in row.data


@pytest.mark.parametrize(
    "bad, verdict", [(1, REPRODUCED), (3, OPEN), (6, NOT)]
)  # of 8 neurons of layer 2
def test_claim_1_is_about_most_neurons(tmp_path, write_convnet_set, only, change, bad, verdict):
    root = write_convnet_set(tmp_path, neurons=8)
    names = [f"conv2d_2:{index}" for index in range(bad)]

    def grow_faster(rows):
        chosen = rows["scope"].isin(names)
        rows.loc[chosen, ["exponent", "low", "high"]] = [0.9, 0.88, 0.92]

    change(root / "rmsprop_seed0", grow_faster, "exponents")
    row = only(root, 1, "individually", "figures")
    assert row.verdict == verdict and row.value == pytest.approx(1 - bad / 8)
    assert row.subject == "RMSProp, neurons of conv2d_2"


@pytest.mark.parametrize("power, verdict", [(0.5, REPRODUCED), (0.45, REPRODUCED), (0.9, NOT)])
def test_claim_1_follows_the_average(tmp_path, write_convnet, only, power, verdict):
    write_convnet(tmp_path, "rmsprop", "rmsprop", 0.0005, neurons=6, power=power, noise=0)
    row = only(tmp_path, 1, "on average", "figures")
    assert row.verdict == verdict and row.value == pytest.approx(power)


def test_three_seeds_of_neurons_have_an_interval_over_seeds(tmp_path, write_convnet_seeds, only):
    row = only(write_convnet_seeds(tmp_path, neurons=4), 1, "on average", "figures")
    assert (row.verdict, row.interval, row.seeds) == (REPRODUCED, "seeds", 3)


def test_negative_average_regret_is_not_growth(tmp_path, write_convnet, only):
    write_convnet(tmp_path, "rmsprop", "rmsprop", 0.0005, neurons=6, slope=-0.1)
    row = only(tmp_path, 1, "on average", "figures")
    assert row.verdict == NOT and "regret is negative" in row.reason
    assert only(tmp_path, 2, record="figures").verdict == NOT


def test_a_layer_without_neurons_leaves_claim_1_open(tmp_path, write_convnet_set, only):
    root = write_convnet_set(tmp_path)
    for name in ("regret", "exponents"):
        path = root / "rmsprop_seed0/results" / f"{name}.csv"
        table = pd.read_csv(path)
        table[~table["scope"].str.startswith("conv2d_3:")].to_csv(path, index=False)
    row = only(root, 1, "on average", "figures")
    assert row.verdict == OPEN and row.reason.startswith("not all of it was measured")


@pytest.mark.parametrize("bad, verdict", [(0, REPRODUCED), (1, REPRODUCED), (3, OPEN), (6, NOT)])
def test_claim_2_needs_losses_above_optima(tmp_path, write_convnet_set, only, change, bad, verdict):
    root = write_convnet_set(tmp_path, neurons=8)
    names = [f"conv2d_1:{index}" for index in range(bad)]
    change(
        root / "rmsprop_seed0",
        lambda rows: _multiply_regret(
            rows, rows["scope"].isin(names) & (rows["epoch"] == 50), -0.1
        ),
    )
    row = only(root, 2, record="figures")
    assert row.verdict == verdict
    if bad:
        assert (
            f"positive throughout, neurons of conv2d_1: RMSProp {100 * (1 - bad / 8):.3g}%"
            in row.details
        )


@pytest.mark.parametrize("factor, verdict", [(1.0, REPRODUCED), (0.002, NOT)])
def test_claim_2_asks_for_a_gap_that_a_figure_could_show(
    tmp_path, write_convnet_seeds, only, change, factor, verdict
):
    """1.64 against 1.63 is a sign, and no gap."""
    root = write_convnet_seeds(tmp_path, neurons=4)
    for run in root.glob("rmsprop*"):
        change(run, lambda rows: _multiply_regret(rows, rows["scope"].str.contains(":"), factor))
    row = only(root, 2, record="figures")
    assert row.verdict == verdict and row.unit == "share" and row.value > 0


def test_claim_2_does_not_judge_the_first_epochs(tmp_path, write_convnet_set, only, change):
    root = write_convnet_set(tmp_path)
    change(root / "rmsprop_seed0", lambda rows: _multiply_regret(rows, rows["epoch"] < 20, -1))
    assert only(root, 2, record="figures").verdict == REPRODUCED


def test_claim_15_is_false_where_all_examples_are_kept(tmp_path, write_convnet_set, only):
    root = write_convnet_set(tmp_path)
    row = only(root, 15, record="figures")
    assert row.verdict == NOT and row.value == pytest.approx(0.0)
    row = only(root, 15, record="definition")  # 2% off, with 8 examples of a minibatch
    assert row.verdict == OPEN and row.value == pytest.approx(0.02)
    assert "only where a record keeps some of a minibatch's examples" in row.remark


def test_dead_neurons_are_not_judged(tmp_path, write_convnet, only):
    """Regret at rounding level, of whichever sign, and a loss that never falls."""
    run = write_convnet(tmp_path, "rmsprop", "rmsprop", 0.0005, neurons=3)
    losses = pd.read_csv(run / "results/losses.csv").assign(loss=2.3026)
    losses.to_csv(run / "results/losses.csv", index=False)
    regret = pd.read_csv(run / "results/regret.csv")
    turns = np.where(np.arange(len(regret)) % 2, 1e-8, -1e-8)
    regret["regret"] = turns * regret["cumulative_loss"]
    regret["regret_over_sqrt_n"] = regret["regret"] / regret["round"] ** 0.5
    regret.to_csv(run / "results/regret.csv", index=False)
    for claim, part in ((1, "on average"), (1, "individually"), (2, None), (15, None)):
        row = only(tmp_path, claim, part, "figures")
        assert row.verdict == Verdict.NOT_APPLICABLE and "learns nothing" in row.reason
