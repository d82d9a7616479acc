"""The tables of some runs, each read when it is first asked for."""

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property

import pandas as pd

from reproduce import optimizers
from reproduce.optimizers import Optimizer
from reproduce.results import load
from reproduce.results.runs import require_one_protocol


class Tables:
    """Runs that share a figure, and their tables.

    Attributes:
        runs: Frame of `runs.find_runs`, with one experiment a task.

    Raises:
        ResultsError: If the runs of a task are not of one protocol.
    """

    def __init__(self, runs: pd.DataFrame) -> None:
        require_one_protocol(runs)
        self.runs = runs

    @cached_property
    def losses(self) -> pd.DataFrame:
        """Frame of `load.read_losses`."""
        return load.read_losses(self.runs)

    @cached_property
    def regret(self) -> pd.DataFrame:
        """Frame of `load.read_regret`."""
        return load.read_regret(self.runs)

    @cached_property
    def exponents(self) -> pd.DataFrame:
        """Frame of `load.read_exponents`."""
        return load.read_exponents(self.runs)

    @cached_property
    def bound(self) -> pd.DataFrame:
        """Frame of `load.read_bound`."""
        return load.read_bound(self.runs)

    @cached_property
    def exploration(self) -> dict[str, pd.DataFrame]:
        """Frames of `load.read_exploration`."""
        return load.read_exploration(self.runs)

    @property
    def tasks(self) -> list[str]:
        """Names of the tasks."""
        return list(dict.fromkeys(self.runs["task"]))

    def of(self, task: str) -> "Tables":
        """The tables of one task.

        Args:
            task: Name of the task.

        Returns:
            A `Tables`, with what has been read already.
        """
        return self._part(lambda table: table["task"] == task)

    def only(self, shown: Mapping[str, Sequence[Optimizer]]) -> "Tables":
        """The tables of some optimizers.

        Args:
            shown: {task: its optimizers that are kept}.

        Returns:
            A `Tables`, with what has been read already.
        """

        def kept(table: pd.DataFrame) -> pd.Series:
            rows = pd.Series(False, table.index)
            for task, chosen in shown.items():
                rows |= (table["task"] == task) & optimizers.is_of(table, *chosen)
            return rows

        return self._part(kept)

    def _part(self, kept: Callable[[pd.DataFrame], pd.Series]) -> "Tables":
        part = object.__new__(Tables)
        part.runs = self.runs[kept(self.runs)]
        for name, table in vars(self).items():
            if name in ("losses", "regret", "exponents", "bound"):
                vars(part)[name] = table[kept(table)]
            elif name == "exploration":
                vars(part)[name] = {key: one[kept(one)] for key, one in table.items()}
        return part
