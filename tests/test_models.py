"""The paper's networks: shapes, names, seeds and options."""

import keras
import numpy as np
import pytest

import nta_tf as nta
from nta_tf import models

AUTOENCODER = [(784, 50), (50, 30), (30, 20), (20, 30), (30, 50), (50, 784)]


def kernels(model):
    return {layer.name: layer.kernel.numpy() for layer in model.layers if hasattr(layer, "kernel")}


def test_autoencoder_is_that_of_the_paper():
    model = models.autoencoder()
    assert model.name == "autoencoder"
    shapes = {name: kernel.shape for name, kernel in kernels(model).items()}
    assert shapes == {f"dense_{i}": shape for i, shape in enumerate(AUTOENCODER, start=1)}
    activations = [layer.activation.__name__ for layer in model.layers[1:]]
    assert activations == ["relu"] * 5 + ["linear"]
    assert model.output.shape == (None, 784)


@pytest.mark.parametrize("input_shape,flat", [((32, 32, 3), 4 * 4 * 64), ((28, 28, 1), 3 * 3 * 64)])
def test_convnet_is_that_of_the_paper(input_shape, flat):
    model = models.convnet(input_shape)
    assert model.name == "convnet"
    assert {name: kernel.shape for name, kernel in kernels(model).items()} == {
        "conv2d_1": (5, 5, input_shape[-1], 64),
        "conv2d_2": (5, 5, 64, 64),
        "conv2d_3": (5, 5, 64, 64),
        "dense_4": (flat, 192),
        "dense_5": (192, 10),
    }
    assert [layer.name for layer in model.layers[1:]] == [
        "conv2d_1",
        "max_pooling_1",
        "conv2d_2",
        "max_pooling_2",
        "conv2d_3",
        "max_pooling_3",
        "flatten",
        "dense_4",
        "dense_5",
    ]
    assert [model.get_layer(f"conv2d_{i}").activation.__name__ for i in (1, 2, 3)] == ["relu"] * 3
    assert model.get_layer("dense_4").activation.__name__ == "relu"


def test_autoencoder_computes_what_its_weights_say(rng):
    model = models.autoencoder(seed=3)
    for variable in model.trainable_variables:
        if variable.name == "bias":
            variable.assign(rng.normal(scale=0.1, size=variable.shape))
    x = rng.uniform(size=(5, 784)).astype(np.float32)
    hidden = x.astype(np.float64)
    for layer in model.layers[1:]:
        hidden = hidden @ layer.kernel.numpy().astype(np.float64) + layer.bias.numpy()
        if layer.name != "dense_6":
            hidden = np.maximum(hidden, 0)
    np.testing.assert_allclose(model(x), hidden, atol=1e-5)


def test_convnet_returns_logits(rng):
    model = models.convnet(filters=4, dense_units=8)
    model.get_layer("dense_5").bias.assign(np.linspace(-100, 100, 10))
    logits = model(rng.uniform(size=(2, 32, 32, 3)).astype(np.float32)).numpy()
    assert logits.min() < -50 and logits.max() > 50


@pytest.mark.parametrize("make", [models.autoencoder, models.convnet])
def test_weights_are_a_function_of_the_seed_alone(make):
    first = kernels(make(seed=7))
    keras.utils.set_random_seed(1)
    keras.layers.Dense(3).build((None, 3))
    second = kernels(make(seed=np.int64(7)))
    other = kernels(make(seed=8))
    for name, kernel in first.items():
        np.testing.assert_array_equal(kernel, second[name])
        assert not np.allclose(kernel, other[name])


@pytest.mark.slow
def test_making_a_model_leaves_global_random_numbers_alone():
    draws = []
    for make in (None, models.autoencoder):
        keras.utils.clear_session()  # Keras 3.12 does not reset its generator with the seed
        keras.utils.set_random_seed(5)
        if make:
            make()
        draws.append((keras.random.normal((3,)).numpy(), np.random.rand(3)))
    np.testing.assert_array_equal(draws[0], draws[1])


def test_layers_of_one_shape_have_weights_of_their_own():
    model = kernels(models.convnet(filters=8, seed=0))
    assert not np.allclose(model["conv2d_2"], model["conv2d_3"])
    symmetric = kernels(models.autoencoder(widths=(20, 20, 20), input_size=20))
    assert len({kernel.tobytes() for kernel in symmetric.values()}) == 4


def test_kernels_are_glorot_uniform_and_biases_zero():
    for layer in models.autoencoder().layers[1:]:
        limit = np.sqrt(6 / sum(layer.kernel.shape))
        largest = np.abs(layer.kernel.numpy()).max()
        assert 0.95 * limit < largest <= limit
        assert not layer.bias.numpy().any()


def test_initializers_keep_their_settings_but_not_their_seeds():
    given = keras.initializers.RandomNormal(mean=3.0, stddev=0.1, seed=99)
    made = [
        kernels(models.autoencoder(seed=seed, kernel_initializer=given))["dense_2"]
        for seed in (0, 1)
    ]
    assert not np.array_equal(*made)
    assert all(abs(kernel.mean() - 3) < 0.02 for kernel in made)
    zeros = kernels(models.autoencoder(kernel_initializer="zeros"))
    assert not any(kernel.any() for kernel in zeros.values())


def test_options_of_the_autoencoder(rng):
    model = models.autoencoder(
        widths=(6, 4), input_size=9, output_activation="sigmoid", use_bias=False, dtype="float64"
    )
    assert [kernel.shape for kernel in kernels(model).values()] == [(9, 6), (6, 4), (4, 9)]
    assert all(layer.bias is None for layer in model.layers[1:])
    outputs = model(100 * rng.normal(size=(3, 9))).numpy()
    assert outputs.dtype == np.float64
    assert (outputs >= 0).all() and (outputs <= 1).all()


def test_options_of_the_convnet():
    model = models.convnet(
        (30, 30, 2),
        classes=3,
        filters=4,
        kernel_size=3,
        padding="valid",
        dense_units=5,
        use_bias=False,
        dtype="float64",
    )
    assert {name: kernel.shape for name, kernel in kernels(model).items()} == {
        "conv2d_1": (3, 3, 2, 4),
        "conv2d_2": (3, 3, 4, 4),
        "conv2d_3": (3, 3, 4, 4),
        "dense_4": (16, 5),
        "dense_5": (5, 3),
    }
    assert model(np.zeros((1, 30, 30, 2))).dtype == "float64"


@pytest.mark.parametrize("make", [models.autoencoder, models.convnet])
def test_mixed_precision_keeps_weights_and_outputs_in_float32(make):
    model = make(dtype="mixed_bfloat16")
    outputs = model(np.zeros((1, *model.input_shape[1:]), np.float32))
    assert outputs.dtype == "float32"
    assert {variable.dtype for variable in model.trainable_variables} == {"float32"}
    assert model.layers[1].output.dtype == "bfloat16"
    for name, kernel in kernels(make()).items():
        np.testing.assert_array_equal(kernel, model.get_layer(name).kernel.numpy())


def test_saved_models_load_again(tmp_path, rng):
    model = models.autoencoder(seed=2)
    model.save(tmp_path / "model.keras")
    x = rng.uniform(size=(2, 784)).astype(np.float32)
    np.testing.assert_array_equal(model(x), keras.models.load_model(tmp_path / "model.keras")(x))


@pytest.mark.parametrize(
    "make,arguments,received",
    [
        (models.autoencoder, {"seed": -1}, "seed=-1"),
        (models.autoencoder, {"seed": 0.5}, "seed=0.5"),
        (models.autoencoder, {"widths": (50, 0)}, r"widths=\(50, 0\)"),
        (models.autoencoder, {"input_size": 2.5}, "input_size=2.5"),
        (models.autoencoder, {"output_activation": "softmax"}, "output_activation='softmax'"),
        (models.convnet, {"input_shape": (32, 32)}, r"input_shape=\(32, 32\)"),
        (models.convnet, {"input_shape": (32, None, 3)}, r"input_shape=\(32, None, 3\)"),
        (models.convnet, {"input_shape": (7, 32, 3)}, r"input_shape=\(7, 32, 3\)"),
        (models.convnet, {"filters": 0}, "filters=0"),
        (models.convnet, {"padding": "full"}, "padding='full'"),
    ],
)
def test_wrong_arguments_are_named(make, arguments, received):
    with pytest.raises(ValueError, match=f"Received: {received}"):
        make(**arguments)


def test_initializers_take_a_standard_deviation():
    narrow = nta.models.autoencoder(seed=0, kernel_initializer="truncated_normal:0.01")
    wide = nta.models.autoencoder(seed=0, kernel_initializer="truncated_normal:0.1")
    ratio = wide.get_layer("dense_1").kernel.numpy() / narrow.get_layer("dense_1").kernel.numpy()
    np.testing.assert_allclose(ratio, 10, rtol=1e-5)


@pytest.mark.parametrize(
    "options, words",
    [
        ({"kernel_initializer": "glorot_uniform:0.1"}, "glorot_uniform:0.1"),
        ({"kernel_initializer": "none such"}, "none such"),
        ({"kernel_initializer": "truncated_normal:-1"}, "normal:-1"),
        ({"use_bias": "maybe"}, "True or False.*'maybe'"),
        ({"output_activation": "softmax"}, "must be one of.*'softmax'"),
    ],
)
def test_choices_that_cannot_be_built_are_refused(options, words):
    with pytest.raises(ValueError, match=words):
        nta.models.autoencoder(**options)
    with pytest.raises(ValueError, match=words):
        nta.Protocol("mine", **options)
