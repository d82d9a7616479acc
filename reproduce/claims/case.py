"""What a claim is judged on: the tables of one experiment, under one reading of the paper."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import pandas as pd

from reproduce import optimizers, paper
from reproduce.claims.margins import LEARNS
from reproduce.claims.run_growth import RunGrowth, growths
from reproduce.optimizers import Optimizer
from reproduce.results import select
from reproduce.results.exploration import comparable
from reproduce.results.layer_curves import is_dead
from reproduce.results.manifest import Basis
from reproduce.results.select import Reading
from reproduce.results.tables import Tables

# A method that the paper compares; None where it was not trained.
Method = Optimizer | None
# Of claims that do not rest on regret.
NO_READING = Reading("")


@dataclass(frozen=True, eq=False)
class Case:
    """Tables of one experiment, asked for the numbers behind each claim.

    Attributes:
        basis: Task, experiment and variant.
        tables: The tables of its runs.
        reading: How regret was recorded and minimised; `NO_READING` for claims that do not rest
            on it.
        scale: `"network"`, `"layer"` or `"neuron"`: the scopes that the claim speaks of.
        activations: Whether the claim rests on measures of exploration.
    """

    basis: Basis
    tables: Tables
    reading: Reading = NO_READING
    scale: str = ""
    activations: bool = False

    @property
    def task(self) -> str:
        """Name of the task."""
        return self.basis.task

    @property
    def config(self) -> dict:
        """Configuration of one of the runs, as `runs.find_runs` gives it."""
        return self.tables.runs.iloc[0]["config"]

    @property
    def record(self) -> dict:
        """Options of the record that regret rests on."""
        every = [
            config["records"].get(self.reading.record) for config in self.tables.runs["config"]
        ]
        return next(options for options in every if options)

    @property
    def losses(self) -> pd.DataFrame:
        """Frame of `load.read_losses`."""
        return self.tables.losses

    @cached_property
    def regret(self) -> pd.DataFrame:
        """Rows of `load.read_regret` of the reading and scale."""
        return self._of_scale(self.tables.regret)

    @cached_property
    def exponents(self) -> pd.DataFrame:
        """Rows of `load.read_exponents` of the reading and scale."""
        return self._of_scale(self.tables.exponents)

    def _of_scale(self, table: pd.DataFrame) -> pd.DataFrame:
        table = select.of_reading(table, self.reading)
        return table[table["scope"].isin(select.scales(table)[self.scale])]

    # Optimizers

    def named(self, name: str) -> Method:
        """The optimizer of a name, at the paper's rate where that was trained.

        Args:
            name: `"rmsprop"` or `"adam"`.

        Returns:
            An `Optimizer` of the variant of the basis, or of the other one where that is all
            there is; None when it was not trained.
        """
        trained = select.of_variant(self._measured, self.basis.variant)
        of_name = [one for one in trained if one.name == name]
        rates = paper.RATES.get(self.task, {}).get(name, ())
        return next((one for one in of_name if one.rate in rates), next(iter(of_name), None))

    @cached_property
    def best_sgd(self) -> Method:
        """SGD with its best learning rate: the lowest training loss of the last epoch."""
        return select.best_sgd(self.losses)

    @property
    def every_sgd(self) -> list[Optimizer]:
        """SGD with every learning rate that was measured, the largest first."""
        return [one for one in self._measured if one.is_sgd]

    @cached_property
    def methods(self) -> dict[str, Method]:
        """The three that the paper compares: `"rmsprop"`, `"adam"` and `"sgd"` at its best."""
        adaptive: dict[str, Method] = {name: self.named(name) for name in ("rmsprop", "adam")}
        return {**adaptive, "sgd": self.best_sgd}

    @cached_property
    def _measured(self) -> list[Optimizer]:
        """The optimizers that have what the claim rests on."""
        if self.activations:
            return optimizers.of_table(self.tables.exploration["totals"])
        return optimizers.of_table(self.losses if self.reading == NO_READING else self.regret)

    def diverged(self, optimizer: Method) -> bool:
        """Whether a run of an optimizer diverged: its last rounds mean nothing."""
        return optimizer in self._diverged

    def all_diverged(self, optimizer: Optimizer) -> bool:
        """Whether every run of an optimizer diverged."""
        return bool((optimizers.rows(self.losses, optimizer)["status"] == "diverged").all())

    def dead(self, optimizer: Method) -> bool:
        """Whether a network learns nothing: its loss never falls, or its regret is rounding."""
        return optimizer in self._dead

    @cached_property
    def _diverged(self) -> list[Optimizer]:
        return optimizers.of_table(self.losses[self.losses["status"] == "diverged"])

    @cached_property
    def _dead(self) -> list[Optimizer]:
        return [one for one in optimizers.of_table(self.losses) if self._learns_nothing(one)]

    def _learns_nothing(self, optimizer: Optimizer) -> bool:
        if self.reading != NO_READING:
            rows = self._of(optimizer)
            if len(rows) and is_dead(rows):
                return True
        losses = optimizers.rows(self.losses, optimizer).sort_values("epoch").dropna(subset="loss")
        both = losses.groupby("run")["loss"].agg(["first", "last"])
        long = losses["epoch"].max() > 1
        return bool(long and (both["last"] >= (1 - LEARNS) * both["first"]).all())

    @property
    def seeds(self) -> tuple[int, ...]:
        """Seeds of the runs that the claim rests on."""
        return tuple(sorted({int(seed) for seed in self.regret["seed"]}))

    @cached_property
    def comparable_runs(self) -> list[str]:
        """Paths of the runs whose measures of exploration may be compared."""
        return comparable(self.losses)

    # Scopes

    @cached_property
    def scopes(self) -> list[str]:
        """Scopes of the scale that were solved in this reading."""
        return select.scales(self.regret)[self.scale]

    def neurons(self, layer: str) -> list[str]:
        """Scopes of a layer's neurons that were solved in this reading."""
        return select.neurons(self.regret, layer)

    # Rows

    def rows(self, optimizer: Method, scope: str | Sequence[str]) -> pd.DataFrame:
        """Regret of an optimizer in one scope, or in several, where it is finite."""
        return select.rows(self._of(optimizer), self.reading, scope).dropna(subset=["regret"])

    def _of(self, optimizer: Method) -> pd.DataFrame:
        return self._regret_of.get(optimizer, self.regret[:0])

    @cached_property
    def _regret_of(self) -> dict[Method, pd.DataFrame]:
        """The rows of regret of each optimizer, which many claims ask for."""
        groups = self.regret.groupby(optimizers.COLUMNS, sort=False)
        return {Optimizer(*key): rows for key, rows in groups}

    def window(self, optimizer: Method, scope: str | Sequence[str]) -> pd.DataFrame:
        """The same from the first epoch on from which growth was fitted."""
        rows, runs = self.rows(optimizer, scope), self.growths(optimizer, scope)
        return rows[rows["epoch"] >= min(run.first_epoch for run in runs)] if runs else rows

    def growths(self, optimizer: Method, scope: str | Sequence[str]) -> list[RunGrowth]:
        """Growth of the regret of an optimizer's runs in one scope, or in several."""
        if optimizer is None:
            return []
        scopes = [scope] if isinstance(scope, str) else scope
        return [run for name in scopes for run in self._growths.get((optimizer, name), [])]

    @cached_property
    def _growths(self) -> dict[tuple[Optimizer, str], list[RunGrowth]]:
        select.rows(self.regret, self.reading, self.scopes)  # raises where one has two radii
        return growths(self.regret, self.exponents)

    @property
    def figure_4_layer(self) -> str:
        """The layer that this reading takes for the one of Figure 4."""
        return paper.figure_4_layer(self.task, self.reading.record)

    @cached_property
    def last_common_round(self) -> float:
        """The last checkpoint that all runs of the three methods have in Figure 4's layer."""
        rows = self.regret[optimizers.is_of(self.regret, *filter(None, self.methods.values()))]
        rows = rows[rows["scope"] == self.figure_4_layer].dropna(subset=["regret"])
        return float(rows.groupby("run")["round"].max().min())

    def at(self, reading: Reading, scale: str) -> "Case":
        """The same tables under a reading.

        Args:
            reading: A `Reading`.
            scale: Of the scopes that a claim speaks of.

        Returns:
            A `Case`.
        """
        return replace(self, reading=reading, scale=scale)

    def readings(self, scale: str) -> list[Reading]:
        """The readings that a scale is judged in: those in which this variant was solved.

        Args:
            scale: `"network"`, `"layer"` or `"neuron"`.

        Returns:
            A list of `Reading`; empty where nothing of the scale was solved.
        """
        regret = self.tables.regret
        solved = regret[regret["scope"].isin(select.scales(regret)[scale])]
        of_variant = solved[solved["variant"] == self.basis.variant]
        solved = of_variant if len(of_variant) else solved
        return [
            reading
            for comparator in dict.fromkeys(solved["comparator"])
            for reading in select.readings(self.tables.runs, solved, comparator=comparator)
        ]


def each_seed(table: pd.DataFrame) -> Iterator[tuple[int, pd.DataFrame]]:
    """The rows of each seed of a table, in order.

    Args:
        table: A table with a column `seed`.

    Yields:
        The seed and its rows.
    """
    for seed in sorted(int(seed) for seed in table["seed"].unique()):
        yield seed, table[table["seed"] == seed]


def last_rows(table: pd.DataFrame) -> pd.DataFrame:
    """The rows of a table of regret at the last checkpoint of each run.

    Args:
        table: Rows of `load.read_regret`.

    Returns:
        Some of its rows.
    """
    return table[table["round"] == table.groupby("run")["round"].transform("max")]
