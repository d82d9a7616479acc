"""Verdicts follow the numbers: each flips when its numbers flip."""

import math

import numpy as np
import pandas as pd
import pytest

from reproduce import compare, convnet_judgements, judgements
from reproduce.claims import STATEMENTS

REPRODUCED, NOT, OPEN = (judgements.REPRODUCED, judgements.NOT_REPRODUCED, judgements.INCONCLUSIVE)


def _claims(root, claim, words=""):
    table = compare.compare(root)
    return table[
        (table["claim"] == claim)
        & table["protocol"].str.contains(words)
        & ~table["statement"].str.endswith("other layers")
    ]


def _only(root, claim, words="figures protocol"):
    rows = _claims(root, claim, words)
    assert len(rows) == 1
    return rows.iloc[0]


def test_every_claim_is_listed_once_or_more_in_order(tmp_path, write_set):
    table = compare.compare(write_set(tmp_path))
    assert table.columns.tolist() == ["claim", "statement", "measured", "verdict", "protocol"]
    assert table["claim"].is_monotonic_increasing
    assert set(table["claim"]) == set(STATEMENTS) == set(range(1, 13))
    waiting = table[table["verdict"] == "not yet measured"]
    assert waiting["claim"].tolist() == [1, 2, 3, 6, 7, 8, 10, 12]
    assert waiting["measured"].str.startswith("needs").all()


def test_each_record_is_judged_separately(tmp_path, write_set):
    root = write_set(tmp_path)
    path = root / "adam_seed0/results/regret.csv"
    table = pd.read_csv(path)
    late = (table["record"] == "definition") & (table["epoch"] > 30)
    table.loc[late, ["regret", "regret_over_sqrt_n"]] *= -1
    table.to_csv(path, index=False)
    assert _only(root, 4).verdict == REPRODUCED
    row = _only(root, 4, "definition protocol")
    assert row.verdict == NOT
    assert "Adam regret negative from epoch 31, no exponent" in row.measured
    assert _only(root, 5).verdict == REPRODUCED
    assert _only(root, 5, "definition").verdict == OPEN


@pytest.mark.parametrize(
    "power, interval, verdict",
    [
        (0.5, 0.02, REPRODUCED),
        (0.45, 0.02, REPRODUCED),
        (0.7, 0.22, REPRODUCED),
        (0.7, 0.05, NOT),
        (0.1, 0.05, NOT),
        (1.0, 0.1, NOT),
        (0.5, 0.6, OPEN),
    ],
)
def test_claim_4_follows_the_exponent(tmp_path, write_set, power, interval, verdict):
    changes = {"power": power, "interval": interval}
    row = _only(write_set(tmp_path, adam=changes), 4)
    assert row.verdict == verdict
    assert f"Adam {power:.2f} [{power - interval:.2f}, {power + interval:.2f}]" in row.measured


def test_negative_regret_before_the_fitted_window_does_not_count(tmp_path, write_set):
    root = write_set(tmp_path)
    path = root / "adam_seed0/results/regret.csv"
    table = pd.read_csv(path)
    table.loc[table["epoch"] < 5, ["regret", "regret_over_sqrt_n"]] *= -1
    table.to_csv(path, index=False)
    assert _only(root, 4).verdict == REPRODUCED


def test_other_layers_have_a_row_of_their_own(tmp_path, write_set):
    table = compare.compare(write_set(tmp_path))
    rows = table[table["statement"].str.endswith("other layers")]
    assert len(rows) == 2
    assert all("dense_6" in text and "dense_3" not in text for text in rows["measured"])


def test_without_sgd_claim_4_is_open(tmp_path, write):
    write(tmp_path, "adam_seed0", "adam", 0.01)
    row = _only(tmp_path, 4)
    assert row.verdict == OPEN and "no run of RMSProp, SGD" in row.measured


@pytest.mark.parametrize(
    "changes, verdict",
    [
        ({}, REPRODUCED),
        ({"adam": {"final": 0.05}}, NOT),  # loss above SGD's
        ({"adam": {"slope": 0.009}}, NOT),  # gap above SGD's
        ({"rmsprop": {"slope": -0.001}}, OPEN),  # no gap to speak of
        ({"adam": {"slope": 0.00595}}, OPEN),
    ],
)  # a tie
def test_claim_5_follows_losses_and_gaps(tmp_path, write_set, changes, verdict):
    row = _only(write_set(tmp_path, **changes), 5)
    assert row.verdict == verdict
    assert "epoch 100, N = 100" in row.measured and "gap" in row.measured


@pytest.mark.parametrize(
    "changes, verdict",
    [
        ({}, REPRODUCED),
        ({"adam": {"final": 0.02}}, NOT),  # Adam above RMSProp
        ({"adam": {"final": 0.0178}}, OPEN),  # a tie
        ({"rmsprop": {"final": 0.0285}}, NOT),  # only 5% below SGD
        ({"sgd": {"diverged_in": 5}}, OPEN),
    ],
)  # no SGD to compare with
def test_claim_9_follows_the_order_of_losses(tmp_path, write_set, changes, verdict):
    assert _only(write_set(tmp_path, **changes), 9, "").verdict == verdict


def test_the_best_sgd_is_compared_not_the_first(tmp_path, write_set, write):
    root = write_set(tmp_path)
    write(root, "sgd_0.5_seed0", "sgd", 0.5, final=0.016)
    row = _only(root, 9, "")
    assert "SGD lr=0.5 0.0160" in row.measured and row.verdict == NOT


def test_claim_11_needs_all_three_scales(tmp_path, write_set):
    assert _only(write_set(tmp_path / "layers"), 11).verdict == OPEN
    scopes = {"layers": ["network", "dense_3", "dense_3:0", "dense_3:1"]}
    every = dict.fromkeys(("adam", "rmsprop", "sgd"), scopes)
    row = _only(write_set(tmp_path / "all", **every), 11)
    assert row.verdict == REPRODUCED
    assert "network: 3 of 3" in row.measured and "neuron: 6 of 6" in row.measured
    assert "-0.50" in row.measured
    every["sgd"] = {**scopes, "power": 0.9}
    assert _only(write_set(tmp_path / "fast", **every), 11).verdict == NOT


def test_several_seeds_widen_the_interval(tmp_path, write):
    for seed, power in enumerate([0.45, 0.55]):
        write(tmp_path, f"adam_seed{seed}", "adam", 0.01, seed=seed, power=power)
    assert "Adam 0.50 [0.43, 0.57]" in _only(tmp_path, 4).measured


def test_each_protocol_is_judged_in_its_own_domain(tmp_path, write_set):
    root = write_set(tmp_path)
    for path in root.glob("*/results/[re]*.csv"):
        table = pd.read_csv(path)
        pd.concat([table, table.assign(radius=2.5)]).to_csv(path, index=False)
    for record, ball in (("figures", False), ("definition", True)):
        rows = _claims(root, 4, f"{record} protocol")
        assert rows["protocol"].str.contains("inside the ball").tolist() == [ball]


def test_a_diverged_optimizer_settles_nothing(tmp_path, write_set):
    row = _only(write_set(tmp_path, adam={"diverged_in": 30}), 4)
    assert row.verdict == OPEN and "Adam diverged" in row.measured


def test_nothing_fitted_is_inconclusive():
    regret = pd.DataFrame({"regret": [1.0], "epoch": [1.0], "certified": [True]})
    exponents = pd.DataFrame({"exponent": [math.nan], "first_epoch": [np.nan], "status": ["short"]})
    judged = judgements.square_root_growth(regret, exponents)
    assert (judged.verdict, judged.measured) == (OPEN, "no exponent (short)")


def test_the_table_is_written_as_csv_and_markdown(tmp_path, write_set):
    claims = compare.compare(write_set(tmp_path / "runs"))
    csv, text = compare.write(claims, tmp_path / "out")
    assert pd.read_csv(csv)["verdict"].tolist() == claims["verdict"].tolist()
    rows = text.read_text().splitlines()
    assert rows[0] == "| claim | statement | measured | verdict | protocol |"
    assert len(rows) == len(claims) + 2


def _change(run, change, table="regret"):
    path = run / "results" / f"{table}.csv"
    rows = pd.read_csv(path)
    change(rows)
    rows.to_csv(path, index=False)


def _multiply_regret(rows, chosen, factor):
    rows.loc[chosen, ["regret", "regret_over_sqrt_n"]] *= factor


def test_the_convnets_claims_hold_where_its_numbers_do(tmp_path, write_convnet_set):
    root = write_convnet_set(tmp_path)
    for claim in (1, 2, 3, 11):
        assert _only(root, claim).verdict == REPRODUCED
        assert _only(root, claim, "definition").verdict == REPRODUCED
    row = _only(root, 10, "")
    assert row.verdict == REPRODUCED
    assert "RMSProp loss 0.0100, accuracy 99.70%" in row.measured
    assert "JPEG" in row.protocol and "bfloat16" in row.protocol
    waiting = compare.compare(root).query("verdict == 'not yet measured'")
    assert waiting["claim"].tolist() == [4, 5, 6, 7, 8, 9, 12]


def test_claim_1_counts_the_neurons_of_each_layer(tmp_path, write_convnet_set):
    row = _only(write_convnet_set(tmp_path, neurons=8), 1)
    assert row.measured.startswith("RMSProp, conv2d_1: exponent of the average 0.50 [0.50, 0.50]")
    assert row.measured.count("8 of 8 neurons like sqrt(N)") == 3


@pytest.mark.parametrize(
    "bad, verdict", [(1, REPRODUCED), (3, OPEN), (6, NOT)]
)  # of 8 neurons of layer 2
def test_claim_1_is_about_most_neurons(tmp_path, write_convnet_set, bad, verdict):
    root = write_convnet_set(tmp_path, neurons=8)
    names = [f"conv2d_2:{index}" for index in range(bad)]

    def grow_faster(rows):
        chosen = rows["scope"].isin(names)
        rows.loc[chosen, ["exponent", "low", "high"]] = [0.9, 0.88, 0.92]

    _change(root / "rmsprop_seed0", grow_faster, "exponents")
    row = _only(root, 1)
    assert row.verdict == verdict
    assert f"{8 - bad} of 8 neurons" in row.measured


@pytest.mark.parametrize("power, verdict", [(0.5, REPRODUCED), (0.45, REPRODUCED), (0.9, NOT)])
def test_claim_1_follows_the_average(tmp_path, write_convnet, power, verdict):
    write_convnet(tmp_path, "rmsprop", "rmsprop", 0.0005, neurons=6, power=power, noise=0)
    row = _only(tmp_path, 1)
    assert row.verdict == verdict
    assert f"exponent of the average {power:.2f}" in row.measured


def test_negative_average_regret_is_not_growth(tmp_path, write_convnet):
    write_convnet(tmp_path, "rmsprop", "rmsprop", 0.0005, neurons=6, slope=-0.1)
    assert "average regret negative from epoch 20, no exponent" in _only(tmp_path, 1).measured
    assert _only(tmp_path, 1).verdict == _only(tmp_path, 2).verdict == NOT


def test_a_layer_without_neurons_leaves_claim_1_open(tmp_path, write_convnet_set):
    root = write_convnet_set(tmp_path)
    for name in ("regret", "exponents"):
        path = root / "rmsprop_seed0/results" / f"{name}.csv"
        table = pd.read_csv(path)
        table[~table["scope"].str.startswith("conv2d_3:")].to_csv(path, index=False)
    row = _only(root, 1)
    assert row.verdict == OPEN and "conv2d_3: no neurons" in row.measured


@pytest.mark.parametrize("bad, verdict", [(0, REPRODUCED), (1, REPRODUCED), (3, OPEN), (6, NOT)])
def test_claim_2_needs_losses_above_optima(tmp_path, write_convnet_set, bad, verdict):
    root = write_convnet_set(tmp_path, neurons=8)
    names = [f"conv2d_1:{index}" for index in range(bad)]

    def negative_once(rows):
        chosen = rows["scope"].isin(names) & (rows["epoch"] == 50)
        _multiply_regret(rows, chosen, -0.01)

    _change(root / "rmsprop_seed0", negative_once)
    row = _only(root, 2)
    assert row.verdict == verdict
    assert f"conv2d_1: {8 - bad} of 8 neurons" in row.measured
    assert "N = 400: loss" in row.measured


def test_claim_2_does_not_judge_the_first_epochs(tmp_path, write_convnet_set):
    root = write_convnet_set(tmp_path)

    def early(rows):
        _multiply_regret(rows, rows["epoch"] < 20, -1)

    _change(root / "rmsprop_seed0", early)
    assert _only(root, 2).verdict == REPRODUCED


@pytest.mark.parametrize(
    "changes, verdict",
    [
        ({}, REPRODUCED),
        ({"adam": {"power": 0.9}}, NOT),  # linear growth
        ({"adam": {"noise": 0.06}}, NOT),  # Adam varies more than SGD
        ({"adam": {"noise": 0.02}}, OPEN),  # a tie
        ({"adam": {"diverged_in": 30}}, OPEN),
    ],
)
def test_claim_3_follows_growth_and_variation(tmp_path, write_convnet_set, changes, verdict):
    row = _only(write_convnet_set(tmp_path, **changes), 3)
    assert row.verdict == verdict
    assert "variation RMSProp 0.00" in row.measured and "SGD lr=0.1" in row.measured


def test_optima_without_a_certificate_settle_nothing(tmp_path, write_convnet_set):
    few = [("conv2d_2", 40), ("conv2d_2", 60)]
    many = [("conv2d_2", epoch) for epoch in range(30, 101)]
    root = write_convnet_set(tmp_path / "few", adam={"uncertified": few})
    assert _only(root, 3).verdict == REPRODUCED
    assert "Adam 0.50 [0.48, 0.52] (2 of 17 optima not certified)" in _only(root, 3).measured
    root = write_convnet_set(tmp_path / "many", adam={"uncertified": many})
    assert _only(root, 3).verdict == OPEN
    assert "Adam 15 of 17 optima not certified" in _only(root, 3).measured


@pytest.mark.parametrize(
    "changes, verdict",
    [
        ({}, REPRODUCED),
        ({"adam": {"accuracy": 0.98}}, NOT),
        ({"adam": {"final": 0.2}}, NOT),  # not a small loss
        ({"adam": {"noise": 0.2}}, NOT),  # noisier than SGD
        ({"adam": {"diverged_in": 9}}, NOT),
        ({"sgd_0.1": {"diverged_in": 9}}, NOT),  # the best SGD left reaches 86%
    ],
)
def test_claim_10_follows_losses_and_accuracies(tmp_path, write_convnet_set, changes, verdict):
    assert _only(write_convnet_set(tmp_path, **changes), 10, "").verdict == verdict


def test_claim_10_without_accuracy_is_open(tmp_path, write_convnet_set):
    root = write_convnet_set(tmp_path)
    for path in root.glob("*/results/losses.csv"):
        pd.read_csv(path).drop(columns="accuracy").to_csv(path, index=False)
    row = _only(root, 10, "")
    assert row.verdict == OPEN and "accuracy not measured" in row.measured


def test_claim_11_takes_each_scale_where_it_was_solved(tmp_path, write_convnet_set):
    root = write_convnet_set(tmp_path, rmsprop={"neuron_radii": (0.9,)})
    row = _only(root, 11)
    assert row.verdict == REPRODUCED
    assert "neuron (inside the ball): 24 of 24" in row.measured
    assert "network: 3 of 3" in row.measured
    assert "inside the ball" in _only(root, 1).protocol
    assert "no ball" in _only(root, 3).protocol


def test_digits_are_judged_as_claim_12_never_as_cifar10(tmp_path, write_convnet_set, mnist):
    root = write_convnet_set(tmp_path / "mnist", data=mnist)
    table = compare.compare(root)
    measured = set(table[table["verdict"] != "not yet measured"]["claim"])
    assert measured == {11, 12}
    rows = table[table["claim"] == 12]
    assert (rows["verdict"] == REPRODUCED).all()
    assert rows["statement"].str.contains("neurons").sum() == 2
    assert _claims(root, 12)["protocol"].str.contains("MNIST, 60,000 digits").all()
    worse = write_convnet_set(tmp_path / "worse", data=mnist, rmsprop={"power": 0.9})
    assert NOT in set(_claims(worse, 12)["verdict"])


def test_two_tasks_in_one_set_are_both_judged(tmp_path, write_set, write_convnet_set):
    write_convnet_set(tmp_path / "convnet")
    write_set(tmp_path / "autoencoder")
    assert len(_claims(tmp_path, 3)) == len(_claims(tmp_path, 4)) == 2
    assert len(_claims(tmp_path, 11)) == 4


def test_variation_ignores_size_and_smooth_growth(tmp_path):
    n = np.arange(20, 101, 5)
    rough = np.where(np.arange(len(n)) % 2, 0.1, -0.1)
    smooth, uneven = np.sqrt(n), np.sqrt(n) + rough
    of = [
        convnet_judgements.variation(pd.DataFrame({"round": n, "epoch": n, "regret": values}))
        for values in (5 * smooth, uneven, 3 * uneven)
    ]
    assert of[0] < 1e-12 < 0.01 < of[1]
    assert of[1] == pytest.approx(of[2])
