"""The registry of convex losses: derivatives, refusals, and optima of each."""

import dataclasses
import math

import numpy as np
import pytest
import tensorflow as tf

import nta_tf as nta
from nta_tf import losses
from nta_tf.solvers import DenseMap, TaylorProblem, minimize
from tests import taylor_problems
from tests.reference.taylor_problem import LOSSES
from tests.variants import slow

SMOOTH = ("mse", "cross_entropy", "huber", "binary_cross_entropy", "poisson")


def test_reference_knows_every_loss():
    assert set(LOSSES) <= set(losses.LOSSES)


@pytest.mark.parametrize("name", LOSSES)
def test_values_equal_the_reference(rng, name):
    problem, reference = taylor_problems.problem(rng, "batch mean", loss=name)
    flat = problem.outputs.reshape(-1, problem.outputs.shape[-1])
    targets = problem.targets.reshape(-1, *problem.targets.shape[2:])
    expected, _ = LOSSES[name](flat, targets)
    np.testing.assert_allclose(losses.get(name)(flat, targets), expected, atol=1e-12)
    point = problem.centre + rng.normal(size=problem.centre.shape)
    assert problem.value(point) == pytest.approx(reference.value_and_slope(np.ravel(point))[0])


@pytest.mark.parametrize("name", LOSSES)
def test_outer_function_has_the_derivatives_that_it_says(rng, name):
    groups, components = 3, 3
    problem, _ = taylor_problems.problem(rng, "batch mean", loss=name)
    problem = problem.prefix(groups)
    weights = rng.uniform(0.5, 2, size=problem.outputs.shape[:2])
    outer = dataclasses.replace(problem, sample_weights=weights).outer(tf.float64)
    loss, shift = losses.get(name), tf.constant(rng.normal(size=(groups, 2, components)))
    with tf.GradientTape() as outer_tape:
        outer_tape.watch(shift)
        with tf.GradientTape() as tape:
            tape.watch(shift)
            value, gradient, hessian = loss.evaluate(*outer, shift)
        slope = tape.gradient(value, shift)
    np.testing.assert_allclose(gradient, slope, atol=1e-10)
    if name in SMOOTH:
        curvature = outer_tape.batch_jacobian(slope, shift)
        for column in range(2):
            own = curvature[:, column, :, column]
            np.testing.assert_allclose(hessian[:, column], own, atol=1e-10)


_LIKE_HUBER = ("poisson", "absolute_error", "hinge", "mse", "binary_cross_entropy")


@pytest.mark.parametrize("name", slow(["huber", *_LIKE_HUBER], *_LIKE_HUBER))
def test_optima_equal_scipy(rng, name):
    problem, reference = taylor_problems.problem(rng, "tall", loss=name)
    for radius in (0.5, math.inf):
        optimum = minimize(problem, radius, tolerance=1e-4)
        assert optimum.status.solved and optimum.gap <= 1.06e-4 * optimum.loss
        best = reference.minimum(radius)[0]
        assert optimum.loss - optimum.gap <= best * (1 + 1e-9)
        assert optimum.loss <= best * (1 + 2e-4) or name in ("hinge", "absolute_error")


def test_sample_weights_count_examples(rng):
    """An example of weight two is the same as two of them."""
    problem, _ = taylor_problems.problem(rng, "batch mean", loss="mse")
    twice = dataclasses.replace(
        problem,
        outputs=np.concatenate([problem.outputs, problem.outputs[:, :2]], axis=1),
        targets=np.concatenate([problem.targets, problem.targets[:, :2]], axis=1),
    )
    weights = np.ones(problem.outputs.shape[:2])
    weights[:, :2] = 2
    weighted = dataclasses.replace(problem, sample_weights=weights)
    one, other = minimize(twice, 0.5), minimize(weighted, 0.5)
    assert one.loss == pytest.approx(other.loss)
    with pytest.raises(ValueError, match=r"Sample weights must have shape \(8, 5\).*\(8,\)"):
        dataclasses.replace(problem, sample_weights=np.ones(8))


@pytest.mark.slow
def test_own_loss_by_name(rng):
    name = "squares_of_a_user"
    losses.register(name, lambda f, y: tf.reduce_mean((f - y) ** 2, axis=-1))
    try:
        problem, _ = taylor_problems.problem(rng, "batch mean", loss="mse")
        own = dataclasses.replace(problem, loss=name)
        for radius in (0.5, math.inf):
            expected = minimize(problem, radius, tolerance=1e-7).loss
            assert minimize(own, radius, tolerance=1e-7).loss == pytest.approx(expected)
        with pytest.raises(ValueError, match="The name is taken"):
            losses.register(name, lambda f, y: f)
    finally:
        del losses.LOSSES[name]


@pytest.mark.parametrize(
    "function, message",
    [
        (lambda f, y: tf.reduce_mean(tf.minimum((f - y) ** 2, 1.0), -1), "not convex"),
        (lambda f, y: tf.reduce_mean(tf.sin(f) + 1, -1), "not convex"),
        (lambda f, y: tf.reduce_mean(f - y, -1), "never be negative"),
        (lambda f, y: (f - y) ** 2, "one number an example"),
        (lambda f, y: tf.reduce_mean(tf.math.log(f), -1), "not convex"),  # NaN
    ],
)
def test_losses_without_a_certificate_are_refused(function, message):
    with pytest.raises(ValueError, match=message):
        losses.register("refused", function)
    assert "refused" not in losses.LOSSES


def test_targets_that_do_not_fit_are_refused():
    several = np.array([[1.0, 1.0, 0.0], [0.0, 1.0, 0.0]])
    with pytest.raises(ValueError, match="sum to one.*binary_cross_entropy.*1 up to 2"):
        losses.check_targets("cross_entropy", several, 2, 3)
    with pytest.raises(ValueError, match="one output.*binary_cross_entropy"):
        losses.check_targets("cross_entropy", np.array([[1.0], [0.0]]), 2, 1)
    losses.check_targets("binary_cross_entropy", several, 2, 3)
    losses.check_targets("cross_entropy", np.float32([[0.1, 0.2, 0.7]]), 1, 3)
    with pytest.raises(ValueError, match="between 0 and 1"):
        losses.check_targets("binary_cross_entropy", 2 * several, 2, 3)
    with pytest.raises(ValueError, match="between 0 and inf"):
        losses.check_targets("poisson", -several, 2, 3)
    with pytest.raises(ValueError, match="-1 or 1"):
        losses.check_targets("hinge", several, 2, 3)
    with pytest.raises(ValueError, match="one of .*absolute_error.*'mape'"):
        nta.losses.get("mape")


@pytest.mark.parametrize("solver", ["auto", "newton", "newton_cg", "row_space", "sgd"])
def test_cross_entropy_of_one_output_is_refused(solver):
    labels = np.zeros((2, 1), int)
    with pytest.raises(ValueError, match="one output is always zero"):
        minimize(
            TaylorProblem(
                DenseMap(np.ones((2, 1, 9))), np.zeros((2, 1, 1)), labels, np.ones(2), np.zeros(9)
            ),
            1.0,
            solver,
        )
