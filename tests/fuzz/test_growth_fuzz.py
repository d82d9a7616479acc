"""Curves of every kind: an exponent with its interval, or a status that says why there is none."""

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import nta_tf as nta
from nta_tf import growth
from tests.fuzz.profiles import cases
from tests.reference.growth import log_posterior

curves = {
    "seed": st.integers(0, 2**32 - 1),
    "count": st.integers(0, 30),
    "power": st.sampled_from([-1.0, 0.0, 0.3, 0.5, 1.0, 2.0]),
    "noise": st.sampled_from([0.0, 0.01, 0.1, 1.0]),
    "log_scale": st.sampled_from([-300, -20, 0, 20, 300]),
    "first": st.sampled_from([0, 1, 20, 1e9]),
    "interval": st.sampled_from([1, 7, 1000]),
    "damage": st.sampled_from(
        ["none", "none", "nan", "inf", "zero", "negative", "twice", "shuffled", "constant", "text"]
    ),
}


def _table(seed, count, power, noise, log_scale, interval, damage):
    rng = np.random.default_rng(seed)
    rounds = np.arange(1, count + 1) * interval
    regret = (rounds.astype(float) ** power) * np.exp(noise * rng.normal(size=count))
    regret *= 10.0 ** (log_scale - 9 if log_scale > 0 else log_scale)
    table = pd.DataFrame({"round": rounds, "epoch": np.arange(count) + 1, "regret": regret})
    if not count:
        return table
    row = int(rng.integers(count))
    values = {"nan": np.nan, "inf": np.inf, "zero": 0.0, "negative": -1.0}
    if damage in values:
        table.loc[row, "regret"] = values[damage]
    elif damage == "twice":
        table = pd.concat([table, table.iloc[[row]]])
    elif damage == "shuffled":
        table = table.sample(frac=1, random_state=seed % 1000)
    elif damage == "constant":
        table["regret"] = 1.0
    elif damage == "text":
        table["regret"] = table["regret"].astype(object)
        table.loc[row, "regret"] = "many"
    return table


@cases(40, 800)
@given(**curves)
def test_an_exponent_or_why_there_is_none(
    seed, count, power, noise, log_scale, first, interval, damage
):
    table = _table(seed, count, power, noise, log_scale, interval, damage)
    if damage == "text" and count:
        with pytest.raises(ValueError, match="'regret' must hold numbers"):
            nta.growth_exponent(table, first_epoch=first)
        return
    found = nta.growth_exponent(table, first_epoch=first)
    numbers = (found.low, found.exponent, found.high)
    if found.status == "fitted":
        assert all(math.isfinite(number) for number in numbers)
        assert found.low <= found.exponent <= found.high
    else:
        assert all(math.isnan(number) for number in numbers) and found.status
    test = nta.growth_equivalence(table, first_epoch=first)
    if found.status == "fitted":
        assert 0 <= test.p_value <= 1 and test.low <= test.estimate <= test.high
        assert not (test.equivalent and test.different)
    else:
        assert math.isnan(test.p_value) and not test.equivalent and not test.different
    if damage == "none" and len(table) >= 8 and table["epoch"].min() >= first:
        assert found.status == "fitted"
        if noise == 0:
            assert abs(found.exponent - power) < 1e-3


@cases(4, 200)
@given(**{name: curves[name] for name in ("seed", "power", "noise")}, count=st.integers(8, 14))
def test_the_interval_is_that_of_the_posterior(seed, count, power, noise):
    """On a grid of exponents, each with its own sums and inverses."""
    noise = max(noise, 0.01)
    table = _table(seed, count, power, noise, 0, 1, "none")
    found = nta.growth_exponent(table, first_epoch=1)
    low, high = growth.RANGE
    grid = np.linspace(low, high, 300)
    logs = log_posterior(table["round"], table["regret"], grid)
    density = np.exp(logs - logs.max())
    below = (np.cumsum(density) - density / 2) / density.sum()
    expected = np.interp([0.025, 0.5, 0.975], below, grid)
    step = 2 * (grid[1] - grid[0]) + 0.02 * (found.high - found.low)
    inside = (found.low > low + 0.1) and (found.high < high - 0.1)
    if inside:
        np.testing.assert_allclose([found.low, found.exponent, found.high], expected, atol=step)
