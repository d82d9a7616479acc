"""Table of regret beside the bound of the run's own gradients (claim 19)."""

import numpy as np
import pandas as pd

from reproduce.pages.markdown import MINUS, significant, table
from reproduce.pages.registry import Results, by_optimizer, only
from reproduce.pages.registry import table as registered

_EXPERIMENT = {"task": "autoencoder", "experiment": "every_step"}


@registered("bound")
def bound(results: Results) -> str:
    """Regret, bound and slack of each layer and optimizer at the last epoch; seed 0."""
    rows = []
    for scope, of_scope in _ball(results).groupby("scope"):
        for name, curve in by_optimizer(of_scope):
            last = curve.loc[curve["epoch"].idxmax()]
            numbers = (last["regret"], last["bound"], last["linearized_regret"])
            rows.append(
                [f"`{scope}`", name, *map(significant, numbers), _least(curve), *_theorem(last)]
            )
    header = ["layer", "optimizer", "regret", "bound", "linearized regret"]
    header += ["smallest slack / bound (epoch)", "G", "D", "G D sqrt(N)"]
    return table(header, rows)


@registered("bound_rounding")
def rounding(results: Results) -> str:
    """At how many checkpoints the bound holds, and what rounding makes of it."""
    every = _ball(results)
    every = every[every["bound"].notna()]
    rows = []
    for name, of_one in by_optimizer(every):
        apart = (of_one["bound"] - of_one["linearized_regret"]).abs() / of_one["bound"].abs()
        allowed = of_one["step_rounding"] / of_one["bound"].abs()
        above = int((of_one["slack"] < 0).sum())
        held = int((of_one["holds"] & of_one["agrees"]).sum())
        rows.append(
            [
                name,
                f"{held:,} of {len(of_one):,}",
                above,
                f"{apart.max():.1e}",
                f"{allowed.max():.1e}",
                f"{(of_one['slack'] / of_one['rounding']).min():.2g}",
            ]
        )
    header = ["optimizer", "checkpoints where it holds", "with regret above the bound at all"]
    header += [
        "largest difference from the linearized regret / bound",
        "worst that rounding may do",
    ]
    return table([*header, "smallest slack / rounding"], rows)


def _ball(results: Results) -> pd.DataFrame:
    every = only(results.bound, **_EXPERIMENT, seed=0)
    return every[np.isfinite(every["radius"])]


def _least(curve: pd.DataFrame) -> str:
    share = curve["slack"] / curve["bound"].abs()
    if share.isna().all():
        return MINUS
    return f"{significant(100 * share.min())}% ({curve.loc[share.idxmin(), 'epoch']})"


def _theorem(last: pd.Series) -> list[str]:
    return [significant(last[column]) for column in ("g", "d", "g_d_root_n")]
