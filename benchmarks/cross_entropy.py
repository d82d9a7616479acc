"""How long do SGD, Newton and Newton-CG take to the Taylor optimum of a cross-entropy?

    python -m benchmarks.cross_entropy [--rounds 200] [--neurons 2] [--radius D | inf]
    python -m benchmarks.cross_entropy --run runs/rmsprop_0.0005_seed0 --record figures

The problems are neurons of the convnet's second layer and the layer itself (102,400 weights),
`batch_mean`, 128 examples a round: of a convnet that is trained on the shipped digits and
recorded at every second step, or of a run that was recorded before. Each solver is timed until
its certificate says that the relative gap is at most 1e-2, 1e-3 and 1e-4. SGD, the paper's
solver, has the learning rate, the batch size and the averaging that are best for it at each of
these gaps, from a grid that is printed; compilation and the search are not timed. SGD is
stopped after 50 times (`--patience`) as long as the first solver of the table took, which is
the one that `"auto"` chooses; where no setting has arrived by then, the table has the smallest
gap that one of them reached.
"""

import argparse
import dataclasses
import math
import os
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np

import nta_tf as nta
from benchmarks.timing import machine, show
from nta_tf.solvers import SGD, Newton, NewtonCG, RowSpace, minimize, minimize_prefixes

LAYER, BATCH, RATE = "conv2d_2", 128, 0.0005  # the paper's rate, on which it learns at once
GAPS = (1e-2, 1e-3, 1e-4)
SOLVERS = {"neuron": (NewtonCG, Newton), "layer": (RowSpace, NewtonCG)}
LEARNING_RATES = (0.3, 1.0, 0.1, 3.0, 0.03, 10.0, 0.01)  # the likely first: they limit the rest
BATCHES, MOST_PASSES = (1, 16), 2000
SECONDS = 5.0  # that SGD may take at least


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


def second_order(problem, radius, solver, gap):
    """Seconds and optimum of `Newton`, `NewtonCG` or `RowSpace`, after a call that compiles."""
    minimize(problem, radius, solver(max_iterations=1), tolerance=gap)
    return timed(problem, radius, solver(), gap)


def timed(problem, radius, solver, gap):
    """Seconds and optimum of a call."""
    start = time.perf_counter()
    optimum = minimize(problem, radius, solver, tolerance=gap)
    return time.perf_counter() - start, optimum


def best_sgd(problem, radius, gap, patience):
    """Seconds, optimum and setting of the fastest SGD of the grid that arrives, or of the one
    that comes nearest within so many seconds.
    """
    best, limit = None, patience
    for averaging in (True, False):
        for batch_size in BATCHES:
            for rate in LEARNING_RATES:
                options = {"learning_rate": rate, "batch_size": batch_size, "averaging": averaging}
                found = _sgd(problem, radius, gap, options, limit)
                if best is None or _rank(found) < _rank(best):
                    best = (*found, f"{rate:g}, batch {batch_size}, mean {averaging}")
                    limit = found[0] if found[1].status.solved else patience
    return best


def _rank(found):
    """Those that arrived first, by time; then the others, by their gap."""
    seconds, optimum = found[:2]
    arrived = optimum.status.solved
    gap = optimum.gap / optimum.loss if np.isfinite(optimum.gap) else math.inf
    return (not arrived, seconds if arrived else gap)


def _sgd(problem, radius, gap, options, limit):
    """Seconds and optimum of one setting; stopped when it takes longer than the limit."""
    solver = SGD(check_every=5, max_passes=1, **options)
    timed(problem, radius, solver, gap)  # compiles
    seconds, _ = timed(problem, radius, dataclasses.replace(solver, max_passes=5), gap)
    passes = min(MOST_PASSES, int(limit * 5 / seconds) + 1)
    return timed(problem, radius, dataclasses.replace(solver, max_passes=passes), gap)


def gap_table(problem, radius, gap, title, kind, times):
    """One row a solver; checks that the certificates agree with one another.

    Returns:
        Whether SGD arrived.
    """
    rows, optima = [], []
    for solver in SOLVERS[kind]:
        seconds, optimum = second_order(problem, radius, solver, gap)
        rows.append(
            {"what": solver.__name__, **_columns(optimum), "seconds": seconds, "setting": ""}
        )
        optima.append(optimum)
    patience = max(SECONDS, times * rows[0]["seconds"])
    seconds, optimum, setting = best_sgd(problem, radius, gap, patience)
    arrived = optimum.status.solved
    if not arrived:
        print(f"\nNo SGD arrives at {gap:g} within {patience:.3g} s or {MOST_PASSES} passes.")
    optima.append(optimum)
    what = "SGD" if arrived else "SGD, stopped"
    rows.append({"what": what, **_columns(optimum), "seconds": seconds, "setting": setting})
    lowest = min(optimum.loss for optimum in optima)
    for optimum in optima:
        assert optimum.loss - optimum.gap <= lowest, "a certificate is wrong"
    show(f"{title}, relative gap {gap:g}", rows, "seconds", SOLVERS[kind][0].__name__)
    return arrived


def _columns(optimum):
    return {
        "loss": optimum.loss,
        "gap/loss": optimum.gap / optimum.loss,
        "iterations": optimum.iterations,
    }


def prefixes(problem, radius, solver):
    """Prints the time of ten checkpoints at once, as a regret curve needs them."""
    total = problem.linear_map.groups
    groups = np.linspace(total / 10, total, 10).astype(int)
    for _ in range(2):
        start = time.perf_counter()
        optima = minimize_prefixes(problem, groups, [radius], solver())
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
    parser.add_argument(
        "--patience", type=float, default=50.0, help="how many times as long SGD may take"
    )
    options = parser.parse_args()
    print(machine())
    print(f"SGD: learning rates {LEARNING_RATES}, batches {BATCHES}, with and without averaging")
    run = nta.Run.open(options.run) if options.run else record_rounds(options.rounds)
    reader = nta.recorders.taylor_reader(run, options.record)
    neurons = nta.scopes.Scope(LAYER, tuple(range(options.neurons)))
    for kind, scope in (("neuron", neurons), ("layer", nta.scopes.Scope(LAYER))):
        for recorded in reader.problems(scope):
            radius = recorded.radius if options.radius is None else options.radius
            compare(recorded.problem, radius, recorded.name, kind, options.patience)


def compare(problem, radius, name, kind, times):
    """All tables of one problem."""
    title = f"{name}, {problem.linear_map.groups} groups, radius {radius:.3g}"
    for gap in GAPS:
        if not gap_table(problem, radius, gap, title, kind, times):
            print("Smaller gaps are left out: SGD would take longer still.")
            break
    prefixes(problem, radius, SOLVERS[kind][0])


if __name__ == "__main__":
    main()
