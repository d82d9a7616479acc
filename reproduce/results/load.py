"""Saved results as tidy tables: the only place that reads them from disk."""

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
from pandas.api.types import is_numeric_dtype

from reproduce import files, paths
from reproduce.results.runs import (
    IDENTITY,
    ResultsError,
    activation_records,
    find_runs,
    norm_records,
    taylor_records,
)

_LOSSES = "epoch loss last_loss accuracy status".split()
_REGRET = (
    "record reduction comparator scope radius round epoch cumulative_loss taylor_optimum regret "
    "regret_over_sqrt_n gap status network_loss"
).split()
_EXPONENTS = (
    "record comparator scope radius exponent low high first_epoch last_epoch status".split()
)
_BOUND = (
    "record scope radius round epoch regret bound slack d g g_d_root_n linearized_regret rounding "
    "step_rounding"
).split()
_EXPLORATION = {
    "minimum_hamming": (paths.MINIMUM_HAMMING, "scope epoch minimum_hamming".split()),
    "switches": (paths.SWITCHES, "scope position switches".split()),
    "log_volume": (paths.LOG_VOLUME, "scope position log_volume rank".split()),
    "totals": (
        paths.EXPLORATION,
        "scope measure total count rounds values floor rank".split(),
    ),
}
_TEXT = {"record", "reduction", "comparator", "scope", "status", "measure"}

# Figures and tables rest on optima whose gap is at most this fraction of them.
LARGEST_GAP = 1e-3
# Of an optimum that is all but zero the gap is as large as itself; what counts for regret is
# then how large it is as a fraction of the cumulative loss.
NEGLIGIBLE = 1e-4
# Names of those `nta_tf.solvers.Status` that end with a minimum, spelled out here because
# drawing must not import TensorFlow.
_SOLVED = {"OPTIMAL", "RANK_DEFICIENT", "ON_BALL"}


def read_losses(runs: str | Path | pd.DataFrame) -> pd.DataFrame:
    """Training losses, one row an epoch of a run (Figure 6).

    Args:
        runs: Directory of runs, or the frame that `find_runs` gave.

    Returns:
        A frame with the columns of `runs.IDENTITY` and `epoch`, `loss`, `last_loss`,
        `accuracy` (NaN where it was not measured) and `status`.

    Raises:
        ResultsError: If a run's table is missing or damaged.
    """
    return _read(runs, paths.LOSSES, _LOSSES)


def read_regret(runs: str | Path | pd.DataFrame) -> pd.DataFrame:
    """Cumulative losses, Taylor optima and regret (Figures 3 and 4).

    Args:
        runs: Directory of runs, or the frame that `find_runs` gave.

    Returns:
        A frame with the columns of `runs.IDENTITY` and one row a (record, comparator, scope,
        radius, checkpoint round): `record`, `reduction`, `comparator`, `scope`, `radius`,
        `round`, `epoch`, `cumulative_loss`, `taylor_optimum`, `regret`, `regret_over_sqrt_n`,
        `gap`, `status`, `network_loss` (cumulative, of the rounds' whole minibatches) and
        `certified`: whether the optimum is one, to a relative gap of `LARGEST_GAP`,
        or to `NEGLIGIBLE` of the cumulative loss.
        Of an experiment of which no run was solved it has no rows.

    Raises:
        ResultsError: If a run's table is missing or damaged, or `round` is
            not the number N of rounds by which regret is normalised.
    """
    table = _read(runs, paths.REGRET, _REGRET, taylor_records)
    small = table["gap"] <= LARGEST_GAP * table["taylor_optimum"].abs()
    small |= table["gap"] <= NEGLIGIBLE * table["cumulative_loss"]
    table["certified"] = small & table["status"].isin(_SOLVED)
    expected = table["regret"] / np.sqrt(table["round"])
    wrong = ~np.isclose(
        table["regret_over_sqrt_n"], expected, rtol=1e-4, atol=1e-12, equal_nan=True
    )
    if wrong.any():
        row = table[wrong].iloc[0]
        raise ResultsError(
            f"{Path(row['run'], paths.REGRET)}: regret_over_sqrt_n is "
            f"{row['regret_over_sqrt_n']:.6g} at round {row['round']}, but regret divided by "
            f"the root of the round is {expected[wrong].iloc[0]:.6g}. {_remedy('solve', row)}"
        )
    return table


def read_exponents(runs: str | Path | pd.DataFrame) -> pd.DataFrame:
    """Growth exponents of regret with their intervals (Theorem 2).

    Args:
        runs: Directory of runs, or the frame that `find_runs` gave.

    Returns:
        A frame with the columns of `runs.IDENTITY` and one row a (record, comparator, scope,
        radius): `record`, `comparator`, `scope`, `radius`, `exponent`, `low`, `high`,
        `first_epoch`, `last_epoch`, `status`.

    Raises:
        ResultsError: If a run's table is missing or damaged.
    """
    return _read(runs, paths.EXPONENTS, _EXPONENTS, taylor_records)


def read_bound(runs: str | Path | pd.DataFrame) -> pd.DataFrame:
    """Regret beside the bound of the run's own gradients and weights (Theorem 2).

    Args:
        runs: Directory of runs, or the frame that `find_runs` gave.

    Returns:
        A frame with the columns of `runs.IDENTITY` and one row a (record, scope, radius,
        checkpoint round) with the columns of `nta.regret_bound`, and `holds`: whether regret is at
        most the bound, to within rounding, and `agrees`: whether the bound is the linearized
        regret, to within that of the steps. Both are true where there is no bound.

    Raises:
        ResultsError: If a run's table is missing or damaged.
    """
    table = _read(runs, paths.BOUND, _BOUND, norm_records, "bound")
    apart = (table["bound"] - table["linearized_regret"]).abs()
    return table.assign(
        holds=~(table["slack"] < -table["rounding"]), agrees=~(apart > table["step_rounding"])
    )


def read_exploration(runs: str | Path | pd.DataFrame) -> dict[str, pd.DataFrame]:
    """The three measures of exploration (Figure 5).

    Args:
        runs: Directory of runs, or the frame that `find_runs` gave.

    Returns:
        A dictionary of frames, all with the columns of `runs.IDENTITY` and `scope`:
        `"minimum_hamming"` (`epoch`, `minimum_hamming`), `"switches"` and
        `"log_volume"` (`position` in the sorted order, counted from one, the measure, and
        the `rank` behind a log-volume) and `"totals"` (`measure`, `total`, `count`,
        `rounds`, `values`, `floor`, `rank`). Without rows where nothing was measured.

    Raises:
        ResultsError: If a run's table is missing or damaged.
    """
    return {
        name: _read(runs, path, columns, activation_records, "explore")
        for name, (path, columns) in _EXPLORATION.items()
    }


def _read(
    runs: str | Path | pd.DataFrame,
    name: str,
    columns: list[str],
    records: Callable | None = None,
    stage: str = "solve",
) -> pd.DataFrame:
    """One table of all runs; what is made of `records` may be missing where nobody made it."""
    runs = runs if isinstance(runs, pd.DataFrame) else find_runs(runs)
    there = [Path(run, name).is_file() for run in runs["run"]]
    keys = pd.Series(list(zip(runs["task"], runs["experiment"])), runs.index, dtype=object)
    experiments = set(keys[there])  # of which some run has the table
    tables = {}
    for (row, run), key, exists in zip(runs.iterrows(), keys, there):
        needed = records is None or (key in experiments and records(run["config"]))
        if exists or needed:
            table = _read_table(run, Path(run["run"], name), columns, stage)
            if len(table):  # an empty one would blur the dtypes
                tables[row] = table
    if not tables:
        return _empty([*IDENTITY, *columns])
    identity = _identity(runs.loc[list(tables)], [len(table) for table in tables.values()])
    joined = pd.concat(tables.values(), ignore_index=True)
    return pd.concat([identity, joined], axis="columns")


def _read_table(run: pd.Series, path: Path, columns: list[str], stage: str) -> pd.DataFrame:
    """The table of one run."""
    if not path.is_file():
        raise ResultsError(f"{path} is missing. {_remedy(stage, run)}")
    try:
        table = pd.read_csv(io.BytesIO(files.read_table(path)), dtype=dict.fromkeys(_TEXT, object))
        if table.empty:  # nothing was solved or measured
            return _empty(columns)
        missing = [column for column in columns if column not in table]
        if missing:
            raise ValueError(f"no column {', '.join(missing)}")
        for column in columns:
            if column not in _TEXT and not is_numeric_dtype(table[column]):
                table[column] = pd.to_numeric(table[column])
    except (
        OSError,
        ValueError,
        TypeError,
        KeyError,
    ) as error:  # pandas' parser errors are ValueErrors
        raise ResultsError(f"{path} is damaged ({error}). {_remedy(stage, run)}") from error
    return table[columns]


def _identity(runs: pd.DataFrame, counts: list[int]) -> pd.DataFrame:
    """The columns that say which run each row is of; each run has as many as it counts.

    Strings stay Python's: of Arrow's, every choice of rows would copy the pieces of all runs.
    """
    columns = {}
    for key in IDENTITY:
        values = runs[key]
        kind = values.dtype if is_numeric_dtype(values) else object
        columns[key] = pd.Series(np.repeat(values.to_numpy(kind), counts), dtype=kind)
    return pd.DataFrame(columns)


def _empty(columns: list[str]) -> pd.DataFrame:
    text = {*_TEXT, *IDENTITY} - {"learning_rate", "seed"}
    return pd.DataFrame({name: pd.Series(dtype=str if name in text else float) for name in columns})


def _remedy(stage: str, run: pd.Series) -> str:
    return f"Write it again with `python -m reproduce {stage} {run['run']}`."
