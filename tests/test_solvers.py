"""Taylor optima of every solver against SciPy, and what their certificates promise."""

import dataclasses
import math

import numpy as np
import pytest
import tensorflow as tf

import nta_tf as nta
from nta_tf.solvers import (
    SGD,
    DenseMap,
    Newton,
    NewtonCG,
    Quadratic,
    RowSpace,
    Status,
    TaylorProblem,
    choose,
    minimize,
    minimize_prefixes,
)
from tests import taylor_problems
from tests.variants import slow

SECOND_ORDER = ("newton", "newton_cg", "row_space")
TOLERANCE = 1e-7


@pytest.fixture(
    params=slow(taylor_problems.SIZES, "batch mean, wide", "one weight"),
    ids=lambda name: name.replace(" ", "-"),
)
def size(request):
    return request.param


def displacement(problem, optimum):
    return np.linalg.norm(np.ravel(optimum.weights - problem.centre))


def check(problem, reference, optimum, radius, expected=None):
    """Agreement with SciPy within what the certificate allows, and a V inside the ball."""
    expected = reference.minimum(radius)[0] if expected is None else expected
    assert displacement(problem, optimum) <= radius * (1 + 1e-12)
    value, _ = reference.value_and_slope(np.ravel(optimum.weights))
    assert optimum.loss == pytest.approx(value, rel=1e-9, abs=1e-9)
    slack = 1e-9 * (1 + expected)
    assert optimum.loss - optimum.gap <= expected + slack
    # SciPy may have stopped early, but not below what the certificate allows.
    assert optimum.loss <= expected + optimum.gap + slack


@pytest.mark.parametrize("kind", taylor_problems.KINDS)
@pytest.mark.parametrize("radius", [0.1, 1.0, 10.0])
def test_on_balls_equals_scipy(rng, size, kind, radius):
    problem, reference = taylor_problems.problem(rng, size, kind)
    expected, _ = reference.minimum(radius)
    for solver in SECOND_ORDER:
        optimum = minimize(problem, radius, solver, tolerance=TOLERANCE)
        check(problem, reference, optimum, radius, expected)
        # Below 1e-9 the gap is rounding: a separable problem's loss is as good as zero.
        assert optimum.status.solved or optimum.loss < 1e-9
        assert optimum.gap <= 1.05 * TOLERANCE * optimum.loss or optimum.loss < 1e-9


@pytest.mark.parametrize("solver", SECOND_ORDER)
def test_without_a_ball_equals_scipy(rng, solver):
    for size in ("tall", "batch mean"):
        problem, reference = taylor_problems.problem(rng, size)
        optimum = minimize(problem, math.inf, solver, tolerance=TOLERANCE)
        check(problem, reference, optimum, math.inf)
        assert optimum.status is Status.OPTIMAL


@pytest.mark.parametrize("solver", SECOND_ORDER)
def test_separable_is_unattained_without_a_ball(rng, size, solver):
    problem, _ = taylor_problems.problem(rng, size, "separable")
    optimum = minimize(problem, math.inf, solver)
    if optimum.status is not Status.UNATTAINED:  # no direction separates one weight's signs
        assert size == "one weight"
    assert optimum.loss < problem.value(problem.centre)


def test_ball_that_is_not_active(rng):
    problem, _ = taylor_problems.problem(rng, "tall")
    free = minimize(problem, math.inf, tolerance=TOLERANCE)
    radius = 2 * displacement(problem, free)
    inside = minimize(problem, radius, tolerance=TOLERANCE)
    assert inside.status is Status.OPTIMAL
    assert inside.loss == pytest.approx(free.loss, rel=1e-6)
    on_ball = minimize(problem, radius / 4, tolerance=TOLERANCE)
    assert on_ball.status is Status.ON_BALL
    assert displacement(problem, on_ball) == pytest.approx(radius / 4)


@pytest.mark.parametrize("solver", SECOND_ORDER)
def test_search_ends_where_the_loss_is_negligible(rng, solver):
    """A separable problem on a large ball: the minimum is all but zero, and never reached."""
    problem, _reference = taylor_problems.problem(rng, "wide", "separable")
    counts, enough = [2, 4], [0.5, 0.01]
    optima = minimize_prefixes(problem, counts, [100.0], solver, tolerance=1e-9, negligible=enough)
    for _count, limit, (optimum,) in zip(counts, enough, optima):
        assert 0 < optimum.loss <= limit and optimum.status.solved
        assert optimum.gap <= optimum.loss  # F is never negative
    further = minimize(problem, 100.0, solver, tolerance=1e-9)
    assert further.loss < 1e-3 * optima[-1][0].loss
    free = minimize_prefixes(problem, [4], [math.inf], solver, negligible=1.0)[0][0]
    assert free.status is Status.UNATTAINED


@pytest.mark.parametrize("solver", (*SECOND_ORDER, "sgd"))
def test_radius_zero_is_the_centre(rng, size, solver):
    problem, reference = taylor_problems.problem(rng, size)
    optimum = minimize(problem, 0.0, solver)
    np.testing.assert_array_equal(optimum.weights, problem.centre)
    assert optimum.loss == pytest.approx(reference.value_and_slope(np.ravel(problem.centre))[0])
    assert optimum.gap == 0 and optimum.status is Status.OPTIMAL


@pytest.mark.parametrize("solver", SECOND_ORDER)
@pytest.mark.parametrize("radius", [0.3, math.inf])
def test_mse_equals_the_closed_form(rng, size, solver, radius):
    problem, reference = taylor_problems.problem(rng, size, loss="mse")
    components = problem.outputs.shape[-1]
    rows = reference.gradient_tensors
    scale = problem.weights / components
    examples = problem.outputs.shape[1]
    hessian = np.einsum("g,gkp,gkq->pq", scale * examples, rows, rows)
    residual = problem.outputs - problem.targets
    slope = np.einsum("g,gkp,gek->p", scale, rows, residual)
    constant = np.einsum("g,gek->", scale, residual**2)
    quadratic = Quadratic(hessian[None], slope[None], constant)  # in U = V - C
    expected = minimize(quadratic, radius)
    optimum = minimize(problem, radius, solver, tolerance=1e-9)
    assert optimum.loss == pytest.approx(expected.loss, rel=1e-7, abs=1e-8)
    check(problem, reference, optimum, radius)


@pytest.mark.parametrize("solver", SECOND_ORDER)
def test_prefixes_equal_problems_of_their_own(rng, size, solver):
    problem, _ = taylor_problems.problem(rng, size, "duplicated examples")
    total = problem.linear_map.groups
    groups, radii = [1, total // 2, total], [0.2, 2.0]
    optima = minimize_prefixes(problem, groups, radii, solver, tolerance=TOLERANCE)
    for count, of_count in zip(groups, optima):
        prefix = problem.prefix(count)
        for radius, optimum in zip(radii, of_count):
            alone = minimize(prefix, radius, "newton", tolerance=TOLERANCE)
            assert optimum.loss == pytest.approx(alone.loss, rel=1e-6)
            assert prefix.value(optimum.weights) == pytest.approx(optimum.loss, rel=1e-9)


def test_both_reductions_agree_where_a_round_is_one_example(rng):
    """per_example with E groups of one, against batch_mean of E equal G: the same F."""
    tensors, outputs, targets, weights, centre = taylor_problems.arrays(rng, "batch mean")
    by_round = TaylorProblem(DenseMap(tensors), outputs, targets, weights, centre)
    _groups, examples, components = outputs.shape
    by_example = TaylorProblem(
        DenseMap(np.repeat(tensors, examples, axis=0)),
        outputs.reshape(-1, 1, components),
        targets.reshape(-1, 1),
        np.repeat(weights, examples),
        centre,
    )
    one, other = (minimize(p, 0.7, tolerance=TOLERANCE) for p in (by_round, by_example))
    assert one.loss == pytest.approx(other.loss, rel=1e-6)


def test_one_hot_targets_equal_labels(rng):
    problem, _ = taylor_problems.problem(rng, "batch mean")
    one_hot = np.eye(problem.outputs.shape[-1])[problem.targets]
    soft = dataclasses.replace(problem, targets=one_hot)
    assert minimize(problem, 1.0).loss == pytest.approx(minimize(soft, 1.0).loss)


def test_start_changes_the_way_not_the_minimum(rng):
    problem, _ = taylor_problems.problem(rng, "wide")
    cold = minimize(problem, 0.5, "newton_cg", tolerance=TOLERANCE)
    warm = minimize(problem, 0.5, "newton_cg", start=cold.weights, tolerance=TOLERANCE)
    assert warm.iterations == 0
    far = minimize(problem, 0.5, start=problem.centre + 100.0, tolerance=TOLERANCE)
    assert far.loss == pytest.approx(cold.loss, rel=1e-6)


@pytest.mark.parametrize("solver", SECOND_ORDER)
def test_float32_matrices_have_certificates_in_float64(rng, size, solver):
    for kind in ("plain", "duplicated examples"):
        problem, reference = taylor_problems.problem(rng, size, kind, dtype=np.float32)
        for radius in (0.5, 3.0):
            optimum = minimize(problem, radius, solver)
            check(problem, reference, optimum, radius)
            assert optimum.gap <= 1.05e-3 * optimum.loss or optimum.loss < 1e-4


@pytest.mark.parametrize("averaging", [False, True])
@pytest.mark.parametrize("radius", [0.5, math.inf])
def test_sgd_descends_with_a_true_certificate(rng, radius, averaging):
    problem, reference = taylor_problems.problem(rng, "tall")
    solver = SGD(0.05, batch_size=5, averaging=averaging, check_every=10, max_passes=2000)
    optimum = minimize(problem, radius, solver, tolerance=0.05)
    check(problem, reference, optimum, radius)
    assert optimum.status.solved and optimum.gap <= 0.053 * optimum.loss


def test_sgd_is_determined_by_its_seed(rng):
    problem, _ = taylor_problems.problem(rng, "batch mean")
    solvers = [SGD(max_passes=3, batch_size=2, seed=seed) for seed in (1, 1, 2)]
    one, same, other = (minimize(problem, 1.0, solver) for solver in solvers)
    np.testing.assert_array_equal(one.weights, same.weights)
    assert np.any(one.weights != other.weights)


def least_squares(slopes, learning_rate, **options):
    """F = mean_k (slope_k v_k - 1)^2, and the optimum of SGD without a ball."""
    matrix = np.diag(slopes)[np.newaxis]
    ones = np.ones((1, 1, len(slopes)))
    problem = TaylorProblem(
        DenseMap(matrix), 0 * ones, ones, np.ones(1), np.zeros(len(slopes)), "mse"
    )
    return minimize(problem, math.inf, SGD(learning_rate, **options))


@pytest.mark.slow
def test_sgd_without_a_ball_does_not_end_where_it_began():
    """After a step the gap up to twice its length is small; the minimum lies at V = 1000."""
    slow = least_squares([0.001], 0.1)
    assert slow.status is Status.MAX_ITERATIONS and slow.loss > 0.9
    fast = least_squares([0.001], 4e5)
    assert fast.status is Status.OPTIMAL and fast.loss < 1e-3
    # One direction is solved at once, the other hardly moves.
    uneven = least_squares([1.0, 1e-3], 0.5)
    assert uneven.status is Status.MAX_ITERATIONS and uneven.loss > 0.4


def test_a_gap_above_the_tolerance_is_not_solved(rng):
    problem, _ = taylor_problems.problem(rng, "tall")
    once = nta.solvers.Newton(max_iterations=1)
    gap = minimize(problem, 0.3, once, tolerance=1e-9).gap
    for share, solved in ((0.1, False), (10.0, True)):
        tolerance = share * gap / minimize(problem, 0.3).loss
        optimum = minimize(problem, 0.3, once, tolerance=tolerance)
        assert optimum.status.solved == solved, (optimum.gap, gap)


@pytest.mark.slow
def test_sgd_that_diverges_does_not_blame_the_problem():
    optimum = least_squares([1.0], 1e3, max_passes=2000)
    assert optimum.status is Status.DIVERGED and not optimum.status.solved
    assert math.isnan(optimum.loss) and "learning rate" in optimum.status.value


@pytest.mark.parametrize("solver", (*SECOND_ORDER, "sgd"))
@pytest.mark.parametrize("where", ["matrix", "outputs"])
def test_nan_is_a_status(rng, solver, where):
    tensors, outputs, targets, weights, centre = taylor_problems.arrays(rng, "wide")
    (tensors if where == "matrix" else outputs)[0, 0, 0] = np.nan
    problem = TaylorProblem(DenseMap(tensors), outputs, targets, weights, centre)
    optimum = minimize(problem, 1.0, solver)
    assert optimum.status is Status.NON_FINITE and math.isnan(optimum.loss)


@pytest.mark.parametrize(
    "solver", [Newton(1), NewtonCG(1), RowSpace(1), SGD(max_passes=1)], ids=lambda s: repr(s)[:8]
)
def test_too_few_iterations_is_a_status_with_a_true_gap(rng, solver):
    problem, reference = taylor_problems.problem(rng, "tall")
    optimum = minimize(problem, 5.0, solver, tolerance=1e-12)
    assert optimum.status is Status.MAX_ITERATIONS and optimum.iterations == 1
    check(problem, reference, optimum, 5.0)


def test_solvers_are_traced_once_for_growing_problems(rng):
    from nta_tf.solvers import krylov, second_order

    for size in ("tall", "wide", "batch mean"):
        problem, _ = taylor_problems.problem(rng, size)
        for count in (1, 2, 3):
            minimize(problem.prefix(count), 1.0, "newton_cg")
    function = second_order.compiled(
        krylov.model_minimum, problem.linear_map.action, problem.loss_function
    )
    assert function.experimental_get_tracing_count() <= 2  # float64, and float32 of other tests


def test_inputs_may_be_tensors(rng):
    tensors, outputs, targets, weights, centre = taylor_problems.arrays(rng, "tall")
    arrays = (outputs, targets, weights, centre)
    problem = TaylorProblem(DenseMap(tensors), *arrays)
    as_tensors = TaylorProblem(DenseMap(tf.constant(tensors)), *map(tf.constant, arrays))
    assert minimize(problem, 1.0).loss == minimize(as_tensors, 1.0).loss


def test_auto_follows_its_list():
    def problem(groups, size):
        zeros = np.zeros((groups, 1, 10))
        matrix = np.zeros((groups, 10, size), np.float32)
        return TaylorProblem(
            DenseMap(matrix), zeros, np.zeros((groups, 1), int), np.ones(groups), np.zeros(size)
        )

    assert choose(problem(10, 1600), 1.0) == choose(problem(10, 1600)) == RowSpace()
    assert choose(problem(100, 1600)) == Newton()
    assert choose(problem(100, 1600), 1.0) == choose(problem(100, 3000)) == NewtonCG()


def test_wrong_input_ends_in_one_sentence(rng):
    problem, _ = taylor_problems.problem(rng, "wide")
    with pytest.raises(ValueError, match="must be one of .*'adam'"):
        minimize(problem, 1.0, "adam")
    with pytest.raises(ValueError, match="not be negative.*-1"):
        minimize(problem, -1.0)
    with pytest.raises(ValueError, match="between 1 and 4.*5"):
        minimize_prefixes(problem, [5], [1.0])
    with pytest.raises(ValueError, match=r"shape of the weights.*\(3,\)"):
        minimize(problem, 1.0, start=np.zeros(3))
    with pytest.raises(ValueError, match=r"\(4, E, 3\).*\(4, 3\)"):
        dataclasses.replace(problem, outputs=problem.outputs[:, 0])
    with pytest.raises(ValueError, match="4 weights, none of them negative"):
        dataclasses.replace(problem, weights=-problem.weights)
    with pytest.raises(ValueError, match="Labels must lie between 0 and 2"):
        dataclasses.replace(problem, targets=problem.targets + 3)
    with pytest.raises(ValueError, match=r"centre must have.*\(5, 6\)"):
        dataclasses.replace(problem, centre=np.zeros(30))
    with pytest.raises(ValueError, match="learning rate must be positive"):
        SGD(learning_rate=0.0)
    with pytest.raises(ValueError, match="max_iterations must be at least 1"):
        NewtonCG(max_iterations=0)
    with pytest.raises(ValueError, match="groups, p_L"):
        DenseMap(np.zeros((3, 4)))


@pytest.mark.gpu
@pytest.mark.parametrize("solver", (*SECOND_ORDER, "sgd"))
def test_gpu_equals_cpu(rng, solver):
    tensors, outputs, targets, weights, centre = taylor_problems.arrays(rng, "batch mean")
    losses = {}
    for device in ("CPU:0", "GPU:0"):
        with tf.device(device):
            problem = TaylorProblem(DenseMap(tensors), outputs, targets, weights, centre)
            losses[device] = minimize(problem, 0.5, solver).loss
    assert losses["GPU:0"] == pytest.approx(losses["CPU:0"], rel=2e-3)


def test_doctest_names_are_exported():
    assert all(hasattr(nta.solvers, name) for name in nta.solvers.__all__)
