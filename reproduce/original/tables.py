"""The three tables of a run, in the schema of this package's docstring."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from reproduce.original import optima
from reproduce.original.training import Recording

KEYS = ["optimizer", "learning_rate", "variant", "seed"]
COLUMNS = {
    "losses": [*KEYS, "epoch", "loss"],
    "regret": [
        *KEYS,
        *"scope comparator reduction round epoch cumulative_loss taylor_optimum regret".split(),
    ],
    "exploration": [*KEYS, "measure", "total"],
}
_SMALLEST = 1e-3  # singular values below count as this
_FIRST = 50  # epochs and singular values of a log-volume


def losses(recording: Recording) -> pd.DataFrame:
    """Mean loss of each epoch."""
    means = recording.losses.mean(axis=1)
    return pd.DataFrame({"epoch": np.arange(1, len(means) + 1), "loss": means})


def regret(recording: Recording, scope: str, reduction: str, loss: str) -> pd.DataFrame:
    """Regret at the end of each epoch, against one V for all rounds and one for each.

    Args:
        recording: A `Recording`.
        scope: Name of a layer, or of a neuron of it.
        reduction: One of `optima.REDUCTIONS`.
        loss: `"mse"` or `"cross_entropy"`.

    Returns:
        A frame without the columns that name the run.
    """
    snapshots = [optima.snapshot(one, scope, reduction) for one in recording.rounds]
    epochs = np.array([one.epoch for one in snapshots])
    ends = [n for n in range(len(epochs)) if n + 1 == len(epochs) or epochs[n + 1] > epochs[n]]
    incurred = np.cumsum([one.loss for one in snapshots])
    if loss == "mse":
        static = [value for value, _ in optima.least_squares(snapshots)]
        alone = [optima.least_squares([one])[0][0] for one in snapshots]
    else:
        static = [np.nan] * len(snapshots)
        for n in ends:
            static[n] = optima.descend(snapshots[: n + 1])[0]
        alone = [optima.descend([one])[0] for one in snapshots]
    rows = []
    for comparator, values in [("static", static), ("each_round", np.cumsum(alone).tolist())]:
        for n in ends:
            optimum = values[n]
            numbers = [incurred[n], optimum, incurred[n] - optimum]
            rows.append([scope, comparator, reduction, n + 1, epochs[n] + 1, *numbers])
    return pd.DataFrame(rows, columns=COLUMNS["regret"][len(KEYS) :])


def exploration(recording: Recording) -> pd.DataFrame:
    """The totals of the three measures of section 3.3."""
    bits = recording.bits
    distances = [min(np.mean(bits[n] != bits[k]) for k in range(n)) for n in range(1, len(bits))]
    volumes = []
    for neuron in range(bits.shape[2]):
        responses = bits[:_FIRST, :, neuron].astype(float)
        singular = np.linalg.svd(responses - responses.mean(axis=0), compute_uv=False)
        volumes.append(np.log(np.maximum(singular[:_FIRST], _SMALLEST)).sum())
    totals = {
        "minimum_hamming": np.sum(distances),
        "switches": np.mean(bits[1:] != bits[:-1]),
        "log_volume": np.mean(volumes),
    }
    return pd.DataFrame({"measure": list(totals), "total": list(totals.values())})


def named(table: pd.DataFrame, optimizer: str, rate: float, seed: int) -> pd.DataFrame:
    """A table with the columns that name its run."""
    return table.assign(optimizer=optimizer, learning_rate=rate, variant="2016", seed=seed)


def write(out: Path, parts: dict[str, list[pd.DataFrame]]) -> list[Path]:
    """Writes `losses.csv`, `regret.csv` and `exploration.csv`; returns their paths."""
    out.mkdir(parents=True, exist_ok=True)
    paths = []
    for name, columns in COLUMNS.items():
        paths.append(out / f"{name}.csv")
        pd.concat(parts[name])[columns].to_csv(paths[-1], index=False)
    return paths
