"""Ways to the minimum of a quadratic that need no whole spectrum, against the spectrum."""

import math

import numpy as np
import pytest
from scipy.linalg import eigh

from nta_tf.solvers import Quadratic, Status, inertia, local, minimize_on_balls, near_null
from nta_tf.solvers.krylov_space import KrylovSpace, largest_curvature
from nta_tf.solvers.local import Local
from nta_tf.solvers.quadratic import Rounding
from nta_tf.solvers.spectrum import Spectrum, decomposed

SIZE = 150
FLAT = [0, 1, 7]
PRECISIONS = {"float64": np.finfo(np.float64).eps, "float32": 1e-12}


def quadratic_of(rng, flat, precision, blocks=1):
    """F of known curvatures: some zero, some at a few times the cut, the others spread evenly."""
    basis = np.linalg.qr(rng.normal(size=(SIZE, SIZE)))[0]
    cut = SIZE * precision
    near = cut * np.array([0.3, 0.7, 1.5, 4.0])[: 4 if flat else 0]
    curvature = np.concatenate([np.zeros(flat), near, np.logspace(-6, 0, SIZE - flat - len(near))])
    hessian = (basis * curvature) @ basis.T
    best = rng.normal(size=(blocks, SIZE))
    centre = rng.normal(size=(blocks, SIZE))
    gradient = -best @ hessian
    constant = float(-np.sum(best * gradient)) + 1.0
    return Quadratic(((hessian + hessian.T) / 2)[None], gradient, constant, precision, centre)


@pytest.fixture(params=FLAT, ids=lambda flat: f"{flat} flat")
def quadratic(request, rng):
    return quadratic_of(rng, request.param, PRECISIONS["float32"])


def test_eigenvectors_as_factors_are_those_of_eigh(rng):
    matrix = rng.normal(size=(SIZE, SIZE))
    matrix = matrix @ matrix.T
    values, basis = decomposed(matrix[None])
    expected, _ = eigh(matrix)
    np.testing.assert_allclose(values[0], expected, atol=1e-12 * expected[-1])
    u = rng.normal(size=(3, SIZE))
    components = basis.components(u)
    np.testing.assert_allclose(basis.vectors(components), u, atol=1e-12)
    np.testing.assert_allclose(basis.vectors(components * values), u @ matrix, atol=1e-10)


def test_near_null_directions_give_the_free_minimum_of_the_spectrum(quadratic):
    around = Local(quadratic)
    spectrum = Spectrum(around)
    found = near_null.find(around, largest_curvature(around))
    assert found.rank == spectrum.rank and found.largest == pytest.approx(spectrum.largest)
    assert found.slope_without_curvature == pytest.approx(
        spectrum.slope_without_curvature, rel=1e-6, abs=1e-12
    )
    expected, _ = spectrum.step(math.inf)
    step = found.free_step()
    np.testing.assert_allclose(step, expected, atol=1e-6 * np.abs(expected).max())
    values = [quadratic.value(around.weights(u)) for u in (step, expected)]
    assert values[0] == pytest.approx(values[1], rel=1e-10)


def test_near_null_bound_is_never_below_that_of_the_spectrum(quadratic, rng):
    around = Local(quadratic)
    spectrum, found = Spectrum(around), near_null.find(around, largest_curvature(around))
    rounding = Rounding(quadratic, spectrum.largest, 1.0)
    slopes = [rng.normal(size=(1, SIZE)) * 10 ** rng.uniform(-8, 0) for _ in range(5)]
    curvatures, directions = eigh(quadratic.hessian[0])
    least = np.flatnonzero(curvatures > around.cut(spectrum.largest))[0]
    for slope in (*slopes, directions[:, least][np.newaxis]):
        assert found.steepness(slope, 1.0, rounding) >= spectrum.steepness(slope, 1.0) * 0.999


def test_many_flat_directions_are_left_to_the_spectrum(rng):
    around = Local(quadratic_of(rng, 40, PRECISIONS["float32"]))
    assert near_null.find(around, largest_curvature(around)) is None


@pytest.mark.parametrize("precision", PRECISIONS)
def test_counting_by_inertia_is_counting_eigenvalues(rng, precision):
    # With float64 the cut itself is rounding: what lies near it may count or not.
    unsure = {"float64": 2, "float32": 0}[precision]
    for flat in (0, 7, 40):
        around = Local(quadratic_of(rng, flat, PRECISIONS[precision]))
        counted = inertia.count(around, largest_curvature(around))
        assert abs(counted.rank - Spectrum(around).rank) <= unsure


def test_negative_curvature_is_left_to_the_spectrum(rng):
    quadratic = quadratic_of(rng, 1, PRECISIONS["float32"])
    hessian = quadratic.hessian - 1e-7 * np.eye(SIZE)
    around = Local(Quadratic(hessian, quadratic.gradient, 1.0, quadratic.precision))
    largest = largest_curvature(around)
    assert inertia.count(around, largest) is None and near_null.find(around, largest) is None


@pytest.mark.parametrize("share", [1e-3, 0.1])
def test_products_find_the_minimum_on_a_ball(quadratic, share):
    around = Local(quadratic)
    spectrum = Spectrum(around)
    radius = share * np.linalg.norm(spectrum.step(math.inf)[0])
    step = KrylovSpace(around).step_to_boundary(radius)
    expected, _ = spectrum.step(radius)
    assert np.linalg.norm(step) == pytest.approx(radius, rel=1e-12)
    values = [quadratic.value(around.weights(u)) for u in (step, expected)]
    assert values[0] == pytest.approx(values[1], rel=1e-10)


def test_products_leave_a_ball_that_holds_the_minimum(quadratic):
    around = Local(quadratic)
    radius = 1.01 * np.linalg.norm(Spectrum(around).step(math.inf)[0])
    assert KrylovSpace(around).step_to_boundary(radius) is None


def test_the_largest_curvature_is_found_where_the_slope_has_none_of_it():
    hessian = np.diag(np.logspace(0, -3, SIZE))[None]
    slope = np.zeros((1, SIZE))
    slope[0, -1] = 1.0
    around = Local(Quadratic(hessian, slope, 1.0))
    assert largest_curvature(around) == pytest.approx(1.0)


@pytest.mark.parametrize("radii", [[0.5], [0.5, math.inf], [math.inf], [1e9, math.inf], [0.0]])
@pytest.mark.parametrize("flat", [0, 3, 40])
def test_same_optima_with_and_without_a_spectrum(rng, monkeypatch, radii, flat):
    quadratic = quadratic_of(rng, flat, PRECISIONS["float32"])
    expected = minimize_on_balls(quadratic, radii)
    monkeypatch.setattr(local, "_LARGE", 1)
    for optimum, other in zip(minimize_on_balls(quadratic, radii), expected):
        assert optimum.status is other.status and optimum.rank == other.rank
        assert abs(optimum.loss - other.loss) <= 1e-9 * other.loss
        assert optimum.gap <= max(1.5 * other.gap, 1e-9 * optimum.loss)


def test_a_slope_of_zero_needs_no_step(monkeypatch):
    monkeypatch.setattr(local, "_LARGE", 1)
    quadratic = Quadratic(np.eye(5)[None], np.zeros((1, 5)), 1.0)
    for optimum in minimize_on_balls(quadratic, [0.1, math.inf]):
        assert optimum.status is Status.OPTIMAL and not optimum.weights.any()
