"""What `before_and_after` times of one version of the package: prints JSON.

It calls only what every version has, on the shipped digits.
"""

import json
import math
import time

import numpy as np

import nta_tf as nta

# Enough steps for the version of today to take the faster compiler.
_EPOCHS = (6, 9)
_SOLVED = ("dense_2", "dense_3", "dense_5")


def train(x, epochs, recorders):
    """A run of the autoencoder under Adam 0.01."""
    return nta.train(
        nta.models.autoencoder(seed=0),
        x,
        x,
        optimizer=nta.optimizers.get("adam", 0.01),
        epochs=epochs,
        batch_size=64,
        recorders=recorders,
    )


def timed(function):
    """Seconds, seconds of the processor, and what the function returns."""
    wall, processor = time.perf_counter(), time.process_time()
    result = function()
    return time.perf_counter() - wall, time.process_time() - processor, result


def epoch(x, recorders):
    """Times of an epoch of 60,000, without the first call's, and the longer run."""
    many = np.resize(x, (60_000, 784))
    short = timed(lambda: train(many, _EPOCHS[0], recorders()))
    long = timed(lambda: train(many, _EPOCHS[1], recorders()))
    return [(long[place] - short[place]) / (_EPOCHS[1] - _EPOCHS[0]) for place in (0, 1)], long[2]


def epochs(x):
    """{what: (times, numbers)} of training, alone and recorded."""
    kinds = {
        "an epoch of nta.train": list,
        "the same with configurations once an epoch": lambda: [nta.ActivationRounds(x)],
        "the same with normal equations of layers 2-6 at every step": lambda: [
            nta.TaylorRounds(None, dtype="float32")
        ],
    }
    found = {}
    for what, recorders in kinds.items():
        times, run = epoch(x, recorders)
        numbers = [float(run.losses[0].mean())]  # later compilers and machines part
        if "normal equations" in what:
            optima = nta.regret(run, "dense_3", checkpoints=_EPOCHS[1])["taylor_optimum"]
            numbers.append(float(optima.iloc[0]))
        found[what] = times, numbers
    return found


def jacobian(x):
    """Medians of J of dense_3, from the minibatch to NumPy."""
    model = nta.models.autoencoder(seed=0)

    def call():
        return nta.linearize(model, x[:64], "dense_3").jacobian("dense_3").numpy()

    numbers = [float(abs(call()).sum())]
    times = np.median([timed(call)[:2] for _ in range(60)], axis=0).tolist()
    return times, numbers


def optima(x):
    """120 optima, free and on a ball."""
    rounds = nta.TaylorRounds(
        list(_SOLVED), reduction="batch_mean", schedule="1 an epoch", dtype="float64"
    )
    run = train(x, 40, [rounds])

    def solve():
        return [
            nta.regret(run, layer, radius=radius, checkpoints=20)["taylor_optimum"].tolist()
            for layer in _SOLVED
            for radius in (math.inf, 2.0)
        ]

    *times, found = timed(solve)
    return times, np.ravel(found).tolist()


def main():
    x = nta.data.load("sample").x.reshape(-1, 784)
    found = epochs(x)
    found["J of dense_3, 64 examples"] = jacobian(x)
    found["120 optima of three layers, free and on a ball"] = optima(x)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
