"""The curves of Figure 5, and the totals over them: one number a measure, scope and run."""

from dataclasses import dataclass

import pandas as pd
from scipy.special import stdtrit

from reproduce import curves, style

# The measures of section 3.3 in the paper's order.
MEASURES = ["minimum_hamming", "switches", "log_volume"]
_CONFIDENCE = 0.95


@dataclass(frozen=True)
class ExplorationCurves:
    """Curves of one task, of all units of its network.

    Attributes:
        task: Name of the task.
        measures: Dictionary from each of `MEASURES` to a dictionary from optimizer label to
            `curves.Curve`: minimum Hamming distance over epochs, switches over data points
            and log-volumes over neurons, both sorted from the largest to the smallest.
        paths: Paths of the runs behind the curves.
        missing: Labels of optimizers that were trained, but of which nothing was measured.
        shorter: Labels of those without switches or log-volumes, which are shares and
            volumes of all epochs, because they diverged before the others had ended.
    """

    task: str
    measures: dict
    paths: list
    missing: list
    shorter: list


def exploration_curves(exploration, losses, task, scope="network"):
    """Curves of every optimizer of a task.

    Args:
        exploration: Frames of `tables.read_exploration`.
        losses: Frame of `tables.read_losses`.
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
    trained = style.in_order(losses["optimizer"])
    return ExplorationCurves(
        task,
        measures,
        paths=[path for path in shown if path in measured],
        missing=[label for label in trained if label not in drawn],
        shorter=[label for label in drawn if any(label not in measures[m] for m in MEASURES)],
    )


def comparable(losses):
    """Runs that one optimizer's mean may be taken over: those that finished.

    Measures of a diverged run are of the epochs that it had, so they are shown only where
    every run of the optimizer diverged.

    Args:
        losses: Frame of `tables.read_losses`, of one task.

    Returns:
        A list of paths.
    """
    found = []
    for _, rows in losses.groupby("optimizer"):
        finished = rows[rows["status"] != "diverged"]
        found += list((finished if len(finished) else rows)["run"].unique())
    return found


def totals(exploration, losses):
    """Totals of each measure over seeds, with their intervals.

    Args:
        exploration: Frames of `tables.read_exploration`.
        losses: Frame of `tables.read_losses` of the same runs.

    Returns:
        A frame with one row a (set, task, scope, measure, optimizer): `seeds` (how many),
        `mean`, `low` and `high` (95% t-interval, NaN below three seeds), `by_seed` (each
        seed's total), `rounds`, `values`, `floor`, `rank` (mean rank of the neurons),
        `diverged` (whether all runs did) and `fate` (of diverged runs in words, or empty).
    """
    keys = ["set", "task", "scope", "measure", "optimizer"]
    rows, table = [], exploration["totals"]
    for (name, task), runs in losses.groupby(["set", "task"], sort=False):
        measured = table[(table["set"] == name) & (table["task"] == task)]
        measured = measured[measured["run"].isin(comparable(runs))]
        for key, group in measured.groupby(keys, sort=False):
            own = runs[runs["optimizer"] == key[-1]]
            fate = {"diverged": _all_diverged(own), "fate": curves.diverged(own)}
            rows.append({**dict(zip(keys, key)), **_total(group), **fate})
    numbers = "seeds mean low high by_seed rounds values floor rank diverged fate".split()
    return pd.DataFrame(rows, columns=[*keys, *numbers])


def interval(values):
    """95% interval of a mean, by Student's t.

    Args:
        values: Series of numbers, one a seed.

    Returns:
        Its lower and upper end, NaN where there are fewer than three numbers.

    Example:

    >>> import pandas as pd
    >>> interval(pd.Series([1.0, 2.0, 3.0]))
    (-0.48, 4.48)
    """
    count = len(values)
    if count < 3:
        return float("nan"), float("nan")
    half = stdtrit(count - 1, (1 + _CONFIDENCE) / 2) * values.std(ddof=1) / count**0.5
    return float(values.mean() - half), float(values.mean() + half)


def _all_diverged(losses):
    return bool((losses["status"] == "diverged").all())


def _total(group):
    low, high = interval(group["total"])
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


def _whole(exploration, shown, measure):
    """The runs that a measure's curves are of: of the sorted ones, those of all rounds."""
    totals = exploration["totals"]
    totals = totals[totals["run"].isin(shown) & (totals["measure"] == measure)]
    if measure == "minimum_hamming":  # a curve over epochs simply ends
        return list(totals["run"])
    return list(totals["run"][totals["rounds"] == totals["rounds"].max()])


def _curves(table, shown, measure, scope):
    along = "epoch" if measure == "minimum_hamming" else "position"
    rows = table[table["run"].isin(shown) & (table["scope"] == scope)]
    return {
        label: curves.over_seeds(
            rows[rows["optimizer"] == label], measure, index=along, along=along
        )
        for label in style.in_order(rows["optimizer"])
    }
