"""The linear maps, their Gram matrices and the row space."""

import math

import numpy as np
import pytest
import tensorflow as tf

from nta_tf.solvers import (
    SGD,
    DenseMap,
    FactoredMap,
    JointMap,
    RowSpace,
    RowSpaceProblem,
    TaylorProblem,
    gram,
    minimize,
    minimize_prefixes,
)
from tests import taylor_problems
from tests.variants import slow

GROUPS, COMPONENTS = 7, 3


def dense_linear(inputs, kernel):
    return tf.matmul(inputs, kernel)


def dense_kernel_gradient(inputs, weighted):
    return tf.matmul(inputs, weighted, transpose_a=True)


def conv_linear(inputs, kernel):
    return tf.nn.conv2d(inputs, kernel, 1, "SAME")


def conv_kernel_gradient(inputs, weighted):
    shape = (3, 3, inputs.shape[-1], weighted.shape[-1])
    return tf.raw_ops.Conv2DBackpropFilter(
        input=inputs,
        filter_sizes=shape,
        out_backprop=weighted,
        strides=[1, 1, 1, 1],
        padding="SAME",
    )


def dense_tensors(jacobian, inputs):
    return np.einsum("gka,gj->gkja", jacobian, inputs)


def conv_tensors(jacobian, inputs):
    patches = tf.image.extract_patches(
        inputs, [1, 3, 3, 1], [1, 1, 1, 1], [1, 1, 1, 1], "SAME"
    ).numpy()
    patches = patches.reshape(*inputs.shape[:3], 3, 3, 3)
    return np.einsum("gkhwo,ghwabc->gkabco", jacobian, patches)


def dense_gram(jacobian, inputs):
    return row_products(dense_tensors(jacobian, inputs))


def conv_gram(jacobian, inputs):
    return row_products(conv_tensors(jacobian, inputs))


def row_products(tensors):
    rows = tensors.reshape(len(tensors) * COMPONENTS, -1)
    return rows @ rows.T


def dense_factors(rng):
    factors = rng.normal(size=(GROUPS, COMPONENTS, 4)), rng.normal(size=(GROUPS, 5))
    products = dense_linear, dense_kernel_gradient, dense_gram
    return *factors, (5, 4), *products, dense_tensors(*factors)


def conv_factors(rng):
    factors = rng.normal(size=(GROUPS, COMPONENTS, 4, 5, 2)), rng.normal(size=(GROUPS, 4, 5, 3))
    products = conv_linear, conv_kernel_gradient, conv_gram
    return *factors, (3, 3, 3, 2), *products, conv_tensors(*factors)


FACTORS = {"dense": dense_factors, "conv": conv_factors}


@pytest.fixture(params=FACTORS)
def factored(request, rng):
    """(factored map with small chunks, G) of a layer."""
    *arguments, matrix = FACTORS[request.param](rng)
    return FactoredMap(*arguments, chunk=3), matrix


def labelled(rng, linear_map, matrix_shape, centre=None):
    """A problem with three examples a group."""
    outputs = rng.normal(size=(GROUPS, 3, COMPONENTS))
    labels = rng.integers(COMPONENTS, size=(GROUPS, 3))
    centre = np.zeros(matrix_shape) if centre is None else centre
    return TaylorProblem(linear_map, outputs, labels, np.full(GROUPS, 1 / 3), centre)


def test_forward_and_adjoint_are_products_with_g(factored, rng):
    factored, matrix = factored
    weights = rng.normal(size=matrix.shape[2:])
    shift = rng.normal(size=(GROUPS, COMPONENTS))
    flat = matrix.reshape(GROUPS, COMPONENTS, -1)
    for linear_map in (factored, DenseMap(matrix)):
        np.testing.assert_allclose(linear_map.forward(weights), flat @ weights.ravel())
        expected = np.einsum("gkp,gk->p", flat, shift).reshape(weights.shape)
        np.testing.assert_allclose(linear_map.adjoint(shift), expected, atol=1e-12)
        prefix = linear_map.prefix(2)
        np.testing.assert_allclose(prefix.forward(weights), flat[:2] @ weights.ravel())


def test_chunks_of_a_dense_map_in_another_precision(rng, monkeypatch):
    from nta_tf.solvers import maps

    monkeypatch.setattr(maps, "_CHUNK_BYTES", 8 * 2 * 30 * 2)  # two groups a chunk
    matrix = rng.normal(size=(5, 2, 30)).astype(np.float32)
    u, r = rng.normal(size=(3, 30)), rng.normal(size=(3, 5, 2))
    linear_map = DenseMap(matrix)
    shift = linear_map.action.forward(linear_map.tensors, tf.constant(u))
    np.testing.assert_allclose(shift, np.einsum("gkp,cp->cgk", matrix.astype(float), u))
    slope = linear_map.action.adjoint(linear_map.tensors, tf.constant(r))
    np.testing.assert_allclose(slope, np.einsum("gkp,cgk->cp", matrix.astype(float), r))


def test_gram_matrix(factored):
    factored, matrix = factored
    expected = row_products(matrix)
    for linear_map in (factored, DenseMap(matrix), JointMap([factored, DenseMap(matrix)])):
        twice = 2 if linear_map.is_joint else 1
        np.testing.assert_allclose(gram(linear_map), twice * expected, atol=1e-10)


@pytest.mark.parametrize("solver", slow(["newton", "newton_cg", "row_space"], "newton"))
def test_factored_problem_equals_dense(factored, rng, solver):
    factored, matrix = factored
    shape = matrix.shape[2:]
    centre = rng.normal(size=shape)
    state = rng.bit_generator.state
    dense = labelled(rng, DenseMap(matrix), shape, centre)
    rng.bit_generator.state = state
    ours = labelled(rng, factored, shape, centre)
    for radius in (0.3, 1.0):
        expected = minimize(dense, radius, "newton", tolerance=1e-8)
        found = minimize(ours, radius, solver, tolerance=1e-8)
        assert found.loss == pytest.approx(expected.loss, rel=1e-7)
        np.testing.assert_allclose(found.weights, expected.weights, atol=1e-2)
        assert found.weights.shape == shape


@pytest.mark.slow
def test_sgd_of_factors_equals_dense(factored, rng):
    """The same steps, and so the same V but for rounding."""
    factored, matrix = factored
    state = rng.bit_generator.state
    dense = labelled(rng, DenseMap(matrix), matrix.shape[2:])
    rng.bit_generator.state = state
    ours = labelled(rng, factored, matrix.shape[2:])
    # Steps four times as long would multiply rounding errors from pass to pass.
    solver = SGD(learning_rate=0.005, batch_size=2, averaging=True)
    expected, found = minimize(dense, 0.5, solver), minimize(ours, 0.5, solver)
    assert found.iterations == expected.iterations
    np.testing.assert_allclose(found.weights, expected.weights, atol=1e-10)
    exact = minimize(dense, 0.5, "newton", tolerance=1e-8)
    assert found.loss - found.gap <= exact.loss
    assert found.loss == pytest.approx(exact.loss, rel=0.02)


@pytest.mark.slow
@pytest.mark.parametrize("solver", ["newton", "newton_cg", "row_space"])
def test_joint_problem_equals_one_dense_map(rng, solver):
    *dense_layer, first = dense_factors(rng)
    *conv_layer, second = conv_factors(rng)
    joint = JointMap([FactoredMap(*dense_layer), FactoredMap(*conv_layer)])
    together = np.concatenate([part.reshape(GROUPS, COMPONENTS, -1) for part in (first, second)], 2)
    centre = [rng.normal(size=part.shape[2:]) for part in (first, second)]
    flat_centre = np.concatenate([part.ravel() for part in centre])
    state = rng.bit_generator.state
    one = labelled(rng, DenseMap(together), None, flat_centre)
    rng.bit_generator.state = state
    other = labelled(rng, joint, None, centre)
    expected = minimize(one, 0.4, "newton", tolerance=1e-8)
    found = minimize(other, 0.4, solver, tolerance=1e-8)
    assert found.loss == pytest.approx(expected.loss, rel=1e-7)
    assert [part.shape for part in found.weights] == [(5, 4), (3, 3, 3, 2)]
    assert other.value(found.weights) == pytest.approx(found.loss)


@pytest.mark.parametrize("kind", taylor_problems.KINDS)
@pytest.mark.parametrize("loss", ["cross_entropy", "mse"])
def test_row_space_keeps_shifts_and_lengths(rng, kind, loss):
    """A U of a row-space U, and its length, are those of its coordinates."""
    problem, _ = taylor_problems.problem(rng, "batch mean, wide", kind, loss)
    in_row_space = RowSpaceProblem(problem)
    linear_map, small = problem.linear_map, in_row_space.small.linear_map
    u = np.ravel(linear_map.adjoint(_sums_to_zero(rng.normal(size=(3, 4)), loss)))
    z = in_row_space.coordinates(u)
    assert np.linalg.norm(z) == pytest.approx(np.linalg.norm(u))
    shift, expected = small.forward(z).numpy(), linear_map.forward(u).numpy()
    np.testing.assert_allclose(_sums_to_zero(shift, loss), _sums_to_zero(expected, loss), atol=1e-9)


def _sums_to_zero(shift, loss):
    return shift - shift.mean(axis=1, keepdims=True) if loss == "cross_entropy" else shift


def test_rank_is_found(rng):
    problem, _ = taylor_problems.problem(rng, "tall")
    assert RowSpaceProblem(problem).small.linear_map.size == 7  # 30 * 3 rows, 7 weights
    problem, _ = taylor_problems.problem(rng, "wide")
    assert RowSpaceProblem(problem).small.linear_map.size == 8  # 4 groups, p_L - 1 directions


def test_known_gram_matrix_is_used(rng):
    problem, _ = taylor_problems.problem(rng, "wide")
    known = gram(problem.linear_map)
    ours = minimize_prefixes(problem, [2, 4], [0.5], RowSpace(gram_matrix=known))
    own = minimize_prefixes(problem, [2, 4], [0.5], "row_space")
    assert [of[0].loss for of in ours] == [of[0].loss for of in own]
    with pytest.raises(ValueError, match=r"shape \(12, 12\).*\(3, 3\)"):
        RowSpaceProblem(problem, np.eye(3))


def test_start_in_the_row_space(rng):
    problem, _ = taylor_problems.problem(rng, "wide")
    optimum = minimize(problem, 0.5, "row_space", tolerance=1e-7)
    again = minimize(problem, 0.5, "row_space", start=optimum.weights, tolerance=1e-6)
    assert again.iterations == 0
    assert again.loss == pytest.approx(optimum.loss)
    assert math.isfinite(again.gap)


def test_newton_refuses_maps_that_it_cannot_hold(factored, rng, monkeypatch):
    from nta_tf.solvers import newton

    factored, matrix = factored
    np.testing.assert_allclose(factored.dense().tensors[0], matrix.reshape(GROUPS, COMPONENTS, -1))
    monkeypatch.setattr(newton, "_MOST_BYTES", 100)
    with pytest.raises(ValueError, match=r"holds the Hessian.*use NewtonCG\(\).*FactoredMap"):
        minimize(labelled(rng, factored, matrix.shape[2:]), 1.0, "newton")


def test_maps_that_do_not_fit_are_refused(rng):
    *arguments, matrix = dense_factors(rng)
    with pytest.raises(ValueError, match=r"input for each of the 7 groups.*\(3, 5\)"):
        FactoredMap(arguments[0], arguments[1][:3], *arguments[2:])
    with pytest.raises(ValueError, match="agree in groups"):
        JointMap([DenseMap(matrix), DenseMap(matrix[:3])])
