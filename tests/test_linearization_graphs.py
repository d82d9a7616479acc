"""nta.linearize on graphs of layers of many kinds, against one plain gradient at a time."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import nta_tf as nta
from nta_tf.linearization import methods, rules
from nta_tf.linearization.taps import TappedModel
from tests.architectures import ARCHITECTURES, EXAMPLES, build
from tests.reference import layer_network as reference

METHODS = (
    methods.per_output,
    methods.pfor,
    methods.sweep,
    methods.mean_gradient_tensors,
)


# Their convolutions in groups take seconds to trace; grouped layers stay in the rules' own tests.
_SLOW = ("grouped", "grouped strided valid")


@pytest.fixture(
    params=[
        pytest.param(name, marks=pytest.mark.slow) if name in _SLOW else name
        for name in ARCHITECTURES
    ],
    ids=lambda name: name.replace(" ", "-"),
)
def problem(request, seed):
    """A model, its batch, the batch as a list, and a generator of random numbers."""
    model, batch = build(request.param, seed)
    as_list = batch if isinstance(batch, list) else [batch]
    return model, batch, as_list, np.random.default_rng(seed + 1)


def _layers(model):
    """The layers with kernels by the name that linearize gives them."""
    return {name: tap.layer for name, tap in TappedModel(model).taps.items()}


def _gradient_tensors(model, inputs, variable):
    return np.stack(
        [reference.gradient_tensor(model, inputs, variable, i) for i in range(EXAMPLES)]
    )


def _moved(lin, generator, size=0.3):
    return {
        n: lin.kernel(n) + size * generator.normal(size=lin.kernel(n).shape) for n in lin.layers
    }


def test_gradient_tensors_and_predictions_equal_the_reference(problem):
    model, batch, inputs, generator = problem
    lin = nta.linearize(model, batch)
    mean = nta.linearize(model, batch, reduction="batch_mean")
    outputs = reference.outputs(model, inputs)
    np.testing.assert_allclose(lin.outputs, outputs, atol=1e-10)
    kernels = _moved(lin, generator)
    by_example, by_mean = outputs.copy(), outputs.copy()
    assert set(_layers(model)) <= set(lin.layers)
    for name in lin.layers:
        tensors = _gradient_tensors(model, inputs, lin.variable(name))
        np.testing.assert_allclose(lin.gradient_tensor(name), tensors, atol=1e-10)
        np.testing.assert_allclose(mean.gradient_tensor(name), tensors.mean(0), atol=1e-10)
        for neuron in range(tensors.shape[-1]):
            np.testing.assert_allclose(
                lin.gradient_tensor(name, neuron=neuron), tensors[..., neuron], atol=1e-10
            )
        change = np.asarray(kernels[name] - lin.kernel(name))
        rank = change.ndim
        by_example += np.tensordot(tensors, change, rank)
        by_mean += np.tensordot(tensors.mean(0), change, rank)
    np.testing.assert_allclose(lin.predict(kernels), by_example, atol=1e-10)
    np.testing.assert_allclose(mean.predict(kernels), by_mean, atol=1e-10)


@pytest.mark.slow
def test_methods_are_equal_also_at_given_weights(problem):
    """Each method, in a tf.function, at tensors in the place of the variables."""
    model, _, inputs, generator = problem
    tapped = TappedModel(model)
    others = [w * (1 + 0.1 * generator.uniform(size=w.shape)) for w in model.get_weights()]
    variables = model.trainable_variables
    paths = [variable.path for variable in variables]
    given = [tf.constant(w) for w in others]
    if len(set(paths)) == len(paths) and len(others) == len(paths):
        given = dict(zip(paths, given))
    names = list(tapped.taps)
    *found, means = tf.function(
        lambda weights: [method(tapped, inputs, names, weights) for method in METHODS],
        autograph=False,
    )(given)
    outputs = tapped(inputs, given)[0]
    model.set_weights(others)
    np.testing.assert_allclose(outputs, reference.outputs(model, inputs), atol=1e-10)
    lin = nta.linearize(model, inputs)
    live = nta.linearize(model, inputs, method="per_output")
    for name, layer in _layers(model).items():
        for jacobians in (*found, {name: lin.jacobian(name)}):
            np.testing.assert_allclose(jacobians[name], live.jacobian(name), atol=1e-10)
        tensors = _gradient_tensors(model, inputs, layer.kernel)
        np.testing.assert_allclose(means[name], tensors.mean(0), atol=1e-10)


@pytest.mark.slow  # what a loss makes of predictions is tested on chains, in test_linearization.py
@pytest.mark.parametrize("loss", ["cross_entropy", "mse"])
def test_t1_t2_t3(problem, loss):
    model, batch, _, generator = problem
    lin = nta.linearize(model, batch)
    components = lin.outputs.shape[-1]
    targets = generator.normal(size=(EXAMPLES, components))
    if loss == "cross_entropy":
        targets = np.arange(EXAMPLES) % components
        if nta.linearization.softmax_output(model):
            with pytest.raises(ValueError, match="ends in a softmax"):
                nta.taylor_loss(lin, {}, targets, loss)
            return
    variables = {name: tf.Variable(lin.kernel(name)) for name in lin.layers}
    with tf.GradientTape() as tape:
        taylor = nta.taylor_loss(lin, variables, targets, loss)
    gradients = tape.gradient(taylor, variables)
    with tf.GradientTape() as tape:
        outputs = tf.reshape(model(batch, training=False), (EXAMPLES, components))
        training = tf.reduce_mean(nta.losses.get(loss)(outputs, targets))
    kernels = {name: lin.variable(name).value for name in lin.layers}
    true_gradients = tape.gradient(training, kernels)
    np.testing.assert_allclose(taylor, training, atol=1e-12)
    for name in lin.layers:
        np.testing.assert_allclose(gradients[name], true_gradients[name], atol=1e-10)
    for reduction in nta.linearization.REDUCTIONS:
        lin = nta.linearize(model, batch, reduction=reduction)
        ends = [_moved(lin, generator, size=2.0) for _ in range(2)]

        def along(t):
            kernels = {n: (1 - t) * ends[0][n] + t * ends[1][n] for n in lin.layers}
            return float(nta.taylor_loss(lin, kernels, targets, loss))

        for t in (0.25, 0.5, 0.75):
            chord = (1 - t) * along(0.0) + t * along(1.0)
            assert along(t) <= chord + 1e-10 * (1 + abs(chord))


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.parametrize(
    "strides, dilation", [((1, 1), (1, 1)), ((2, 3), (1, 1)), ((1, 1), (2, 1))]
)
def test_convolution_rule_equals_loops_in_numpy(groups, padding, strides, dilation, rng):
    layer = keras.layers.Conv2D(
        4, (3, 2), strides, padding, dilation_rate=dilation, groups=groups, dtype="float64"
    )
    layer.build((None, 7, 6, 4))
    x = rng.normal(size=(2, 7, 6, 4))
    kernel = rng.normal(size=layer.kernel.shape)
    slow = reference.Convolution(strides, padding, dilation, groups)
    rule = rules.rule_of(layer)
    expected = np.stack([slow.forward(example, kernel) for example in x])
    np.testing.assert_allclose(rule.linear_map(layer, x, kernel), expected, atol=1e-12)
    jacobian = tf.constant(rng.normal(size=(2, 3, *expected.shape[1:])))
    tensors = np.stack(
        [slow.gradient_tensor(e, j, kernel.shape) for e, j in zip(x, jacobian.numpy())]
    )
    x = tf.constant(x)
    np.testing.assert_allclose(rule.gradient_tensor(layer, jacobian, x), tensors, atol=1e-12)
    mean = rule.mean_gradient_tensor(layer, jacobian, x)
    np.testing.assert_allclose(mean, tensors.mean(0), atol=1e-12)
    total = rule.kernel_gradient(layer, x, jacobian[:, 0])
    np.testing.assert_allclose(total, tensors[:, 0].sum(0), atol=1e-12)
    for some in ([3, 0], [1], [2, 1, 3]):  # neurons of both groups, out of order
        mapped = rule.linear_map(layer, x, kernel[..., some], neurons=some)
        np.testing.assert_allclose(mapped, expected[..., some], atol=1e-12)
        weighted = tf.gather(jacobian[:, 0], some, axis=-1)
        part = rule.kernel_gradient(layer, x, weighted, neurons=some)
        np.testing.assert_allclose(part, tensors[:, 0].sum(0)[..., some], atol=1e-12)


def test_kernel_gradient_in_a_compiled_loop_in_float32(rng):
    layer = keras.layers.Conv2D(4, 3, groups=2)
    layer.build((None, 6, 6, 4))
    x = tf.constant(rng.normal(size=(2, 6, 6, 4)), tf.float32)
    weighted = tf.constant(rng.normal(size=(3, 2, 4, 4, 4)), tf.float32)
    rule = rules.rule_of(layer)
    looped = tf.function(lambda m: tf.map_fn(lambda one: rule.kernel_gradient(layer, x, one), m))(
        weighted
    )
    for one, expected in zip(looped, [rule.kernel_gradient(layer, x, m) for m in weighted]):
        np.testing.assert_allclose(one, expected, atol=1e-5)


@pytest.mark.parametrize("groups", [1, 2])
def test_gradient_tensor_of_a_neuron_never_forms_that_of_the_layer(groups):
    layer = keras.layers.Conv2D(16, 3, groups=groups)
    layer.build((None, 5, 5, 8))
    rule = rules.rule_of(layer)
    x, jacobian = tf.zeros((2, 5, 5, 8)), tf.zeros((2, 10, 3, 3, 16))
    largest = {}
    for neuron in (None, 5):
        graph = (
            tf.function(lambda j, x, n=neuron: rule.gradient_tensor(layer, j, x, n))
            .get_concrete_function(jacobian, x)
            .graph
        )
        shapes = [o.shape for operation in graph.get_operations() for o in operation.outputs]
        largest[neuron] = max(shape.num_elements() or 0 for shape in shapes if shape.rank)
    dense = 2 * 10 * np.prod(layer.kernel.shape)
    assert largest[None] >= dense
    assert largest[5] <= x.shape.num_elements() + jacobian.shape.num_elements() < dense / 3


def test_exact_inside_one_activation_region_and_not_across_a_kink(seed):
    """A small convnet with max-pooling; regions are told by rectifiers and by who is largest."""
    generator = np.random.default_rng(seed)
    model = nta.models.convnet(
        (8, 8, 1), seed, filters=2, kernel_size=3, dense_units=5, classes=3, dtype="float64"
    )
    model.set_weights([w + 0.1 * generator.normal(size=w.shape) for w in model.get_weights()])
    x = generator.normal(size=(2, 8, 8, 1))
    lin = nta.linearize(model, x, layers="conv2d_1")
    start = lin.kernel("conv2d_1").numpy()
    direction = generator.normal(size=start.shape)
    tapped = TappedModel(model)

    def region():
        configuration, before = [], None
        for call, output in tapped.values(tf.constant(x)):
            if isinstance(call.layer, keras.layers.MaxPooling2D):
                _, largest = tf.nn.max_pool_with_argmax(before, 2, 2, "VALID")
                configuration.append(largest.numpy())
            configuration.append(output.numpy() > 0)
            before = output
        return configuration

    def moved(step):
        model.get_layer("conv2d_1").kernel.assign(start + step * direction)
        same = all(np.array_equal(a, b) for a, b in zip(region(), at_start))
        predicted = lin.predict({"conv2d_1": start + step * direction})
        return same, np.abs(predicted - model(x)).max()

    at_start = region()
    step = 1.0
    while not moved(step)[0]:
        step /= 2
    assert moved(step)[1] < 1e-12
    same, error = moved(20.0)
    assert not same and error > 1e-3


def test_convnet_of_the_paper_in_float32(seed):
    model = nta.models.convnet(seed=0)
    x = np.random.default_rng(seed).uniform(size=(2, 32, 32, 3)).astype(np.float32)
    lin = nta.linearize(model, x, layers=["conv2d_2", "dense_5"])
    tensors = [
        reference.gradient_tensor(model, [x], model.get_layer("conv2d_2").kernel, i)
        for i in range(2)
    ]
    np.testing.assert_allclose(lin.gradient_tensor("conv2d_2"), tensors, atol=1e-5)
    mean = nta.linearize(model, x, layers=["conv2d_2"], reduction="batch_mean")
    np.testing.assert_allclose(mean.gradient_tensor("conv2d_2"), np.mean(tensors, 0), atol=1e-5)


def test_inputs_as_a_dictionary_or_a_list(seed):
    model, batch = build("two inputs", seed)
    by_name = dict(zip(["image", "numbers"], batch))
    expected = nta.linearize(model, batch).jacobian("conv")
    np.testing.assert_array_equal(nta.linearize(model, by_name).jacobian("conv"), expected)
    with pytest.raises(ValueError, match="called.*image.*numbers.*Received: .'image'"):
        nta.linearize(model, {"image": batch[0]})
    with pytest.raises(ValueError, match="as many examples.*Received"):
        nta.linearize(model, [batch[0], batch[1][:2]])


def test_names_inside_nested_models(seed):
    model, batch = build("nested", seed)
    lin = nta.linearize(model, batch)
    assert lin.layers == ["encoder/conv", "decoder/conv", "top"]
    alone = nta.linearize(model, batch, layers=["decoder/conv"])
    np.testing.assert_array_equal(alone.jacobian("decoder/conv"), lin.jacobian("decoder/conv"))
    with pytest.raises(ValueError, match="encoder/conv.*Received.*'conv'"):
        nta.linearize(model, batch, layers=["conv"])
    with pytest.raises(ValueError, match="Received: .'conv/kernel'"):
        TappedModel(model)(batch, {"conv/kernel": batch})


def test_linearization_of_a_graph_belongs_to_the_weights_of_its_time(seed):
    model, batch = build("frozen batch normalization", seed)
    for reduction in nta.linearization.REDUCTIONS:
        expected = nta.linearize(model, batch, reduction=reduction).gradient_tensor("conv")
        lin = nta.linearize(model, batch, reduction=reduction)
        model.set_weights([w + 0.5 for w in model.get_weights()])
        np.testing.assert_array_equal(lin.gradient_tensor("conv"), expected)


class TestRefusals:
    """What cannot be linearized is refused by name, never passed over."""

    def _model(self, *hidden, shape=(6, 6, 4)):
        inputs = tensor = keras.Input(shape)
        for layer in hidden:
            tensor = layer(tensor)
        flat = keras.layers.Flatten()(tensor)
        return keras.Model(inputs, keras.layers.Dense(2, name="top")(flat))

    @pytest.mark.parametrize(
        "layer, shape",
        [
            (keras.layers.DepthwiseConv2D(3, name="odd"), (6, 6, 4)),
            (keras.layers.SeparableConv2D(2, 3, name="odd"), (6, 6, 4)),
            (keras.layers.Conv2DTranspose(2, 3, name="odd"), (6, 6, 4)),
            (keras.layers.Conv1D(2, 3, name="odd"), (6, 4)),
            (keras.layers.Conv3D(2, 2, name="odd"), (3, 3, 3, 2)),
            (keras.layers.EinsumDense("bi,ij->bj", 3, name="odd"), (4,)),
            (keras.layers.Embedding(5, 3, name="odd"), (4,)),
            pytest.param(
                keras.layers.LSTM(3, name="odd"), (4, 2), marks=pytest.mark.slow, id="LSTM"
            ),
            (keras.layers.TimeDistributed(keras.layers.Dense(3), name="odd"), (4, 2)),
            (type("MyDense", (keras.layers.Dense,), {})(3, name="odd"), (4,)),
        ],
        ids=lambda value: type(value).__name__,
    )
    def test_kernels_that_once_had_no_rule(self, layer, shape, rng):
        first = [] if isinstance(layer, keras.layers.Embedding) else [keras.layers.ReLU()]
        model = self._model(*first, layer, shape=shape)
        x = np.abs(rng.normal(size=(2, *shape))).astype(np.float32)
        lin = nta.linearize(model, x)
        assert lin.layers[-1] == "top" and all("odd" in name for name in lin.layers[:-1])
        for name in lin.layers:
            expected = reference.gradient_tensor(model, [x], lin.variable(name), 1)
            np.testing.assert_allclose(lin.gradient_tensor(name)[1], expected, atol=1e-5)
        assert nta.linearize(model, x, layers=["top"]).jacobian("top").shape == (2, 2, 2)
        if rules.has_kernel_rule(layer):
            assert list(TappedModel(model).taps) == ["odd", "top"]
            return
        # What records rounds takes kernels with rules only, and says so.
        with pytest.raises(NotImplementedError, match="'odd'.*kernel.*layers=\\["):
            TappedModel(model)
        with pytest.raises(ValueError, match=r"are \['top'\].*Received.*'odd'"):
            TappedModel(model, layers=["odd"])

    def test_layers_without_a_rule_are_differentiated_through(self, rng):
        model = self._model(
            keras.layers.Conv2D(4, 3, name="below"),
            keras.layers.DepthwiseConv2D(2, name="between"),
        )
        x = rng.normal(size=(2, 6, 6, 4)).astype(np.float32)
        lin = nta.linearize(model, x, layers=["below"])
        expected = reference.gradient_tensor(model, [x], model.get_layer("below").kernel, 1)
        np.testing.assert_allclose(lin.gradient_tensor("below")[1], expected, atol=1e-5)

    def test_channels_first(self):
        model = self._model(keras.layers.Conv2D(2, 3, data_format="channels_first", name="odd"))
        with pytest.raises(NotImplementedError, match="'odd'.*channels_first"):
            TappedModel(model)
        x = np.random.default_rng(0).normal(size=(2, 6, 6, 4)).astype(np.float32)
        lin = nta.linearize(model, x)
        assert lin.how("odd") == "general"
        if tf.config.list_physical_devices("GPU"):  # TensorFlow has no such convolution on CPUs
            expected = reference.gradient_tensor(model, [x], lin.variable("odd"), 1)
            np.testing.assert_allclose(lin.gradient_tensor("odd")[1], expected, atol=1e-5)

    def test_adapted_kernel(self):
        layer = keras.layers.Dense(3, name="odd")
        model = self._model(keras.layers.Flatten(), layer)
        layer.enable_lora(1)
        with pytest.raises(NotImplementedError, match="'odd'.*LoRA"):
            TappedModel(model)
        x = np.random.default_rng(0).normal(size=(2, 6, 6, 4)).astype(np.float32)
        lin = nta.linearize(model, x)
        assert lin.layers == ["odd/lora_kernel_a", "odd/lora_kernel_b", "top"]
        for name in lin.layers:
            expected = reference.gradient_tensor(model, [x], lin.variable(name), 1)
            np.testing.assert_allclose(lin.gradient_tensor(name)[1], expected, atol=1e-5)

    def test_layer_shared_inside_a_nested_model(self):
        inputs = keras.Input((4,))
        block = keras.Model(inputs, keras.layers.Dense(4, name="inside")(inputs), name="block")
        model = keras.Model(inputs, block(block(inputs)))
        with pytest.raises(ValueError, match="'inside' is used in more than one place.*block/"):
            TappedModel(model)
        lin = nta.linearize(model, np.ones((2, 4)))
        assert lin.layers == ["inside"] and lin.how("inside") == "general"
        x = np.ones((2, 4), np.float32)
        expected = reference.gradient_tensor(model, [x], lin.variable("inside"), 0)
        np.testing.assert_allclose(lin.gradient_tensor("inside")[0], expected, atol=1e-5)

    def test_training_mode_inside_the_graph(self):
        inputs = keras.Input((4,))
        hidden = keras.layers.BatchNormalization(name="norm")(inputs, training=True)
        model = keras.Model(inputs, keras.layers.Dense(2)(hidden))
        with pytest.raises(ValueError, match="'norm'.*training=True.*mixes"):
            nta.linearize(model, np.ones((2, 4)))

    def test_verify_names_the_layer_that_mixes_examples(self, rng):
        inputs = keras.Input((4,))
        hidden = keras.layers.Dense(3, "relu", name="first")(inputs)
        mixed = keras.layers.UnitNormalization(axis=0, name="mixer")(hidden)
        model = keras.Model(inputs, keras.layers.Dense(2, name="top")(mixed))
        x = np.abs(rng.normal(size=(3, 4)))
        model.get_layer("first").kernel.assign(np.ones((4, 3)))
        with pytest.raises(ValueError, match="'mixer'.*UnitNormalization.*mixes the examples"):
            nta.linearize(model, x, verify=True)
        with pytest.raises(ValueError, match="at least two examples"):
            nta.linearize(model, x[:1], verify=True)

    def test_verify_accepts_what_keeps_examples_apart(self, problem):
        model, batch, *_ = problem
        nta.linearize(model, batch, verify=True)

    def test_several_outputs(self):
        inputs = keras.Input((4,))
        outputs = [keras.layers.Dense(2)(inputs), keras.layers.Dense(2)(inputs)]
        with pytest.raises(ValueError, match="must have one output.*2 outputs"):
            nta.linearize(keras.Model(inputs, outputs), np.ones((2, 4)))

    def test_a_call_of_ones_own(self):
        class Own(keras.Model):
            def __init__(self):
                inputs = keras.Input((4,))
                super().__init__(inputs, keras.layers.Dense(2)(inputs))

            def call(self, inputs, training=None):
                return 2 * super().call(inputs)

        model, x = Own(), np.ones((2, 4))
        with pytest.raises(ValueError, match="graph of layers"):
            TappedModel(model)
        np.testing.assert_allclose(nta.linearize(model, x).outputs, model(x), atol=1e-6)
