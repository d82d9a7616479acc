"""Results in a form that a port in any language can write: three CSV files, one row a number.

`losses.csv`       optimizer, learning_rate, variant, seed, epoch, loss
`regret.csv`       optimizer, learning_rate, variant, seed, scope, comparator, reduction, round,
                   epoch, cumulative_loss, taylor_optimum, regret
`exploration.csv`  optimizer, learning_rate, variant, seed, measure, total

Optimizers are `rmsprop`, `adam`, `sgd`; the variant is `tensorflow_2016`, `keras_3` or, of SGD,
`any`. Scopes are `network`, a layer (`dense_3`) or a neuron (`conv2d_2:7`); comparators `static`,
`each_round`, `each_epoch`; reductions `per_example` and `batch_mean`; `round` is N. Losses are
means over the steps of an epoch; measures are `minimum_hamming` (summed over epochs), `switches`
and `log_volume` (means). A file that is missing says nothing of its quantities.
"""

from pathlib import Path

import numpy as np
import pandas as pd

from reproduce import files
from reproduce.optimizers import COLUMNS
from reproduce.results import load, runs
from reproduce.results.runs import ResultsError, find_runs

FILES = {
    "losses": [*COLUMNS, "seed", "epoch", "loss"],
    "regret": [
        *COLUMNS,
        *"seed scope comparator reduction round epoch".split(),
        *"cumulative_loss taylor_optimum regret".split(),
    ],
    "exploration": [*COLUMNS, "seed", "measure", "total"],
}
_TEXT = {"optimizer", "variant", "scope", "comparator", "reduction", "measure"}


def read(directory: str | Path) -> dict[str, pd.DataFrame]:
    """Results of a set of runs, or of the three files.

    Args:
        directory: A directory of runs of one experiment, or one that holds at least one of
            the files.

    Returns:
        {name: frame with the columns of `FILES`}, empty where there is nothing.

    Raises:
        ResultsError: If there is neither, or a file is damaged.
    """
    directory = Path(directory)
    there = [name for name in FILES if (directory / f"{name}.csv").is_file()]
    if not there:
        return of_runs(find_runs(directory))
    empty = {name: pd.DataFrame(columns=columns) for name, columns in FILES.items()}
    return empty | {name: _read_file(directory / f"{name}.csv", FILES[name]) for name in there}


def of_runs(frame: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Results of runs of one experiment.

    Args:
        frame: Frame of `runs.find_runs`.

    Returns:
        As `read`; of records of one reduction, those with the most rounds an epoch, and V in
        the domain of their own protocol.

    Raises:
        ResultsError: If the runs do not belong together.
    """
    runs.require_one_protocol(frame)
    totals = load.read_exploration(frame)["totals"]
    regret = load.read_regret(frame)
    return {
        "losses": load.read_losses(frame)[FILES["losses"]],
        "regret": _one_record_a_reduction(frame, regret)[FILES["regret"]],
        "exploration": totals[totals["scope"] == "network"][FILES["exploration"]],
    }


def write(tables: dict[str, pd.DataFrame], out: str | Path) -> list[Path]:
    """Writes results as the three files.

    Args:
        tables: As `read` gives them.
        out: Directory, made when it is not there.

    Returns:
        The paths written.
    """
    return [files.write_csv(Path(out, f"{n}.csv"), t, digits=12) for n, t in tables.items()]


def quantities(tables: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """What two sets of results are compared by: one number a quantity, optimizer and seed.

    Args:
        tables: As `read` gives them.

    Returns:
        A frame with `quantity`, `scope` (or measure, or empty), `comparator`, `reduction`, the
        optimizer's three columns, `seed` and `value`: the training loss of the last epoch, the
        cumulative loss and regret over sqrt(N) at the last round, and the totals of exploration.
    """
    losses, regret = tables["losses"], tables["regret"]
    root = np.sqrt(regret["round"].astype(float))
    totals = tables["exploration"].rename(columns={"measure": "scope"})
    parts = [
        _last(losses.assign(value=losses["loss"]), "training loss"),
        _last(regret.assign(value=regret["cumulative_loss"] / root), "cumulative loss / sqrt(N)"),
        _last(regret.assign(value=regret["regret"] / root), "regret / sqrt(N)"),
        _last(totals.assign(value=totals["total"], epoch=0), "exploration"),
    ]
    return pd.concat([part for part in parts if len(part)], ignore_index=True)


def _last(table: pd.DataFrame, name: str) -> pd.DataFrame:
    """The value of the last epoch of each run, scope and reading."""
    keys = {key: table.get(key, "") for key in ("scope", "comparator", "reduction")}
    frame = table[[*COLUMNS, "seed", "epoch", "value"]].assign(quantity=name, **keys)
    order = frame.sort_values("epoch", kind="stable")
    return order.drop_duplicates([*COLUMNS, "seed", *keys], keep="last").drop(columns="epoch")


def _one_record_a_reduction(frame: pd.DataFrame, regret: pd.DataFrame) -> pd.DataFrame:
    domains: dict = {}
    for config in frame["config"]:
        domains |= config.get("domains", {})
    ball = np.isfinite(regret["radius"])
    own = regret[ball == (regret["record"].map(domains).fillna("ball") == "ball")]
    regret = own if len(own) else regret
    rounds = regret.groupby(["reduction", "record"])["round"].max().reset_index()
    most = rounds.sort_values("round").drop_duplicates("reduction", keep="last")
    return regret[regret["record"].isin(most["record"])]


def _read_file(path: Path, columns: list[str]) -> pd.DataFrame:
    try:
        table = pd.read_csv(path)
        missing = [column for column in columns if column not in table]
        if missing:
            raise ValueError(f"no column {', '.join(missing)}")
        numbers = [column for column in columns if column not in _TEXT]
        table[numbers] = table[numbers].apply(pd.to_numeric)
    except (OSError, ValueError, TypeError) as error:
        raise ResultsError(
            f"{path} cannot be read ({error}). Its columns must be {', '.join(columns)}."
        ) from error
    return table[columns]
