"""How long do SGD, Newton and Newton-CG take to the Taylor optimum of a cross-entropy?

    python -m benchmarks.cross_entropy [--rounds 200] [--neurons 2] [--radius D | inf]
    python -m benchmarks.cross_entropy --run runs/rmsprop_0.0005_seed0 --record figures

The problems are neurons of the convnet's second layer, `batch_mean`, 128 examples a round: of
a convnet that is trained on the shipped digits and recorded at every second step, or of a run
that was recorded before. Each solver is timed until its certificate says that the relative gap is
at most 1e-2, 1e-3 and 1e-4. SGD, the paper's solver, has the learning rate and the averaging that
are best for it at each of these gaps, from a grid that is printed; compilation is not timed.
"""

import argparse
import math
import os
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np

import nta_tf as nta
from benchmarks.timing import machine, show
from nta_tf.solvers import minimize, minimize_prefixes, sgd

LAYER, BATCH, RATE = "conv2d_2", 128, 0.0005  # the paper's rate, on which it learns at once
GAPS = (1e-2, 1e-3, 1e-4)
LEARNING_RATES = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0)
BATCHES, MOST_PASSES = (1, 16), 2000
SECONDS = 20.0  # after which a run of SGD counts as not having arrived


def record_rounds(rounds):
    """A convnet trained on the shipped digits, with a round at every second step."""
    digits = nta.data.load("sample")
    model = nta.models.convnet(digits.x.shape[1:], seed=0)
    return nta.train(
        model,
        digits.x,
        digits.y,
        optimizer=nta.optimizers.get("rmsprop_keras", RATE),
        loss="cross_entropy",
        epochs=-(-2 * rounds // (len(digits.x) // BATCH)),
        batch_size=BATCH,
        recorders=[nta.TaylorRounds([LAYER], "batch_mean", "every 2 steps", name="figures")],
    )


def timed(function):
    """Seconds and result of a call, after another one that compiles."""
    function(1)
    start = time.perf_counter()
    optimum = function(None)
    return time.perf_counter() - start, optimum


def second_order(problem, radius, solver, gap):
    """Seconds and optimum of `newton` or `newton_cg`."""
    return timed(
        lambda limit: minimize(problem, radius, solver, tolerance=gap, max_iterations=limit)
    )


def best_sgd(problem, radius, gap):
    """Seconds and optimum of the fastest SGD of the grid, and what it was."""
    best = (math.inf, None, "none arrived")
    for averaging in (False, True):
        for batch_size in BATCHES:
            for rate in LEARNING_RATES:
                options = dict(learning_rate=rate, batch_size=batch_size, averaging=averaging)
                seconds, optimum = _sgd(problem, radius, gap, options, best[0])
                if optimum.status.solved and seconds < best[0]:
                    best = (seconds, optimum, f"{rate:g}, batch {batch_size}, mean {averaging}")
    return best


def _sgd(problem, radius, gap, options, limit):
    """One setting; stopped when it takes longer than the best so far."""
    common = dict(radius=radius, tolerance=gap, check_every=5, **options)
    sgd(problem, max_iterations=1, **common)
    start = time.perf_counter()
    sgd(problem, max_iterations=5, **common)
    a_pass = (time.perf_counter() - start) / 5
    passes = min(MOST_PASSES, int(min(limit, SECONDS) / a_pass) + 1)
    start = time.perf_counter()
    optimum = sgd(problem, max_iterations=passes, **common)
    return time.perf_counter() - start, optimum


def gap_table(problem, radius, gap, title):
    """One row a solver; checks that the certificates agree with one another."""
    rows, optima = [], []
    for solver in ("newton_cg", "newton"):
        seconds, optimum = second_order(problem, radius, solver, gap)
        rows.append({"what": solver, **_columns(optimum), "seconds": seconds, "setting": ""})
        optima.append(optimum)
    seconds, optimum, setting = best_sgd(problem, radius, gap)
    if optimum is None:
        print(f"SGD does not arrive at {gap:g} within {SECONDS:g} s or {MOST_PASSES} passes")
        seconds = SECONDS
    else:
        optima.append(optimum)
    rows.append({"what": "sgd", **_columns(optimum), "seconds": seconds, "setting": setting})
    lowest = min(optimum.loss for optimum in optima)
    for optimum in optima:
        assert optimum.loss - optimum.gap <= lowest, "a certificate is wrong"
    show(f"{title}, relative gap {gap:g}", rows, "seconds", "newton_cg")


def _columns(optimum):
    if optimum is None:
        return {"loss": math.nan, "gap/loss": math.nan, "iterations": -1}
    return {
        "loss": optimum.loss,
        "gap/loss": optimum.gap / optimum.loss,
        "iterations": optimum.iterations,
    }


def prefixes(problem, radius):
    """Prints the time of ten checkpoints at once, as a regret curve needs them."""
    total = problem.linear_map.groups
    groups = np.linspace(total / 10, total, 10).astype(int)
    for _ in range(2):
        start = time.perf_counter()
        optima = minimize_prefixes(problem, groups, [radius], "newton_cg")
        seconds = time.perf_counter() - start
    worst = max(of[0].gap / of[0].loss for of in optima)
    print(f"\n10 prefixes: {1e3 * seconds / 10:.1f} ms each, largest relative gap {worst:.1g}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--neurons", type=int, default=2)
    parser.add_argument("--radius", type=float, default=None, help="default: the trajectory's")
    parser.add_argument("--run", help="directory of a recorded run, instead of training one")
    parser.add_argument("--record", default="figures", help="name of its record")
    options = parser.parse_args()
    print(machine())
    print(f"SGD: learning rates {LEARNING_RATES}, batches {BATCHES}, with and without averaging")
    run = nta.Run.open(options.run) if options.run else record_rounds(options.rounds)
    recorded = nta.taylor_problems.RecordedRounds(run, options.record)
    scope = nta.taylor_problems.Scope(LAYER, tuple(range(options.neurons)))
    for name, (problem, own) in zip(scope.names, recorded.problems(scope)):
        radius = own if options.radius is None else options.radius
        title = f"{name}, {problem.linear_map.groups} groups, radius {radius:.3g}"
        for gap in GAPS:
            gap_table(problem, radius, gap, title)
        prefixes(problem, radius)


if __name__ == "__main__":
    main()
