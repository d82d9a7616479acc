"""Readings are ranked by what they share with the published figures."""

import math

import pandas as pd
import pytest

from reproduce.results import load, readings
from reproduce.results.runs import find_runs

# Losses of the fixture end at `final`; the paper's axis of cumulative loss / sqrt(N) is 0.1 to 0.3.
_AS_PUBLISHED = {
    "adam": {"slope": 0.003, "final": 0.02},
    "rmsprop": {"slope": 0.0035, "final": 0.02},
    "sgd": {"slope": 0.005, "final": 0.022},
}


def _table(root):
    return readings.table(load.read_regret(find_runs(root)))


def _row(root, record="figures", scope="dense_3"):
    table = _table(root)
    return table[(table["record"] == record) & (table["scope"] == scope)].iloc[0]


def test_curves_as_published_agree_with_every_fact(tmp_path, write_set):
    row = _row(write_set(tmp_path, **_AS_PUBLISHED))
    assert row["agrees"] == len(readings.FACTS) and row["seeds"] == 1
    assert row["regret_20_adam"] == pytest.approx(3.0) and row["regret_80_sgd"] == pytest.approx(5)
    assert readings.holds(row, "flat") == "yes" and math.isnan(row["low_80_adam"])


@pytest.mark.parametrize(
    "changes, lost",
    [
        ({"adam": {"slope": -0.003}}, {"positive", "regret_on_axis", "flat"}),
        ({"rmsprop": {"slope": 0.006, "final": 0.02}}, {"smaller_gap"}),
        ({"adam": {"slope": 0.0015, "final": 0.02}}, {"regret_on_axis"}),
        ({"adam": {"slope": 0.003, "final": 0.03}}, {"lower_loss"}),
        ({"sgd": {"slope": 0.0006, "power": 0.95, "final": 0.022}}, {"flat"}),
        ({"sgd": {"slope": 0.005, "final": 0.05}}, {"loss_on_axis"}),
    ],
)
def test_each_fact_is_lost_by_what_contradicts_it(tmp_path, write_set, changes, lost):
    row = _row(write_set(tmp_path, **{**_AS_PUBLISHED, **changes}))
    assert {fact for fact in readings.FACTS if not row[fact]} == lost
    assert row["agrees"] == len(readings.FACTS) - len(lost)


def test_seeds_that_all_three_have_give_means_intervals_and_counts(tmp_path, write_set, write):
    root = write_set(tmp_path, seeds=(0, 1, 2), **_AS_PUBLISHED)
    write(root, "adam_seed1", "adam", 0.01, seed=1, slope=0.006, final=0.02)
    write(root, "adam_seed9", "adam", 0.01, seed=9, slope=0.1, final=0.02)  # of no other method
    row = _row(root)
    assert row["seeds"] == 3 and row["regret_80_adam"] == pytest.approx(4.0)
    assert row["low_80_adam"] == pytest.approx(4 - 4.303, abs=1e-3)
    assert row["low_80_sgd"] == pytest.approx(5) == row["high_80_sgd"]
    assert row["smaller_gap"] and row["smaller_gap_seeds"] == 2
    assert readings.holds(row, "smaller_gap") == "yes (2 of 3)"


def test_the_best_reading_stands_first(tmp_path, write_set, write):
    root = write_set(tmp_path, **_AS_PUBLISHED)
    for scope in ("dense_3", "dense_4"):
        path = root / "adam_seed0/results/regret.csv"
        table = pd.read_csv(path)
        of_scope = (table["record"] == "figures") & (table["scope"] == scope)
        table.loc[of_scope, ["regret", "regret_over_sqrt_n"]] *= -1
        table.to_csv(path, index=False)
    first = _table(root).iloc[0]
    assert (first["record"], first["scope"]) != ("figures", "dense_3") and first["agrees"] == 6
    assert list(_table(root)["agrees"]) == sorted(_table(root)["agrees"], reverse=True)


def test_without_sgd_or_before_epoch_20_there_is_no_reading(tmp_path, write, write_set):
    write(tmp_path / "alone", "adam_seed0", "adam", 0.01)
    assert _table(tmp_path / "alone").empty
    for name in ("adam", "rmsprop", "sgd"):
        write(tmp_path / "short", f"{name}_seed0", name, 1.0, epochs=8)
    assert _table(tmp_path / "short").empty
