"""Table of exploration: totals of each measure by task, layer and optimizer."""

from pathlib import Path

import numpy as np
import pandas as pd

from reproduce import exploration_curves, style, tables

_HEADS = {
    "minimum_hamming": "minimum Hamming distance, sum over epochs",
    "switches": "switches, mean over data points",
    "log_volume": "log-volume, mean over neurons",
}


def totals(root):
    """Totals of every result set below a directory.

    Args:
        root: Directory of runs, or of several result sets.

    Returns:
        A frame as `exploration_curves.totals` gives it, without rows where no exploration
        was measured.

    Raises:
        ResultsError: If tables are missing or damaged.
    """
    found = []
    for _, runs in tables.find_runs(root).groupby("set"):
        exploration = tables.read_exploration(runs)
        if len(exploration["totals"]):
            found.append(exploration_curves.totals(exploration, tables.read_losses(runs)))
    return pd.concat(found, ignore_index=True) if found else pd.DataFrame()


def readable(table):
    """The totals as a reader wants them: a column a measure, means with their intervals.

    Args:
        table: Frame of `totals`.

    Returns:
        A frame of text: `set`, `task`, `layer` (the whole network first), `optimizer`,
        `seeds` and the three measures.
    """
    order = {label: place for place, label in enumerate(style.in_order(table["optimizer"]))}
    rows = []
    keys = ["set", "task", "scope"]
    for key, group in table.groupby(keys, sort=False):
        for label in sorted(group["optimizer"].unique(), key=order.get):
            own = group[group["optimizer"] == label].set_index("measure")
            fate = own["fate"].iloc[0]
            rows.append(
                {
                    "set": key[0],
                    "task": key[1],
                    "layer": key[2],
                    "optimizer": f"{label} ({fate})" if fate else label,
                    "seeds": own["seeds"].iloc[0],
                    **{head: _cell(own.loc[measure]) for measure, head in _HEADS.items()},
                }
            )
    return pd.DataFrame(rows)


def _cell(row):
    digits = 1 if row.name == "log_volume" else 4
    text = f"{row['mean']:.{digits}f}"
    if np.isfinite(row["low"]):
        text += f" [{row['low']:.{digits}f}, {row['high']:.{digits}f}]"
    return text


def write(table, out, markdown):
    """Writes the totals as CSV, and as Markdown for readers.

    Args:
        table: Frame of `totals`.
        out: Directory, made when it is not there.
        markdown: Function that makes Markdown of a frame.

    Returns:
        The two paths written, `exploration.csv` and `exploration.md`.
    """
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    csv, text = out / "exploration.csv", out / "exploration.md"
    table.to_csv(csv, index=False, float_format="%.6g")
    text.write_text(markdown(readable(table)))
    return [csv, text]
