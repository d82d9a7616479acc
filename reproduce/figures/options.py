"""What a drawing is told: by the manifest, by the command line, or nothing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields

import pandas as pd

from reproduce import optimizers
from reproduce.optimizers import KERAS_3, TENSORFLOW_2016, Optimizer
from reproduce.results import select
from reproduce.results.runs import ResultsError
from reproduce.results.select import Reading
from reproduce.results.tables import Tables

_DEFAULT_RECORD = "figures"  # what best explains the published axes


@dataclass(frozen=True)
class Options:
    """Options of a drawing; None is the default of each.

    Attributes:
        records: Names of the records that Figures 3 and 4 show.
        ball: Whether V is kept in the ball of Theorem 2.
        comparator: What the loss is compared with.
        layer: The layer of Figure 4.
        sgd: Learning rates of SGD in Figure 4, or {task: rates}.
        variant: Variant of RMSProp and Adam.
        optimizer: Name of the optimizer of Figure 3.
    """

    records: Sequence[str] | None = None
    ball: bool | None = None
    comparator: str | None = None
    layer: str | None = None
    sgd: Sequence[float] | Mapping[str, Sequence[float]] | None = None
    variant: str | None = None
    optimizer: str | None = None

    def readings(self, tables: Tables, solved: pd.DataFrame) -> list[Reading]:
        """The readings that are drawn.

        Args:
            tables: Tables of the runs.
            solved: Rows of `load.read_regret` of the scopes in question.

        Returns:
            A list of `Reading`, for each comparator that was solved unless one is asked for.

        Raises:
            NoResults: If a record that was asked for is not there, or nothing was solved so.
        """
        there = sorted(set(solved["comparator"]), key=lambda name: (name != "static", name))
        wanted = [self.comparator] if self.comparator else there or ["static"]
        return [
            reading
            for comparator in wanted
            for reading in select.readings(tables.runs, solved, self.records, self.ball, comparator)
        ]

    def reading(self, tables: Tables, solved: pd.DataFrame) -> Reading:
        """The reading of a figure of the paper, which has one: the first that was asked for."""
        every = self.readings(tables, solved)
        if self.records:
            return every[0]
        return next((one for one in every if one.record == _DEFAULT_RECORD), every[0])

    def compared(self, tables: Tables, task: str, variant: str) -> list[Optimizer]:
        """The optimizers of a task that Figure 4 compares.

        Args:
            tables: Tables of the runs.
            task: Name of the task.
            variant: Variant of RMSProp and Adam.

        Returns:
            A list. Of rates that were asked for in every task alike, a task shows those that
            it has.
        """
        losses = tables.of(task).losses
        rates = self.sgd.get(task) if isinstance(self.sgd, Mapping) else self.sgd
        if rates is not None and not isinstance(self.sgd, Mapping):
            trained = {one.rate for one in optimizers.of_table(losses) if one.is_sgd}
            rates = [rate for rate in rates if rate in trained]
        return select.compared(losses, rates, variant)

    def variants(self, trained: Sequence[Optimizer]) -> dict[str, str]:
        """The variants of RMSProp and Adam of which there are drawings.

        Args:
            trained: The optimizers of which there are results.

        Returns:
            {variant: what the names of its files end with}; none of Keras 3 where its optimizers
            would be those of 2016.
        """
        old, new = (select.of_variant(trained, name) for name in (TENSORFLOW_2016, KERAS_3))
        endings = {TENSORFLOW_2016: ""} | ({KERAS_3: f"_{KERAS_3}"} if new != old else {})
        return {name: end for name, end in endings.items() if self.variant in (None, name)}


def merged(of_drawing: Mapping, asked: Mapping) -> Options:
    """The options of a figure of the paper.

    Args:
        of_drawing: Those of the manifest, with one `record`.
        asked: Those of the caller, which win.

    Returns:
        `Options`.

    Raises:
        ResultsError: If one is unknown.
    """
    given = dict(of_drawing)
    if "record" in given:
        given["records"] = [given.pop("record")]
    given |= asked
    known = [one.name for one in fields(Options)]
    unknown = [name for name in given if name not in known]
    if unknown:
        raise ResultsError(
            f"Figures have no option {', '.join(unknown)}; they have {', '.join(known)}."
        )
    return Options(**given)


def require_rates(runs: pd.DataFrame, rates: Sequence[float]) -> None:
    """Checks that SGD was trained with the rates that are asked for.

    Args:
        runs: Frame of `runs.find_runs`.
        rates: Learning rates.

    Raises:
        ResultsError: If no run of any task has one of them.
    """
    trained = sorted({one.rate for one in optimizers.of_table(runs) if one.is_sgd}, reverse=True)
    missing = [rate for rate in rates if rate not in trained]
    if missing:
        raise ResultsError(
            f"There is no run of SGD at rate {', '.join(f'{rate:g}' for rate in missing)}; "
            f"there is {', '.join(f'{rate:g}' for rate in trained) or 'none'}. Choose one of "
            "those, or train it with `python -m reproduce train`."
        )
