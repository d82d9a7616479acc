"""Cumulative losses, Taylor optima and regret (Theorem 2), as tables."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from nta_tf import comparators, scopes
from nta_tf.recorders import taylor_reader
from nta_tf.trace import Run, as_run

COLUMNS = (
    "round epoch cumulative_loss taylor_optimum regret regret_over_sqrt_n gap radius "
    "distance rank status network_loss scope"
).split()


def regret(
    run_or_directory: Run | str | os.PathLike[str],
    scope: Any,
    record: str | None = None,
    radius: float | Sequence[float | None] | None = None,
    progress: Callable[[list[Any]], Iterable[Any]] | None = None,
    *,
    checkpoints: int | None = None,
    solver: Any = "auto",
    tolerance: float = 1e-3,
    comparator: str = "static",
) -> pd.DataFrame:
    """Cumulative loss, Taylor optimum and regret at checkpoint rounds (Theorem 2).

    With N recorded rounds, regret(N) is the loss incurred on them minus the minimum over
    one V of their cumulative Taylor loss. It may be negative: the theorem bounds it from
    above only. With another comparator than `"static"` V may change from round to round, or
    from epoch to epoch, and minima are summed: what the same columns then hold is dynamic regret,
    which the theorem does not bound.

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
        progress: Function that wraps the list of (name of the scope, epoch) pairs at which
            optima are found, such as `tqdm.tqdm`, to show progress.
        checkpoints: At the end of how many epochs, evenly spaced, the optimum is found.
            Defaults to all of them for quadratics and to 20 where there is no closed form.
        solver: Solver where there is no closed form; see `nta.solvers.minimize`.
        tolerance: Relative gap up to which an optimum counts as found. On a ball, where the last
            digits cost little, the solver aims at much less, since regret is a small difference
            of large numbers. A cross-entropy on a ball that is less than 1e-4 of the
            cumulative loss counts as found too: it may be zero, and regret is that loss. So does
            a gap of that size, where there is a V for each round or epoch.
        comparator: `"static"`, one V for all rounds; `"each_epoch"`, a V for the rounds of each
            epoch; or `"each_round"`, a V for each round alone. All range over the same ball.

    Returns:
        A `pandas.DataFrame` with one row a checkpoint round: `round` (N), `epoch`,
        `cumulative_loss`, `taylor_optimum`, `regret`, `regret_over_sqrt_n`, `gap` (bound on
        how far the Taylor optimum may lie below), `radius`, `distance` (of the minimiser
        from the centre; of several the largest), `rank` (of one V), `status` (of several minima
        the worst), `network_loss`, which is cumulative too: that of the
        whole minibatches of the rounds, where the record took some of their examples, in training
        mode (which differs for models with dropout or BatchNormalization: Taylor losses and
        `cumulative_loss` are those of inference mode), and
        `scope` (`"network"`, `"dense_3"` or `"dense_3:7"`).

    Raises:
        ValueError: For an unknown record, scope or comparator, a neuron that is not there, or a
            V for each round of a record that keeps sums over several of them.

    Example:

    >>> import nta_tf as nta
    >>> digits = nta.data.load("sample").x[:256].reshape(256, 784)
    >>> run = nta.train(nta.models.autoencoder(seed=0), digits, digits, optimizer="sgd",
    ...                 epochs=3, batch_size=64, recorders=[nta.TaylorRounds(["dense_3"])])
    >>> table = nta.regret(run, "dense_3", radius=float("inf"))
    >>> table["round"].tolist()
    [4, 8, 12]
    """
    comparators.check(comparator)
    run, scope = as_run(run_or_directory), scopes.parse(scope)
    reader = taylor_reader(run, record)
    radii = list(radius) if isinstance(radius, (list, tuple)) else [radius]
    epochs = reader.checkpoint_epochs(checkpoints)
    ticks = iter((progress or iter)([(name, epoch) for name in scope.names for epoch in epochs]))
    rounds = np.cumsum(reader.rounds)[epochs]
    losses = np.stack(reader.cumulative_losses(epochs), axis=1)
    tables = []
    for problem in reader.problems(scope):
        limits = [problem.radius if limit is None else float(limit) for limit in radii]
        rows = []
        optima = problem.cumulative_optima(comparator, epochs, limits, solver, tolerance)
        for count, epoch, (incurred, network), on_balls in zip(rounds, epochs, losses, optima):
            next(ticks)
            for limit, optimum in zip(limits, on_balls):
                evidence = (limit, optimum.distance, optimum.rank, optimum.status.name)
                of_loss = _regret(int(count), epoch, float(incurred), optimum)
                rows.append((*of_loss, *evidence, float(network), problem.name))
        table = pd.DataFrame(rows, columns=COLUMNS)
        tables.append(table.sort_values(["radius", "round"], ignore_index=True))
    next(ticks, None)  # lets a progress bar end
    return pd.concat(tables, ignore_index=True)


def _regret(count, epoch, incurred, optimum):
    difference = incurred - optimum.loss
    over_root = difference / math.sqrt(count)
    return count, epoch + 1, incurred, optimum.loss, difference, over_root, optimum.gap
