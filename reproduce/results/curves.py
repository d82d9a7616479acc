"""Curves over epochs as data: every seed (in Figure 3, every neuron), their mean and deviation."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd


@dataclass(frozen=True)
class Curve:
    """One quantity of one optimizer along the horizontal axis of a figure.

    Attributes:
        along: (P,) epochs; in Figure 5(b) and (c) places in a sorted order.
        members: (P, S) the quantity of every seed (in Figure 3, of every neuron).
        certified: (P,) whether every optimum behind a point is certified; `None` where no
            optimum is.
    """

    along: np.ndarray
    members: np.ndarray
    certified: np.ndarray | None = None

    @property
    def mean(self) -> np.ndarray:
        """(P,) mean over seeds.

        NaN from where a seed has diverged, since the mean over the survivors would be another
        quantity.
        """
        return self.members.mean(axis=1)

    @property
    def deviation(self) -> np.ndarray | None:
        """(P,) standard deviation over seeds, `None` with a single seed."""
        return self.members.std(axis=1, ddof=1) if self.members.shape[1] > 1 else None

    @property
    def low(self) -> np.ndarray:
        """(P,) lower edge of the band, or the curve itself."""
        return self.mean if self.deviation is None else self.mean - self.deviation

    @property
    def high(self) -> np.ndarray:
        """(P,) upper edge of the band, or the curve itself."""
        return self.mean if self.deviation is None else self.mean + self.deviation

    @property
    def seeds(self) -> list["Curve"]:
        """Each member as a curve of its own."""
        return [Curve(self.along, member[:, None]) for member in self.members.T]


def over_seeds(
    table: pd.DataFrame,
    value: str | pd.Series,
    index: str = "epoch",
    over: str | Sequence[str] = "seed",
    certified: pd.Series | None = None,
    along: str = "epoch",
) -> Curve:
    """Curve of a quantity over epochs, with every seed.

    Seeds may have been solved at more or fewer checkpoints: those count that all of them have, up
    to the end of each.

    Args:
        table: Rows of one optimizer (and reading and scope).
        value: Column to follow, or a series aligned with `table`.
        index: Column in which seeds are aligned, such as `"round"`.
        over: Column, or list of columns, to average over.
        certified: Boolean series aligned with `table`: whether the optimum that the value
            rests on is certified.
        along: Column of the horizontal axis.

    Returns:
        A `Curve`.

    Example:

    >>> import pandas as pd
    >>> table = pd.DataFrame({"seed": [0, 0, 1, 1], "epoch": [1, 2, 1, 2],
    ...                       "loss": [4.0, 2.0, 2.0, 2.0]})
    >>> over_seeds(table, "loss").mean.tolist()
    [3.0, 2.0]
    """
    values = table[value] if isinstance(value, str) else value
    frame = table.assign(_value=values.where(np.isfinite(values)))
    columns = [over] if isinstance(over, str) else list(over)
    frame = frame[frame[index].isin(shared(frame, index, columns))]
    grid = frame.pivot(index=index, columns=columns, values="_value")
    places = frame.groupby(index)[along].mean().to_numpy(float)
    every = None
    if certified is not None:
        every = certified[frame.index].groupby(frame[index]).all().to_numpy(bool)
    return Curve(places, grid.to_numpy(float), every)


def shared(table: pd.DataFrame, index: str, over: Sequence[str]) -> pd.Index:
    """Checkpoints at which no seed is left out that has a later one.

    Args:
        table: Rows of seeds at checkpoints.
        index: Column of the checkpoint.
        over: Columns that tell seeds apart.

    Returns:
        Values of the column `index`, sorted.

    Example:

    >>> import pandas as pd
    >>> table = pd.DataFrame({"seed": [0, 0, 0, 1, 1, 1, 1], "epoch": [1, 2, 3, 2, 3, 4, 5]})
    >>> shared(table, "epoch", ["seed"]).tolist()
    [2, 3, 4, 5]
    """
    rows, checkpoints = pd.factorize(table[index], sort=True)
    seeds = table.groupby(list(over), sort=False).ngroup().to_numpy()
    there = np.zeros((len(checkpoints), seeds.max(initial=-1) + 1), bool)
    there[rows, seeds] = True
    has_later = np.logical_or.accumulate(there[::-1])[::-1]
    return pd.Index(checkpoints[~(has_later & ~there).any(axis=1)])
