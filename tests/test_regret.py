"""Growth exponents, and regret tables of runs that end early."""

import math

import numpy as np
import pandas as pd
import pytest

import nta_tf as nta

CONTRACT = "round epoch cumulative_loss taylor_optimum regret regret_over_sqrt_n gap".split()


def _table(power, noise=0.0, seed=0, epochs=100):
    n = np.arange(1, epochs + 1)
    wobble = np.exp(noise * np.random.default_rng(seed).normal(size=epochs))
    return pd.DataFrame({"round": n * 10, "epoch": n, "regret": 0.3 * n**power * wobble})


@pytest.mark.parametrize("power", [0.3, 0.5, 1.0])
def test_exponent_of_a_power_is_found(power):
    found = nta.growth_exponent(_table(power))
    assert found.exponent == pytest.approx(power, abs=1e-9)
    assert found.low <= power + 1e-9 and found.high >= power - 1e-9
    assert found.status == "fitted" and (found.first_epoch, found.last_epoch) == (20, 100)


def test_interval_covers_the_truth_about_as_often_as_it_says():
    inside = 0
    for seed in range(60):
        found = nta.growth_exponent(_table(0.5, 0.05, seed), resamples=300, confidence=0.9)
        inside += found.low <= 0.5 <= found.high
        assert found.low < found.exponent < found.high
    assert inside >= 44  # 0.9 of 60 is 54; below 44 has a chance of about 1e-4


def test_interval_narrows_with_less_noise_and_is_seeded():
    wide, narrow = (nta.growth_exponent(_table(0.5, noise)) for noise in (0.1, 0.01))
    assert wide.high - wide.low > 3 * (narrow.high - narrow.low)
    assert nta.growth_exponent(_table(0.5, 0.1)) == wide


def test_no_exponent_says_why():
    negative = _table(0.5)
    negative.loc[negative["epoch"] >= 50, "regret"] *= -1
    assert nta.growth_exponent(negative).status == "regret is not positive at epoch 50"
    negative["regret"] = -1.0
    found = nta.growth_exponent(negative)
    assert math.isnan(found.exponent) and "from epoch 20 on" in found.status
    assert "only 1 checkpoints" in nta.growth_exponent(_table(0.5, epochs=20)).status


def test_table_of_a_run_on_real_digits(sample):
    digits = sample.x[:512].reshape(512, 784)
    run = nta.train(
        nta.models.autoencoder(seed=0),
        digits,
        digits,
        epochs=3,
        batch_size=64,
        optimizer=nta.optimizers.get("sgd", 0.1),
        recorders=[nta.TaylorRounds(["dense_4"])],
    )
    table = nta.regret(run, "dense_4", radius=[None, math.inf])
    assert table["round"].tolist() == [8, 16, 24] * 2
    assert table["epoch"].tolist() == [1, 2, 3] * 2
    assert list(table)[:7] == CONTRACT and list(table)[-1] == "scope"
    assert (table["scope"] == "dense_4").all()
    ball, free = table[:3].reset_index(), table[3:].reset_index()
    assert (ball["taylor_optimum"] >= free["taylor_optimum"] - 1e-9).all()
    assert (ball["distance"] <= ball["radius"] * (1 + 1e-9)).all()
    np.testing.assert_allclose(free["cumulative_loss"], run.losses.cumsum()[[7, 15, 23]], rtol=1e-6)
    np.testing.assert_allclose(
        table["regret_over_sqrt_n"], table["regret"] / np.sqrt(table["round"])
    )
    assert (table["gap"] <= 1e-3 * table["taylor_optimum"]).all()


def test_run_without_rounds_yet(tmp_path, sample):
    digits = sample.x[:128].reshape(128, 784)
    late = nta.TaylorRounds(["dense_4"], schedule=_Never())
    run = nta.train(
        nta.models.autoencoder(seed=0),
        digits,
        digits,
        optimizer="sgd",
        epochs=1,
        batch_size=64,
        recorders=[late],
    )
    with pytest.raises(ValueError, match="no rounds yet"):
        nta.regret(run, "dense_4")


class _Never:
    def steps(self, epoch, steps_per_epoch, epochs):
        return np.empty(0, int)

    def __str__(self):
        return "never"
