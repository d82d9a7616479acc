"""Exploration over seeds: the curves of Figure 5, and one total a measure, scope and optimizer."""

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from reproduce import optimizers
from reproduce.optimizers import COLUMNS, Optimizer
from reproduce.paper import MEASURES
from reproduce.results import words
from reproduce.results.curves import Curve, over_seeds
from reproduce.results.intervals import t_interval

_KEYS = ["experiment", "task", "scope", "measure", *COLUMNS]
_NUMBERS = "seeds mean low high by_seed rounds values floor rank diverged fate".split()


@dataclass(frozen=True)
class ExplorationCurves:
    """Curves of one task, of all units of its network.

    Attributes:
        task: Name of the task.
        measures: {each of `paper.MEASURES`: {optimizer: `Curve`}}: minimum Hamming distance
            over epochs, switches over data points and log-volumes over neurons, both sorted
            from the largest to the smallest.
        paths: Paths of the runs behind the curves.
        missing: Optimizers that were trained, but of which nothing was measured.
        shorter: Those without switches or log-volumes, which are shares and volumes of all
            epochs, because they diverged before the others had ended.
    """

    task: str
    measures: Mapping[str, Mapping[Optimizer, Curve]]
    paths: list[str]
    missing: list[Optimizer]
    shorter: list[Optimizer]


def exploration_curves(
    exploration: Mapping[str, pd.DataFrame],
    losses: pd.DataFrame,
    task: str,
    scope: str = "network",
) -> ExplorationCurves | None:
    """Curves of every optimizer of a task.

    Args:
        exploration: Frames of `load.read_exploration`, of one experiment.
        losses: Frame of `load.read_losses` of the same runs.
        task: Name of the task.
        scope: `"network"`, or the name of a layer.

    Returns:
        `ExplorationCurves`, or `None` when nothing of the scope was measured.
    """
    losses = losses[losses["task"] == task]
    shown = comparable(losses)
    measures = {
        name: _curves(exploration[name], _whole(exploration, shown, name), name, scope)
        for name in MEASURES
    }
    drawn = measures["minimum_hamming"]
    if not drawn:
        return None
    measured = set(exploration["totals"]["run"])
    return ExplorationCurves(
        task,
        measures,
        paths=[path for path in shown if path in measured],
        missing=[one for one in optimizers.of_table(losses) if one not in drawn],
        shorter=[one for one in drawn if any(one not in measures[name] for name in MEASURES)],
    )


def comparable(losses: pd.DataFrame) -> list[str]:
    """Runs that one optimizer's mean may be taken over: those that finished.

    Measures of a diverged run are of the epochs that it had, so they are shown only where
    every run of the optimizer diverged.

    Args:
        losses: Frame of `load.read_losses`, of one task and experiment.

    Returns:
        A list of paths.
    """
    paths: list[str] = []
    for optimizer in optimizers.of_table(losses):
        trained = optimizers.rows(losses, optimizer)
        finished = trained[trained["status"] != "diverged"]
        paths += list((finished if len(finished) else trained)["run"].unique())
    return paths


def totals(exploration: Mapping[str, pd.DataFrame], losses: pd.DataFrame) -> pd.DataFrame:
    """Totals of each measure over seeds, with their intervals.

    Args:
        exploration: Frames of `load.read_exploration`.
        losses: Frame of `load.read_losses` of the same runs.

    Returns:
        A frame with one row an (experiment, task, scope, measure, optimizer, learning_rate,
        variant): `seeds` (how many), `mean`, `low` and `high` (95% t-interval, NaN below
        three seeds), `by_seed` (each seed's total), `rounds`, `values`, `floor`, `rank` (mean
        rank of the neurons), `diverged` (whether all runs did) and `fate` (of diverged runs
        in words, or empty).
    """
    rows, table = [], exploration["totals"]
    for (experiment, task), trained in losses.groupby(["experiment", "task"], sort=False):
        measured = table[(table["experiment"] == experiment) & (table["task"] == task)]
        measured = measured[measured["run"].isin(comparable(trained))]
        for key, group in measured.groupby(_KEYS, sort=False):
            of_optimizer = optimizers.rows(trained, optimizers.of_table(group)[0])
            fate = {
                "diverged": bool((of_optimizer["status"] == "diverged").all()),
                "fate": words.diverged(of_optimizer),
            }
            rows.append({**dict(zip(_KEYS, key)), **_total(group), **fate})
    return pd.DataFrame(rows, columns=[*_KEYS, *_NUMBERS])


def _total(group: pd.DataFrame) -> dict:
    low, high = t_interval(group["total"])
    smallest = group[["rounds", "values", "floor"]].min()
    return {
        "seeds": len(group),
        "mean": group["total"].mean(),
        "low": low,
        "high": high,
        "by_seed": dict(zip(group["seed"], group["total"])),
        **smallest,
        "rank": group["rank"].mean(),
    }


def _whole(exploration: Mapping[str, pd.DataFrame], shown: list[str], measure: str) -> list[str]:
    """The runs that a measure's curves are of: of the sorted ones, those of all rounds."""
    table = exploration["totals"]
    table = table[table["run"].isin(shown) & (table["measure"] == measure)]
    if measure == "minimum_hamming":  # a curve over epochs simply ends
        return list(table["run"])
    return list(table["run"][table["rounds"] == table["rounds"].max()])


def _curves(
    table: pd.DataFrame, shown: list[str], measure: str, scope: str
) -> dict[Optimizer, Curve]:
    along = "epoch" if measure == "minimum_hamming" else "position"
    table = table[table["run"].isin(shown) & (table["scope"] == scope)]
    return {
        one: over_seeds(optimizers.rows(table, one), measure, index=along, along=along)
        for one in optimizers.of_table(table)
    }
