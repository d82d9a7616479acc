"""The closed form against numpy.linalg.lstsq and an independent constrained solver."""

import dataclasses
import math

import numpy as np
import pytest
import scipy.optimize

import nta_tf as nta
from nta_tf.solvers import (
    ClosedForm,
    Quadratic,
    Status,
    closed_form,
    minimize,
    minimize_on_balls,
)
from nta_tf.solvers.local import Local
from nta_tf.solvers.spectrum import Spectrum

SHAPES = {
    "tall": (30, 6, 6),
    "wide": (4, 9, 4),
    "square": (7, 7, 7),
    "tall, rank deficient": (30, 6, 3),
    "wide, rank deficient": (5, 9, 2),
    "zero": (5, 4, 0),
}


def minimize_quadratic(quadratic, centre, radius=math.inf):
    return minimize(dataclasses.replace(quadratic, centre=centre), radius)


@pytest.fixture(params=SHAPES, ids=lambda name: name.replace(" ", "-"))
def problem(request, rng):
    """(rows, right side, rank) of a least-squares problem, and its quadratic."""
    count, size, rank = SHAPES[request.param]
    rows = rng.normal(size=(count, rank)) @ rng.normal(size=(rank, size))
    right = rng.normal(size=count)
    quadratic = Quadratic((rows.T @ rows)[None], -(rows.T @ right)[None], right @ right)
    return rows, right, rank, quadratic


def test_equals_lstsq(problem):
    rows, right, rank, quadratic = problem
    optimum = minimize_quadratic(quadratic, np.zeros((1, rows.shape[1])))
    expected = np.linalg.lstsq(rows, right, rcond=None)[0]
    np.testing.assert_allclose(optimum.weights[0], expected, atol=1e-7)
    residual = np.sum((rows @ expected - right) ** 2)
    assert optimum.loss == pytest.approx(residual, abs=1e-9)
    assert optimum.rank == rank
    full = rank == rows.shape[1]
    assert optimum.status is (Status.OPTIMAL if full else Status.RANK_DEFICIENT)
    assert 0 <= optimum.gap < 1e-8


def test_minimiser_is_the_one_closest_to_the_centre(problem, rng):
    rows, right, _, quadratic = problem
    centre = rng.normal(size=(1, rows.shape[1]))
    optimum = minimize_quadratic(quadratic, centre)
    shift = np.linalg.lstsq(rows, right - rows @ centre[0], rcond=None)[0]
    np.testing.assert_allclose(optimum.weights, centre + shift, atol=1e-7)


@pytest.mark.parametrize("share", [0.01, 0.5, 0.99])
def test_ball_equals_an_independent_solver(problem, rng, share):
    rows, right, rank, quadratic = problem
    size = rows.shape[1]
    centre = rng.normal(size=(1, size))
    free = minimize_quadratic(quadratic, centre)
    radius = share * np.linalg.norm(free.weights - centre)
    optimum = minimize_quadratic(quadratic, centre, radius)
    found = scipy.optimize.minimize(
        lambda v: np.sum((rows @ v - right) ** 2),
        centre[0],
        jac=lambda v: 2 * rows.T @ (rows @ v - right),
        constraints={
            "type": "ineq",
            "fun": lambda v: radius**2 - np.sum((v - centre[0]) ** 2),
            "jac": lambda v: -2 * (v - centre[0]),
        },
        method="SLSQP",
        options={"ftol": 1e-14, "maxiter": 1000},
    )
    assert np.linalg.norm(optimum.weights - centre) <= radius * (1 + 1e-9)
    assert optimum.loss <= found.fun + 1e-7
    assert optimum.loss == pytest.approx(found.fun, rel=1e-5, abs=1e-7)
    assert optimum.gap < 1e-7 * (1 + optimum.loss)
    if rank:
        assert optimum.status is Status.ON_BALL


def test_ball_that_holds_the_minimum_changes_nothing(problem):
    rows, *_, quadratic = problem
    centre = np.zeros((1, rows.shape[1]))
    free = minimize_quadratic(quadratic, centre)
    radius = 1.01 * np.linalg.norm(free.weights) + 1e-9
    inside = minimize_quadratic(quadratic, centre, radius)
    np.testing.assert_array_equal(free.weights, inside.weights)
    assert inside.status is free.status


def test_radius_zero_is_the_centre(problem, rng):
    rows, right, _, quadratic = problem
    centre = rng.normal(size=(1, rows.shape[1]))
    optimum = minimize_quadratic(quadratic, centre, 0.0)
    np.testing.assert_array_equal(optimum.weights, centre)
    assert optimum.loss == pytest.approx(np.sum((rows @ centre[0] - right) ** 2))


def test_gap_bounds_the_distance_to_the_minimum(problem, rng):
    """The certificate holds at any point of the ball, not only at the solver's."""
    rows, _, _, quadratic = problem
    centre = np.zeros((1, rows.shape[1]))
    minimum = minimize_quadratic(quadratic, centre, radius=0.7).loss
    for _ in range(20):
        point = rng.normal(size=centre.shape)
        point *= 0.7 * rng.uniform() / np.linalg.norm(point)
        gap = nta.solvers.frank_wolfe_gap(quadratic.slope(point), point - centre, 0.7)
        assert quadratic.value(point) - gap <= minimum + 1e-9


def test_gap_without_a_ball_is_exact_at_any_point(problem, rng):
    rows, right, _, quadratic = problem
    centre = np.zeros((1, rows.shape[1]))
    spectrum = Spectrum(Local(quadratic))
    expected = np.linalg.lstsq(rows, right, rcond=None)[0]
    minimum = np.sum((rows @ expected - right) ** 2)
    for _ in range(5):
        point = rng.normal(size=centre.shape)
        gap = closed_form._gap_without_ball(spectrum, quadratic.slope(point), reach=0.0)
        assert quadratic.value(point) - gap == pytest.approx(minimum, abs=1e-7)


def test_gap_is_small_where_the_minimiser_is_far_away(rng):
    """Slopes of rounding size must not be multiplied by a distance of 1e6."""
    basis = np.linalg.qr(rng.normal(size=(6, 6)))[0]
    curvature = np.array([1.0, 1.0, 1.0, 1e-12, 1e-12, 0.0])
    hessian = (basis * curvature) @ basis.T
    slope = basis @ np.array([1e-1, 1e-1, 0, 1e-6, 1e-6, 0])
    quadratic = Quadratic(((hessian + hessian.T) / 2)[None], slope[None], 10.0)
    optimum = minimize_quadratic(quadratic, np.zeros((1, 6)))
    assert np.linalg.norm(optimum.weights) > 1e6
    assert optimum.loss == pytest.approx(10.0 - 0.02 - 2.0, rel=2e-3)
    assert optimum.gap < 1e-2


def test_gap_follows_directions_without_curvature():
    """H has no curvature along the second weight that it can show, but F has a slope there."""
    slope = np.array([[-1.0, -1e-3]])
    quadratic = Quadratic(np.diag([1.0, 1e-17])[None], slope, 2.0)
    optimum = minimize(quadratic)
    np.testing.assert_allclose(optimum.weights, [[1.0, 0.0]])
    reach = 2 * np.linalg.norm(optimum.weights)
    better = quadratic.value(optimum.weights + [[0.0, math.sqrt(reach**2 - 1)]])
    assert optimum.loss - optimum.gap <= better < optimum.loss
    assert optimum.status is Status.ILL_CONDITIONED and not optimum.status.solved
    # Where there is no curvature at all, F is followed to zero.
    flat = minimize(Quadratic(np.zeros((1, 2, 2)), slope, 2.0))
    assert flat.gap == pytest.approx(2.0) and not flat.status.solved


def test_gap_allows_for_curvature_that_just_counts_as_zero():
    """The minimum along the second weight lies a thousand million times the distance of V away."""
    curvature, slope = 0.95 * 2 * np.finfo(np.float64).eps, 1e-6
    optimum = minimize(
        Quadratic(
            np.diag([1.0, curvature])[None],
            np.array([[-1.0, -slope]]),
            1.0 + slope**2 / curvature,
        )
    )
    np.testing.assert_allclose(optimum.weights, [[1.0, 0.0]])
    assert optimum.gap >= 0.9 * optimum.loss > 2000  # the minimum is zero


def test_ball_uses_directions_without_curvature_where_they_matter():
    quadratic = Quadratic(np.diag([1.0, 1e-17])[None], np.array([[-1.0, -1.0]]), 2.0)
    optimum = minimize(quadratic, 3.0)
    assert optimum.status is Status.ON_BALL and optimum.rank == 1
    assert optimum.gap < 1e-9
    angles = np.linspace(0, math.pi, 200_001)
    on_circle = 3 * np.stack([np.cos(angles), np.sin(angles)])
    scanned = np.min(on_circle[0] ** 2 - 2 * on_circle.sum(axis=0) + 2)
    assert optimum.loss == pytest.approx(scanned, abs=1e-8)


@pytest.mark.parametrize("log_condition", [8, 12, 14, 16])
def test_gap_bounds_what_is_left_at_any_condition(rng, log_condition):
    """F = ||rows v - right||^2 itself, not only as float64 has it in H, on every ball."""
    for _ in range(20):
        count, size = 9, int(rng.integers(2, 7))
        left = np.linalg.qr(rng.normal(size=(count, size)))[0]
        scales = np.logspace(0, -log_condition / 2, size) * 10 ** rng.uniform(-3, 3)
        basis = np.linalg.qr(rng.normal(size=(size, size)))[0]
        rows, right = (left * scales) @ basis.T, rng.normal(size=count)
        centre = rng.normal(size=(1, size))
        hessian, gradient = (rows.T @ rows)[None], -(rows.T @ right)[None]
        quadratic = Quadratic(hessian, gradient, right @ right, centre=centre)
        distance = np.linalg.norm(minimize(quadratic).weights - centre)
        for radius in (math.inf, 0.5 * distance, 2 * distance, 1.0):
            optimum = minimize(quadratic, radius)
            reach = 2 * distance if math.isinf(radius) else radius
            best = least_squares_on_ball(left, scales, basis, right, centre[0], reach)
            assert optimum.loss - optimum.gap <= best * (1 + 1e-12)
            assert np.linalg.norm(optimum.weights - centre) <= reach * (1 + 1e-12)
            solved = optimum.gap <= 1e-3 * optimum.loss
            assert optimum.status.solved == solved or optimum.loss < 1e-9


def least_squares_on_ball(left, scales, basis, right, centre, radius):
    """The minimum by bisection of the damping, from factors that are known exactly."""
    slope = left.T @ right - scales * (basis.T @ centre)
    outside = right @ right - np.sum((left.T @ right) ** 2)

    def step(damping):
        return scales * slope / (scales**2 + damping)

    low, high = 0.0, np.linalg.norm(scales * slope) / radius
    if np.linalg.norm(step(0.0)) > radius:
        for _ in range(200):
            middle = (low + high) / 2
            longer = np.linalg.norm(step(middle)) > radius
            low, high = (middle, high) if longer else (low, middle)
        return np.sum((slope - scales * step(high)) ** 2) + outside
    return outside


@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize("radius", [math.inf, 0.4])
def test_blocks_equal_one_block_diagonal_problem(rng, shared, radius):
    blocks, size = 5, 3
    factors = rng.normal(size=(1 if shared else blocks, 4, size))
    hessian = np.einsum("bki,bkj->bij", factors, factors)
    gradient, centre = rng.normal(size=(2, blocks, size))
    together = np.zeros((blocks, size, blocks, size))
    for block in range(blocks):
        together[block, :, block] = hessian[0 if shared else block]
    together = together.reshape(blocks * size, blocks * size)[None]
    separate = minimize_quadratic(Quadratic(hessian, gradient, 3.0), centre, radius)
    joint = minimize_quadratic(
        Quadratic(together, gradient.reshape(1, -1), 3.0), centre.reshape(1, -1), radius
    )
    np.testing.assert_allclose(separate.weights.reshape(-1), joint.weights[0], atol=1e-8)
    assert separate.loss == pytest.approx(joint.loss, abs=1e-9)
    assert separate.status is joint.status


def test_cut_off_ignores_directions_that_are_rounding():
    """An eigenvalue below p * precision, or below the noise that H shows, is not curvature."""
    slope = np.array([[0.0, 1e-12, 0.0]])
    for small, precision, rank in ((1e-16, 2.3e-16, 1), (1e-9, 2.3e-16, 2), (1e-9, 1e-8, 1)):
        hessian = np.diag([1.0, small, 0.0])[None]
        optimum = minimize_quadratic(Quadratic(hessian, slope, 1.0, precision), np.zeros((1, 3)))
        assert optimum.rank == rank
    noisy = np.diag([1.0, 1e-7, -1e-7])[None]
    assert minimize_quadratic(Quadratic(noisy, slope, 1.0), np.zeros((1, 3))).rank == 1


def test_a_sum_of_quadratics_has_the_sum_of_values(rng):
    parts = [
        Quadratic(np.eye(3)[None] * scale, rng.normal(size=(2, 3)), scale, precision)
        for scale, precision in ((2.0, 1e-7), (3.0, 1e-16))
    ]
    weights = rng.normal(size=(2, 3))
    total = parts[0] + parts[1]
    assert total.value(weights) == pytest.approx(sum(part.value(weights) for part in parts))
    assert total.precision == (parts[1] + parts[0]).precision == 1e-7  # of the coarser numbers


def test_several_radii_from_one_decomposition(problem):
    *_, quadratic = problem
    radii = [0.1, 0.2, math.inf]
    together = minimize_on_balls(quadratic, radii)
    for radius, optimum in zip(radii, together):
        assert optimum.loss == minimize(quadratic, radius, ClosedForm()).loss
    assert together[0].loss >= together[1].loss >= together[2].loss


def test_non_finite_problem_is_a_status():
    quadratic = Quadratic(np.full((1, 2, 2), np.nan), np.zeros((1, 2)), 0.0)
    optimum = minimize_quadratic(quadratic, np.zeros((1, 2)))
    assert optimum.status is Status.NON_FINITE and not optimum.status.solved
    assert math.isnan(optimum.loss)


def test_every_status_has_a_message_for_a_person():
    assert all(status.value.endswith(".") for status in Status)


def test_wrong_input_ends_in_one_sentence():
    quadratic = Quadratic(np.eye(2)[None], np.zeros((1, 2)), 0.0)
    with pytest.raises(ValueError, match=r"shape \(blocks, p\).*centre \(1, 3\)"):
        minimize_quadratic(quadratic, np.zeros((1, 3)))
    with pytest.raises(ValueError, match="not be negative.*-1"):
        minimize(quadratic, radius=-1)
    with pytest.raises(ValueError, match="Newton solves a TaylorProblem.*Quadratic"):
        minimize(quadratic, solver="newton")
    with pytest.raises(ValueError, match="finite.*inf"):
        nta.solvers.frank_wolfe_gap(np.ones(2), np.ones(2), math.inf)


def test_weights_of_dead_rectifiers_are_left_out(rng):
    """The same optimum as of the weights that are alive, and dead ones stay at the centre."""
    rows, right, centre = rng.normal(size=(12, 7)), rng.normal(size=12), rng.normal(size=(1, 7))
    rows[:, [0, 4]] = 0
    alive = [1, 2, 3, 5, 6]

    def optimum(rows, centre, radius):
        hessian, gradient = (rows.T @ rows)[None], -(rows.T @ right)[None]
        return minimize(Quadratic(hessian, gradient, right @ right, centre=centre), radius)

    for radius in (0.3, math.inf):
        whole, part = (
            optimum(rows, centre, radius),
            optimum(rows[:, alive], centre[:, alive], radius),
        )
        assert whole.loss == pytest.approx(part.loss) and whole.rank == part.rank == 5
        np.testing.assert_allclose(whole.weights[:, alive], part.weights)
        np.testing.assert_array_equal(whole.weights[:, [0, 4]], centre[:, [0, 4]])
    assert whole.status is Status.RANK_DEFICIENT and part.status is Status.OPTIMAL


def test_slope_of_weights_that_h_does_not_know_is_in_the_gap():
    quadratic = Quadratic(np.diag([1.0, 0.0])[None], np.array([[-1.0, -1e-3]]), 2.0)
    optimum = minimize(quadratic)
    assert optimum.gap >= 4e-3 and optimum.status is Status.ILL_CONDITIONED
