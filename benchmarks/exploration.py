"""What does exploration cost: to record activation configurations, and to measure them?

    python -m benchmarks.exploration [--data sample|mnist] [--rounds 100] [--points 60000]

Recording: an epoch of the autoencoder with and without `nta.ActivationRounds` of all data
points; of the convnet, a configuration of 1% of 50,000 images and at most 10,000 units a layer
beside the 390 steps of an epoch (a few of which are timed). Measuring: at the paper's size (100
rounds x 60,000 points x 180 units, from a random walk through configurations), beside the
time to read the same bits once and beside plain NumPy on booleans, with the memory that it
takes on top of the packed bits.
"""

import ctypes
import os
import pathlib
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np
import tensorflow as tf

import nta_tf as nta
from benchmarks import timing
from benchmarks.autoencoder import digits, our_epoch
from benchmarks.timing import median_seconds
from nta_tf.exploration import bit_counts
from nta_tf.recorders import Rounds, Training

UNITS, VALUES = 180, 50
IMAGES, BATCH, STEPS = 50_000, 128, 20


def autoencoder_table(report, x, epochs):
    """An epoch of training, and the same with its activation configuration."""
    plain, weights, _ = our_epoch(x, epochs, [])
    recorder = nta.ActivationRounds(x)
    seconds, watched, run = our_epoch(x, epochs, [recorder])
    for one, other in zip(weights, watched):
        np.testing.assert_array_equal(one, other)  # recording changes nothing
    there = nta.exploration.Configurations(run)
    rows = [
        {"what": "nta.train", "seconds an epoch": plain},
        {"what": "with configurations", "seconds an epoch": seconds},
    ]
    title = f"Autoencoder, Adam 0.01; {there.points:,} points x {there.units} units once an epoch"
    report.table(title, rows, "seconds an epoch", "nta.train")


def convnet_table(report, repeats):
    """One configuration of the convnet beside an epoch of steps in bfloat16."""
    generator = np.random.default_rng(0)
    x = generator.random((BATCH * STEPS, 32, 32, 3), np.float32)
    labels = generator.integers(0, 10, len(x))
    model = nta.models.convnet(seed=0)
    options = {"loss": "cross_entropy", "batch_size": BATCH, "dtype_policy": "mixed_bfloat16"}

    def steps(epochs):
        nta.train(model, x, labels, optimizer="rmsprop", epochs=epochs, **options)

    # The difference of two runs is free of what compiling takes.
    pair = [median_seconds(lambda n=n: steps(n), 1) for n in (1, 2)]
    epoch = (pair[1] - pair[0]) / STEPS * (IMAGES // BATCH)
    recorder = nta.ActivationRounds(x[: IMAGES // 100], units=10_000)
    recorder.start(Training(model, "cross_entropy", 1, STEPS, BATCH))
    weights = {v.path: tf.stack([v.value]) for v in model.trainable_variables}
    rounds = Rounds(np.array([0]), weights, None, None, None)

    def configuration():
        recorder.begin_epoch(0)
        recorder.record(rounds)
        recorder.end_epoch()

    seconds = median_seconds(configuration, repeats)
    rows = [
        {"what": "390 steps", "seconds an epoch": epoch},
        {"what": "one configuration", "seconds an epoch": seconds},
    ]
    layers = recorder.config()["layers"]
    units = sum(layer["units"] for layer in layers.values())
    title = f"Convnet, {IMAGES // 100} images x {units:,} units once an epoch"
    report.table(title, rows, "seconds an epoch", "390 steps")


def random_walk(rounds, points, units):
    """Configurations of which some bits change from one to the next, packed."""
    generator = np.random.default_rng(0)
    bits = generator.random((points, units), np.float32) < 0.4
    packed = []
    for _ in range(rounds):
        packed.append(np.packbits(bits, axis=-1))
        bits = bits ^ (generator.random((points, units), np.float32) < 0.03)
    return np.stack(packed)


def plain_minimum_hamming(bits):
    smallest = [np.nan]
    for n in range(1, len(bits)):
        smallest.append(min((bits[n] != bits[k]).sum() for k in range(n)) / bits[0].size)
    return np.array(smallest)


def plain_switches(bits):
    count = sum((now != before).sum(axis=1) for now, before in zip(bits[1:], bits[:-1]))
    return count / ((len(bits) - 1) * bits.shape[2])


def plain_log_volume(bits):
    volumes = []
    for unit in range(bits.shape[2]):
        responses = bits[:VALUES, :, unit].astype(np.float64)
        responses -= responses.mean(axis=0)
        found = np.linalg.svd(responses, compute_uv=False)[:VALUES]
        volumes.append(np.log(np.maximum(found, nta.exploration.FLOOR)).sum())
    return np.array(volumes)


def added_memory(function):
    """MiB that a call needs at its peak, beyond what is there before; None where unknown."""
    status = pathlib.Path("/proc/self/status")
    try:
        ctypes.CDLL(None).malloc_trim(0)  # gives back what earlier calls left to be used again
        pathlib.Path("/proc/self/clear_refs").write_text("5")  # resets the peak
    except (OSError, AttributeError):  # not Linux
        return None

    def kib(field):
        return int(status.read_text().split(field + ":")[1].split()[0])

    before = kib("VmRSS")
    function()
    return max(0, kib("VmHWM") - before) / 1024


def measures_table(report, rounds, points, repeats, plain):
    """Each measure beside one reading of its bits and beside plain NumPy."""
    packed = random_walk(rounds, points, UNITS)
    options = {"units": UNITS}
    measures = {
        "minimum_hamming": (plain_minimum_hamming, packed),
        "switches": (plain_switches, packed),
        "log_volume": (plain_log_volume, packed[:VALUES]),
    }
    bits = np.unpackbits(packed, axis=-1)[..., :UNITS].astype(bool) if plain else None
    for name, (by_numpy, needed) in measures.items():
        measure = getattr(nta.exploration, name)

        def ours(measure=measure):
            return measure(packed, **options)

        def read(needed=needed):
            return needed.reshape(-1).view(np.uint64).sum()

        rows = [
            {"what": "reading once", "milliseconds": 1e3 * median_seconds(read, repeats)},
            {"what": name, "milliseconds": 1e3 * median_seconds(ours, repeats)},
        ]
        if name == "log_volume":

            def grams():
                return bit_counts.grams(packed[:VALUES])

            of_it = 1e3 * median_seconds(grams, repeats)
            rows.append({"what": "of it, Gram matrices", "milliseconds": of_it})
        if plain:
            seconds, expected = _once(lambda: by_numpy(bits))
            np.testing.assert_allclose(ours(), expected, rtol=1e-8)
            rows.append({"what": "plain NumPy", "milliseconds": 1e3 * seconds})
        memory = added_memory(ours)
        added = "" if memory is None else f"; {memory:.0f} MiB beyond the bits"
        title = f"{name}: {rounds} x {points:,} x {UNITS}, {needed.nbytes / 2**20:.0f} MiB{added}"
        report.table(title, rows, "milliseconds", "reading once")


def _once(function):
    """Seconds and result of a single call: plain NumPy takes up to a minute."""
    start = time.perf_counter()
    result = function()
    return time.perf_counter() - start, result


def main():
    parser = timing.parser(__doc__)
    parser.add_argument("--data", default="sample", choices=["sample", "mnist"])
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--points", type=int, default=60_000)
    parser.add_argument("--epochs", type=int, default=9, help="measured epochs")
    parser.add_argument("--repeats", type=int, default=9, help="measured calls")
    parser.add_argument("--no-plain", action="store_true", help="leave plain NumPy out")
    options = parser.parse_args()
    report = timing.Report("exploration", options.json)
    autoencoder_table(report, digits(options.data), options.epochs)
    convnet_table(report, options.repeats)
    measures_table(report, options.rounds, options.points, options.repeats, not options.no_plain)


if __name__ == "__main__":
    main()
