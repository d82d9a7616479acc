"""nta.linearize against the NumPy reference, and the identities of the paper."""

import re

import keras
import numpy as np
import pytest
import tensorflow as tf

import nta_tf as nta
from nta_tf.linearization import rules
from nta_tf.linearization.engines import ChainEngine, TapeEngine, engine_of
from nta_tf.linearization.taps import TappedModel
from tests.networks import CHAINS, dense_chain, reference_of
from tests.reference.dense_network import mean_squared_error
from tests.variants import slow

METHODS = ("auto", "pfor", "per_output")
EXAMPLES = 5


@pytest.fixture(
    params=slow(CHAINS, "leaky", "linear middle"), ids=lambda name: name.replace(" ", "-")
)
def problem(request, seed):
    """A random chain in float64, its reference and a random minibatch."""
    model = dense_chain(*CHAINS[request.param], seed=seed)
    generator = np.random.default_rng(seed + 1)
    inputs = generator.normal(size=(EXAMPLES, model.input_shape[-1]))
    targets = generator.normal(size=(EXAMPLES, model.output_shape[-1]))
    return model, reference_of(model), inputs, targets


def _random_kernel(model, layer, generator):
    kernel = model.get_layer(layer).kernel.numpy()
    return kernel + 0.3 * generator.normal(size=kernel.shape)


@pytest.mark.parametrize("method", METHODS)
def test_jacobian_and_gradient_tensor_equal_the_reference(problem, method):
    model, network, inputs, _ = problem
    lin = nta.linearize(model, inputs, method=method)
    for index, name in enumerate(lin.layers):
        jacobians = [network.jacobian(x, index) for x in inputs]
        tensors = np.stack([network.gradient_tensor(x, index) for x in inputs])
        np.testing.assert_allclose(lin.jacobian(name), jacobians, atol=1e-10)
        np.testing.assert_allclose(lin.gradient_tensor(name), tensors, atol=1e-10)
        for neuron in range(tensors.shape[-1]):
            np.testing.assert_allclose(
                lin.gradient_tensor(name, neuron=neuron), tensors[..., neuron], atol=1e-10
            )


@pytest.mark.parametrize("method", slow(METHODS, "pfor"))
@pytest.mark.parametrize("reduction", nta.linearization.REDUCTIONS)
def test_predictions_equal_the_reference(problem, method, reduction, seed):
    model, network, inputs, _ = problem
    generator = np.random.default_rng(seed + 2)
    lin = nta.linearize(model, inputs, method=method, reduction=reduction)
    total = np.stack([network.forward(x)[2] for x in inputs])
    outputs, kernels = total.copy(), {}
    for index, name in enumerate(lin.layers):
        kernels[name] = _random_kernel(model, name, generator)
        tensors = [network.gradient_tensor(x, index) for x in inputs]
        if reduction == "batch_mean":
            tensors = [np.mean(tensors, axis=0)] * len(inputs)
            np.testing.assert_allclose(lin.gradient_tensor(name), tensors[0], atol=1e-10)
        expected = np.stack(
            [network.taylor(x, index, kernels[name], g) for x, g in zip(inputs, tensors)]
        )
        np.testing.assert_allclose(lin.predict({name: kernels[name]}), expected, atol=1e-10)
        total += expected - outputs
    np.testing.assert_allclose(lin.predict(kernels), total, atol=1e-10)


@pytest.mark.parametrize("loss", ["mse", "cross_entropy"])
def test_t1_t2_taylor_loss_has_value_and_gradient_of_the_training_loss(problem, loss):
    model, _, inputs, targets = problem
    if loss == "cross_entropy":
        targets = np.arange(EXAMPLES) % model.output_shape[-1]
    lin = nta.linearize(model, inputs)
    variables = {name: tf.Variable(lin.kernel(name)) for name in lin.layers}
    with tf.GradientTape() as tape:
        taylor = nta.taylor_loss(lin, variables, targets, loss)
    gradients = tape.gradient(taylor, variables)
    loss_of = nta.losses.get(loss)
    with tf.GradientTape() as tape:
        training = tf.reduce_mean(loss_of(model(inputs), targets))
    kernels = {name: model.get_layer(name).kernel.value for name in lin.layers}
    true_gradients = tape.gradient(training, kernels)
    np.testing.assert_allclose(taylor, training, atol=1e-12)
    for name in lin.layers:
        np.testing.assert_allclose(gradients[name], true_gradients[name], atol=1e-12)


def test_batch_mean_satisfies_t1_but_not_t2(seed):
    model = dense_chain((5, 4, 3), ("relu", "linear"), seed=seed)
    generator = np.random.default_rng(seed)
    inputs, targets = generator.normal(size=(6, 5)), generator.normal(size=(6, 3))
    lin = nta.linearize(model, inputs, reduction="batch_mean")
    kernel = tf.Variable(lin.kernel("dense_1"))
    with tf.GradientTape() as tape:
        taylor = nta.taylor_loss(lin, {"dense_1": kernel}, targets)
    gradient = tape.gradient(taylor, kernel)
    with tf.GradientTape() as tape:
        training = tf.reduce_mean(tf.square(model(inputs) - targets))
    true_gradient = tape.gradient(training, model.get_layer("dense_1").kernel.value)
    np.testing.assert_allclose(taylor, training, atol=1e-12)
    assert np.abs(gradient - true_gradient).max() > 1e-3


@pytest.mark.parametrize("loss", ["mse", "cross_entropy"])
@pytest.mark.parametrize("reduction", nta.linearization.REDUCTIONS)
def test_t3_taylor_loss_is_convex_along_random_segments(problem, loss, reduction, seed):
    model, _, inputs, targets = problem
    if loss == "cross_entropy":
        targets = np.arange(EXAMPLES) % model.output_shape[-1]
    lin = nta.linearize(model, inputs, reduction=reduction)
    generator = np.random.default_rng(seed + 3)

    def along(start, end, t):
        kernels = {n: (1 - t) * start[n] + t * end[n] for n in lin.layers}
        return float(nta.taylor_loss(lin, kernels, targets, loss))

    for _ in range(3):
        ends = [{n: 3 * _random_kernel(model, n, generator) for n in lin.layers} for _ in range(2)]
        for t in (0.25, 0.5, 0.75):
            chord = (1 - t) * along(*ends, 0.0) + t * along(*ends, 1.0)
            assert along(*ends, t) <= chord + 1e-10 * (1 + abs(chord))


def test_observation_2_rectifier_form_with_clamped_masks(seed):
    """The product of kernels and clamped masks of Observation 2 is the general form."""
    model = dense_chain(*CHAINS["narrow middle"], seed=seed)
    network = reference_of(model)
    generator = np.random.default_rng(seed)
    inputs = generator.normal(size=(EXAMPLES, 6))
    lin = nta.linearize(model, inputs)
    for layer in range(4):
        kernel = _random_kernel(model, f"dense_{layer + 1}", generator)
        predictions = lin.predict({f"dense_{layer + 1}": kernel})
        for x, prediction in zip(inputs, predictions):
            layer_inputs, preactivations, output = network.forward(x)
            change = (kernel - network.kernels[layer]).T @ layer_inputs[layer]
            for k in range(layer + 1, 4):
                mask = (preactivations[k - 1] > 0).astype(float)
                change = network.kernels[k].T @ np.diag(mask) @ change
            np.testing.assert_allclose(prediction, output + change, atol=1e-10)


def test_exact_inside_one_activation_region_and_not_across_a_kink(seed):
    model = dense_chain(*CHAINS["wide middle"], seed=seed)
    network = reference_of(model)
    generator = np.random.default_rng(seed)
    inputs = generator.normal(size=(EXAMPLES, 3))
    lin = nta.linearize(model, inputs, layers="dense_1")
    direction = generator.normal(size=(3, 8))

    def masks(other):
        forward = [other.forward(x)[1][:2] for x in inputs]
        return [[(a > 0).tolist() for a in example] for example in forward]

    # Halve the step until no rectifier of the minibatch switches.
    inside = 1.0
    while masks(network.with_kernel(0, network.kernels[0] + inside * direction)) != masks(network):
        inside /= 2
    for step, exact in ((inside, True), (20.0, False)):
        kernel = network.kernels[0] + step * direction
        other = network.with_kernel(0, kernel)
        assert (masks(other) == masks(network)) is exact
        truth = np.stack([other.forward(x)[2] for x in inputs])
        error = np.abs(lin.predict({"dense_1": kernel}) - truth).max()
        assert bool(error < 1e-10) is exact


def test_bias_as_weight_of_a_constant_input(seed):
    model = dense_chain((4, 5, 3), ("relu", "linear"), seed=seed)
    inputs = np.random.default_rng(seed).normal(size=(EXAMPLES, 4))
    for reduction in nta.linearization.REDUCTIONS:
        for method in METHODS:
            lin = nta.linearize(model, inputs, method=method, reduction=reduction)
            layer = model.get_layer("dense_1")
            kernel, bias = layer.kernel.numpy() + 0.1, layer.bias.numpy() - 0.2
            jacobians = lin.jacobian("dense_1").numpy()
            only_kernel = lin.predict({"dense_1": kernel}).numpy()
            extra = -0.2 * jacobians.sum(axis=-1)
            if reduction == "batch_mean":
                extra = extra.mean(axis=0)
            both = lin.predict({"dense_1": (kernel, bias)})
            np.testing.assert_allclose(both, only_kernel + extra, atol=1e-10)


def test_dense_layers_on_sequences_sum_over_positions(seed):
    inputs = keras.Input((3, 4), dtype="float64")
    hidden = keras.layers.Dense(5, "relu", name="each_step", dtype="float64")(inputs)
    pooled = keras.layers.GlobalAveragePooling1D(dtype="float64")(hidden)
    model = keras.Model(inputs, keras.layers.Dense(2, name="top", dtype="float64")(pooled))
    x = np.random.default_rng(seed).normal(size=(EXAMPLES, 3, 4))
    lin = nta.linearize(model, x)
    assert lin.jacobian("each_step").shape == (EXAMPLES, 2, 3, 5)
    kernel = model.get_layer("each_step").kernel
    for component in range(2):
        with tf.GradientTape() as tape:
            output = model(x)[1, component]
        gradient = tape.gradient(output, kernel.value)
        np.testing.assert_allclose(
            lin.gradient_tensor("each_step")[1, component], gradient, atol=1e-12
        )


def test_branches_fall_back_on_the_tape(seed):
    inputs = keras.Input((4,), dtype="float64")
    first = keras.layers.Dense(5, "relu", name="first", dtype="float64")(inputs)
    second = keras.layers.Dense(5, name="second", dtype="float64")(first)
    added = keras.layers.Add(dtype="float64")([first, second])
    model = keras.Model(
        inputs, keras.layers.Dense(3, "softmax", name="top", dtype="float64")(added)
    )
    x = np.random.default_rng(seed).normal(size=(EXAMPLES, 4))
    reference = nta.linearize(model, x, method="per_output")
    lin = nta.linearize(model, x)
    for name in ("first", "second", "top"):
        np.testing.assert_allclose(lin.jacobian(name), reference.jacobian(name), atol=1e-12)


def test_sequential_models_and_flatten_before_the_first_layer(seed):
    model = keras.Sequential(
        [
            keras.Input((2, 3)),
            keras.layers.Flatten(),
            keras.layers.Dense(4, name="a"),
            keras.layers.ReLU(),
            keras.layers.Dense(2, name="b"),
        ]
    )
    x = np.random.default_rng(seed).normal(size=(EXAMPLES, 2, 3))
    auto, tape = (nta.linearize(model, x, method=m) for m in ("auto", "per_output"))
    for name in ("a", "b"):
        np.testing.assert_allclose(auto.jacobian(name), tape.jacobian(name), atol=1e-5)


def test_linearization_belongs_to_the_weights_of_its_time(seed):
    model = dense_chain((4, 5, 3), ("relu", "linear"), seed=seed)
    x = np.random.default_rng(seed).normal(size=(EXAMPLES, 4))
    for method in METHODS:
        lin, other = (nta.linearize(model, x, method=method) for _ in range(2))
        kernel = lin.kernel("dense_1").numpy()
        now = nta.linearize(model, x, method=method)
        expected, outputs = now.jacobian("dense_1").numpy(), now.outputs.numpy()
        model.get_layer("dense_1").kernel.assign_add(np.ones_like(kernel))
        model.get_layer("dense_2").kernel.assign_add(np.ones((5, 3)))
        np.testing.assert_array_equal(lin.jacobian("dense_1"), expected)
        np.testing.assert_array_equal(lin.kernel("dense_1"), kernel)
        np.testing.assert_array_equal(other.outputs, outputs)  # before any J of it
        np.testing.assert_array_equal(lin.outputs, outputs)


def test_jacobian_of_a_chain_brings_the_forward_pass_along(seed, monkeypatch):
    model = dense_chain((4, 5, 3, 2), ("relu", "relu", "linear"), seed=seed)
    x = np.random.default_rng(seed).normal(size=(EXAMPLES, 4))
    expected = nta.linearize(model, x, method="per_output")
    lin = nta.linearize(model, x)

    def never(*args):
        raise AssertionError("a second call")

    monkeypatch.setattr(ChainEngine, "evaluate", never)
    for name in ("dense_2", "dense_1", "dense_3"):
        np.testing.assert_allclose(lin.jacobian(name), expected.jacobian(name), atol=1e-12)
        np.testing.assert_allclose(lin.layer_input(name), expected.layer_input(name), atol=1e-12)
    np.testing.assert_allclose(lin.outputs, expected.outputs, atol=1e-12)


def test_what_comes_after_the_first_dense_layer_is_not_run_to_reach_it(seed):
    model = keras.Sequential(
        [keras.Input((2, 2)), keras.layers.Flatten(), keras.layers.Rescaling(3.0)]
        + [keras.layers.Dense(3, "tanh", name="dense_1"), keras.layers.Dense(2, name="dense_2")]
    )
    x = np.random.default_rng(seed).normal(size=(EXAMPLES, 2, 2)).astype("float32")
    opened = engine_of(model, x).model
    calls = []
    first = model.get_layer("dense_1")
    first.call = lambda *args: calls.append(args)
    reached = opened.reached([tf.constant(x)], opened.taps["dense_1"].layer_input)
    np.testing.assert_allclose(reached, 3 * x.reshape(EXAMPLES, 4), rtol=1e-6)
    assert not calls


def test_linearize_leaves_the_model_as_it_was(seed):
    model = dense_chain((4, 5, 3), ("relu", "linear"), seed=seed)
    weights = model.get_weights()
    nta.linearize(model, np.ones((2, 4)))
    assert model.get_layer("dense_1").output is not None  # one node only
    for before, after in zip(weights, model.get_weights()):
        np.testing.assert_array_equal(before, after)


def test_autoencoder_on_digits_in_float32(sample):
    model = nta.models.autoencoder(seed=0)
    digits = sample.x[:8].reshape(8, 784)
    auto = nta.linearize(model, digits)
    tape = nta.linearize(model, digits, layers=["dense_3"], method="per_output")
    np.testing.assert_allclose(auto.jacobian("dense_3"), tape.jacobian("dense_3"), atol=1e-6)
    taylor = nta.taylor_loss(auto, {}, digits)
    network = reference_of(model)
    outputs = [network.forward(x)[2] for x in digits[:1].astype(np.float64)]
    np.testing.assert_allclose(auto.outputs[:1], outputs, atol=1e-5)
    expected = mean_squared_error(model(digits).numpy(), digits)
    np.testing.assert_allclose(taylor, expected, rtol=1e-6)


class TestWrongInput:
    """Each wrong input ends in one sentence that names it and what would be right."""

    model = staticmethod(lambda: dense_chain((4, 5, 3), ("relu", "linear"), seed=0))

    def test_unknown_layer(self):
        with pytest.raises(ValueError, match=r"\['dense_1', 'dense_2'\].*'conv'"):
            nta.linearize(self.model(), np.ones((2, 4)), layers=["conv"])

    def test_unknown_layer_afterwards(self):
        lin = nta.linearize(self.model(), np.ones((2, 4)), layers=["dense_1"])
        with pytest.raises(ValueError, match="dense_1.*'dense_2'"):
            lin.jacobian("dense_2")

    def test_unknown_neuron(self):
        lin = nta.linearize(self.model(), np.ones((2, 4)))
        with pytest.raises(ValueError, match="neurons 0 to 4.*neuron=5"):
            lin.gradient_tensor("dense_1", neuron=5)

    @pytest.mark.parametrize("method", ["fast", None])
    def test_unknown_method(self, method):
        with pytest.raises(ValueError, match="per_output.*Received"):
            nta.linearize(self.model(), np.ones((2, 4)), method=method)

    def test_unknown_reduction(self):
        with pytest.raises(ValueError, match="batch_mean.*Received: 'sum'"):
            nta.linearize(self.model(), np.ones((2, 4)), reduction="sum")

    @pytest.mark.parametrize("shape", [(4,), (2, 3), (2, 4, 1)])
    def test_wrong_input_shape(self, shape):
        with pytest.raises(ValueError, match="Inputs must have shape.*Received"):
            nta.linearize(self.model(), np.ones(shape))

    def test_nan_inputs(self):
        with pytest.raises(ValueError, match="NaN"):
            nta.linearize(self.model(), np.full((2, 4), np.nan))

    def test_wrong_kernel_shape(self):
        lin = nta.linearize(self.model(), np.ones((2, 4)))
        with pytest.raises(ValueError, match=r"shape \(4, 5\).*\(5, 4\)"):
            lin.predict({"dense_1": np.ones((5, 4))})

    def test_wrong_targets(self):
        lin = nta.linearize(self.model(), np.ones((2, 4)))
        with pytest.raises(ValueError, match=r"\(2, 3\).*Received.*\(2, 4\)"):
            nta.taylor_loss(lin, {}, np.ones((2, 4)))
        with pytest.raises(ValueError, match="between 0 and 2.*0 to 3"):
            nta.taylor_loss(lin, {}, np.array([0, 3]), "cross_entropy")
        with pytest.raises(ValueError, match="one of.*Received: loss='no such loss'"):
            nta.taylor_loss(lin, {}, np.ones((2, 3)), "no such loss")

    def test_model_without_kernels(self):
        inputs = keras.Input((4,))
        model = keras.Model(inputs, keras.layers.ReLU()(inputs))
        with pytest.raises(ValueError, match="no layer with a kernel"):
            nta.linearize(model, np.ones((2, 4)))

    def test_shared_layer(self):
        shared = keras.layers.Dense(4, name="shared")
        inputs = keras.Input((4,))
        model = keras.Model(inputs, shared(shared(inputs)))
        with pytest.raises(ValueError, match="'shared' is used in more than one place"):
            TappedModel(model)
        with pytest.raises(ValueError, match="'shared' has no preactivation of its own.*more than"):
            nta.linearize(model, np.ones((2, 4))).jacobian("shared")

    def test_not_a_model(self):
        with pytest.raises(ValueError, match=r"must be a keras.Model. Received: <Dense"):
            nta.linearize(keras.layers.Dense(3), np.ones((2, 4)))


def test_engines_are_chosen_by_model_and_method(seed):
    chain = dense_chain((4, 5, 3), ("relu", "linear"), seed=seed)
    x = np.ones((2, 4))
    one_layer = nta.linearize(chain, x, layers="dense_2")
    assert type(engine_of(chain, x, ["dense_2"])) is ChainEngine
    assert type(engine_of(chain, x, method="pfor")) is TapeEngine
    assert engine_of(chain, x) is engine_of(chain, x)
    assert one_layer.layers == ["dense_2"]


def test_repr_says_what_it_is(seed):
    lin = nta.linearize(dense_chain((4, 5, 3), ("relu", "linear"), seed=seed), np.ones((2, 4)))
    assert re.fullmatch(
        r"<Linearization of '\w+' on 2 examples, per_example, by ChainEngine; "
        r"kernels: dense_1 \(4, 5\), dense_2 \(5, 3\)>",
        repr(lin),
    )


def test_outputs_at_other_weights(seed):
    model = dense_chain((4, 5, 3), ("relu", "linear"), seed=seed)
    x = np.random.default_rng(seed).normal(size=(2, 4))
    before, kernel = model.get_weights(), model.get_layer("dense_2").kernel
    outputs = nta.linearization.outputs_at(model, x, {kernel.path: 2 * kernel.numpy()})
    for weights, kept in zip(before, model.get_weights()):
        np.testing.assert_array_equal(weights, kept)
    kernel.assign(2 * kernel.numpy())
    np.testing.assert_allclose(outputs, model(x), atol=1e-12)
    with pytest.raises(ValueError, match=r"variable.path.*Received: \['nothing/kernel'\]"):
        nta.linearization.outputs_at(model, x, {"nothing/kernel": before[0]})


def test_rules_are_registered_for_classes_of_layers():
    with pytest.raises(TypeError, match="class of layers. Received.*Dense name="):
        rules.register(keras.layers.Dense(3), rules.DenseRule())
    with pytest.raises(TypeError, match="sub-class of nta.linearization.rules.Rule. Received"):
        rules.register(keras.layers.Dense, rules.DenseRule)
