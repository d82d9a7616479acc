"""Does XLA train networks of Dense layers faster? The evidence for the rule of `nta.compilers`.

    python -m benchmarks.compilers [--repeats 5]

Networks of several widths and losses, each trained with `jit_compile=False` and `True` in turn in
one process; a step is what an epoch takes more in a run that is longer by some, so that tracing and
compiling do not count. Those are in the second table: what the first training takes more.
"""

import os
import statistics
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import numpy as np

import nta_tf as nta
from benchmarks import timing

_EXAMPLES, _BATCH, _SHORT, _LONG = 8192, 64, 1, 4
# Widths of the layers; the last one's loss is the squared error where it gives back the input.
_WIDTHS = (
    (32, 10),
    (128, 10),
    (512, 512, 10),
    (50, 30, 20, 30, 50, 784),
    (1000, 500, 250, 30, 250, 500, 1000, 784),
)
_COMPILERS = {"tf.function": False, "XLA": True}


def network(widths):
    """A network of rectifiers, with the same weights each time."""
    keras.utils.set_random_seed(0)
    hidden = [keras.layers.Dense(width, activation="relu") for width in widths[:-1]]
    return keras.Sequential([keras.Input((784,)), *hidden, keras.layers.Dense(widths[-1])])


def trained(data, widths, jit_compile, epochs):
    """(seconds, losses) of a training from nothing."""
    x, labels = data
    target, loss = (x, "mse") if widths[-1] == 784 else (labels, "cross_entropy")
    model = network(widths)
    start = time.perf_counter()
    run = nta.train(
        model,
        x,
        target,
        optimizer="adam",
        loss=loss,
        epochs=epochs,
        batch_size=_BATCH,
        jit_compile=jit_compile,
        progress=False,
    )
    return time.perf_counter() - start, run.losses


def measured(data, widths, repeats):
    """Medians of {compiler: (milliseconds a step, seconds of a training of one epoch)}."""
    found = {name: ([], []) for name in _COMPILERS}
    steps = (_LONG - _SHORT) * (_EXAMPLES // _BATCH)
    for _ in range(repeats):
        losses = []
        for name, jit_compile in _COMPILERS.items():
            short, _ = trained(data, widths, jit_compile, _SHORT)
            long, of_long = trained(data, widths, jit_compile, _LONG)
            found[name][0].append(1e3 * (long - short) / steps)
            found[name][1].append(short)
            losses.append(of_long[:, ::32])
        np.testing.assert_allclose(*losses, rtol=0.02)  # the same trainings, but for rounding
    return {name: tuple(map(statistics.median, pair)) for name, pair in found.items()}


def main():
    """Measures and prints."""
    parser = timing.parser(__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    report = timing.Report("compilers", options.json)
    sample = nta.data.load("sample")
    chosen = np.arange(_EXAMPLES) % len(sample.x)
    data = sample.x.reshape(len(sample.x), -1)[chosen].astype(np.float32), sample.y[chosen]
    steps, first = [], []
    for widths in _WIDTHS:
        of = measured(data, widths, options.repeats)
        row = {"what": "-".join(map(str, (784, *widths)))}
        for rows, position, unit in ((steps, 0, "milliseconds"), (first, 1, "seconds")):
            rows.append(row | {f"{name}, {unit}": of[name][position] for name in _COMPILERS})
    title = f"A step of nta.train, minibatch of {_BATCH}"
    report.comparison(title, steps, *(f"{name}, milliseconds" for name in _COMPILERS))
    title = f"A training of {_EXAMPLES // _BATCH} steps, compiling included"
    report.comparison(title, first, *(f"{name}, seconds" for name in _COMPILERS))
    report.note(f"medians of {options.repeats} turns")


if __name__ == "__main__":
    main()
