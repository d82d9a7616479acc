"""How fast is an epoch of the autoencoder, recorded and not, and how fast is linearize?

    python -m benchmarks.autoencoder [--data sample|mnist] [--epochs 5] [--repeats 9]

Everything is measured in one process, and every comparison first checks that both sides
computed the same numbers. With `--data sample` the shipped digits are repeated to 60,000,
so that no download is needed; the arithmetic is that of full MNIST.
"""

import argparse
import os
import statistics
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np
import tensorflow as tf

import nta_tf as nta
from benchmarks.timing import machine, median_seconds, show
from nta_tf.recorders import Recorder

EXAMPLES, BATCH, RATE = 60_000, 64, 0.01
HIDDEN = ["dense_2", "dense_3", "dense_4", "dense_5"]


class Clock(Recorder):
    """Notes the time at the beginning of each epoch; records nothing."""

    name = "clock"

    def __init__(self):
        self.times = []

    def start(self, training):
        return {}

    def steps(self, epoch):
        return np.empty(0, int)

    def begin_epoch(self, epoch):
        self.times.append(time.perf_counter())

    def record(self, rounds):
        raise AssertionError("the clock asks for no rounds")

    def end_epoch(self):
        return {}

    def config(self):
        return {"kind": "clock"}


def digits(data):
    """60,000 rows of 784 pixels."""
    x = nta.data.load(data).x
    return np.resize(x.reshape(len(x), 784), (EXAMPLES, 784))


def our_epoch(x, epochs, recorders):
    """Median seconds of an epoch of `nta.train`, its weights and its run."""
    clock, model = Clock(), nta.models.autoencoder(seed=0)
    run = nta.train(
        model,
        x,
        x,
        optimizer=nta.optimizers.get("adam", RATE),
        epochs=epochs + 2,
        batch_size=BATCH,
        recorders=[*recorders, clock],
    )
    lengths = np.diff([*clock.times, time.perf_counter()])
    return statistics.median(lengths[2:]), model.get_weights(), run


def keras_epoch(x, epochs):
    """Median seconds of an epoch of `model.fit`, and the loss of its first epoch."""
    model = nta.models.autoencoder(seed=0)
    model.compile(nta.optimizers.get("adam", RATE), "mse")
    order = nta.session.epoch_order(0, 0, len(x), BATCH).reshape(-1)
    ordered = x[order]
    lengths, losses = [], []
    for _ in range(epochs + 2):
        start = time.perf_counter()
        history = model.fit(ordered, ordered, batch_size=BATCH, shuffle=False, verbose=0)
        lengths.append(time.perf_counter() - start)
        losses.append(history.history["loss"][0])
    return statistics.median(lengths[2:]), losses[0]


def epochs_table(x, epochs):
    """model.fit, our epoch, our epoch with exact normal equations at every step."""
    fit, fit_loss = keras_epoch(x, epochs)
    plain, weights, run = our_epoch(x, epochs, [])
    np.testing.assert_allclose(run.losses[0].mean(), fit_loss, rtol=0.02)
    rows = [
        {"what": "model.fit", "seconds an epoch": fit},
        {"what": "nta.train", "seconds an epoch": plain},
    ]
    optima = {}
    for layers, label in ((HIDDEN, "layers 2-5"), (None, "layers 2-6")):
        for dtype in ("float32", "float64"):
            recorder = nta.TaylorRounds(layers, dtype=dtype)
            seconds, watched, run = our_epoch(x, epochs, [recorder])
            for one, other in zip(weights, watched):
                np.testing.assert_array_equal(one, other)  # recording changes nothing
            optima[dtype] = nta.regret(run, "dense_3")["taylor_optimum"]
            rows.append({"what": f"{label}, {dtype} products", "seconds an epoch": seconds})
        np.testing.assert_allclose(optima["float32"], optima["float64"], rtol=1e-5)
    show(
        "An epoch of 937 steps of 64, Adam 0.01; normal equations at every step",
        rows,
        "seconds an epoch",
        "nta.train",
    )
    flops = {name: _normal_equation_flops(name) for name in HIDDEN}
    extra = rows[2]["seconds an epoch"] - plain
    total = 937 * sum(flops.values())
    print(
        f"symmetric products of layers 2-5: {total / 937e6:.0f} MFLOP a round, "
        f"{total / extra / 1e9:.0f} GFLOP/s over all that recording adds"
    )


def _normal_equation_flops(name):
    layer = nta.models.autoencoder(seed=0).get_layer(name)
    width, units = layer.kernel.shape
    return 2 * BATCH * (width * (width + 1) // 2) * (units * (units + 1) // 2)


def tape_jacobian(model, name):
    """What a user would write: batch_jacobian of the outputs, compiled."""
    layer_names = [layer.name for layer in model.layers[1:]]
    index = layer_names.index(name)

    @tf.function
    def jacobian(x):
        hidden = x
        for layer in model.layers[1 : index + 1]:
            hidden = layer(hidden)
        layer = model.get_layer(name)
        with tf.GradientTape() as tape:
            preactivation = tf.matmul(hidden, layer.kernel.value) + layer.bias.value
            tape.watch(preactivation)
            hidden = layer.activation(preactivation)
            for layer in model.layers[index + 2 :]:
                hidden = layer(hidden)
        return tape.batch_jacobian(hidden, preactivation)

    return jacobian


def tape_gradient_tensor(model, name):
    """What a user would write for G: tape.jacobian on the kernel, example by example."""
    kernel = model.get_layer(name).kernel.value

    def one_example(x):
        with tf.GradientTape() as tape:
            outputs = model(x[tf.newaxis])[0]
        return tape.jacobian(outputs, kernel)

    compiled = tf.function(one_example)
    return lambda x: tf.stack([compiled(row) for row in x])


def linearize_table(x, repeats, name="dense_3"):
    """J_l and G_l of one minibatch, by method, against GradientTape's own."""
    model = nta.models.autoencoder(seed=0)
    batch = tf.constant(x[:BATCH])
    by_tape = tape_jacobian(model, name)
    expected = by_tape(batch).numpy()
    rows = [
        {
            "what": "GradientTape.batch_jacobian",
            "milliseconds": 1e3 * median_seconds(lambda: by_tape(batch).numpy(), repeats),
        }
    ]
    for method in ("per_output", "pfor", "auto"):

        def jacobian(method=method):
            return nta.linearize(model, batch, name, method).jacobian(name).numpy()

        np.testing.assert_allclose(jacobian(), expected, atol=1e-6)
        seconds = median_seconds(jacobian, repeats)
        rows.append({"what": f"linearize, {method}", "milliseconds": 1e3 * seconds})
    show(f"J of {name}, minibatch of {BATCH}, 784 outputs", rows, "milliseconds", rows[0]["what"])
    by_tape = tape_gradient_tensor(model, name)
    expected = by_tape(batch).numpy()

    def gradient_tensor():
        return nta.linearize(model, batch).gradient_tensor(name).numpy()

    np.testing.assert_allclose(gradient_tensor(), expected, atol=1e-6)
    rows = [
        {
            "what": "GradientTape.jacobian",
            "milliseconds": 1e3 * median_seconds(lambda: by_tape(batch).numpy(), repeats),
        },
        {
            "what": "linearize, auto",
            "milliseconds": 1e3 * median_seconds(gradient_tensor, repeats),
        },
    ]
    show(
        f"G of {name}, {BATCH} examples ({expected.nbytes / 2**20:.0f} MiB)",
        rows,
        "milliseconds",
        rows[0]["what"],
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", default="sample", choices=["sample", "mnist"])
    parser.add_argument("--epochs", type=int, default=5, help="measured epochs")
    parser.add_argument("--repeats", type=int, default=9, help="measured linearizations")
    options = parser.parse_args()
    print(machine())
    x = digits(options.data)
    epochs_table(x, options.epochs)
    linearize_table(x, options.repeats)


if __name__ == "__main__":
    main()
