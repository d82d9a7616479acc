"""Verdicts follow the numbers: each flips when its numbers flip."""

import math

import numpy as np
import pandas as pd
import pytest

from reproduce import compare, judgements
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
    scopes = {"layers": ["network", "dense_3", "dense_3/0", "dense_3/1"]}
    every = {name: scopes for name in ("adam", "rmsprop", "sgd")}
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
    regret = pd.DataFrame({"regret": [1.0], "epoch": [1.0], "status": ["CONVERGED"]})
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
