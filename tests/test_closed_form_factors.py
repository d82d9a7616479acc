"""The closed form of large quadratics, by a tridiagonal matrix, against all their eigenvectors."""

import math

import numpy as np
import pytest
from scipy.linalg import eigh

from nta_tf.solvers import Quadratic, Status, local, minimize_on_balls
from nta_tf.solvers.local import Local
from nta_tf.solvers.quadratic import Rounding
from nta_tf.solvers.spectrum import Spectrum
from nta_tf.solvers.tridiagonal import Tridiagonal

SIZE = 150
FLAT = [0, 1, 7, 40, SIZE - 8]
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


@pytest.fixture
def both(quadratic):
    around = Local(quadratic)
    return Spectrum(around), Tridiagonal(around)


def values(quadratic, *steps):
    return [quadratic.value(Local(quadratic).weights(u)) for u in steps]


def test_same_directions_count(both):
    spectrum, tridiagonal = both
    assert tridiagonal.rank == spectrum.rank
    assert tridiagonal.largest == pytest.approx(spectrum.largest)
    for what in ("slope_without_curvature", "gain_without_curvature"):
        expected = getattr(spectrum, what)
        assert getattr(tridiagonal, what) == pytest.approx(expected, rel=1e-6, abs=1e-12)


@pytest.mark.parametrize("share", [1e-6, 1e-3, 0.1, 0.9, 1 - 1e-6, 2.0, math.inf])
def test_same_step(quadratic, both, share):
    spectrum, tridiagonal = both
    radius = share * np.linalg.norm(spectrum.step(math.inf)[0])
    (expected, outside), (step, is_outside) = spectrum.step(radius), tridiagonal.step(radius)
    assert is_outside == outside == (share < 1)
    assert not outside or np.linalg.norm(step) == pytest.approx(radius, rel=1e-12)
    np.testing.assert_allclose(step, expected, atol=1e-6 * np.abs(expected).max())
    found, wanted = values(quadratic, step, expected)
    assert found == pytest.approx(wanted, rel=1e-10)


@pytest.mark.parametrize("shortage", [0.0, 1e-15, 1e-12, 1e-9])
def test_a_ball_that_all_but_holds_the_minimum(quadratic, shortage):
    of = Tridiagonal(Local(quadratic))
    free, _ = of.step(math.inf)
    step, _ = of.step((1 - shortage) * np.linalg.norm(free))
    np.testing.assert_allclose(step, free, atol=1e-6 * np.abs(free).max())


def test_bound_is_that_of_the_spectrum_or_little_more(quadratic, both, rng):
    spectrum, tridiagonal = both
    rounding = Rounding(quadratic, spectrum.largest, 1.0)
    slopes = [rng.normal(size=(1, SIZE)) * 10 ** rng.uniform(-8, 0) for _ in range(5)]
    curvatures, directions = eigh(quadratic.hessian[0])
    least = np.flatnonzero(curvatures > spectrum.cut)[0]
    for slope in (*slopes, directions[:, least][np.newaxis], np.zeros((1, SIZE))):
        for of in (rounding, None):
            exact = spectrum.steepness(slope, 1.0, of)
            assert 0.999 * exact <= tridiagonal.steepness(slope, 1.0, of) <= 1.1 * exact


def test_negative_curvature_shows_the_noise(rng):
    quadratic = quadratic_of(rng, 1, PRECISIONS["float32"])
    hessian = quadratic.hessian - 1e-7 * np.eye(SIZE)
    around = Local(Quadratic(hessian, quadratic.gradient, 1.0, quadratic.precision))
    spectrum, tridiagonal = Spectrum(around), Tridiagonal(around)
    assert tridiagonal.cut == pytest.approx(spectrum.cut) and spectrum.cut > 1.9e-7
    assert tridiagonal.rank == spectrum.rank < SIZE - 1
    expected, _ = spectrum.step(math.inf)
    step, _ = tridiagonal.step(math.inf)
    np.testing.assert_allclose(step, expected, atol=1e-6 * np.abs(expected).max())


@pytest.mark.parametrize("radii", [[0.5], [0.5, math.inf], [math.inf], [1e9, math.inf], [0.0]])
@pytest.mark.parametrize("flat", [0, 3, 40])
def test_same_optima_with_and_without_all_eigenvectors(rng, monkeypatch, radii, flat):
    quadratic = quadratic_of(rng, flat, PRECISIONS["float32"])
    optima = minimize_on_balls(quadratic, radii)
    monkeypatch.setattr(local, "_LARGE", SIZE + 1)
    for optimum, other in zip(optima, minimize_on_balls(quadratic, radii)):
        assert optimum.status is other.status and optimum.rank == other.rank
        assert abs(optimum.loss - other.loss) <= 1e-9 * other.loss
        assert optimum.gap <= max(1.5 * other.gap, 1e-9 * optimum.loss)


@pytest.mark.parametrize("size", [5, SIZE])
def test_a_slope_of_zero_needs_no_step(size):
    quadratic = Quadratic(np.eye(size)[None], np.zeros((1, size)), 1.0)
    for optimum in minimize_on_balls(quadratic, [0.1, math.inf]):
        assert optimum.status is Status.OPTIMAL and not optimum.weights.any()


def test_a_loss_without_curvature_in_the_slope_is_left_at_the_centre(rng):
    # H is known to float64, and the slope lies in directions that are flat to rounding.
    directions = np.linalg.qr(rng.normal(size=(SIZE, SIZE)))[0]
    curvature = np.concatenate([np.ones(SIZE // 2), np.zeros(SIZE - SIZE // 2)])
    hessian = (directions * curvature) @ directions.T
    slope = 1e-14 * directions[:, -1:].T
    around = Local(Quadratic(hessian[None], slope, 1.0))
    step, outside = Tridiagonal(around).step(math.inf)
    assert not outside and np.abs(step).max() < 1e-12
