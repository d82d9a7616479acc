"""Each group's own minimum, and the optima of layers that start there."""

import numpy as np
import pytest
import tensorflow as tf
from scipy import optimize

from nta_tf import losses
from nta_tf.solvers import (
    DenseMap,
    NewtonCG,
    RowSpace,
    TaylorProblem,
    minimize_on_balls,
    outer,
    separate,
)

GROUPS, EXAMPLES, OUTPUTS, WEIGHTS = 6, 7, 3, 400


def prepared(rng, loss, examples):
    outputs = rng.normal(size=(GROUPS, examples, OUTPUTS)) * 4
    if loss == "mse":
        targets = rng.normal(size=outputs.shape)
    else:
        targets = rng.integers(OUTPUTS, size=outputs.shape[:2])
    weights = rng.uniform(0.5, 2.0, size=outputs.shape[:2])
    tensors = map(tf.constant, (outputs, targets, weights))
    return outer.prepare(losses.get(loss), *tensors, tf.float64)


def values(loss, of_groups, shift):
    return outer.evaluate(losses.get(loss), of_groups, tf.constant(shift[np.newaxis]))[0].numpy()[0]


@pytest.mark.parametrize("loss", ["mse", "cross_entropy"])
def test_minima_are_those_of_scipy(rng, loss):
    of_groups = prepared(rng, loss, EXAMPLES)
    shift, is_minimum = separate.minima(losses.get(loss), of_groups, 0.0)
    assert is_minimum.all()
    found = values(loss, of_groups, shift)
    for group in range(GROUPS):

        def phi(z, group=group):
            every = np.zeros((GROUPS, OUTPUTS))
            every[group] = z
            return values(loss, of_groups, every)[group]

        best = optimize.minimize(phi, np.zeros(OUTPUTS), method="Nelder-Mead", tol=1e-9)
        assert found[group] <= best.fun * (1 + 1e-9)


@pytest.mark.parametrize("level", [1e-1, 1e-4, 1e-7])
def test_what_has_no_minimum_stops_at_the_level_and_not_far_below(rng, level):
    of_groups = prepared(rng, "cross_entropy", 1)
    shift, is_minimum = separate.minima(losses.get("cross_entropy"), of_groups, level)
    at_start = values("cross_entropy", of_groups, np.zeros_like(shift))
    found = values("cross_entropy", of_groups, shift)
    assert not is_minimum.any() and (found <= level).all()
    assert (found >= np.minimum(at_start, 0.1 * level)).all()
    np.testing.assert_array_equal(shift[at_start <= level], 0.0)


def test_numbers_that_are_none_do_not_stop_the_others(rng):
    of_groups = prepared(rng, "cross_entropy", EXAMPLES)
    broken = of_groups.outputs.numpy()
    broken[2] = np.nan
    shift, is_minimum = separate.minima(
        losses.get("cross_entropy"), of_groups._replace(outputs=tf.constant(broken)), 0.0
    )
    expected, _ = separate.minima(losses.get("cross_entropy"), of_groups, 0.0)
    others = np.arange(GROUPS) != 2
    np.testing.assert_allclose(shift[others], expected[others])
    assert is_minimum[others].all()


def layer(rng, examples):
    """Far more weights than rows, so that one V serves every group."""
    labels = rng.integers(OUTPUTS, size=(GROUPS, examples))
    return TaylorProblem(
        DenseMap(rng.normal(size=(GROUPS, OUTPUTS, WEIGHTS))),
        rng.normal(size=(GROUPS, examples, OUTPUTS)) * 4,
        labels,
        np.full(GROUPS, 1 / examples),
        np.zeros(WEIGHTS),
    )


@pytest.mark.parametrize("examples", [1, EXAMPLES])
@pytest.mark.parametrize("radius", [0.3, 1e3, np.inf])
def test_optima_are_those_of_other_solvers(rng, examples, radius):
    problem = layer(rng, examples)
    options = {"tolerance": 1e-6, "negligible": 1e-9}
    [ours] = minimize_on_balls(problem, [radius], RowSpace(), **options)
    [other] = minimize_on_balls(problem, [radius], NewtonCG(), **options)
    assert ours.status is other.status
    if ours.status.solved:
        assert abs(ours.loss - other.loss) <= max(2e-6 * other.loss, 2e-9)
        assert ours.gap <= max(1.05e-6 * ours.loss, 1e-9)


def test_a_ball_that_holds_them_needs_no_iteration(rng):
    [one] = minimize_on_balls(layer(rng, 1), [1e3], RowSpace(), negligible=1e-3)
    [several] = minimize_on_balls(layer(rng, EXAMPLES), [1e3], RowSpace(), tolerance=1e-3)
    assert one.iterations == 0 and 0 < one.loss <= 1e-3
    assert several.iterations == 0 and several.gap <= 1e-3 * several.loss
