"""Table of exploration: totals of each measure by experiment, task, layer and optimizer."""

from pathlib import Path

import numpy as np
import pandas as pd

from reproduce import files, optimizers
from reproduce.pages import markdown
from reproduce.results import load, words
from reproduce.results.exploration import totals
from reproduce.results.runs import find_runs

_HEADS = {
    "minimum_hamming": "minimum Hamming distance, sum over epochs",
    "switches": "switches, mean over data points",
    "log_volume": "log-volume, mean over neurons",
}


def of_directory(root: str | Path) -> pd.DataFrame:
    """Totals of every experiment below a directory.

    Args:
        root: Directory of runs.

    Returns:
        A frame as `exploration.totals` gives it, without rows where no exploration was
        measured.

    Raises:
        ResultsError: If tables are missing or damaged.
    """
    runs, parts = find_runs(root), []
    for _, group in runs.groupby(["experiment", "task"], sort=False):
        exploration = load.read_exploration(group)
        if len(exploration["totals"]):
            parts.append(totals(exploration, load.read_losses(group)))
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()


def readable(table: pd.DataFrame) -> pd.DataFrame:
    """The totals as a reader wants them: a column a measure, means with their intervals.

    Args:
        table: Frame of `of_directory`.

    Returns:
        A frame of text: `experiment`, `task`, `layer` (the whole network first), `optimizer`,
        `seeds` and the three measures.
    """
    rows = []
    for (experiment, task, scope), group in table.groupby(
        ["experiment", "task", "scope"], sort=False
    ):
        for optimizer in optimizers.of_table(group):
            measured = optimizers.rows(group, optimizer)
            fate, name = measured["fate"].iloc[0], words.label(optimizer, str(task))
            rows.append(
                {
                    "experiment": experiment,
                    "task": task,
                    "layer": scope,
                    "optimizer": f"{name} ({fate})" if fate else name,
                    "seeds": measured["seeds"].iloc[0],
                    **{head: _cell(measured, measure) for measure, head in _HEADS.items()},
                }
            )
    return pd.DataFrame(rows)


def write(table: pd.DataFrame, out: str | Path) -> list[Path]:
    """Writes the totals as CSV, and as Markdown for readers.

    Args:
        table: Frame of `of_directory`.
        out: Directory, made when it is not there.

    Returns:
        The two paths written, `exploration.csv` and `exploration.md`; none without totals.
    """
    if table.empty:
        return []
    shown = readable(table)
    text = markdown.table(list(shown.columns), shown.to_numpy().tolist()) + "\n"
    return [
        files.write_csv(Path(out, "exploration.csv"), table, digits=6),
        files.write_text(Path(out, "exploration.md"), text),
    ]


def _cell(measured: pd.DataFrame, measure: str) -> str:
    row = measured[measured["measure"] == measure].iloc[0]
    digits = 1 if measure == "log_volume" else 4
    text = f"{row['mean']:.{digits}f}"
    if np.isfinite(row["low"]):
        text += f" [{row['low']:.{digits}f}, {row['high']:.{digits}f}]"
    return text
