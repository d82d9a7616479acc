"""Which reading of the paper its published figures show: one row a reading and experiment.

A reading says what V is compared with what; an experiment, how the network was built. Of every
pair the table has the numbers that Figure 4(b) and (c) show, and which of the paper's facts they
agree with.
"""

import numpy as np
import pandas as pd

from reproduce import optimizers, paper
from reproduce.results import select
from reproduce.results.select import Reading

# Figure 4(b) runs over these epochs.
_FIRST, _LAST = 20, 80
_KEY = ["experiment", "record", "reduction", "ball", "comparator", "scope"]
FACTS = {
    "positive": "regret is positive at every checkpoint of Figure 4(b)",
    "regret_on_axis": "regret / sqrt(N) lies on the axis of Figure 4(b)",
    "loss_on_axis": "the cumulative loss / sqrt(N) lies on the axis of Figure 4(c)",
    "flat": "regret / sqrt(N) changes by less than a half from epoch 20 to 80",
    "lower_loss": "RMSProp and Adam incur a lower loss than SGD",
    "smaller_gap": "RMSProp and Adam have a smaller gap to the Taylor optimum than SGD",
}
_FLAT = 1.5  # the larger of the two ends as a multiple of the smaller


def table(regret: pd.DataFrame, variant: str = optimizers.TENSORFLOW_2016) -> pd.DataFrame:
    """What each reading gives for the autoencoder, beside what the paper shows.

    Args:
        regret: Frame of `load.read_regret`.
        variant: Which variant of RMSProp and Adam.

    Returns:
        A frame with one row a (experiment, reading, layer): `experiment`, `record`,
        `reduction`, `ball`, `comparator`, `scope`; for each optimizer the mean over seeds of
        regret / sqrt(N) times 1000 at epochs 20 and 80 (`regret_20_adam`, ...), of the
        cumulative loss / sqrt(N) (`loss_80_adam`, ...) and the gap as a share of the loss
        (`share_80_adam`, ...); `seeds`; a boolean for each of `FACTS`, for the means; and
        `agrees`, how many of them hold.
    """
    rows = []
    solved = regret[(regret["task"] == "autoencoder") & (regret["scope"].str.match("dense_\\d+$"))]
    solved = solved.assign(ball=np.isfinite(solved["radius"]))
    for key, group in solved.groupby(_KEY, sort=False):
        shown = _shown(group, variant)
        if len(shown) == 3:
            numbers = {name: _numbers(rows_of) for name, rows_of in shown.items()}
            rows.append({**dict(zip(_KEY, key)), **_row(numbers)})
    if not rows:
        return pd.DataFrame(columns=[*_KEY, "seeds", *FACTS, "agrees"])
    ordered = pd.DataFrame(rows).sort_values(
        ["agrees", "experiment", "scope"], ascending=[False, True, True], kind="stable"
    )
    return ordered.reset_index(drop=True)


def reading_of(row: pd.Series) -> Reading:
    """The `Reading` of a row of the table."""
    return Reading(row["record"], bool(row["ball"]), row["comparator"])


def _shown(group: pd.DataFrame, variant: str) -> dict[str, pd.DataFrame]:
    """Rows by optimizer: RMSProp, Adam and the SGD with the largest rate."""
    shown: dict[str, pd.DataFrame] = {}
    for optimizer in select.of_variant(optimizers.of_table(group), variant):
        shown.setdefault(optimizer.name, optimizers.rows(group, optimizer))
    return {name: shown[name] for name in ("rmsprop", "adam", "sgd") if name in shown}


def _numbers(rows: pd.DataFrame) -> dict:
    """Means over seeds of what Figure 4 shows of one optimizer."""
    window = rows[rows["epoch"].between(_FIRST, _LAST)]
    root = np.sqrt(window["round"])
    scale = paper.REGRET_SCALE["autoencoder"]
    table = pd.DataFrame(
        {
            "epoch": window["epoch"],
            "regret": scale * window["regret"] / root,
            "loss": window["cumulative_loss"] / root,
            "share": window["regret"] / window["cumulative_loss"],
        }
    )
    means = table.groupby("epoch").mean()
    if means.empty:
        return {}
    return {
        "first": means.iloc[0],
        "last": means.iloc[-1],
        "low": means.min(),
        "high": means.max(),
        "seeds": rows["seed"].nunique(),
    }


def _row(numbers: dict[str, dict]) -> dict:
    row: dict = {}
    if not all(numbers.values()):
        return {"seeds": 0, **dict.fromkeys(FACTS, False), "agrees": 0}
    for name, of in numbers.items():
        row[f"regret_20_{name}"] = of["first"]["regret"]
        row[f"regret_80_{name}"] = of["last"]["regret"]
        row[f"loss_20_{name}"] = of["first"]["loss"]
        row[f"loss_80_{name}"] = of["last"]["loss"]
        row[f"share_80_{name}"] = of["last"]["share"]
    facts = _facts(numbers)
    seeds = min(of["seeds"] for of in numbers.values())
    return {**row, "seeds": seeds, **facts, "agrees": sum(facts.values())}


def _facts(numbers: dict[str, dict]) -> dict[str, bool]:
    every, adaptive = list(numbers.values()), [numbers["rmsprop"], numbers["adam"]]
    sgd = numbers["sgd"]["last"]
    regret_axis, loss_axis = paper.REGRET_AXIS["autoencoder"], paper.LOSS_AXIS

    def within(of: dict, column: str, axis: tuple[float, float]) -> bool:
        return bool(axis[0] <= of["low"][column] and of["high"][column] <= axis[1])

    def flat(of: dict) -> bool:
        ends = sorted([of["first"]["regret"], of["last"]["regret"]])
        return bool(ends[0] > 0 and ends[1] <= _FLAT * ends[0])

    return {
        "positive": all(bool(of["low"]["regret"] > 0) for of in every),
        "regret_on_axis": all(within(of, "regret", regret_axis) for of in every),
        "loss_on_axis": all(within(of, "loss", loss_axis) for of in every),
        "flat": all(flat(of) for of in every),
        "lower_loss": all(bool(of["last"]["loss"] < sgd["loss"]) for of in adaptive),
        "smaller_gap": all(bool(of["last"]["regret"] < sgd["regret"]) for of in adaptive),
    }
