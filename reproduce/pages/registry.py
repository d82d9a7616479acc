"""The tables by name, and the results that they are made from."""

from collections.abc import Callable
from functools import cached_property
from pathlib import Path

import pandas as pd

from reproduce import claims, optimizers, paths
from reproduce.optimizers import Optimizer
from reproduce.results import exploration, load, runs, words


class Results:
    """The committed results, each table read when it is first asked for.

    Args:
        root: Directory of results. Defaults to those that are committed.
    """

    def __init__(self, root: str | Path | None = None) -> None:
        self.root = Path(root or paths.traces())

    @cached_property
    def runs(self) -> pd.DataFrame:
        """Frame of `runs.find_runs`."""
        return runs.find_runs(self.root)

    @cached_property
    def losses(self) -> pd.DataFrame:
        """Frame of `load.read_losses`."""
        return load.read_losses(self.runs)

    @cached_property
    def regret(self) -> pd.DataFrame:
        """Frame of `load.read_regret`, with `ball`: whether V ranged over one."""
        table = load.read_regret(self.runs)
        return table.assign(ball=table["radius"] < float("inf"))

    @cached_property
    def exponents(self) -> pd.DataFrame:
        """Frame of `load.read_exponents`, with `ball`: whether V ranged over one."""
        table = load.read_exponents(self.runs)
        return table.assign(ball=table["radius"] < float("inf"))

    @cached_property
    def bound(self) -> pd.DataFrame:
        """Frame of `load.read_bound`."""
        return load.read_bound(self.runs)

    @cached_property
    def exploration(self) -> dict[str, pd.DataFrame]:
        """Frames of `load.read_exploration`."""
        return load.read_exploration(self.runs)

    @cached_property
    def exploration_totals(self) -> pd.DataFrame:
        """Frame of `exploration.totals`."""
        return exploration.totals(self.exploration, self.losses)

    @cached_property
    def claims(self) -> pd.DataFrame:
        """Frame of `claims.compare`."""
        return claims.compare(self.root)


TABLES: dict[str, Callable[[Results], str]] = {}


def table(name: str) -> Callable[[Callable[[Results], str]], Callable[[Results], str]]:
    """Registers the function below it as what makes a table.

    Args:
        name: Name of the table, as a page's marker has it.

    Returns:
        A decorator that leaves the function as it is.

    Raises:
        ValueError: If there is a table of that name.
    """

    def register(make: Callable[[Results], str]) -> Callable[[Results], str]:
        if name in TABLES:
            raise ValueError(f"There are two tables of one name. Received: {name!r}")
        TABLES[name] = make
        return make

    return register


def only(frame: pd.DataFrame, **values: object) -> pd.DataFrame:
    """The rows of a frame that have these values.

    Args:
        frame: A frame.
        **values: {column: value, or list of values}.

    Returns:
        Its rows.

    Example:

    >>> import pandas as pd
    >>> only(pd.DataFrame({"task": ["a", "b"], "epoch": [1, 2]}), task="b", epoch=[2, 3])
      task  epoch
    1    b      2
    """
    for column, value in values.items():
        accepted = value if isinstance(value, list) else [value]
        frame = frame[frame[column].isin(accepted)]
    return frame


def by_optimizer(frame: pd.DataFrame, variant: str | None = None) -> list[tuple[str, pd.DataFrame]]:
    """The rows of each optimizer, with the name that it has in the paper's legends.

    Args:
        frame: A table with the columns of an `Optimizer` and `task`.
        variant: Only RMSProp and Adam of this variant, besides SGD. Defaults to all.

    Returns:
        A list of pairs, in the order of the paper's legends.
    """
    shown = optimizers.of_table(frame)
    if variant is not None:
        shown = [one for one in shown if one.variant in (variant, optimizers.ANY)]
    return [(_label(one, frame), optimizers.rows(frame, one)) for one in shown]


def _label(optimizer: Optimizer, frame: pd.DataFrame) -> str:
    return words.label(optimizer, str(frame["task"].iloc[0])).replace(" lr=", " ")
