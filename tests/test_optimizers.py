"""The optimizers against those of TensorFlow 1, step for step."""

import contextlib

import keras
import numpy as np
import pytest
import tensorflow as tf

import nta_tf as nta
from nta_tf import optimizers
from reproduce import paper

SHAPES = [(31, 17), (17,), (3, 3, 2, 5)]
STEPS = 25
OLD = {
    "adam": lambda rate: tf.compat.v1.train.AdamOptimizer(rate),
    "rmsprop": lambda rate: tf.compat.v1.train.RMSPropOptimizer(rate),
    "sgd": lambda rate: tf.compat.v1.train.GradientDescentOptimizer(rate),
}
PAPER_CASES = sorted(
    {
        (name, rate)
        for settings in paper.RATES.values()
        for name, rates in settings.items()
        for rate in rates
    }
)


@pytest.fixture
def start(rng):
    return [rng.normal(size=shape).astype(np.float32) for shape in SHAPES]


@pytest.fixture
def gradients(rng):
    """Gradients over nine orders of magnitude, where epsilons and starting values all matter."""
    return [
        [
            (rng.normal(size=shape) * 10 ** rng.uniform(-8, 1, size=shape)).astype(np.float32)
            for shape in SHAPES
        ]
        for _ in range(STEPS)
    ]


def trajectory(optimizer, start, gradients, compiled=False):
    """The weights after each step, (steps, all weights)."""
    variables = [tf.Variable(value) for value in start]

    def step(*step_gradients):
        optimizer.apply_gradients(list(zip(step_gradients, variables)))

    step = tf.function(step) if compiled else step
    path = []
    for step_gradients in gradients:
        step(*[tf.constant(gradient) for gradient in step_gradients])
        path.append(np.concatenate([variable.numpy().ravel() for variable in variables]))
    return np.stack(path)


@pytest.mark.parametrize("compiled", [False, True], ids=["eager", "function"])
@pytest.mark.parametrize("name,rate", PAPER_CASES)
def test_equals_tensorflow_1_bit_for_bit(name, rate, compiled, start, gradients):
    ours = trajectory(optimizers.get(name, rate), start, gradients, compiled)
    theirs = trajectory(OLD[name](rate), start, gradients)
    np.testing.assert_array_equal(ours, theirs)
    assert not np.array_equal(ours[-1], ours[0])


def test_float64_weights_are_updated_in_float64(start, gradients):
    # Keras keeps learning rates in float32, so one is taken that float32 represents exactly.
    rate = 2.0**-7
    start = [value.astype(np.float64) for value in start]
    gradients = [[gradient.astype(np.float64) for gradient in step] for step in gradients]
    for name, reference in {"adam": adam_reference, "rmsprop": rmsprop_reference}.items():
        ours = trajectory(optimizers.get(name, rate), start, gradients)[-1]
        theirs = np.concatenate(
            [reference(*arrays, rate).ravel() for arrays in zip(start, zip(*gradients))]
        )
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-13)


def adam_reference(weights, gradients, rate, beta_1=0.9, beta_2=0.999, epsilon=1e-8):
    momentum = velocity = 0.0
    for step, gradient in enumerate(gradients, start=1):
        momentum = beta_1 * momentum + (1 - beta_1) * gradient
        velocity = beta_2 * velocity + (1 - beta_2) * gradient**2
        corrected = rate * np.sqrt(1 - beta_2**step) / (1 - beta_1**step)
        weights = weights - corrected * momentum / (np.sqrt(velocity) + epsilon)
    return weights


def rmsprop_reference(weights, gradients, rate, rho=0.9, epsilon=1e-10):
    mean_square = 1.0
    for gradient in gradients:
        mean_square = rho * mean_square + (1 - rho) * gradient**2
        weights = weights - rate * gradient / np.sqrt(mean_square + epsilon)
    return weights


def test_momentum_of_rmsprop_equals_tensorflow_1(start, gradients):
    ours = optimizers.RMSProp(0.01, rho=0.8, momentum=0.5, epsilon=1e-4)
    theirs = tf.compat.v1.train.RMSPropOptimizer(0.01, decay=0.8, momentum=0.5, epsilon=1e-4)
    np.testing.assert_array_equal(
        trajectory(ours, start, gradients), trajectory(theirs, start, gradients)
    )


def test_keras_rmsprop_takes_far_larger_first_steps(start, rng):
    gradients = [[(1e-2 * rng.normal(size=shape)).astype(np.float32) for shape in SHAPES]]
    origin = np.concatenate([value.ravel() for value in start])
    old = trajectory(optimizers.get("rmsprop", 0.001), start, gradients)[0] - origin
    new = trajectory(optimizers.get("rmsprop_keras", 0.001), start, gradients)[0] - origin
    assert np.abs(new).mean() > 100 * np.abs(old).mean()


def test_keras_adam_differs_where_gradients_are_small(start):
    gradients = [[np.full(shape, 1e-7, np.float32) for shape in SHAPES]]
    origin = np.concatenate([value.ravel() for value in start])
    old = trajectory(optimizers.get("adam", 0.01), start, gradients)[0] - origin
    new = trajectory(optimizers.get("adam_keras", 0.01), start, gradients)[0] - origin
    assert np.abs(old).mean() > 1.2 * np.abs(new).mean()


def test_training_in_a_loop_inside_a_function_equals_eager_steps(start, gradients):
    stacked = [tf.stack(kind) for kind in zip(*gradients)]
    for name in OLD:
        variables = [tf.Variable(value) for value in start]
        optimizer = optimizers.get(name, 0.01)

        @tf.function
        def segment():
            for index in tf.range(STEPS):
                optimizer.apply_gradients([(g[index], v) for g, v in zip(stacked, variables)])

        segment()
        last = np.concatenate([variable.numpy().ravel() for variable in variables])
        eager = trajectory(optimizers.get(name, 0.01), start, gradients)[-1]
        np.testing.assert_array_equal(last, eager)


def test_a_checkpoint_resumes_bit_for_bit(tmp_path, start, gradients):
    for name in OLD:
        whole = trajectory(optimizers.get(name, 0.01), start, gradients)[-1]
        first, resumed = optimizers.get(name, 0.01), optimizers.get(name, 0.01)
        middle = _run(first, [tf.Variable(value) for value in start], gradients[:10])
        path = tf.train.Checkpoint(optimizer=first).write(str(tmp_path / name))
        variables = [tf.Variable(value) for value in middle]
        resumed.build(variables)
        tf.train.Checkpoint(optimizer=resumed).read(path).assert_consumed()
        last = _run(resumed, variables, gradients[10:])
        np.testing.assert_array_equal(np.concatenate([value.ravel() for value in last]), whole)


def _run(optimizer, variables, gradients):
    for step_gradients in gradients:
        optimizer.apply_gradients(list(zip(map(tf.constant, step_gradients), variables)))
    return [variable.numpy() for variable in variables]


@pytest.mark.parametrize("name", ["adam", "rmsprop", "sgd", "adam_keras", "rmsprop_keras"])
def test_configuration_builds_the_same_optimizer(name, start, gradients):
    optimizer = optimizers.get(name, 0.05)
    config = keras.optimizers.serialize(optimizer)
    copy = keras.optimizers.deserialize(config)
    assert type(copy) is type(optimizer)
    assert copy.get_config() == optimizer.get_config()
    np.testing.assert_array_equal(
        trajectory(copy, start, gradients), trajectory(optimizer, start, gradients)
    )


def test_settings_of_the_constructor_survive_the_configuration():
    rmsprop = optimizers.RMSProp(0.1, rho=0.5, momentum=0.25, epsilon=1e-3)
    copy = optimizers.RMSProp.from_config(rmsprop.get_config())
    assert (copy.rho, copy.momentum, copy.epsilon) == (0.5, 0.25, 1e-3)
    adam = optimizers.Adam.from_config(optimizers.Adam(0.1, 0.5, 0.75, 1e-3).get_config())
    assert (adam.beta_1, adam.beta_2, adam.epsilon) == (0.5, 0.75, 1e-3)


@pytest.mark.parametrize("name", list(OLD))
def test_accumulated_gradients_count_as_one_step(name, start, gradients):
    twice = [step for step in gradients for _ in range(2)]
    optimizer = type(optimizers.get(name))(learning_rate=0.01, gradient_accumulation_steps=2)
    accumulated = trajectory(optimizer, start, twice, compiled=True)[1::2]
    np.testing.assert_array_equal(
        accumulated, trajectory(optimizers.get(name, 0.01), start, gradients)
    )


@pytest.mark.filterwarnings("ignore:Gradients do not exist")
def test_variables_without_gradient_are_left_alone():
    for name in OLD:
        used, unused = tf.Variable([1.0]), tf.Variable([1.0])
        optimizer = optimizers.get(name, 0.1)
        for gradient in (None, tf.constant([1.0])):
            optimizer.apply_gradients([(gradient, unused), (tf.constant([1.0]), used)])
            assert (unused.numpy() == 1) == (gradient is None)
        assert used.numpy() < unused.numpy() < 1


def test_sparse_gradients_are_made_dense():
    for name in ("adam", "rmsprop"):
        paths = []
        sparse = tf.IndexedSlices(tf.ones((1, 2)), tf.constant([1]), tf.constant([3, 2]))
        for gradient in (sparse, tf.convert_to_tensor(sparse)):
            variable = tf.Variable(tf.ones((3, 2)))
            optimizers.get(name, 0.1).apply_gradients([(gradient, variable)])
            paths.append(variable.numpy())
        np.testing.assert_array_equal(*paths)
        assert (paths[0][1] < 1).all() and (paths[0][[0, 2]] == 1).all()


@pytest.mark.slow
def test_trains_a_keras_model_through_fit():
    for name in OLD:
        model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
        model.compile(optimizer=optimizers.get(name, 0.05), loss="mse")
        x = np.eye(3, dtype=np.float32)
        y = np.ones((3, 1), np.float32)
        before = model.evaluate(x, y, verbose=0)
        model.fit(x, y, epochs=20, batch_size=1, verbose=0)
        assert model.evaluate(x, y, verbose=0) < before


def test_unknown_names_say_what_would_be_right():
    with pytest.raises(ValueError, match="'adam', 'rmsprop', 'sgd'.*Received: name='adagrad'$"):
        optimizers.get("adagrad")


@pytest.mark.parametrize("rate", [0, -0.1, float("nan"), float("inf")])
def test_learning_rates_must_be_positive_and_finite(rate):
    with pytest.raises(ValueError, match="positive and finite. Received: learning_rate="):
        optimizers.get("sgd", rate)


def test_the_paper_has_one_rate_for_adaptive_methods_and_three_for_sgd():
    for task in paper.TASKS:
        settings = paper.RATES[task]
        assert [len(settings[name]) for name in ("adam", "rmsprop", "sgd")] == [1, 1, 3]


@pytest.mark.parametrize("kind", [optimizers.RMSProp, optimizers.Adam])
def test_a_saved_compiled_model_trains_on_as_if_it_had_not_been_saved(kind, tmp_path):
    x, y = np.eye(4, dtype=np.float32), np.ones((4, 2), np.float32)
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
    model.compile(kind(0.05, epsilon=1e-3), "mse")
    settings = {"epochs": 3, "batch_size": 2, "shuffle": False, "verbose": 0}
    model.fit(x, y, **settings)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert type(loaded.optimizer) is kind and loaded.optimizer.epsilon == 1e-3
    for one in (model, loaded):
        one.fit(x, y, **settings)
    for ours, theirs in zip(model.get_weights(), loaded.get_weights()):
        np.testing.assert_array_equal(ours, theirs)


def test_a_class_is_imported_with_its_options():
    lion = optimizers.get("keras.optimizers:Lion", 0.01, beta_1=0.95)
    assert isinstance(lion, keras.optimizers.Lion) and lion.beta_1 == 0.95
    assert optimizers.get("rmsprop", momentum=0.5).momentum == 0.5
    for name, message in {
        "keras.optimizers:Nothing": "cannot be imported.*Nothing",
        "nowhere:Mine": "cannot be imported.*Received: name='nowhere:Mine'",
        ".relative:Mine": "cannot be imported.*Received",
        "keras.layers:Dense": "must be a sub-class",
    }.items():
        with pytest.raises(ValueError, match=message):
            optimizers.get(name)
    with pytest.raises(ValueError, match="cannot be made with.*colour"):
        optimizers.get("keras.optimizers:Lion", colour="red")


class _Forgetful(keras.optimizers.SGD):
    def __init__(self, learning_rate=0.1, scale=1.0, **kwargs):
        super().__init__(learning_rate, **kwargs)
        self.scale = scale


class _Changing(_Forgetful):
    def get_config(self):
        return {**super().get_config(), "scale": self.scale + 1}


class _Unwritable(_Forgetful):
    def get_config(self):
        return {**super().get_config(), "scale": np.zeros(3)}


def _model():
    return keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])


def _every_keras_optimizer():
    kinds = [kind for kind in vars(keras.optimizers).values() if isinstance(kind, type)]
    for kind in kinds:
        if issubclass(kind, keras.optimizers.Optimizer) and kind is not keras.optimizers.Optimizer:
            with contextlib.suppress(TypeError):  # what wraps others wants these
                yield kind()


def test_every_optimizer_of_keras_can_be_repeated():
    checked = list(_every_keras_optimizer())
    assert len(checked) > 8
    checked.append(keras.optimizers.LossScaleOptimizer(optimizers.Adam()))
    checked.append(optimizers.RMSProp(keras.optimizers.schedules.CosineDecay(0.1, 10)))
    for optimizer in checked:
        variables = _model().trainable_variables
        optimizers.check(optimizer, variables)
        optimizer.build(variables)
        optimizers.check(optimizer, variables)


@pytest.mark.parametrize(
    "optimizer, message",
    [
        (_Forgetful(), r"_Forgetful leaves out \['scale'\]"),
        (_Changing(), r"differs in \['scale'\].*\[2.0\] before, \[3.0\]"),
        (_Unwritable(), "cannot be made again.*ndarray"),
        (keras.optimizers.SGD, r"Call the class: SGD\(learning_rate"),
        (3, "must be a keras.optimizers.Optimizer"),
    ],
)
def test_an_optimizer_that_cannot_be_repeated_is_refused(optimizer, message):
    x = np.ones((4, 2), np.float32)
    with pytest.raises(ValueError, match=message):
        nta.train(_model(), x, x[:, :1], optimizer=optimizer, epochs=1, batch_size=2)


def test_an_optimizer_of_another_model_is_refused():
    x, used = np.ones((4, 2), np.float32), keras.optimizers.Adam()
    settings = {"optimizer": used, "epochs": 1, "batch_size": 2}
    nta.train(_model(), x, x[:, :1], **settings)
    with pytest.raises(ValueError, match="belongs to another model"):
        nta.train(_model(), x, x[:, :1], **settings)
