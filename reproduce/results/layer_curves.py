"""The curves of one layer: regret, cumulative loss and Taylor optimum over sqrt(N)."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from reproduce import optimizers, paper
from reproduce.optimizers import Optimizer
from reproduce.results import load, select
from reproduce.results.curves import Curve, over_seeds
from reproduce.results.select import Reading

# Regret that is never more than this share of the cumulative loss is rounding of float32: the
# run is dead, its outputs do not depend on its inputs, and no V could have done better.
ROUNDING = 1e-6


@dataclass(frozen=True)
class LayerCurves:
    """Curves of one scope (a layer or the network) of one task.

    Attributes:
        task: Name of the task.
        scope: Name of the layer, or `"network"`.
        regret: {optimizer: `Curve` of the normalised regret}, Figure 4(a) and (b), in the
            unit of the paper's axis.
        loss: The same of the cumulative loss over sqrt(N), Figure 4(c).
        optimum: The same of the Taylor optimum over sqrt(N), Figure 4(c).
        gap: The same of regret in percent of the cumulative loss.
        rows: The rows of `load.read_regret` that the curves were made of.
        missing: Optimizers that were trained, but not solved so.
        dead: Optimizers that have no regret but rounding.
    """

    task: str
    scope: str
    regret: Mapping[Optimizer, Curve]
    loss: Mapping[Optimizer, Curve]
    optimum: Mapping[Optimizer, Curve]
    gap: Mapping[Optimizer, Curve]
    rows: pd.DataFrame
    missing: list[Optimizer]
    dead: list[Optimizer]


def layer_curves(
    regret: pd.DataFrame, task: str, scope: str, reading: Reading, shown: Sequence[Optimizer]
) -> LayerCurves | None:
    """Curves of a layer of each optimizer.

    Args:
        regret: Frame of `load.read_regret`.
        task: Name of the task.
        scope: Name of the layer, or `"network"`.
        reading: The `Reading` that is shown.
        shown: Optimizers that are compared.

    Returns:
        `LayerCurves`, or `None` when none of them was solved so.
    """
    table = select.rows(regret[regret["task"] == task], reading, scope)
    solved = {one: optimizers.rows(table, one) for one in shown}
    solved = {one: rows for one, rows in solved.items() if len(rows)}
    if not solved:
        return None
    scale = paper.REGRET_SCALE.get(task, 1.0)

    def curves(value: Callable, of_optimum: bool = True) -> dict[Optimizer, Curve]:
        return {
            one: over_seeds(
                rows, value(rows), "round", certified=rows["certified"] if of_optimum else None
            )
            for one, rows in solved.items()
        }

    return LayerCurves(
        task,
        scope,
        regret=curves(lambda rows: scale * rows["regret_over_sqrt_n"]),
        loss=curves(lambda rows: rows["cumulative_loss"] / rows["round"] ** 0.5, False),
        optimum=curves(lambda rows: rows["taylor_optimum"] / rows["round"] ** 0.5),
        gap=curves(lambda rows: 100 * rows["regret"] / rows["cumulative_loss"]),
        rows=pd.concat(list(solved.values())),
        missing=[one for one in shown if one not in solved],
        dead=[one for one, rows in solved.items() if is_dead(rows)],
    )


def is_dead(rows: pd.DataFrame) -> bool:
    """Whether all regret is rounding: regret of such a run says nothing about growth.

    Args:
        rows: Rows of `load.read_regret` of one optimizer and reading.

    Returns:
        A boolean; False where nothing is finite.

    Example:

    >>> is_dead(pd.DataFrame({"regret": [1e-8, -2e-8], "cumulative_loss": [2.3, 4.6]}))
    True
    """
    share = (rows["regret"] / rows["cumulative_loss"]).abs()
    share = share[np.isfinite(share)]
    return bool(len(share) and (share <= ROUNDING).all())


def alike(layers: Sequence[LayerCurves]) -> list[list[LayerCurves]]:
    """Layers in groups whose curves are the same as far as the optima are certified.

    Without a ball, and with one G for all examples of a round, any layer may attain what the
    others attain.

    Args:
        layers: Curves of several scopes of one task, in order.

    Returns:
        A list of groups, each with the scope first that was solved of most optimizers, and of
        those the one with most certificates.
    """
    groups: list[list[LayerCurves]] = []
    for layer in layers:
        same = [group for group in groups if _same(group[0].rows, layer.rows)]
        if same:
            same[0].append(layer)
        else:
            groups.append([layer])
    return [sorted(group, key=_quality) for group in groups]


def _quality(layer: LayerCurves) -> tuple[int, int]:
    return -len(layer.regret), int((~layer.rows["certified"]).sum())


def _same(first: pd.DataFrame, second: pd.DataFrame) -> bool:
    """Whether two optima may be one: they differ by no more than certificates allow."""
    both = first.merge(second, on=["run", "round"], suffixes=("", "_other"))
    both = both[np.isfinite(both["regret"]) & np.isfinite(both["regret_other"])]
    apart = (both["taylor_optimum"] - both["taylor_optimum_other"]).abs()
    allowed = both["gap"] + both["gap_other"] + load.NEGLIGIBLE * both["cumulative_loss"]
    return bool(len(both) and (apart <= allowed).all())
