"""Per-example J_l and G_l of the paper's two models: linearize against what else computes them.

    python -m benchmarks.jacobian [--repeats 5] [--skip-tape-tensors]

Rows are TensorFlow's own GradientTape, `torch.func` and `jax.vmap` where they are installed (on
the CPU, with as many threads), and `nta.linearize`, each from the minibatch to an array of NumPy
that shares the tensor's memory. Every row first checks that it computed the same numbers. The same
networks are remade in torch and JAX from the Keras weights. Install the others into another
environment than this project's:

    python -m venv other && other/bin/pip install -e . torch jax
"""

import functools
import importlib.util
import math
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import numpy as np
import tensorflow as tf

import nta_tf as nta
from benchmarks import timing
from benchmarks.timing import medians_in_turn

OURS = "linearize, auto"


def problems():
    """(model, minibatch, layer) of the autoencoder and of the convnet."""
    digits = nta.data.load("sample").x[:64].reshape(64, 784)
    images = np.random.default_rng(0).uniform(size=(32, 32, 32, 3)).astype(np.float32)
    return [
        (nta.models.autoencoder(seed=0), digits, "dense_3"),
        (nta.models.convnet(seed=0), images, "conv2d_2"),
    ]


def steps_of(model):
    """The model as a list of (kind, name, kernel, bias, rectified), in order."""
    steps = []
    for layer in model.layers[1:]:
        kind = type(layer).__name__
        weights = layer.get_weights() or (None, None)
        rectified = getattr(layer, "activation", None) is keras.activations.relu
        steps.append((kind, layer.name, *weights, rectified))
    return steps


def split(steps, name):
    """The steps before the layer, the layer's, and those after it."""
    place = [step[1] for step in steps].index(name)
    return steps[:place], steps[place], steps[place + 1 :]


class TensorFlow:
    """What a user of TensorFlow alone would write."""

    jacobians = ("batch_jacobian",)
    tensors = ("tape.jacobian",)
    label = "GradientTape"

    def __init__(self, model, x, name):
        self.model, self.x, self.layer = model, tf.constant(x), model.get_layer(name)
        self._by_tape = tf.function(self._jacobian)
        self._example = tf.function(self._example_tensor)

    def jacobian(self, how):
        return np.asarray(self._by_tape(self.x))

    def gradient_tensor(self, how):
        return tf.stack([self._example(row) for row in self.x]).numpy()

    def _jacobian(self, x):
        layers = self.model.layers[1:]
        place = layers.index(self.layer)
        for layer in layers[:place]:
            x = layer(x)
        activation = self.layer.activation
        with tf.GradientTape() as tape:
            # The layer with its activation taken off while it is traced.
            self.layer.activation = keras.activations.linear
            preactivation = self.layer(x)
            self.layer.activation = activation
            tape.watch(preactivation)
            x = activation(preactivation)
            for layer in layers[place + 1 :]:
                x = layer(x)
        return tape.batch_jacobian(x, preactivation)

    def _example_tensor(self, x):
        with tf.GradientTape() as tape:
            outputs = self.model(x[tf.newaxis])[0]
        return tape.jacobian(outputs, self.layer.kernel.value)


class Torch:
    """torch.func on the same network, channels first inside."""

    jacobians = ("jacrev", "jacfwd")
    tensors = ("jacrev",)
    label = "torch.func"

    def __init__(self, model, x, name):
        import torch

        torch.set_num_threads(os.cpu_count())
        self.torch = torch
        self.lower, self.step, self.upper = split(steps_of(model), name)
        self.x = torch.from_numpy(np.array(x))
        self.kernel = torch.from_numpy(self.step[2])

    def jacobian(self, how):
        func = self.torch.func

        def of_example(x):
            at = self._linear(self.step, self._run(self.lower, x))
            return getattr(func, how)(self._above)(at)

        with self.torch.no_grad():
            return func.vmap(of_example)(self.x).numpy()

    def gradient_tensor(self, how):
        func = self.torch.func

        def output(kernel, below):
            return self._above(self._linear(self.step, below, kernel))

        def of_example(x):
            return getattr(func, how)(output)(self.kernel, self._run(self.lower, x))

        with self.torch.no_grad():
            return func.vmap(of_example)(self.x).numpy()

    def _above(self, preactivation):
        activated = self.torch.relu(preactivation) if self.step[-1] else preactivation
        return self._run(self.upper, activated)

    def _run(self, steps, x):
        functional = self.torch.nn.functional
        for step in steps:
            if step[0] == "MaxPooling2D":
                x = functional.max_pool2d(x.permute(2, 0, 1), 2).permute(1, 2, 0)
            elif step[0] == "Flatten":
                x = x.reshape(-1)
            else:
                x = self._linear(step, x)
                x = self.torch.relu(x) if step[-1] else x
        return x

    def _linear(self, step, x, kernel=None):
        kind, _, weights, bias, _ = step
        kernel = self.torch.from_numpy(weights) if kernel is None else kernel
        bias = self.torch.from_numpy(bias)
        if kind == "Dense":
            return x @ kernel + bias
        images = x.permute(2, 0, 1)[None]
        convolved = self.torch.nn.functional.conv2d(
            images, kernel.permute(3, 2, 0, 1), bias, padding="same"
        )
        return convolved[0].permute(1, 2, 0)


class Jax:
    """jax.vmap of jacrev and jacfwd on the same network, compiled."""

    jacobians = ("jacrev", "jacfwd")
    tensors = ("jacrev",)
    label = "jax.vmap"

    def __init__(self, model, x, name):
        os.environ.setdefault("JAX_PLATFORMS", "cpu")
        import jax

        self.jax, self.np = jax, jax.numpy
        self.lower, self.step, self.upper = split(steps_of(model), name)
        self.x = x
        self._compiled = {}

    def jacobian(self, how):
        def of_example(x):
            at = self._linear(self.step, self._run(self.lower, x))
            return getattr(self.jax, how)(self._above)(at)

        if how not in self._compiled:
            self._compiled[how] = self.jax.jit(self.jax.vmap(of_example))
        return np.asarray(self._compiled[how](self.x))

    def gradient_tensor(self, how):
        def output(kernel, below):
            return self._above(self._linear(self.step, below, kernel))

        def of_example(x):
            return getattr(self.jax, how)(output)(self.step[2], self._run(self.lower, x))

        if ("tensor", how) not in self._compiled:
            self._compiled["tensor", how] = self.jax.jit(self.jax.vmap(of_example))
        return np.asarray(self._compiled["tensor", how](self.x))

    def _above(self, preactivation):
        activated = self.jax.nn.relu(preactivation) if self.step[-1] else preactivation
        return self._run(self.upper, activated)

    def _run(self, steps, x):
        for step in steps:
            if step[0] == "MaxPooling2D":
                x = self.jax.lax.reduce_window(
                    x, -np.inf, self.jax.lax.max, (2, 2, 1), (2, 2, 1), "VALID"
                )
            elif step[0] == "Flatten":
                x = x.reshape(-1)
            else:
                x = self._linear(step, x)
                x = self.jax.nn.relu(x) if step[-1] else x
        return x

    def _linear(self, step, x, kernel=None):
        kind, _, weights, bias, _ = step
        kernel = weights if kernel is None else kernel
        if kind == "Dense":
            return x @ kernel + bias
        convolved = self.jax.lax.conv_general_dilated(
            x[None], kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
        )
        return convolved[0] + bias


def rows_of(what, ours, others, repeats):
    """Times our function and the others', each checked against ours.

    Args:
        what: `"jacobian"` or `"gradient_tensor"`.
        ours: Function without arguments that returns the NumPy array.
        others: List of (kind of contender, contender or None if it is not installed).
        repeats: Measured calls.

    Returns:
        Rows for `benchmarks.timing.Report.table`.
    """
    expected = ours()
    labels, functions = [OURS], [ours]
    for kind, contender in others:
        ways = kind.jacobians if what == "jacobian" else kind.tensors
        if what == "jacobian" and expected[0, 0].size > expected.shape[1]:
            ways = ways[:1]  # forward mode would take a pass for each of many units
        for how in ways:
            labels.append(f"{kind.label} {how}" + (": not installed" if contender is None else ""))
            functions.append(contender and functools.partial(getattr(contender, what), how))
    for theirs in filter(None, functions[1:]):
        np.testing.assert_allclose(theirs(), expected, atol=2e-5)
    seconds = iter(medians_in_turn(list(filter(None, functions)), repeats))
    return [
        {"what": label, "milliseconds": 1e3 * next(seconds) if function else np.nan}
        for label, function in zip(labels, functions)
    ]


def contenders(model, x, name):
    """(kind, contender), the contender None where its framework is not installed."""
    pairs = [(TensorFlow, TensorFlow(model, x, name))]
    for kind, package in ((Torch, "torch"), (Jax, "jax")):
        there = importlib.util.find_spec(package) is not None
        pairs.append((kind, kind(model, x, name) if there else None))
    return pairs


def forward_operations(layer):
    """Additions and multiplications of a layer with a kernel, for one example."""
    return 2 * math.prod(layer.kernel.shape) * math.prod(layer.output.shape[1:-1])


def operations(model, name):
    """Additions and multiplications of G of a layer for one example, the forward pass included."""
    outputs, below, of_layer, above = model.output.shape[-1], 0, 0, 0
    for layer in model.layers:
        count = forward_operations(layer) if layer.weights else 0
        below += count
        above += count if of_layer else 0
        of_layer = count if layer.name == name else of_layer
    return below + outputs * (of_layer + above)


def beside_a_convolution(model, x, name, repeats):
    """G's arithmetic at the speed of the layer's own convolution, and the time of `linearize`."""
    layer = model.get_layer(name)
    shape = (128, *layer.input.shape[1:])
    images = tf.constant(np.random.default_rng(0).normal(size=shape).astype(np.float32))
    convolve = tf.function(lambda images: tf.nn.conv2d(images, layer.kernel, 1, "SAME"))
    seconds, ours = medians_in_turn(
        [
            lambda: np.asarray(convolve(images)),
            lambda: np.asarray(nta.linearize(model, x, name).gradient_tensor(name)),
        ],
        repeats,
    )
    speed = len(images) * forward_operations(layer) / seconds
    count = len(x) * operations(model, name)
    return (
        f"G of {name}: {count / 1e9:.1f} GFLOP, at the speed of a plain convolution "
        f"({speed / 1e9:.0f} GFLOP/s) {1e3 * count / speed:.1f} ms; linearize takes "
        f"{ours * speed / count:.2f} times as long"
    )


def main():
    parser = timing.parser(__doc__)
    parser.add_argument("--repeats", type=int, default=5, help="measured calls a row")
    parser.add_argument(
        "--skip-tape-tensors",
        action="store_true",
        help="leave out GradientTape's G, which takes seconds to minutes",
    )
    options = parser.parse_args()
    report = timing.Report("jacobian", options.json)
    for model, x, name in problems():
        others = contenders(model, x, name)

        def jacobian(model=model, x=x, name=name):
            return np.asarray(nta.linearize(model, x, name).jacobian(name))

        def tensor(model=model, x=x, name=name):
            return np.asarray(nta.linearize(model, x, name).gradient_tensor(name))

        title = f"{model.name}, {name}, {len(x)} examples"
        rows = rows_of("jacobian", jacobian, others, options.repeats)
        report.table(f"J of the {title}", rows, "milliseconds", OURS)
        others = others[1:] if options.skip_tape_tensors else others
        rows = rows_of("gradient_tensor", tensor, others, options.repeats)
        report.table(f"G of the {title}", rows, "milliseconds", OURS)
    report.note(beside_a_convolution(model, x, name, options.repeats))


if __name__ == "__main__":
    main()
