"""Which reading of the paper its published figures show: one row a reading and experiment.

A reading says what V is compared with what; an experiment, how the network was built. Of every
pair the table has the numbers that Figure 4(b) and (c) show, and which of the paper's facts they
agree with.
"""

from pathlib import Path

import numpy as np
import pandas as pd

from reproduce import files, optimizers, paper
from reproduce.results import load, runs, select
from reproduce.results.curves import shared
from reproduce.results.intervals import t_interval
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
        regret / sqrt(N) times 1000 at epochs 20 and 80 (`regret_20_adam`, ...), the latter's 95%
        t-interval (`low_80_adam`, `high_80_adam`, NaN below three seeds), the means of the
        cumulative loss / sqrt(N) (`loss_80_adam`, ...) and of the gap as a share of the loss
        (`share_80_adam`, ...); `seeds`, how many all three optimizers have; for each of `FACTS` a
        boolean, whether it holds of the means, and in how many seeds it does (`flat_seeds`, ...);
        and `agrees`, how many facts hold of the means.
    """
    rows = []
    solved = regret[(regret["task"] == "autoencoder") & (regret["scope"].str.match("dense_\\d+$"))]
    solved = solved.assign(ball=np.isfinite(solved["radius"]))
    for key, group in solved.groupby(_KEY, sort=False):
        shown = _shown(group, variant)
        curves = {name: _curves(rows_of) for name, rows_of in shown.items()}
        seeds = [set(of.index.unique("seed")) for of in curves.values()]
        if len(shown) == 3 and set.intersection(*seeds):
            rows.append({**dict(zip(_KEY, key)), **_row(curves, set.intersection(*seeds))})
    if not rows:
        return pd.DataFrame(columns=[*_KEY, "seeds", *FACTS, "agrees"])
    ordered = pd.DataFrame(rows).sort_values(
        ["agrees", "seeds", "experiment", "scope"],
        ascending=[False, False, True, True],
        kind="stable",
    )
    return ordered.reset_index(drop=True)


def write(root: str | Path, out: str | Path) -> list[Path]:
    """Writes the table of a directory of runs.

    Args:
        root: The directory.
        out: Directory of the table.

    Returns:
        Path of `readings.csv`; none where no three optimizers of the autoencoder were solved.
    """
    found = runs.find_runs(root)
    found = found[found["task"] == "autoencoder"]
    try:
        written = table(load.read_regret(found)) if len(found) else pd.DataFrame()
    except runs.NoResults:
        return []
    if written.empty:
        return []
    return [files.write_csv(Path(out, "readings.csv"), written, digits=6)]


def reading_of(row: pd.Series) -> Reading:
    """The `Reading` of a row of the table."""
    return Reading(row["record"], bool(row["ball"]), row["comparator"])


def holds(row: pd.Series, fact: str) -> str:
    """Whether a fact holds of a reading, in words.

    Args:
        row: A row of the table.
        fact: One of `FACTS`.

    Returns:
        `"yes"` or `"no"`, of the means, and where there are several seeds in how many of them it
        holds, such as `"yes (9 of 10)"`.
    """
    answer = "yes" if row[fact] else "no"
    if row["seeds"] < 2:
        return answer
    return f"{answer} ({row[f'{fact}_seeds']:.0f} of {row['seeds']:.0f})"


def _shown(group: pd.DataFrame, variant: str) -> dict[str, pd.DataFrame]:
    """Rows by optimizer: RMSProp, Adam and the SGD with the largest rate."""
    shown: dict[str, pd.DataFrame] = {}
    for optimizer in select.of_variant(optimizers.of_table(group), variant):
        shown.setdefault(optimizer.name, optimizers.rows(group, optimizer))
    return {name: shown[name] for name in ("rmsprop", "adam", "sgd") if name in shown}


def _curves(rows: pd.DataFrame) -> pd.DataFrame:
    """What Figure 4 shows of one optimizer: columns by (seed, epoch)."""
    window = rows[rows["epoch"].between(_FIRST, _LAST)]
    root = np.sqrt(window["round"])
    table = pd.DataFrame(
        {
            "seed": window["seed"],
            "epoch": window["epoch"],
            "regret": paper.REGRET_SCALE["autoencoder"] * window["regret"] / root,
            "loss": window["cumulative_loss"] / root,
            "share": window["regret"] / window["cumulative_loss"],
        }
    )
    return table.set_index(["seed", "epoch"])


def _row(curves: dict[str, pd.DataFrame], seeds: set[int]) -> dict:
    row: dict = {}
    curves = {name: _of_seeds(of, seeds) for name, of in curves.items()}
    for name, of in curves.items():
        first, last = (_at_end(of, which) for which in ("first", "last"))
        row[f"regret_20_{name}"] = first["regret"].mean()
        row[f"regret_80_{name}"] = last["regret"].mean()
        row[f"low_80_{name}"], row[f"high_80_{name}"] = t_interval(last["regret"])
        row[f"loss_20_{name}"] = first["loss"].mean()
        row[f"loss_80_{name}"] = last["loss"].mean()
        row[f"share_80_{name}"] = last["share"].mean()
    facts = _facts({name: of.groupby("epoch").mean() for name, of in curves.items()})
    alone = [_facts({name: of.loc[seed] for name, of in curves.items()}) for seed in sorted(seeds)]
    held = {f"{fact}_seeds": sum(of_seed[fact] for of_seed in alone) for fact in FACTS}
    return {**row, "seeds": len(seeds), **facts, **held, "agrees": sum(facts.values())}


def _of_seeds(curves: pd.DataFrame, seeds: set[int]) -> pd.DataFrame:
    """Rows of those seeds, at the checkpoints that all of them have."""
    rows = curves[curves.index.isin(seeds, "seed")]
    epochs = shared(rows.reset_index(), "epoch", ["seed"])
    return rows[rows.index.isin(epochs, "epoch")]


def _at_end(curves: pd.DataFrame, which: str) -> pd.DataFrame:
    """Each seed's numbers at the first or the last epoch of the window."""
    return getattr(curves.sort_index().groupby("seed"), which)()


def _facts(curves: dict[str, pd.DataFrame]) -> dict[str, bool]:
    """Which of `FACTS` hold of three curves, one row an epoch."""
    curves = {name: of.sort_index() for name, of in curves.items()}
    sgd = curves["sgd"].iloc[-1]
    adaptive = [curves["rmsprop"].iloc[-1], curves["adam"].iloc[-1]]
    regret_axis, loss_axis = paper.REGRET_AXIS["autoencoder"], paper.LOSS_AXIS

    def within(column: str, axis: tuple[float, float]) -> bool:
        return all(bool(of[column].between(*axis).all()) for of in curves.values())

    def flat(of: pd.DataFrame) -> bool:
        ends = sorted([of["regret"].iloc[0], of["regret"].iloc[-1]])
        return bool(ends[0] > 0 and ends[1] <= _FLAT * ends[0])

    return {
        "positive": all(bool((of["regret"] > 0).all()) for of in curves.values()),
        "regret_on_axis": within("regret", regret_axis),
        "loss_on_axis": within("loss", loss_axis),
        "flat": all(flat(of) for of in curves.values()),
        "lower_loss": all(bool(of["loss"] < sgd["loss"]) for of in adaptive),
        "smaller_gap": all(bool(of["regret"] < sgd["regret"]) for of in adaptive),
    }
