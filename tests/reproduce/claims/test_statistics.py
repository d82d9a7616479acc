"""Intervals cover, tests err as rarely as they say, and each rule follows its numbers."""

import numpy as np
import pytest

from reproduce.claims import statistics
from reproduce.claims.evidence import (
    Judgement,
    Margin,
    Measurement,
    Reason,
    Spread,
    Unit,
    judge,
    over_seeds,
    together,
)
from reproduce.claims.exponents import exponent_over_seeds
from reproduce.claims.margins import SQUARE_ROOT
from reproduce.claims.run_growth import RunGrowth
from reproduce.claims.spreads import of_share
from reproduce.claims.verdicts import Verdict, all_of, most_of

REPRODUCED, NOT, OPEN = Verdict.REPRODUCED, Verdict.NOT_REPRODUCED, Verdict.INCONCLUSIVE
ABSENT, MISSING = Verdict.NOT_APPLICABLE, Verdict.NOT_MEASURED


def _simulated(power, seeds, generator, noise=0.05):
    """Exponents fitted to curves whose increments scatter, one a seed."""
    n = np.arange(20, 101)
    fitted = []
    for seed in range(seeds):
        steps = np.diff(n.astype(float) ** power, prepend=0.0)
        steps *= 1 + noise * generator.normal(size=len(n)) * 3
        level = 1 + noise * generator.normal()  # seeds differ in more than their noise
        tilt = n ** (noise * generator.normal())
        regret = np.maximum(np.cumsum(steps) * level * tilt, 1e-9)
        slope = np.polyfit(np.log(n), np.log(regret), 1)[0]
        near = {"low": slope - 0.01, "high": slope + 0.01}
        fitted.append(RunGrowth(seed, 20, 81, 1.0, False, False, share=0.1, exponent=slope, **near))
    return fitted


@pytest.mark.parametrize("seeds", [3, 10])
@pytest.mark.parametrize("power, at_most", [(0.3, 0.05), (0.7, 0.05), (0.0, 0.01), (1.0, 0.01)])
def test_like_sqrt_is_rarely_said_of_other_powers(power, at_most, seeds):
    generator = np.random.default_rng(0)
    verdicts = [
        judge(exponent_over_seeds(_simulated(power, seeds, generator)), SQUARE_ROOT).verdict
        for _ in range(200)
    ]
    assert verdicts.count(REPRODUCED) <= at_most * len(verdicts)


def test_at_the_limit_the_test_errs_as_rarely_as_it_says():
    generator = np.random.default_rng(1)
    exponents = 0.6 + 0.05 * generator.normal(size=(2000, 5))
    said = [statistics.equivalence(row, 0.4, 0.6) < 0.05 for row in exponents]
    assert np.mean(said) <= 0.035  # 2.5%, and the noise of 2,000 trials


def test_ten_seeds_of_a_square_root_are_enough():
    generator = np.random.default_rng(2)
    verdicts = [
        judge(exponent_over_seeds(_simulated(0.5, 10, generator)), SQUARE_ROOT).verdict
        for _ in range(100)
    ]
    assert verdicts.count(REPRODUCED) >= 80
    assert verdicts.count(NOT) == 0


def test_t_intervals_of_few_seeds_cover():
    samples = np.random.default_rng(3).normal(size=(2000, 3))
    intervals = [statistics.t_interval(row) for row in samples]
    covered = np.mean([one.low <= 0 <= one.high for one in intervals])
    assert 0.935 <= covered <= 0.965


@pytest.mark.parametrize("unit", [Unit.SHARE, Unit.FACTOR])
def test_p_says_whether_the_interval_lies_within(unit):
    generator = np.random.default_rng(4)
    for _ in range(50):
        values = 1.3 + 0.1 * generator.normal(size=4)
        measured = over_seeds("x", dict(enumerate(values)), unit, 0.1)
        judged = judge(measured, Margin(low=1.2))
        assert (judged.verdict == REPRODUCED) == (judged.p < 0.05)


def test_the_doubled_p_is_the_t_tests():
    from scipy import stats

    values = [1.2, 1.4, 1.1, 1.5]
    expected = stats.ttest_1samp(values, 1.0, alternative="greater").pvalue
    assert statistics.equivalence(values, 1.0, np.inf) == pytest.approx(2 * expected)


@pytest.mark.parametrize("count", [1, 2])
def test_few_seeds_settle_only_what_lies_far_beyond_the_assumed_spread(count):
    seeds = range(count)
    near = over_seeds("loss", dict.fromkeys(seeds, 1.3), Unit.FACTOR, 0.15)
    far = over_seeds("loss", dict.fromkeys(seeds, 2.0), Unit.FACTOR, 0.15)
    margin = Margin(low=1.02)
    assert (judge(near, margin).verdict, judge(far, margin).verdict) == (OPEN, REPRODUCED)
    assert near.spread == Spread.ASSUMED and np.isnan(judge(far, margin).p)
    assert (
        judge(over_seeds("loss", dict.fromkeys(seeds, 0.5), Unit.FACTOR, 0.15), margin).verdict
        == NOT
    )


def test_three_seeds_take_their_own_spread():
    measured = over_seeds("loss", {0: 1.29, 1: 1.3, 2: 1.31}, Unit.FACTOR, 0.15)
    assert measured.spread == Spread.SEEDS and measured.seeds == (0, 1, 2)
    assert judge(measured, Margin(low=1.02)).verdict == REPRODUCED


def test_shares_of_one_seed_need_more_than_their_plausible_spread():
    for share, verdict in [(0.005, OPEN), (0.05, REPRODUCED), (-0.05, NOT)]:
        measured = over_seeds("share", {0: share}, Unit.SHARE, of_share(share, "autoencoder"))
        assert judge(measured, Margin(low=0.0)).verdict == verdict


def test_signs_have_a_tolerance():
    signs = statistics.sign_test([1e-8, -1e-8, 0.1, -0.2], 1e-6)
    assert (signs.above, signs.within, signs.below) == (1, 2, 1)
    assert statistics.sign_test([1e-9] * 20, 1e-6).p == 1.0
    assert statistics.sign_test([1.0] * 10, 1e-6).p == pytest.approx(2.0**-10)


def test_holm_is_monotone_and_leaves_gaps():
    adjusted = statistics.holm([0.04, float("nan"), 0.01, 0.5])
    assert adjusted[0] == pytest.approx(0.08) and np.isnan(adjusted[1])
    assert adjusted[2] == pytest.approx(0.03) and adjusted[3] == 0.5
    assert np.isnan(statistics.holm([float("nan")])).all()


@pytest.mark.parametrize(
    "verdicts, together_",
    [
        ([], MISSING),
        ([REPRODUCED, REPRODUCED], REPRODUCED),
        ([REPRODUCED, OPEN], OPEN),
        ([OPEN, NOT], NOT),
        ([MISSING, MISSING], MISSING),
        ([REPRODUCED, MISSING], OPEN),
        ([MISSING, NOT], NOT),
        ([ABSENT, ABSENT], ABSENT),
        ([ABSENT, MISSING], MISSING),
        ([ABSENT, NOT], NOT),
    ],
)
def test_verdicts_of_parts_combine(verdicts, together_):
    assert all_of(verdicts) == together_
    assert all_of(reversed(verdicts)) == together_


def test_most_of_counts_those_to_which_a_claim_applies():
    assert most_of([ABSENT] * 5) == ABSENT
    assert most_of([]) == MISSING
    assert most_of([ABSENT] * 5 + [REPRODUCED] * 4 + [NOT]) == REPRODUCED
    assert most_of([REPRODUCED] * 3 + [NOT] * 7) == NOT
    assert most_of([OPEN] * 9 + [REPRODUCED]) == OPEN


def test_the_part_that_fails_gives_the_number():
    parts = [judge(Measurement("a", value, value, value), Margin(low=1.0)) for value in (3, 0.5, 2)]
    whole = together(parts)
    assert whole.verdict == NOT and whole.measurement.value == 0.5
    assert whole.leaves == parts
    holding = together([parts[0], parts[2]])
    assert holding.verdict == REPRODUCED and holding.measurement.value == 2


def test_a_missing_part_leaves_the_numbers_of_the_others():
    there = judge(Measurement("a", 2.0, 2.0, 2.0), Margin(low=1.0))
    whole = together([there, Judgement(MISSING, Reason.MISSING, Measurement("a", np.nan))])
    assert (whole.verdict, whole.reason, whole.measurement.value) == (OPEN, Reason.PARTS, 2.0)
