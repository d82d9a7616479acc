"""Statements across seeds, against SciPy's own tests, slow definitions and simulations."""

import itertools
import math

import numpy as np
import pytest
from scipy import stats

import nta_tf as nta


def _values(seed, count=7, mean=0.3):
    return np.random.default_rng(seed).normal(mean, 1, count)


@pytest.mark.parametrize("confidence", [0.8, 0.95])
def test_mean_interval_is_scipys(confidence):
    values = _values(0)
    interval = nta.statistics.mean_interval(values, confidence)
    expected = stats.ttest_1samp(values, 0).confidence_interval(confidence)
    assert (interval.low, interval.high) == pytest.approx((expected.low, expected.high))
    assert interval.mean == pytest.approx(values.mean()) and interval.count == 7


@pytest.mark.parametrize("alternative", ["two-sided", "greater", "less"])
def test_paired_difference_is_scipys(alternative):
    first, second = _values(1), _values(2)
    result = nta.statistics.paired_difference(first, second, alternative=alternative)
    assert result.p_value == pytest.approx(
        stats.ttest_rel(first, second, alternative=alternative).pvalue
    )
    interval = stats.ttest_rel(first, second).confidence_interval()
    assert (result.low, result.high) == pytest.approx((interval.low, interval.high))


def test_equivalence_is_two_tests_and_an_interval():
    values = _values(3, 12, mean=0.0)
    result = nta.statistics.equivalence(values, -0.8, 0.7, level=0.05)
    above = stats.ttest_1samp(values, -0.8, alternative="greater").pvalue
    below = stats.ttest_1samp(values, 0.7, alternative="less").pvalue
    assert result.p_value == pytest.approx(max(above, below))
    assert result.equivalent == (result.low > -0.8 and result.high < 0.7)


@pytest.mark.parametrize("mean", [-0.1, 0.1])
def test_equivalence_errs_at_its_bounds_as_often_as_it_says(mean):
    generator = np.random.default_rng(4)
    print("seed 4")
    passed = sum(
        nta.statistics.equivalence(generator.normal(mean, 0.05, 10), -0.1, 0.1).equivalent
        for _ in range(1000)
    )
    assert 30 <= passed <= 72  # 50 expected; outside has a chance of about 3e-3


def test_equivalence_shows_equal_different_or_nothing():
    shown = [
        (test.equivalent, test.different)
        for spread, middle in [(0.01, 0.5), (0.01, 0.9), (1.0, 0.5)]
        for test in [
            nta.statistics.equivalence([middle - spread, middle + spread, middle], 0.4, 0.6)
        ]
    ]
    assert shown == [(True, False), (False, True), (False, False)]


def test_one_seed_shows_nothing():
    single = nta.statistics.mean_interval([0.5])
    assert (single.low, single.high) == (-math.inf, math.inf)
    assert nta.statistics.paired_difference([1.0], [9.0], alternative="less").p_value == 1
    test = nta.statistics.equivalence([0.5], 0.4, 0.6)
    assert not test.equivalent and not test.different


def test_values_without_spread():
    assert nta.statistics.paired_difference([2.0, 2.0], [1.0, 1.0]).p_value == 0
    assert nta.statistics.paired_difference([1.0, 1.0], [1.0, 1.0]).p_value == 1
    assert nta.statistics.equivalence([0.5, 0.5], 0.4, 0.6).equivalent
    assert not nta.statistics.equivalence([0.7, 0.7], 0.4, 0.6).equivalent


def test_sign_test_leaves_rounding_out():
    rounding = nta.statistics.sign_test([-1e-7, 2e-7, -3e-8], tolerance=1e-6)
    assert not rounding.applicable and rounding.p_value == 1 and rounding.within == 3
    signs = nta.statistics.sign_test([1.0, 2.0, -1.0, 1e-9], 1e-6, "two-sided")
    assert (signs.positive, signs.negative, signs.within) == (2, 1, 1)
    assert signs.p_value == pytest.approx(stats.binomtest(2, 3).pvalue)


def test_effect_size_is_the_mean_share():
    gaps, wholes = _values(5), np.abs(_values(6)) + 1
    effect = nta.statistics.effect_size(gaps, wholes)
    assert effect.share == pytest.approx(np.mean(gaps / wholes))
    assert effect.low < effect.share < effect.high


@pytest.mark.parametrize("p_values", list(itertools.permutations([0.004, 0.02, 0.03, 0.9])))
def test_holm_is_the_step_down_test(p_values):
    result = nta.statistics.holm(p_values, level=0.05)
    rejected = set()
    for step, index in enumerate(np.argsort(p_values)):
        if p_values[index] > 0.05 / (len(p_values) - step):
            break
        rejected.add(index)
    assert rejected == set(np.flatnonzero(result.rejected))
    assert [p <= 0.05 for p in result.adjusted] == list(result.rejected)


def test_holm_counts_only_tests_that_applied():
    result = nta.statistics.holm([0.04, math.nan])
    assert result.rejected == (True, False)
    assert result.adjusted[0] == 0.04 and math.isnan(result.adjusted[1])


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda s: s.mean_interval([]), "at least one finite number"),
        (lambda s: s.mean_interval([1.0, math.nan]), "diverged. Received"),
        (lambda s: s.paired_difference([1.0], [1.0, 2.0]), "Received: 1 and 2 values"),
        (lambda s: s.paired_difference([1.0], [2.0], alternative="below"), "Received: 'below'"),
        (lambda s: s.equivalence([1.0], 0.6, 0.4), "Received: 0.6, 0.4"),
        (lambda s: s.sign_test([1.0], -1), "Received: -1"),
        (lambda s: s.effect_size([1.0], [0.0]), "positive whole"),
        (lambda s: s.holm([1.2]), "between 0 and 1"),
    ],
)
def test_bad_input_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call(nta.statistics)
