"""What linearize does with many kinds of layer and model: how, how exactly, at what cost.

    python -m benchmarks.layers [--only NAME ...] [--repeats 3] [--weights 4] [--json DIRECTORY]

A table a layer or model: how its weights are differentiated; the worst error of <G, V> against
central differences of the network in float64, relative to the largest; milliseconds for G of a
minibatch, of `nta.linearize` and of `tape.jacobian` example by example (in float32, compiled);
and the peak memory while the former ran. Of large models some weights are taken, spread over the
depth.
"""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import numpy as np
import pandas as pd
import tensorflow as tf

import nta_tf as nta
from benchmarks import zoo
from benchmarks.timing import Report, median_seconds, parser

STEPS = (1e-6, 1e-7, 1e-8)  # the best counts: a longer one may cross a rectifier's kink


def problem(name, dtype):
    """Model, minibatch and the outputs to take, of a kind of layer or a model."""
    if name in zoo.LAYERS:
        return *zoo.layer_problem(name, dtype), None
    return *zoo.model_problem(name, dtype), zoo.OUTPUTS.get(name)


def worst_error(name, most=4, seed=0):
    """The worst error of <G, V> against central differences, in float64.

    Args:
        name: A kind of layer or a model of the zoo.
        most: Of how many weights, spread over the depth.
        seed: Seed of the directions V.

    Returns:
        The error relative to the largest difference, and how the weights were differentiated.
    """
    model, x, outputs = problem(name, "float64")
    lin = nta.linearize(model, x, outputs=outputs)
    generator, worst = np.random.default_rng(seed), 0.0
    for layer in spread(lin.layers, most):
        direction = generator.normal(size=lin.kernel(layer).shape)
        tensor = lin.gradient_tensor(layer).numpy()
        product = np.tensordot(tensor, direction, direction.ndim)
        worst = max(worst, min(error_at(lin, layer, product, direction, step) for step in STEPS))
    ways = pd.Series([lin.how(layer) for layer in lin.layers]).value_counts()
    return worst, ", ".join(f"{count} {way}" for way, count in ways.items())


def error_at(lin, layer, product, direction, step):
    """Largest distance of <G, V> from a central difference, relative to the largest of these."""
    ends = [rows_at(lin, layer, sign * step * direction) for sign in (1, -1)]
    difference = (ends[0] - ends[1]) / (2 * step)
    largest = np.abs(difference).max()
    return np.abs(product - difference).max() / largest if largest else np.abs(product).max()


def rows_at(lin, layer, change):
    """Outputs of the network itself with one weight moved."""
    variable = lin.variable(layer)
    before = variable.numpy()
    variable.assign(before + change)
    rows = lin.network_outputs().numpy()
    variable.assign(before)
    return rows


def spread(layers, most):
    """At most so many of the names, spread evenly."""
    places = np.unique(np.linspace(0, len(layers) - 1, most).astype(int))
    return [layers[place] for place in places]


def cost(name, repeats, most):
    """Milliseconds of linearize and of tape.jacobian for the same G, and peak memory in MB."""
    model, x, outputs = problem(name, "float32")
    layers = spread(nta.linearize(model, x, outputs=outputs).layers, most)

    def ours():
        lin = nta.linearize(model, x, layers, outputs=outputs)
        return [lin.gradient_tensor(layer).numpy() for layer in layers]

    lin = nta.linearize(model, x, layers, outputs=outputs)
    variables = [lin.variable(layer) for layer in layers]
    chosen = [0] if outputs is None else [["left", "right"].index(one) for one in outputs]

    @tf.function(autograph=False)
    def of_example(example):
        with tf.GradientTape() as tape:
            leaves = keras.tree.flatten(model(example, training=False))
            row = tf.concat([tf.reshape(leaves[place], (-1,)) for place in chosen], 0)
        return tape.jacobian(row, [v.value for v in variables], unconnected_gradients="zero")

    def theirs():
        examples = range(len(x[0]) if isinstance(x, list) else len(x))
        rows = [of_example(keras.tree.map_structure(lambda a: a[n : n + 1], x)) for n in examples]
        return [tf.stack([tf.convert_to_tensor(part) for part in parts]) for parts in zip(*rows)]

    reset_peak()
    seconds = median_seconds(ours, repeats)
    memory = peak_megabytes()
    try:
        right = all(np.abs(a - b).max() <= 1e-3 * np.abs(a).max() for a, b in zip(ours(), theirs()))
        # Of grouped convolutions tape.jacobian gives wrong gradients (TensorFlow 2.21).
        tape = 1e3 * median_seconds(theirs, repeats) if right else np.nan
    except (TypeError, ValueError, NotImplementedError, tf.errors.OpError):
        tape = np.nan  # it cannot vectorize some loops
    return 1e3 * seconds, tape, memory


def reset_peak():
    """Forgets the process's peak memory, where Linux lets it."""
    try:
        with open("/proc/self/clear_refs", "w") as file:
            file.write("5")
    except OSError:
        pass


def peak_megabytes():
    """The process's peak memory since `reset_peak`, NaN where it is not known."""
    try:
        with open("/proc/self/status") as file:
            lines = [line for line in file if line.startswith("VmHWM")]
        return int(lines[0].split()[1]) / 1024
    except (OSError, IndexError):
        return np.nan


def main():
    arguments = parser(__doc__)
    arguments.add_argument("--only", nargs="*", help="some layers or models by name")
    arguments.add_argument("--repeats", type=int, default=3, help="measured calls")
    arguments.add_argument("--weights", type=int, default=4, help="at most how many of a model")
    options = arguments.parse_args()
    report, summary = Report("layers", options.json), []
    for name in options.only or [*zoo.LAYERS, *zoo.MODELS]:
        error, how = worst_error(name, options.weights)
        ours, tape, memory = cost(name, options.repeats, options.weights)
        linearize = {"what": "nta.linearize", "milliseconds": ours}
        linearize |= {"worst error": error, "peak MB": memory}
        rows = [linearize, {"what": "tape.jacobian", "milliseconds": tape}]
        report.table(f"{name}: {how}", rows, "milliseconds", "nta.linearize")
        summary.append((name, how, f"{error:.0e}", f"{ours:.1f}", f"{tape:.1f}", f"{memory:.0f}"))
    columns = ["what", "how", "worst error", "ms", "ms of tape.jacobian", "peak MB"]
    print("\n" + pd.DataFrame(summary, columns=columns).to_string(index=False))


if __name__ == "__main__":
    main()
