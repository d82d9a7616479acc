"""Growth exponents: found, covered as often as promised, and "like sqrt(N)" only if shown."""

import math
import zlib

import numpy as np
import pandas as pd
import pytest

import nta_tf as nta
from tests.growth_curves import (
    AUTOCORRELATED,
    CHECKPOINTS,
    EXPONENTS,
    INDEPENDENT,
    NOISES,
    SHRINKING,
    tables,
)
from tests.variants import slow

CURVES = 500


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
    """Noise of the levels, which is not what the intervals are made for, is covered too."""
    inside = 0
    for seed in range(60):
        found = nta.growth_exponent(_table(0.5, 0.05, seed), confidence=0.9)
        inside += found.low <= 0.5 <= found.high
        assert found.low < found.exponent < found.high
    assert inside >= 44  # 0.9 of 60 is 54; below 44 has a chance of about 1e-4


def test_interval_narrows_with_less_noise_and_is_the_same_twice():
    wide, narrow = (nta.growth_exponent(_table(0.5, noise)) for noise in (0.1, 0.01))
    assert wide.high - wide.low > 3 * (narrow.high - narrow.low)
    assert nta.growth_exponent(_table(0.5, 0.1)) == wide


def test_interval_does_not_depend_on_units():
    table = _table(0.5, 0.02)
    scaled = table.assign(regret=table["regret"] * 1e-6, round=table["round"] * 937)
    one, other = nta.growth_exponent(table), nta.growth_exponent(scaled)
    np.testing.assert_allclose(
        [one.low, one.exponent, one.high], [other.low, other.exponent, other.high], rtol=1e-9
    )


def test_no_exponent_says_why():
    negative = _table(0.5)
    negative.loc[negative["epoch"] >= 50, "regret"] *= -1
    assert nta.growth_exponent(negative).status == "regret is not positive at epoch 50"
    negative["regret"] = -1.0
    found = nta.growth_exponent(negative)
    assert math.isnan(found.exponent) and "from epoch 20 on" in found.status
    assert "only 1 checkpoints" in nta.growth_exponent(_table(0.5, epochs=20)).status
    nothing = nta.growth_equivalence(negative)
    assert math.isnan(nothing.p_value) and not nothing.equivalent and not nothing.different


@pytest.mark.parametrize("rows", [slice(None, None, -1), [*range(100), 99], [*range(100)] * 2])
def test_rows_out_of_order_have_no_exponent(rows):
    found = nta.growth_exponent(_table(0.5).iloc[rows])
    assert math.isnan(found.exponent) and found.status == "rounds do not increase from row to row"


def test_what_is_infinite_or_no_number():
    table = _table(0.5)
    table.loc[60, "regret"] = math.inf
    assert nta.growth_exponent(table).status == "regret is infinite at epoch 61"
    with pytest.raises(ValueError, match="'regret' must hold numbers. Received: .*'many'"):
        nta.growth_exponent(table.assign(regret="many"))


def test_equivalence_is_the_interval_inside_the_margin():
    table = _table(0.5, 0.02)
    test = nta.growth_equivalence(table)
    interval = nta.growth_exponent(table, confidence=0.9)
    assert (test.low, test.high) == pytest.approx((interval.low, interval.high), rel=1e-9)
    assert test.equivalent == (test.low > 0.4 and test.high < 0.6)
    assert nta.growth_equivalence(table, margin=1e-4).p_value > 0.3
    assert nta.growth_equivalence(_table(0.8)).different


def test_bad_arguments_are_refused():
    with pytest.raises(ValueError, match="share between 0 and 1. Received: 95"):
        nta.growth_exponent(_table(0.5), confidence=95)
    with pytest.raises(ValueError, match="positive distance of exponents. Received: 0"):
        nta.growth_equivalence(_table(0.5), margin=0)


@pytest.mark.parametrize("checkpoints", slow(CHECKPOINTS, 100))
@pytest.mark.parametrize("noise", [INDEPENDENT, AUTOCORRELATED, SHRINKING], ids=lambda n: n.name)
def test_intervals_cover_nine_tenths(noise, checkpoints):
    inside = sum(
        _coverage(exponent, checkpoints, noise, 0.1, 20, 40) * 40 for exponent in EXPONENTS
    )
    # A coverage of 0.93 gives fewer than 103 of 120 with a chance of 2e-3, of 0.8 with 0.95.
    assert inside >= 103


@pytest.mark.slow
def test_coverage_table():
    """The table in the docstring of `nta.growth_exponent`."""
    for noise in NOISES:
        line = f"{noise.name:<24}"
        for checkpoints in CHECKPOINTS:
            shares = [
                _coverage(exponent, checkpoints, noise, size, first_epoch, CURVES)
                for exponent in EXPONENTS
                for size in (0.03, 0.2)
                for first_epoch in (1, 20)
            ]
            line += f"  {min(shares):.2f}, {np.mean(shares):.2f}"
            assert min(shares) >= 0.9
        print(line)


@pytest.mark.slow
def test_false_statements_of_square_root_growth():
    """The table in the docstring of `nta.growth_equivalence`."""
    for exponent, most in [(0.3, 0.05), (0.4, 0.12), (0.5, 1.0), (0.6, 0.12), (0.7, 0.05)]:
        shares = [
            _passes(exponent, checkpoints, noise, 0.03, 20, CURVES * 2 // 5)
            for checkpoints in CHECKPOINTS
            for noise in NOISES
        ]
        print(f"N^{exponent}  most {max(shares):.3f}  mean {np.mean(shares):.3f}")
        assert max(shares) <= most


def _coverage(exponent, checkpoints, noise, size, first_epoch, count):
    """Share of 95% intervals that hold the exponent, of the curves that have one."""
    fits = [
        nta.growth_exponent(table, first_epoch=first_epoch)
        for table in _tables(exponent, checkpoints, noise, size, first_epoch, count)
    ]
    fitted = sum(fit.status == "fitted" for fit in fits)
    inside = sum(fit.low <= exponent <= fit.high for fit in fits)
    print(f"  {inside} of {fitted} cover")
    return inside / fitted


def _passes(exponent, checkpoints, noise, size, first_epoch, count):
    """Share of curves that pass as "like sqrt(N)"."""
    curves = _tables(exponent, checkpoints, noise, size, first_epoch, count)
    tests = [nta.growth_equivalence(table, first_epoch=first_epoch) for table in curves]
    passed = sum(test.equivalent for test in tests)
    print(f"  {passed} of {count} pass as sqrt(N)")
    return passed / count


def _tables(exponent, checkpoints, noise, size, first_epoch, count):
    setting = (exponent, checkpoints, noise.name, size, first_epoch)
    seed = zlib.crc32(repr(setting).encode())
    print(f"{setting} seed {seed}", end=":")
    return tables(exponent, checkpoints, noise, size, count, seed)
