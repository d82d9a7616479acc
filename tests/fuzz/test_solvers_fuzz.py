"""Random problems for every solver: what is returned is true, and nothing feasible is better.

Loss, gap and membership in the ball are computed again in NumPy and float64.
"""

import dataclasses
import math
from unittest import mock

import numpy as np
import pytest
from hypothesis import given, note
from hypothesis import strategies as st

from nta_tf.solvers import Quadratic, Status, local, minimize, minimize_on_balls
from tests import taylor_problems
from tests.fuzz.profiles import cases
from tests.variants import slow

TOLERANCE = 1e-4
RADII = (0.0, 1e-6, 0.3, 3.0, 1e4, math.inf)

problems = {
    "seed": st.integers(0, 2**32 - 1),
    "size": st.sampled_from(sorted(taylor_problems.SIZES)),
    "kind": st.sampled_from(taylor_problems.KINDS),
    "radius": st.sampled_from(RADII),
    "log_scale": st.sampled_from([-20, -3, 0, 3, 20]),
}


def check(problem, reference, optimum, radius, seed):
    """Everything that an optimum claims."""
    note(f"{optimum.status.name}, loss {optimum.loss}, gap {optimum.gap}")
    u = np.ravel(optimum.weights - problem.centre)
    length = np.linalg.norm(u)
    value, slope = reference.value_and_slope(np.ravel(optimum.weights))
    rounding = 1e-12 * reference.value_and_slope(reference.centre)[0]
    assert length <= radius * (1 + 1e-12)
    assert optimum.loss == pytest.approx(value, rel=1e-9, abs=rounding)
    assert optimum.gap >= 0
    reach = 2 * length if math.isinf(radius) else radius
    for candidate in candidates(reference, np.ravel(optimum.weights), reach, seed):
        better, _ = reference.value_and_slope(candidate)
        assert better >= optimum.loss - optimum.gap - rounding - 1e-9 * value
    if optimum.status.solved:
        assert optimum.gap <= 1.06 * TOLERANCE * optimum.loss + rounding
    if optimum.status is Status.ON_BALL:
        assert length == pytest.approx(radius)
    return value, slope, u, reach


def candidates(reference, weights, reach, seed):
    """Feasible V: at random, and by steps of many lengths down the slope, from several starts."""
    rng, centre = np.random.default_rng(seed), reference.centre

    def into_ball(v):
        length = np.linalg.norm(v - centre)
        return v if length <= reach else centre + (v - centre) * (reach / length)

    directions = rng.normal(size=(20, len(centre)))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    radii = reach * rng.uniform(size=(20, 1)) ** 0.3
    found = [centre, *(centre + directions * radii)]
    for start in (centre, weights):
        for log_step in (-6, -3, -1, 0):
            v = start
            for _ in range(5):
                slope = reference.value_and_slope(v)[1]
                steepness = np.linalg.norm(slope) or 1.0
                if not math.isfinite(steepness):  # e^f of a far V: from there no way leads on
                    break
                v = into_ball(v - slope / steepness * 10.0**log_step * min(reach, 1e3))
                found.append(v)
    return found


def scaled(ours, reference, factor):
    ours = dataclasses.replace(ours, weights=ours.weights * factor)
    reference.weights = ours.weights
    return ours, reference


@pytest.mark.parametrize("solver", slow(["newton", "newton_cg", "row_space", "sgd"], "sgd"))
@pytest.mark.parametrize("loss", ["cross_entropy", "mse"])
@cases(14, 150)
@given(**problems)
def test_what_is_returned_is_true(solver, loss, seed, size, kind, radius, log_scale):
    rng = np.random.default_rng(seed)
    problem, reference = taylor_problems.problem(rng, size, kind, loss)
    problem, reference = scaled(problem, reference, 10.0**log_scale)
    optimum = minimize(problem, radius, solver, tolerance=TOLERANCE)
    if optimum.status is Status.DIVERGED:
        assert solver == "sgd" and math.isnan(optimum.loss)
        return
    value, slope, u, reach = check(problem, reference, optimum, radius, seed)
    if math.isfinite(radius):
        again = min(slope @ u + reach * np.linalg.norm(slope), value)
        size_of_terms = reach * np.linalg.norm(slope) + value
        rounding = 1e-10 * size_of_terms + 1e-12 * reference.value_and_slope(reference.centre)[0]
        assert optimum.gap == pytest.approx(max(again, 0), abs=rounding + 1e-300)


@pytest.mark.slow
@pytest.mark.parametrize(
    "loss", ["absolute_error", "binary_cross_entropy", "hinge", "huber", "poisson"]
)
@cases(14, 150)
@given(solver=st.sampled_from(["newton", "newton_cg", "row_space"]), **problems)
def test_other_losses(loss, solver, seed, size, kind, radius, log_scale):
    kind = "plain" if kind == "large logits" else kind  # e^1000 examples are no data
    rng = np.random.default_rng(seed)
    problem, reference = taylor_problems.problem(rng, size, kind, loss)
    problem, reference = scaled(problem, reference, 10.0**log_scale)
    optimum = minimize(problem, radius, solver, tolerance=TOLERANCE)
    check(problem, reference, optimum, radius, seed)


@cases(40, 2000)
@given(
    seed=st.integers(0, 2**32 - 1),
    size=st.integers(1, 12),
    rows=st.integers(1, 20),
    rank=st.integers(0, 12),
    blocks=st.integers(1, 3),
    radius=st.sampled_from(RADII),
    log_scale=st.sampled_from([-20, -3, 0, 3, 20]),
    log_spread=st.sampled_from([0, 3, 7, 10]),
    smallest=st.sampled_from([1, 500]),
    other=st.sampled_from([[], [math.inf]]),
)
def test_quadratics(seed, size, rows, rank, blocks, radius, log_scale, log_spread, smallest, other):
    """Against F = ||A v - b||^2 itself, of which H is a rounded product, with and without a
    spectrum.
    """
    rng = np.random.default_rng(seed)
    spread = np.logspace(0, -log_spread, size)
    matrix = (rng.normal(size=(rows, rank)) @ rng.normal(size=(rank, size))) * spread
    matrix, right = matrix * 10.0**log_scale, rng.normal(size=(blocks, rows)) * 10.0**log_scale
    centre = rng.normal(size=(blocks, size))
    quadratic = Quadratic(
        (matrix.T @ matrix)[None], -right @ matrix, float(np.sum(right**2)), centre=centre
    )
    with mock.patch.object(local, "_LARGE", smallest):
        optimum = minimize_on_balls(quadratic, [radius, *other], tolerance=TOLERANCE)[0]

    def value(weights):
        return np.sum((weights @ matrix.T - right) ** 2)

    length = np.linalg.norm(optimum.weights - centre)
    rounding = 1e-12 * (value(centre) + np.sum(right**2))
    # V is rounded where the centre lies, far from it or not.
    assert length <= radius * (1 + 1e-12) + 1e-15 * np.linalg.norm(centre)
    assert abs(value(optimum.weights) - optimum.loss) <= optimum.gap + rounding
    reach = 2 * length if math.isinf(radius) else radius
    exact = [np.linalg.lstsq(matrix, b - matrix @ c, rcond=None)[0] for b, c in zip(right, centre)]
    steps = [np.array(exact), *rng.normal(size=(20, blocks, size))]
    for step in steps:
        step = step * min(1.0, reach / max(np.linalg.norm(step), 1e-300))
        for share in (1e-3, 0.5, 1.0):
            assert value(centre + share * step) >= optimum.loss - optimum.gap - rounding
    if optimum.status.solved:
        assert optimum.gap <= TOLERANCE * abs(optimum.loss) + 1e-9 * value(centre)
