"""Two sets of results side by side, number by number, in units of the spread over seeds."""

import math

import numpy as np
import pandas as pd
from scipy.special import stdtr

from reproduce.optimizers import COLUMNS

IDENTICAL, SAME, DIFFERS, OPEN = "identical", "the same within seeds", "differs", "one seed each"
_KEY = ["quantity", "scope", "comparator", "reduction", *COLUMNS]
_CONFIDENCE = 0.95
_ROUNDING = 1e-5  # relative; what another order of summation makes of float32


def compare(ours: pd.DataFrame, theirs: pd.DataFrame) -> pd.DataFrame:
    """Compares what two sets of results have in common.

    Args:
        ours: Frame of `exchange.quantities`.
        theirs: The same of the other set.

    Returns:
        A frame with a row a number: `quantity`, `scope`, `comparator`, `reduction`, the
        optimizer's three columns, `ours` and `theirs` (means over seeds), `seeds_ours`,
        `seeds_theirs`, `spread` (standard deviation over seeds, pooled), `difference` (theirs
        less ours, in units of the spread) and `verdict`: `"identical"` (to float32 rounding),
        `"the same within seeds"` (Student's t, 95%, Holm within each quantity), `"differs"`, or
        `"one seed each"` where no spread is known.
    """
    left, right = (_by_key(table) for table in (ours, theirs))
    shared = [key for key in left if key in right]
    rows = [_row(key, left[key], right[key]) for key in shared]
    columns = [*_KEY, *"ours theirs seeds_ours seeds_theirs spread difference p verdict".split()]
    table = pd.DataFrame(rows, columns=columns)
    verdicts = [_holm(group) for _, group in table.groupby("quantity", sort=False)]
    return table.assign(verdict=pd.concat(verdicts) if verdicts else []).drop(columns="p")


def summary(table: pd.DataFrame) -> pd.DataFrame:
    """How many numbers of each quantity agree.

    Args:
        table: Frame of `compare`.

    Returns:
        A frame with a row a quantity and scope: how many numbers, how many of each verdict,
        and the largest difference in units of the spread.
    """
    grouped = table.groupby(["quantity", "scope", "reduction", "comparator"], sort=False)
    rows = []
    for key, group in grouped:
        counts = group["verdict"].value_counts()
        rows.append(
            {
                **dict(zip(["quantity", "scope", "reduction", "comparator"], key)),
                "numbers": len(group),
                **{verdict: int(counts.get(verdict, 0)) for verdict in (IDENTICAL, SAME, DIFFERS)},
                "largest difference": group["difference"].abs().max(),
            }
        )
    return pd.DataFrame(rows)


def _by_key(table: pd.DataFrame) -> dict[tuple, np.ndarray]:
    finite = table[np.isfinite(table["value"].astype(float))]
    return {
        key: group["value"].to_numpy(float)
        for key, group in finite.groupby(_KEY, sort=False, dropna=False)
    }


def _row(key: tuple, ours: np.ndarray, theirs: np.ndarray) -> tuple:
    spread, error, freedom = _spread(ours, theirs)
    change = theirs.mean() - ours.mean()
    close = math.isclose(ours.mean(), theirs.mean(), rel_tol=_ROUNDING, abs_tol=1e-12)
    same_seeds = len(ours) == len(theirs)
    p = 1.0 if close and same_seeds else _p(change, error, freedom)
    difference = change / spread if spread else (0.0 if close else math.nan)
    kind = IDENTICAL if close and same_seeds else ""
    return (*key, ours.mean(), theirs.mean(), len(ours), len(theirs), spread, difference, p, kind)


def _spread(ours: np.ndarray, theirs: np.ndarray) -> tuple[float, float, float]:
    """Pooled deviation, error of the difference of means, and degrees of freedom."""
    freedom = len(ours) + len(theirs) - 2
    if freedom < 1:
        return math.nan, math.nan, 0
    squares = sum(((values - values.mean()) ** 2).sum() for values in (ours, theirs))
    spread = math.sqrt(squares / freedom)
    return spread, spread * math.sqrt(1 / len(ours) + 1 / len(theirs)), freedom


def _p(change: float, error: float, freedom: float) -> float:
    """Two-sided p-value of no difference; NaN where no spread is known."""
    if not freedom:
        return math.nan
    if not error:
        return 1.0 if change == 0 else 0.0
    return float(2 * stdtr(freedom, -abs(change) / error))


def _holm(table: pd.DataFrame) -> pd.Series:
    """Verdicts: the smallest p-values must pass the strictest levels (Holm, 1979)."""
    verdicts = table["verdict"].replace("", OPEN)
    tested = table["p"][np.isfinite(table["p"]) & (table["verdict"] == "")].sort_values()
    rejecting = True
    for rank, (index, p) in enumerate(tested.items()):
        rejecting = rejecting and p <= (1 - _CONFIDENCE) / (len(tested) - rank)
        verdicts[index] = DIFFERS if rejecting else SAME
    return verdicts
