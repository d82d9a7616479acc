"""Regret tables: of real digits, and of runs that have no rounds yet."""

import math

import numpy as np
import pytest

import nta_tf as nta

CONTRACT = "round epoch cumulative_loss taylor_optimum regret regret_over_sqrt_n gap".split()


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
        table["regret"], table["cumulative_loss"] - table["taylor_optimum"], rtol=1e-12
    )
    assert (free["regret"] > 0).all()  # SGD is slow: one V does better than its weights
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
