"""Cumulative losses, Taylor optima and regret (Theorem 2), as tables."""

import dataclasses
import math

import numpy as np
import pandas as pd

from nta_tf.solvers import Status, minimize_on_balls, minimize_prefixes
from nta_tf.taylor_problems import RecordedQuadratic, RecordedRounds, scopes
from nta_tf.trace import as_run

CHECKPOINTS = 20
_AIM_ON_BALL = 1e-7
# Cross-entropies on a ball below this share of the cumulative loss are as good as zero: where
# examples are separated they fall on to e^-30, and regret is the cumulative loss.
_NEGLIGIBLE = 1e-4


def regret(
    run_or_directory,
    scope,
    record=None,
    radius=None,
    progress=None,
    *,
    checkpoints=None,
    solver="auto",
    tolerance=1e-3,
):
    """Cumulative loss, Taylor optimum and regret at checkpoint rounds (Theorem 2).

    With N recorded rounds, regret(N) is the loss incurred on them minus the minimum over
    one V of their cumulative Taylor loss. It may be negative: the theorem bounds it from
    above only.

    Args:
        run_or_directory: A run of `nta.train` with a `nta.TaylorRounds` recorder, or its
            directory.
        scope: `"network"` (all recorded layers vary together), a layer by name (`"dense_3"`), a
            neuron of it (`("dense_3", 7)` or `"dense_3:7"`) or several neurons, one at a
            time (`("dense_3", [1, 7])`).
        record: Name of the record; may be left out when the run has only one.
        radius: Radius D of the ball around the centre of the trajectory {W^n} over which
            V may range. None is the largest distance from the centre on that trajectory
            (normal equations know it at the first recorded round and the last one of each
            epoch); `math.inf` lets V range freely. A list of radii gives the rows of each.
        progress: Function that wraps the iterable of epochs (of neurons, if there are
            several), such as `tqdm.tqdm`, to show progress.
        checkpoints: At the end of how many epochs, evenly spaced, the optimum is found.
            Defaults to all of them for quadratics and to 20 where there is no closed form.
        solver: Solver where there is no closed form; see `nta.solvers.minimize`.
        tolerance: Relative gap up to which an optimum counts as found. On a ball, where the last
            digits cost little, the solver aims at much less, since regret is a small difference
            of large numbers. A cross-entropy on a ball that is less than 1e-4 of the
            cumulative loss counts as found too: it may be zero, and regret is that loss.

    Returns:
        A `pandas.DataFrame` with one row a checkpoint round: `round` (N), `epoch`,
        `cumulative_loss`, `taylor_optimum`, `regret`, `regret_over_sqrt_n`, `gap` (bound on
        how far the Taylor optimum may lie below), `radius`, `distance` (of the minimiser
        from the centre), `rank`, `status`, and `network_loss`, which is cumulative too: that of the
        whole minibatches of the rounds, where the record took some of their examples. With several
        neurons `scope` stands before them.

    Raises:
        ValueError: For an unknown record or scope, or a neuron that is not there.

    Example:

    >>> import nta_tf as nta
    >>> digits = nta.data.load("sample").x[:256].reshape(256, 784)
    >>> run = nta.train(nta.models.autoencoder(seed=0), digits, digits, optimizer="sgd",
    ...                 epochs=3, batch_size=64, recorders=[nta.TaylorRounds(["dense_3"])])
    >>> table = nta.regret(run, "dense_3", radius=float("inf"))
    >>> table["round"].tolist()
    [4, 8, 12]
    """
    run, scope = as_run(run_or_directory), scopes.parse(scope)
    record = _record_name(run, record)
    config = run.config["records"][record]
    scopes.check_layer(record, scope.layer, config["layers"])
    radii = list(radius) if isinstance(radius, (list, tuple)) else [radius]
    progress = progress or iter
    if config.get("form", "normal_equations") == "normal_equations":
        tables = _quadratic_tables(run, record, scope, radii, checkpoints, progress)
    else:
        solving = {"solver": solver, "tolerance": tolerance}
        count = checkpoints or CHECKPOINTS
        tables = _gradient_tensor_tables(run, record, scope, radii, count, progress, solving)
    tables = [table.sort_values(["radius", "round"], ignore_index=True) for table in tables]
    if len(tables) == 1:
        return tables[0]
    for name, table in zip(scope.names, tables):
        table.insert(0, "scope", name)
    return pd.concat(tables, ignore_index=True)


def _quadratic_tables(run, record, scope, radii, checkpoints, progress):
    if scope.layer is None:
        raise ValueError(
            f"Record {record!r} keeps the normal equations of each layer alone; the network needs "
            "a record with form=\"gradient_tensors\". Received: scope 'network'"
        )
    tables = []
    for neuron in scope.neurons or [None]:
        problem = RecordedQuadratic(run, record, scope.layer, neuron)
        own = [problem.radius if r is None else float(r) for r in radii]
        epochs, rows = problem.epochs, []
        chosen = set(_evenly(epochs, checkpoints or len(epochs)))
        for rounds, epoch, incurred, quadratic in problem.prefixes(progress(epochs)):
            if epoch in chosen:
                optima = minimize_on_balls(quadratic, own)
                for limit, optimum in zip(own, optima):
                    distance = np.linalg.norm(optimum.weights - problem.centre)
                    losses = (incurred, incurred)
                    rows.append(_row(rounds, epoch + 1, losses, optimum, limit, distance))
        tables.append(pd.DataFrame(rows, columns=_COLUMNS))
    return tables


def _gradient_tensor_tables(run, record, scope, radii, checkpoints, progress, solving):
    rounds = RecordedRounds(run, record)
    chosen = _evenly(np.flatnonzero(rounds.rounds), checkpoints)
    counts = np.cumsum(rounds.rounds)[chosen]
    incurred = np.cumsum(rounds.losses)[counts - 1]
    of_network = np.cumsum(rounds.network_losses)[counts - 1]
    tables = []
    names = iter(progress(scope.names))
    for problem, reach in rounds.problems(scope):
        next(names)
        own = [reach if r is None else float(r) for r in radii]
        groups = (counts * rounds.groups_a_round).tolist()
        negligible = _NEGLIGIBLE * incurred if problem.loss == "cross_entropy" else 0.0
        optima = _optima(problem, groups, own, negligible, **solving)
        rows = [
            _row(int(n), epoch + 1, losses, optimum, limit, _length(problem, optimum.weights))
            for n, epoch, *losses, of_radii in zip(counts, chosen, incurred, of_network, optima)
            for limit, optimum in zip(own, of_radii)
        ]
        tables.append(pd.DataFrame(rows, columns=_COLUMNS))
    next(names, None)  # lets a progress bar end
    return tables


def _optima(problem, groups, radii, negligible, solver, tolerance):
    """For each number of groups an `Optimum` for each radius."""
    aims = [
        min(_AIM_ON_BALL, tolerance) if math.isfinite(radius) else tolerance / 2 for radius in radii
    ]
    return [
        [_accepted(*each, problem, tolerance) for each in zip(of_radii, radii)]
        for of_radii in minimize_prefixes(
            problem, groups, radii, solver, tolerance=aims, negligible=negligible
        )
    ]


def _accepted(optimum, radius, problem, tolerance):
    """The optimum; one that missed the aim but not the tolerance counts as found."""
    unfinished = optimum.status in (Status.STALLED, Status.MAX_ITERATIONS)
    if not unfinished or not optimum.gap <= tolerance * optimum.loss:
        return optimum
    on_ball = _length(problem, optimum.weights) > (1 - 1e-6) * radius
    return dataclasses.replace(optimum, status=Status.ON_BALL if on_ball else Status.OPTIMAL)


def _evenly(epochs, count):
    """`count` of the epochs, evenly spaced, with the last one."""
    ends = np.arange(1, count + 1) * len(epochs) // count - 1
    return [int(epoch) for epoch in epochs[np.unique(ends[ends >= 0])]]


def _length(problem, weights):
    displacement = problem.displacement(weights)
    parts = displacement if isinstance(displacement, list) else [displacement]
    return math.sqrt(sum(float(np.sum(np.square(part))) for part in parts))


_COLUMNS = (
    "round epoch cumulative_loss taylor_optimum regret regret_over_sqrt_n gap radius "
    "distance rank status network_loss"
).split()


def _row(round_number, epoch, losses, optimum, radius, distance):
    incurred, of_network = losses
    difference = incurred - optimum.loss
    return (
        round_number,
        epoch,
        incurred,
        optimum.loss,
        difference,
        difference / math.sqrt(round_number),
        optimum.gap,
        radius,
        float(distance),
        optimum.rank,
        optimum.status.name,
        of_network,
    )


def _record_name(run, record):
    names = [
        name for name, config in run.config["records"].items() if config["kind"] == "taylor_rounds"
    ]
    if record is None and len(names) == 1:
        return names[0]
    if record not in names:
        raise ValueError(f"Taylor records of {run!r} are {names}. Received: record={record!r}")
    return record
