"""What linearize does with many kinds of layer and model: how, how exactly, at what cost.

    python -m benchmarks.layers [--only NAME ...] [--examples 32] [--repeats 5] [--json DIRECTORY]

For each of them: how its weights are differentiated; the worst error of <G, V> against central
differences of the network in float64, relative to the largest; the time of the processor for G of a
minibatch in float32, from the model on, of `nta.linearize` and of `tape.jacobian` example by
example (compiled); and by how much memory grew while each ran. Of large models some weights are
taken, spread over the depth.
"""

import os
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
# The processor's time is that of all threads: with one each it is what a quiet machine would take.
os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")
os.environ.setdefault("TF_NUM_INTEROP_THREADS", "1")

import keras
import numpy as np
import pandas as pd
import tensorflow as tf

import nta_tf as nta
from benchmarks import zoo
from benchmarks.timing import Report, median_seconds, parser

TIME, OURS, THEIRS = "ms of CPU", "nta.linearize", "tape.jacobian"
STEPS = (1e-6, 1e-7, 1e-8)  # the best counts: a longer one may cross a rectifier's kink


def problem(name, dtype, examples=zoo.EXAMPLES):
    """Model, minibatch and the outputs to take, of a kind of layer or a model."""
    make = zoo.layer_problem if name in zoo.LAYERS else zoo.model_problem
    return *make(name, dtype, examples=examples), zoo.OUTPUTS.get(name)


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


def cost(name, examples, repeats, most):
    """Time and memory of linearize and of tape.jacobian for the same G.

    Args:
        name: A kind of layer or a model of the zoo.
        examples: Examples of the minibatch.
        repeats: Measured calls; the median counts.
        most: Of how many weights, spread over the depth.

    Returns:
        (milliseconds, MB) of each; NaN of `tape.jacobian` where it cannot, or is wrong.
    """
    model, x, outputs = problem(name, "float32", examples)
    layers = spread(nta.linearize(model, x, outputs=outputs).layers, most)

    def ours():
        lin = nta.linearize(model, x, layers, outputs=outputs)
        return [lin.gradient_tensor(layer).numpy() for layer in layers]

    variables = [nta.linearize(model, x, layers, outputs=outputs).variable(n) for n in layers]
    theirs = example_by_example(model, x, variables, outputs)
    measured = measure(ours, repeats)
    try:
        right = all(np.abs(a - b).max() <= 1e-3 * np.abs(a).max() for a, b in zip(ours(), theirs()))
        # Of grouped convolutions tape.jacobian gives wrong gradients (TensorFlow 2.21).
        return measured, measure(theirs, repeats) if right else (np.nan, np.nan)
    except (TypeError, ValueError, NotImplementedError, tf.errors.OpError):
        return measured, (np.nan, np.nan)  # it cannot vectorize some loops


def example_by_example(model, x, variables, outputs):
    """A function that makes G of all variables with `tape.jacobian`."""
    chosen = [0] if outputs is None else [["left", "right"].index(one) for one in outputs]

    @tf.function(autograph=False)
    def of_example(example):
        with tf.GradientTape() as tape:
            leaves = keras.tree.flatten(model(example, training=False))
            row = tf.concat([tf.reshape(leaves[place], (-1,)) for place in chosen], 0)
        return tape.jacobian(row, [v.value for v in variables], unconnected_gradients="zero")

    def of_all():
        examples = range(len(x[0]) if isinstance(x, list) else len(x))
        rows = [of_example(keras.tree.map_structure(lambda a: a[n : n + 1], x)) for n in examples]
        return [
            np.stack([np.asarray(tf.convert_to_tensor(p)) for p in parts]) for parts in zip(*rows)
        ]

    return of_all


def measure(function, repeats):
    """Milliseconds of CPU of a call, once it is compiled, and by how many MB memory grew."""
    function()
    before = reset_peak()
    seconds = median_seconds(function, repeats, time.process_time)
    return 1e3 * seconds, peak_megabytes("VmHWM") - before


def reset_peak():
    """Forgets the process's peak memory, where Linux lets it; returns what it holds, in MB."""
    try:
        with open("/proc/self/clear_refs", "w") as file:
            file.write("5")
    except OSError:
        pass
    return peak_megabytes("VmRSS")


def peak_megabytes(which):
    """The process's memory (`"VmRSS"`) or its peak since `reset_peak` (`"VmHWM"`), or NaN."""
    try:
        with open("/proc/self/status") as file:
            lines = [line for line in file if line.startswith(which)]
        return int(lines[0].split()[1]) / 1024
    except (OSError, IndexError):
        return np.nan


def main():
    arguments = parser(__doc__)
    arguments.add_argument("--only", nargs="*", help="some layers or models by name")
    arguments.add_argument("--examples", type=int, default=32, help="of the timed minibatch")
    arguments.add_argument("--repeats", type=int, default=5, help="measured calls")
    arguments.add_argument("--weights", type=int, default=4, help="at most how many of a model")
    options = arguments.parse_args()
    report = Report("layers", options.json)
    report.note(
        f"{options.examples} examples, {options.weights} weights at most; milliseconds of the "
        "processor, one thread, medians; MB by which memory grew"
    )
    report.keep("layer_table", nta.linearization.layer_table().to_dict("records"))
    for name in options.only or [*zoo.LAYERS, *zoo.MODELS]:
        error, how = worst_error(name, options.weights)
        measured = cost(name, options.examples, options.repeats, options.weights)
        rows = [
            {"what": what, TIME: milliseconds, "MB": megabytes}
            for what, (milliseconds, megabytes) in zip((OURS, THEIRS), measured)
        ]
        rows[0] |= {"how": how, "worst error": error}
        report.table(name, rows, TIME, OURS)
        keras.backend.clear_session()


if __name__ == "__main__":
    main()
