"""Section 3.2: the signed gradient is a maximizer, and RMS-normalization approximates it."""

import itertools

import numpy as np
import pytest
import scipy.optimize
import tensorflow as tf

import nta_tf as nta
from nta_tf.linearization.taps import TappedModel
from tests.architectures import ARCHITECTURES, EXAMPLES
from tests.networks import CHAINS, dense_chain

exploration = nta.exploration


def _corners(size):
    return np.array(list(itertools.product([-1.0, 1.0], repeat=size)))


@pytest.fixture(params=[1, 2, 3, 6, 10])
def gradient(request, rng):
    """A gradient without a zero coordinate."""
    return rng.normal(size=request.param)


def test_observation_3_the_signed_gradient_is_a_maximizer(gradient, rng):
    """||x||_1 is convex: its maximum over the cube, cut or not, is at most that of the corners."""
    sign = exploration.signed_gradient(gradient).numpy()
    assert np.abs(sign).max() <= 1 and sign @ gradient > 0  # it is feasible
    inside = rng.uniform(-1, 1, size=(2000, len(gradient)))
    points = np.concatenate([_corners(len(gradient)), inside])
    feasible = points[points @ gradient >= 0]
    assert np.abs(sign).sum() == len(gradient) >= np.abs(feasible).sum(axis=1).max()


def test_observation_3_of_all_maximizers_it_has_the_largest_inner_product(gradient):
    sign = exploration.signed_gradient(gradient).numpy()
    program = scipy.optimize.linprog(-gradient, bounds=(-1, 1))
    np.testing.assert_allclose(sign, program.x, atol=1e-9)
    np.testing.assert_allclose(sign @ gradient, np.abs(gradient).sum())
    corners = _corners(len(gradient))
    assert (corners @ gradient >= sign @ gradient - 1e-12).sum() == 1


def test_observation_3_it_is_not_the_only_maximizer():
    gradient = np.array([3.0, 1.0])
    other = np.array([1.0, -1.0])
    assert other @ gradient >= 0
    assert np.abs(other).sum() == np.abs(exploration.signed_gradient(gradient)).sum()


def test_observation_3_needs_coordinates_that_are_not_zero():
    """Where a coordinate is zero, either sign would be as good and zero is worse than both."""
    gradient = np.array([2.0, 0.0])
    sign = exploration.signed_gradient(gradient).numpy()
    better = np.array([[1.0, 1.0], [1.0, -1.0]])
    assert (better @ gradient >= 0).all()
    assert (np.abs(better).sum(axis=1) > np.abs(sign).sum()).all()


def test_a_small_step_against_the_signed_gradient_decreases_the_loss(sample):
    x = sample.x[:32].reshape(32, -1).astype("float64")
    model = nta.models.autoencoder(seed=0, dtype="float64")
    variables = model.trainable_variables
    with tf.GradientTape() as tape:
        before = tf.reduce_mean(nta.losses.mean_squared_error(model(x), x))
    signs = exploration.signed_gradient(tape.gradient(before, variables))
    for variable, sign in zip(variables, signs, strict=True):
        variable.assign_sub(1e-6 * sign)
    after = tf.reduce_mean(nta.losses.mean_squared_error(model(x), x))
    assert after < before


def test_rms_of_one_example_is_the_sign(rng):
    gradient = rng.normal(size=(5, 4)) * 10.0 ** rng.integers(-200, 200, size=(5, 4))
    gradient[2, 2] = 0.0
    normalized = exploration.rms_normalized_gradient(gradient[np.newaxis])
    np.testing.assert_array_equal(normalized, exploration.signed_gradient(gradient))


def test_rms_is_the_formula_of_the_paper(rng):
    gradients = rng.normal(size=(7, 5, 4))
    expected = gradients.sum(axis=0) / np.sqrt((gradients**2).sum(axis=0))
    normalized = exploration.rms_normalized_gradient(gradients)
    np.testing.assert_allclose(normalized, expected, rtol=1e-12)
    assert normalized.dtype == "float64"


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("scale", [1e-30, 1e30])
def test_rms_does_not_depend_on_the_scale(rng, scale, dtype):
    gradients = rng.normal(size=(6, 8)).astype(dtype)
    small = exploration.rms_normalized_gradient((scale * gradients).astype(dtype))
    same = exploration.rms_normalized_gradient(gradients)
    np.testing.assert_allclose(small, same, rtol=1e-5, atol=1e-6)


def test_rms_is_bounded_by_the_root_of_the_number_of_examples(rng):
    gradients = rng.normal(size=(9, 400))
    gradients[:, 0] = -0.3  # all examples agree
    gradients[:, 1] = 0.0
    normalized = exploration.rms_normalized_gradient(gradients).numpy()
    assert np.abs(normalized).max() == pytest.approx(3.0) and normalized[0] == pytest.approx(-3.0)
    assert normalized[1] == 0.0
    same_sign = (gradients > 0).all(axis=0) | (gradients < 0).all(axis=0)
    assert (np.abs(normalized[same_sign]) >= 1.0 - 1e-12).all()


def test_rms_has_the_sign_of_the_mean_gradient_on_real_digits(sample):
    x = sample.x[:32].reshape(32, -1)
    model = nta.models.autoencoder(seed=0)
    gradients = exploration.example_gradients(model, x, x)
    normalized = exploration.rms_normalized_gradient(gradients)
    assert list(normalized) == [variable.path for variable in model.trainable_variables]
    for name, gradient in gradients.items():
        assert np.abs(normalized[name]).max() <= np.sqrt(32) * (1 + 1e-6)
        mean = tf.reduce_mean(gradient, axis=0).numpy()
        clear = np.abs(mean) > 1e-6 * np.abs(mean).max()  # not a sum that rounding decides
        signs = exploration.signed_gradient(mean).numpy()
        np.testing.assert_array_equal(np.sign(normalized[name])[clear], signs[clear])
    # Pixels that are black in all digits: their weights have no gradient, and no update.
    black = (x == 0).all(axis=0)
    assert black.any() and not normalized["dense_1/kernel"].numpy()[black].any()


def test_lists_tuples_and_dictionaries_keep_their_structure():
    gradients = [np.array([[1.0, -2.0]]), np.array([[0.5]])]
    for structure in (gradients, tuple(gradients), dict(enumerate(gradients))):
        for function in (exploration.signed_gradient, exploration.rms_normalized_gradient):
            result = function(structure)
            assert type(result) is type(structure) and len(result) == 2
    assert exploration.signed_gradient([3, -2]).numpy().tolist() == [1.0, -1.0]


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_the_mean_of_example_gradients_is_the_gradient_of_the_minibatch(name, rng):
    model = ARCHITECTURES[name]()
    x = [rng.normal(size=(EXAMPLES, *tensor.shape[1:])) for tensor in model.inputs]
    x = x if len(x) > 1 else x[0]
    components = int(np.prod(model.output_shape[1:]))
    y = rng.normal(size=(EXAMPLES, components))
    _check_mean(model, x, y, "mse")


@pytest.mark.parametrize("name", CHAINS)
def test_example_gradients_of_chains_under_cross_entropy(name, rng, seed):
    model = dense_chain(*CHAINS[name], seed=seed)
    x = rng.normal(size=(EXAMPLES, *model.input_shape[1:]))
    _check_mean(model, x, np.arange(EXAMPLES) % model.output_shape[-1], "cross_entropy")


def _check_mean(model, x, y, loss):
    gradients = exploration.example_gradients(model, x, y, loss)
    with tf.GradientTape() as tape:
        outputs = tf.reshape(model(x, training=False), (EXAMPLES, -1))
        mean = tf.reduce_mean(nta.losses.get(loss)(outputs, y))
    layers = TappedModel(model).taps
    expected = {}
    for name, tap in layers.items():
        expected[f"{name}/kernel"] = tap.layer.kernel
        if tap.layer.use_bias:
            expected[f"{name}/bias"] = tap.layer.bias
    assert list(gradients) == list(expected)
    values = tape.gradient(mean, [variable.value for variable in expected.values()])
    for (name, gradient), value in zip(gradients.items(), values, strict=True):
        assert gradient.shape == (EXAMPLES, *expected[name].shape)
        wanted = np.zeros(expected[name].shape) if value is None else tf.convert_to_tensor(value)
        np.testing.assert_allclose(tf.reduce_mean(gradient, axis=0), wanted, atol=1e-12)


def test_an_example_gradient_is_that_of_the_example_alone(sample):
    x, y = sample.x[:4].astype("float64"), sample.y[:4]
    model = nta.models.convnet((28, 28, 1), seed=0, filters=3, dense_units=5, dtype="float64")
    together = exploration.example_gradients(model, x, y, "cross_entropy")
    for number in range(4):
        chosen = slice(number, number + 1)
        alone = exploration.example_gradients(model, x[chosen], y[chosen], "cross_entropy")
        for name, gradient in alone.items():
            np.testing.assert_allclose(gradient[0], together[name][number], atol=1e-14)


@pytest.mark.parametrize(
    "gradients, words",
    [
        (np.zeros((0, 3)), r"at least one example .* shape \(0, 3\)"),
        (np.float64(2.0), r"stacked on the first axis.*shape \(\)"),
        (np.array([[1.0, np.nan]]), "NaN or infinite"),
    ],
)
def test_gradients_that_cannot_be_normalized_are_refused(gradients, words):
    with pytest.raises(ValueError, match=words):
        exploration.rms_normalized_gradient(gradients)


def test_a_diverged_gradient_has_no_sign():
    with pytest.raises(ValueError, match="NaN or infinite"):
        exploration.signed_gradient([1.0, np.inf])


def test_targets_that_do_not_fit_are_refused(sample):
    model = nta.models.convnet((28, 28, 1), seed=0, filters=3, dense_units=5)
    with pytest.raises(ValueError, match="Labels must lie between 0 and 9"):
        exploration.example_gradients(model, sample.x[:2], np.array([3, 10]), "cross_entropy")
