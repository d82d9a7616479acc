"""nta.linearize on many kinds of layer and model, with rules and without, against loops."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import nta_tf as nta
from benchmarks import layers as benchmark
from benchmarks import zoo
from nta_tf.linearization import Linearization, rules
from nta_tf.linearization.derivatives import Derivatives
from reproduce.pages import speed
from tests.reference import layer_network as reference
from tests.variants import slow

# Loops of recurrent layers, and gradients of grouped convolutions, take long to trace.
SLOW_LAYERS = (
    "Conv1D causal, dilated",
    "Conv3D",
    "Conv1DTranspose",
    "Conv3DTranspose",
    "DepthwiseConv1D",
    "SeparableConv1D",
    "SeparableConv2D",
    "GroupNormalization",
    "MultiHeadAttention",
    "Bidirectional SimpleRNN",
    "SimpleRNN",
    "LSTM",
    "GRU",
    "ConvLSTM1D",
    "Conv1D grouped, strided",
)
SLOW_MODELS = ("MobileNetV2", "EfficientNetB0", "LSTM", "GRU", "vision transformer")


def _expected(lin, model, x, variable):
    """G of every example by one plain gradient at a time."""
    examples = len(lin.outputs)
    return np.stack(
        [reference.gradient_tensor(model, _list(x), variable, i) for i in range(examples)]
    )


def _list(x):
    return x if isinstance(x, list) else [x]


def _random_changes(lin, names, generator):
    return {name: generator.normal(size=lin.kernel(name).shape) for name in names}


@pytest.mark.parametrize("kind", slow(zoo.LAYERS, *SLOW_LAYERS))
def test_layers_equal_loops_over_outputs(kind, seed):
    model, x = zoo.layer_problem(kind, seed=seed)
    paths = [variable.path for variable in model.trainable_variables]
    lin = nta.linearize(model, x, layers=paths)
    default = nta.linearize(model, x)
    mean = nta.linearize(model, x, layers=paths, reduction="batch_mean")
    assert set(default.layers) == {n for n in lin.layers if not n.endswith(("bias", "beta"))}
    *inside, top = default.layers
    assert top == "top" and {lin.how(name) != "general" for name in inside} == {zoo.LAYERS[kind][2]}
    generator = np.random.default_rng(seed + 1)
    changes = _random_changes(lin, lin.layers, generator)
    total = np.zeros(lin.outputs.shape)
    for name in lin.layers:
        tensors = _expected(lin, model, x, lin.variable(name))
        np.testing.assert_allclose(lin.gradient_tensor(name), tensors, atol=1e-10)
        np.testing.assert_allclose(mean.gradient_tensor(name), tensors.mean(0), atol=1e-10)
        last = tensors.shape[-1] - 1
        np.testing.assert_allclose(
            lin.gradient_tensor(name, neuron=last), tensors[..., last], atol=1e-10
        )
        moved = np.tensordot(tensors, changes[name], changes[name].ndim)
        one = lin.predict({name: lin.kernel(name) + changes[name]})
        np.testing.assert_allclose(one - lin.outputs, moved, atol=1e-10)
        total += moved
    moved = {name: lin.kernel(name) + change for name, change in changes.items()}
    np.testing.assert_allclose(lin.predict(moved) - lin.outputs, total, atol=1e-10)


@pytest.mark.parametrize(
    "kind", slow([kind for kind, (*_, rule) in zoo.LAYERS.items() if rule], *SLOW_LAYERS)
)
def test_rules_equal_differentiation_of_the_variables(kind, seed):
    model, x = zoo.layer_problem(kind, seed=seed)
    lin = nta.linearize(model, x)
    engine = nta.linearization.engines.engine_of(model, x, None, "per_output")
    general = Derivatives(
        engine.model, {name: lin.variable(name) for name in lin.layers if name != "top"}
    )
    inputs, weights = engine.model.checked(x), engine.model.snapshot()
    for name in lin.layers[:-1]:
        tensor = general.gradient_tensor(inputs, weights, name)
        np.testing.assert_allclose(lin.gradient_tensor(name), tensor, atol=1e-11)
        mean = general.mean_gradient_tensor(inputs, weights, name)
        np.testing.assert_allclose(mean, np.mean(tensor, axis=0), atol=1e-11)


@pytest.mark.parametrize("name", slow(zoo.MODELS, *SLOW_MODELS))
def test_models_equal_differences_in_float64(name):
    """The benchmark's own check, of some weights of each model."""
    error, how = benchmark.worst_error(name, most=3)
    assert error < 1e-5, how


def test_the_zoo_is_as_large_as_the_table_promises():
    assert len(zoo.LAYERS) >= 25 and len(zoo.MODELS) >= 12


def test_the_committed_table_is_of_these_layers_and_rules():
    content = speed.read("layers")
    assert [entry["title"] for entry in content["tables"]] == [*zoo.LAYERS, *zoo.MODELS]
    rules_now = nta.linearization.layer_table().to_dict("records")
    assert content["layer_table"] == rules_now, "call `python -m benchmarks.layers --json ...`"


def test_variables_wider_and_narrower_than_the_output(seed):
    """Forward and backward differentiation of a variable give the same."""
    inputs = keras.Input((3,), dtype="float64")
    shared = keras.layers.Dense(3, "tanh", name="shared", dtype="float64")
    wide = keras.layers.Dense(40, name="top", dtype="float64")
    model = keras.Model(inputs, wide(shared(shared(inputs))))
    x = np.random.default_rng(seed).normal(size=(2, 3))
    lin = nta.linearize(model, x, layers=["shared", "shared/bias"])
    for name in lin.layers:  # 9 and 3 weights, 40 outputs
        assert lin.how(name) == "general"
        expected = _expected(lin, model, x, lin.variable(name))
        np.testing.assert_allclose(lin.gradient_tensor(name), expected, atol=1e-12)
    with pytest.raises(ValueError, match="'shared' has no preactivation of its own.*twice|once"):
        lin.jacobian("shared")


@pytest.mark.parametrize(
    "rank, outputs",
    [(1, 3), (2, 20), (1, 20), (2, 3)],
)
@pytest.mark.slow  # their gradients take long to trace
def test_grouped_convolutions_without_their_rule(outputs, rank, seed):
    """What vectorizes backward passes gets their kernels wrong: see `tape.jacobian`."""
    grouped = {1: keras.layers.Conv1D, 2: keras.layers.Conv2D}[rank]
    with zoo.precision("float64"):
        inputs = keras.Input((4,) * rank + (4,))
        below = keras.layers.Dense(4, "tanh", name="below")(inputs)
        twice = grouped(4, 2, padding="same", groups=2, name="twice")
        flat = keras.layers.Flatten()(twice(twice(below)))
        model = keras.Model(inputs, keras.layers.Dense(outputs, name="top")(flat))
    x = np.random.default_rng(seed).normal(size=(2, *model.input_shape[1:]))
    for layers in (None, ["below"]):
        lin = nta.linearize(model, x, layers=layers)
        for name in lin.layers:
            expected = _expected(lin, model, x, lin.variable(name))
            np.testing.assert_allclose(lin.gradient_tensor(name), expected, atol=1e-11)


def test_predictions_of_many_weights_have_derivatives_of_every_order(seed):
    """The Taylor loss of the network scope: its gradient (T2) and its Hessian."""
    model, x = zoo.model_problem("shared layer", seed=seed)
    lin = nta.linearize(model, x)
    y = np.random.default_rng(seed).normal(size=lin.outputs.shape)
    variables = {name: tf.Variable(lin.kernel(name)) for name in lin.layers}
    with tf.GradientTape(persistent=True) as outer:
        with tf.GradientTape() as tape:
            taylor = nta.taylor_loss(lin, variables, y)
        gradients = tape.gradient(taylor, variables)
    with tf.GradientTape() as tape:
        training = tf.reduce_mean(tf.square(model(x) - y))
    kernels = {name: lin.variable(name).value for name in lin.layers}
    for name, gradient in tape.gradient(training, kernels).items():
        np.testing.assert_allclose(gradients[name], gradient, atol=1e-12)
    tensor = lin.gradient_tensor("shared").numpy().reshape(-1, 16)
    hessian = outer.jacobian(gradients["shared"], variables["shared"], experimental_use_pfor=False)
    expected = 2 * tensor.T @ tensor / y.size
    np.testing.assert_allclose(np.reshape(hessian, (16, 16)), expected, atol=1e-12)


class TestNames:
    def test_a_name_stands_for_the_kernel_and_paths_for_everything(self):
        model, x = zoo.model_problem("residual")
        lin = nta.linearize(model, x)
        assert lin.layers == ["first", "norm/gamma", "second", "top"]
        np.testing.assert_array_equal(lin.kernel("first/kernel"), lin.kernel("first"))
        paths = ["top/bias", "norm/beta", "first"]
        assert nta.linearize(model, x, layers=paths).layers == ["first", "norm/beta", "top/bias"]

    def test_a_layer_without_a_kernel_stands_for_what_multiplies_in_it(self):
        model, x = zoo.model_problem("GRU")
        lin = nta.linearize(model, x, layers=["recurrent", "embedding"])
        assert lin.layers == [
            "embedding/embeddings",
            "recurrent/gru_cell/kernel",
            "recurrent/gru_cell/recurrent_kernel",
        ]

    def test_biases_may_move_though_nobody_named_them(self, seed):
        model, x = zoo.model_problem("residual", seed=seed)
        lin = nta.linearize(model, x)
        bias = lin.kernel("top/bias") + 1.0
        np.testing.assert_allclose(lin.predict({"top/bias": bias}), lin.outputs + 1.0, atol=1e-12)
        pair = lin.predict({"top": (lin.kernel("top"), bias)})
        np.testing.assert_allclose(pair, lin.outputs + 1.0, atol=1e-12)

    def test_frozen_layers_vary_only_if_they_are_named(self):
        model, x = zoo.model_problem("residual")
        model.get_layer("first").trainable = False
        assert nta.linearize(model, x).layers == ["norm/gamma", "second", "top"]
        assert nta.linearize(model, x, layers=["first"]).layers == ["first"]

    def test_layers_of_subclassed_models(self):
        model, x = zoo.model_problem("subclassed")
        lin = nta.linearize(model, x)
        assert lin.layers == ["first", "subclassed/norm/gamma", "last"] or set(lin.layers) == {
            "first",
            "last",
            "subclassed/norm/gamma",
        }
        assert lin.how("first") == "DenseRule" and lin.jacobian("first").shape == (3, 3, 5)

    def test_tied_weights_are_differentiated_through_all_their_uses(self):
        model, x = zoo.model_problem("tied weights")
        lin = nta.linearize(model, x)
        assert lin.how("tied/table/embeddings") == "general" and lin.how("dense") == "DenseRule"

    @pytest.mark.slow
    def test_long_representations_are_cut(self):
        model, x = zoo.model_problem("vision transformer")
        lin = nta.linearize(model, x)
        assert f"and {len(lin.layers) - 9} more>" in repr(lin)


class TestOutputs:
    def test_one_by_name_or_position_or_several(self, seed):
        model, x = zoo.model_problem("two outputs", seed=seed)
        left, right = (model(x)[name] for name in ("left", "right"))
        for outputs, expected in (
            ("left", left),
            (1, right),
            (["right", "left"], tf.concat([right, left], 1)),
        ):
            lin = nta.linearize(model, x, outputs=outputs)
            np.testing.assert_allclose(lin.outputs, expected, atol=1e-12)
        apart = nta.linearize(model, x, layers="hidden", outputs="right").jacobian("hidden")
        joined = nta.linearize(model, x, layers="hidden", outputs=["right", "left"])
        np.testing.assert_allclose(joined.jacobian("hidden")[:, :3], apart, atol=1e-12)

    def test_what_is_not_there_is_named(self):
        model, x = zoo.model_problem("two outputs")
        with pytest.raises(ValueError, match=r"outputs= must choose.*2 outputs.*'left', 'right'"):
            nta.linearize(model, x)
        for outputs in ("middle", 2, ["left", "middle"]):
            with pytest.raises(ValueError, match=r"are \['left', 'right'\].*Received: outputs="):
                nta.linearize(model, x, outputs=outputs)

    def test_outputs_of_a_model_that_is_no_graph(self, rng):
        class Two(keras.Model):
            def __init__(self):
                super().__init__()
                self.dense = keras.layers.Dense(3, name="dense")

            def call(self, inputs):
                return {"same": self.dense(inputs), "twice": 2 * self.dense(inputs)}

        model, x = Two(), rng.normal(size=(2, 4)).astype("float32")
        lin = nta.linearize(model, x, outputs="twice")
        np.testing.assert_allclose(lin.outputs, model(x)["twice"], atol=1e-6)
        assert lin.how("dense") == "general"


class TestRefusals:
    @pytest.mark.slow
    def test_integer_variables(self):
        model, x = zoo.model_problem("residual")
        dense = keras.layers.Dense(3, name="whole")
        inputs = keras.Input((4,))
        model = keras.Model(inputs, keras.layers.Dense(2, name="top")(dense(inputs)))
        dense.quantize("int8")
        x = np.ones((2, 4))
        assert nta.linearize(model, x).layers == ["top"]
        with pytest.raises(NotImplementedError, match="'whole.*int8.*cannot be differentiated"):
            nta.linearize(model, x, layers=["whole/kernel"])

    def test_training_mode_in_a_call_of_ones_own(self):
        class Trains(keras.Model):
            def __init__(self):
                super().__init__(name="trains")
                self.norm = keras.layers.BatchNormalization(name="norm")
                self.dense = keras.layers.Dense(2)

            def call(self, inputs):
                return self.dense(self.norm(inputs, training=True))

        with pytest.raises(ValueError, match="training mode.*norm/moving_mean"):
            nta.linearize(Trains(), np.ones((3, 4)))

    def test_mixing_of_examples_in_a_call_of_ones_own(self, rng):
        class Mixes(keras.Model):
            def __init__(self):
                super().__init__(name="mixes")
                self.dense = keras.layers.Dense(2)

            def call(self, inputs):
                return self.dense(inputs - keras.ops.mean(inputs, axis=0))

        with pytest.raises(ValueError, match="'mixes' mixes the examples"):
            nta.linearize(Mixes(), rng.normal(size=(3, 4)), verify=True)

    def test_softmax_before_cross_entropy(self):
        inputs = keras.Input((4,))
        logits = keras.layers.Dense(3, name="dense")(inputs)
        x, y = np.ones((2, 4)), np.array([0, 1])
        softmax = [keras.layers.Softmax()(logits), keras.layers.Activation("softmax")(logits)]
        softmax += [keras.ops.softmax(logits), keras.layers.Reshape((3, 1))(softmax[0])]
        softmax.append(keras.layers.Dense(3, "softmax")(inputs))
        for outputs in softmax:
            model = keras.Model(inputs, outputs)
            assert nta.linearization.softmax_output(model)
            lin = nta.linearize(model, x)
            nta.taylor_loss(lin, {}, np.ones((2, 3)))
            with pytest.raises(ValueError, match=r"ends in a softmax.*logits.*activation=None"):
                nta.taylor_loss(lin, {}, y, "cross_entropy")
        attention = keras.Model(inputs, logits * keras.ops.softmax(logits))
        assert not nta.linearization.softmax_output(attention)
        nta.taylor_loss(nta.linearize(attention, x), {}, y, "cross_entropy")


@pytest.mark.slow
def test_masks_are_passed_on_by_layers_that_are_tapped(seed):
    model, _ = zoo.model_problem("GRU", seed=seed)
    padded = np.array([[1, 2, 0, 0], [3, 4, 5, 0]])
    lin = nta.linearize(model, padded, layers=["dense", "embedding"])
    np.testing.assert_allclose(lin.outputs, model(padded), atol=1e-12)
    for name in lin.layers:
        expected = _expected(lin, model, padded, lin.variable(name))
        np.testing.assert_allclose(lin.gradient_tensor(name), expected, atol=1e-10)


def test_layers_are_themselves_again_after_an_error():
    model, x = zoo.layer_problem("Conv1D")

    class Broken(rules.ConvolutionRule):
        def linear_map(self, layer, inputs, kernel, neurons=None):
            raise RuntimeError("broken")

    rules.register(keras.layers.Conv1D, Broken())
    try:
        with pytest.raises(RuntimeError, match="broken"):
            _ = nta.linearize(model, x).outputs
    finally:
        rules.register(keras.layers.Conv1D, rules.ConvolutionRule())
    assert "call" not in vars(model.layers[1])
    assert isinstance(nta.linearize(model, x, method="per_output"), Linearization)


def test_a_rule_needs_to_say_only_how_the_weight_acts(seed):
    class Tripled(keras.layers.Layer):
        def build(self, shape):
            self.kernel = self.add_weight(shape=(shape[-1], 2), name="kernel")

        def call(self, inputs):
            return 3 * keras.ops.matmul(inputs, self.kernel)

    class TripledRule(rules.Rule):
        def linear_map(self, layer, inputs, kernel, neurons=None):
            return 3 * keras.ops.matmul(inputs, kernel)

    inputs = keras.Input((4,))
    model = keras.Model(inputs, keras.layers.Dense(2)(Tripled(name="tripled")(inputs)))
    x = np.random.default_rng(seed).normal(size=(3, 4)).astype("float32")
    rules.register(Tripled, TripledRule())
    try:
        lin = nta.linearize(model, x)
        assert lin.how("tripled") == "TripledRule"
        expected = _expected(lin, model, x, lin.variable("tripled"))
        np.testing.assert_allclose(lin.gradient_tensor("tripled"), expected, atol=1e-5)
    finally:
        del rules.RULES[Tripled]


def test_the_table_is_made_from_the_registry():
    table = nta.linearization.layer_table()
    assert list(table["layer"][:-2]) == rules.supported()
    assert (table["how"] == "rule").sum() == len(rules.RULES)
    assert (table["cost"].str.len() > 0).all()
