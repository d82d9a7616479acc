"""What judging needs of the regret of each run in each scope, gathered in one pass."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from reproduce import paper
from reproduce.claims.margins import SIGN
from reproduce.optimizers import COLUMNS, Optimizer

_KEYS = [*COLUMNS, "scope", "seed"]


@dataclass(frozen=True)
class RunGrowth:
    """Regret of one run in one scope, from the first epoch of its fit on.

    Attributes:
        seed: Seed of the run.
        first_epoch: Epoch from which growth was fitted, the paper's first where it was not.
        checkpoints: How many there are from then on.
        certified: Share of their optima that are certified.
        negative: Whether regret is negative at one of them.
        ends_negative: Whether it is at the last.
        share: Regret as a share of the cumulative loss, at the last.
        exponent: Of growth, NaN where none was fitted.
        low: Lower end of its interval.
        high: Upper end.
    """

    seed: int
    first_epoch: float
    checkpoints: int
    certified: float
    negative: bool
    ends_negative: bool
    share: float
    exponent: float
    low: float
    high: float


def is_negative(rows: pd.DataFrame) -> pd.Series:
    """Which regret is negative, beyond the tolerance and whatever the optimum's gap hides.

    Args:
        rows: Rows of `load.read_regret`.

    Returns:
        A boolean series. The true optimum may lie lower by the gap, which raises regret.

    Example:

    >>> rows = pd.DataFrame({"regret": [-1e-7, -0.01, -0.01], "gap": [0.0, 0.0, 0.02],
    ...                      "cumulative_loss": [2.0, 2.0, 2.0]})
    >>> is_negative(rows).tolist()
    [False, True, False]
    """
    hidden = rows["gap"].fillna(0.0).clip(lower=0.0)
    return rows["regret"] + hidden < -SIGN * rows["cumulative_loss"]


def growths(
    regret: pd.DataFrame, exponents: pd.DataFrame
) -> dict[tuple[Optimizer, str], list[RunGrowth]]:
    """The growth of regret of every run in every scope.

    Args:
        regret: Rows of `load.read_regret` of one reading.
        exponents: Rows of `load.read_exponents` of it.

    Returns:
        {(optimizer, scope): list of `RunGrowth`, one a seed}.
    """
    fits = exponents.set_index(_KEYS)[["exponent", "low", "high", "first_epoch"]]
    table = regret.dropna(subset=["regret"]).join(fits, on=_KEYS).sort_values("round")
    table["first_epoch"] = table["first_epoch"].fillna(paper.FIRST_EPOCH)
    table["negative"] = is_negative(table)
    table["share"] = table["regret"] / table["cumulative_loss"]
    table["inside"] = table["epoch"] >= table["first_epoch"]
    last = table.groupby(_KEYS, sort=False).tail(1).set_index(_KEYS)
    window = table[table["inside"]].groupby(_KEYS, sort=False)
    counted = window.agg(
        checkpoints=("round", "size"),
        certified_share=("certified", "mean"),
        any_negative=("negative", "any"),
    )
    every: dict[tuple[Optimizer, str], list[RunGrowth]] = {}
    for row in last.join(counted).reset_index().itertuples(index=False):
        optimizer = Optimizer(*(getattr(row, column) for column in COLUMNS))
        every.setdefault((optimizer, str(row.scope)), []).append(_of(row))
    return every


def _of(row: Any) -> RunGrowth:
    there = np.isfinite(row.checkpoints)
    return RunGrowth(
        seed=int(row.seed),
        first_epoch=float(row.first_epoch),
        checkpoints=int(row.checkpoints) if there else 0,
        certified=float(row.certified_share) if there else 0.0,
        negative=bool(row.any_negative) if there else False,
        ends_negative=bool(row.negative),
        share=float(row.share),
        exponent=float(row.exponent),
        low=float(row.low),
        high=float(row.high),
    )
