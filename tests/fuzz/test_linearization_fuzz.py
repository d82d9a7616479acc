"""Random networks, shapes, dtypes and scopes: J_l, T(V) and Taylor losses are the reference's.

Chains of Dense layers are held against NumPy with loops over everything, other architectures
against plain gradients of the live model, one output of one example at a time.
"""

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import assume, given, note
from hypothesis import strategies as st
from keras import layers

import nta_tf as nta
from tests.fuzz.profiles import cases
from tests.networks import dense_chain, reference_of
from tests.reference import layer_network
from tests.reference.dense_network import ACTIVATIONS
from tests.reference.taylor_problem import LOSSES

_TOLERANCES = {"float64": 1e-9, "float32": 2e-3}

chains = {
    "seed": st.integers(0, 2**32 - 1),
    "widths": st.lists(st.integers(1, 6), min_size=2, max_size=5),
    "names": st.lists(st.sampled_from(sorted(ACTIVATIONS)), min_size=4, max_size=4),
    "examples": st.integers(1, 4),
    "dtype": st.sampled_from(["float64", "float64", "float32"]),
    "method": st.sampled_from(["auto", "auto", "per_output", "pfor"]),
    "reduction": st.sampled_from(["per_example", "batch_mean"]),
}


def _chain(seed, widths, names, examples, dtype):
    """A chain, a minibatch of it and the reference."""
    rng = np.random.default_rng(seed)
    model = dense_chain(widths, names, seed, dtype)
    network, x = reference_of(model), rng.normal(size=(examples, widths[0])).astype(dtype)
    if dtype == "float32":  # a preactivation near zero may be rounded to the other side
        kinked = [a for one in x for a in network.forward(one)[1]]
        assume(min(np.abs(a).min() for a in kinked) > 1e-4)
    return model, network, x.astype(np.float64), rng


@cases(6, 300)
@given(**chains)
def test_chains(seed, widths, names, examples, dtype, method, reduction):
    model, network, x, rng = _chain(seed, widths, names, examples, dtype)
    lin = nta.linearize(model, x, method=method, reduction=reduction)
    close = {"rtol": _TOLERANCES[dtype], "atol": _TOLERANCES[dtype]}
    kernels, change = {}, np.zeros((examples, widths[-1]))
    for layer, name in enumerate(lin.layers):
        jacobians = np.stack([network.jacobian(one, layer) for one in x])
        np.testing.assert_allclose(lin.jacobian(name), jacobians, **close)
        tensors = np.stack([network.gradient_tensor(one, layer) for one in x])
        if reduction == "batch_mean":
            tensors = tensors.mean(axis=0)
        np.testing.assert_allclose(lin.gradient_tensor(name), tensors, **close)
        neuron = int(rng.integers(widths[layer + 1]))
        np.testing.assert_allclose(lin.gradient_tensor(name, neuron), tensors[..., neuron], **close)
        if rng.random() < 0.7:
            step = rng.normal(size=network.kernels[layer].shape) * 10.0 ** rng.integers(-2, 2)
            kernels[name] = network.kernels[layer] + step
            change += np.einsum("...kij,ij->...k", tensors, step)
    outputs = np.stack([network.forward(one)[2] for one in x])
    np.testing.assert_allclose(lin.outputs, outputs, **close)
    size = 1 + np.abs(change).max()
    tolerance = {"rtol": 10 * close["rtol"], "atol": 10 * close["atol"] * size}
    np.testing.assert_allclose(lin.predict(kernels), outputs + change, **tolerance)


@cases(6, 250)
@given(loss=st.sampled_from(sorted(LOSSES)), biases=st.booleans(), **chains)
def test_taylor_losses(loss, biases, seed, widths, names, examples, dtype, method, reduction):
    model, network, x, rng = _chain(seed, widths, names, examples, dtype)
    components = widths[-1]
    if loss == "cross_entropy":
        targets = rng.integers(components, size=examples)
    elif loss == "poisson":
        targets = rng.poisson(2.0, size=(examples, components)).astype(float)
    elif loss == "hinge":
        targets = rng.choice([-1.0, 1.0], size=(examples, components))
    elif loss == "binary_cross_entropy":
        targets = rng.random((examples, components))
    else:
        targets = rng.normal(size=(examples, components))
    lin = nta.linearize(model, x, method=method, reduction=reduction)
    layer = int(rng.integers(len(widths) - 1))
    name, kernel, bias = lin.layers[layer], network.kernels[layer], network.biases[layer]
    step, shift = rng.normal(size=kernel.shape), biases * rng.normal(size=bias.shape)
    tensors = np.stack([network.gradient_tensor(one, layer) for one in x])
    jacobians = np.stack([network.jacobian(one, layer) for one in x])
    change = np.einsum("ekij,ij->ek", tensors, step) + jacobians @ shift
    if reduction == "batch_mean":
        change = np.broadcast_to(change.mean(axis=0), change.shape)
    outputs = np.stack([network.forward(one)[2] for one in x])
    expected = np.mean(LOSSES[loss](outputs + change, targets)[0])
    new = (kernel + step, bias + shift) if biases else kernel + step
    if biases:  # the bias varies only where it is named
        lin = nta.linearize(model, x, [name, f"{name}/bias"], method, reduction)
    found = float(nta.taylor_loss(lin, {name: new}, targets, loss))
    assert found == pytest.approx(expected, rel=20 * _TOLERANCES[dtype], abs=_TOLERANCES[dtype])


@st.composite
def image_models(draw):
    """A function that builds a random model of images, in float64."""
    numbers = st.integers(1, 3)
    shape = (draw(st.integers(3, 6)), draw(st.integers(3, 6)), draw(numbers))
    steps, kinds = [], ["conv", "depthwise", "pool", "norm", "relu", "residual", "dense", "dropout"]
    for _ in range(draw(st.integers(1, 4))):
        kind = draw(st.sampled_from(kinds))
        options = {
            "filters": draw(numbers),
            "size": (draw(numbers), draw(numbers)),
            "strides": draw(st.sampled_from([(1, 1), (2, 1), (2, 2)])),
            "dilation": draw(st.sampled_from([1, 1, 2])),
            "padding": draw(st.sampled_from(["same", "valid"])),
            "bias": draw(st.booleans()),
            "activation": draw(st.sampled_from(["relu", "tanh", "linear", "leaky_relu"])),
        }
        steps.append((kind, options))
    return shape, steps, draw(st.booleans())


def _layer(kind, options, number):
    name, f64 = f"{kind}_{number}", {"dtype": "float64"}
    if kind in ("conv", "depthwise"):
        strides, dilation = options["strides"], options["dilation"]
        if dilation > 1 or kind == "depthwise":
            strides = (1, 1) if dilation > 1 else (strides[0],) * 2
        shared = {"strides": strides, "padding": options["padding"], "dilation_rate": dilation}
        shared |= {"use_bias": options["bias"], "activation": options["activation"], "name": name}
        if kind == "conv":
            return layers.Conv2D(options["filters"], options["size"], **shared, **f64)
        return layers.DepthwiseConv2D(options["size"], **shared, **f64)
    make = {
        "pool": lambda: layers.AveragePooling2D(options["size"], padding="same", **f64),
        "norm": lambda: layers.LayerNormalization(name=name, **f64),
        "relu": lambda: layers.LeakyReLU(**f64),
        "dense": lambda: layers.Dense(options["filters"], options["activation"], name=name, **f64),
        "dropout": lambda: layers.Dropout(0.5, **f64),
    }
    return make[kind]()


def _image_model(shape, steps, pooled, seed):
    inputs = tensor = keras.Input(shape, dtype="float64")
    for number, (kind, options) in enumerate(steps):
        if kind == "residual":
            same = {**options, "strides": (1, 1), "padding": "same", "filters": tensor.shape[-1]}
            branch = _layer("conv", same, number)(tensor)
            tensor = layers.Add(dtype="float64")([tensor, branch])
        else:
            tensor = _layer(kind, options, number)(tensor)
    flat = (layers.GlobalAveragePooling2D if pooled else layers.Flatten)(dtype="float64")
    model = keras.Model(inputs, layers.Dense(2, name="top", dtype="float64")(flat(tensor)))
    rng = np.random.default_rng(seed)
    model.set_weights([rng.normal(size=w.shape) for w in model.get_weights()])
    return model, rng


@pytest.mark.slow
@cases(4, 80)
@given(model=image_models(), seed=st.integers(0, 2**32 - 1), method=chains["method"])
def test_images(model, seed, method):
    try:
        model, rng = _image_model(*model, seed)
    except ValueError as error:  # nothing is left of the image
        note(str(error))
        assume(False)
    x = rng.normal(size=(2, *model.input_shape[1:]))
    lin = nta.linearize(model, x, method=method)
    expected = layer_network.outputs(model, [x])
    np.testing.assert_allclose(lin.outputs, expected, rtol=1e-9, atol=1e-9)
    variables = {variable.path: variable for variable in model.trainable_variables}
    name = lin.layers[int(rng.integers(len(lin.layers)))]
    variable = variables[name] if name in variables else _multiplier(model.get_layer(name))
    tensors = [layer_network.gradient_tensor(model, [x], variable, e) for e in range(len(x))]
    close = {"rtol": 1e-8, "atol": 1e-8 * (1 + np.abs(tensors).max())}
    np.testing.assert_allclose(lin.gradient_tensor(name), tensors, **close)
    step = rng.normal(size=variable.shape)
    change = np.stack([np.tensordot(tensor, step, step.ndim) for tensor in tensors])
    found = lin.predict({name: variable.numpy() + step})
    close["atol"] *= 10 * (1 + np.abs(change).max())
    np.testing.assert_allclose(found, expected + change, **close)


def _multiplier(layer):
    """The variable for which a layer's name stands."""
    if isinstance(layer, layers.LayerNormalization):
        return layer.gamma
    return layer.kernel


_BAD_LAYERS = [["nothing"], "", ["dense_1", "dense_1/none"], [3], 3.5, [None]]
_BAD_INPUTS = [np.nan, np.inf, "text", None, "shape", "rank", "empty"]


@cases(25, 300)
@given(
    layers=st.one_of(st.none(), st.sampled_from(_BAD_LAYERS), st.text(max_size=8)),
    x=st.one_of(st.none(), st.sampled_from(_BAD_INPUTS)),
    method=st.one_of(st.just("auto"), st.text(max_size=8)),
    reduction=st.one_of(st.just("per_example"), st.text(max_size=8)),
    neuron=st.one_of(st.none(), st.integers(-5, 9)),
    shape=st.one_of(st.just((4, 3)), st.lists(st.integers(0, 5), max_size=3).map(tuple)),
)
def test_nonsense_ends_in_a_sentence(layers, x, method, reduction, neuron, shape):
    model = _SMALL.setdefault("model", dense_chain((4, 3, 2), ("relu", "linear"), seed=0))
    inputs = _inputs(x)
    wrong = layers is not None or x is not None or (method, reduction) != ("auto", "per_example")
    try:
        lin = nta.linearize(model, inputs, layers, method, reduction)
        lin.gradient_tensor("dense_1", neuron)
        lin.predict({"dense_1": np.zeros(shape)})
    except (ValueError, NotImplementedError, TypeError) as error:
        assert str(error) and len(str(error)) < 2000
        assert wrong or neuron not in (None, 0, 1, 2) or shape != (4, 3)
    else:
        assert not wrong and neuron in (None, 0, 1, 2) and shape == (4, 3)


_SMALL: dict = {}


def _inputs(kind):
    x = np.random.default_rng(0).normal(size=(2, 4))
    if kind is None:
        return x
    if isinstance(kind, float):
        x[1, 2] = kind
        return x
    return {"shape": x[:, :3], "rank": x[0], "empty": x[:0], "text": "text"}[kind]


def test_the_reference_is_another_program():
    """Networks that are wrong in one place are told from right ones."""
    model = dense_chain((4, 3, 2), ("relu", "linear"), seed=0)
    network, x = reference_of(model), np.random.default_rng(1).normal(size=(2, 4))
    network.kernels[1][0, 0] += 1e-3
    lin = nta.linearize(model, x)
    wrong = np.stack([network.jacobian(one, 0) for one in x])
    assert np.abs(lin.jacobian("dense_1") - wrong).max() > 1e-6
    tf.debugging.assert_all_finite(lin.outputs, "outputs")
