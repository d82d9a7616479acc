"""What is drawn: runs, copies of runs, tables and arrays, each with its name in the legend."""

from __future__ import annotations

import dataclasses
import math
import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from nta_tf import exploration, scopes
from nta_tf.regret import regret
from nta_tf.trace import Run, SavedRun, saved_table

_TAYLOR, _ACTIVATIONS = "taylor_rounds", "activation_rounds"
_NEEDED = ["scope", "round", "epoch", "cumulative_loss", "taylor_optimum"]


@dataclasses.dataclass(frozen=True)
class Source:
    """One of the things that are drawn over each other.

    Attributes:
        label: Its name in the legend.
        data: A `Run`, a `SavedRun`, a table, or an array of configurations.
    """

    label: str
    data: Run | SavedRun | pd.DataFrame | np.ndarray

    @property
    def config(self) -> Mapping[str, Any]:
        """The run's config; empty of a table or an array."""
        return self.data.config if isinstance(self.data, (Run, SavedRun)) else {}

    @property
    def layers(self) -> list[str]:
        """Layers of which there may be regret."""
        if isinstance(self.data, pd.DataFrame):
            return [name for name in dict.fromkeys(self.data.get("scope", ())) if ":" not in name]
        found = dict.fromkeys(
            layer for name in self.records(_TAYLOR) for layer in self._record(name)["layers"]
        )
        saved = self._saved("regret")
        if isinstance(self.data, SavedRun) and saved is not None:
            return [layer for layer in found if layer in set(saved["scope"])]
        return list(found)

    @property
    def explores(self) -> bool:
        """Whether there are activation configurations to compare."""
        if isinstance(self.data, Run):
            names = self.records(_ACTIVATIONS)
            return bool(names) and self.data.records[names[0]].rounds.sum() > 1
        if isinstance(self.data, SavedRun):
            table = self._saved("minimum_hamming")
            return table is not None and len(table) > 1
        return isinstance(self.data, np.ndarray)

    def records(self, kind: str) -> list[str]:
        """Names of the records of a kind."""
        records = self.config.get("records", {})
        return [name for name, record in records.items() if record["kind"] == kind]

    def losses(self) -> pd.DataFrame:
        """Mean loss (and accuracy) of every epoch, as in results/losses.csv."""
        if isinstance(self.data, Run):
            measured = {"losses": "loss", "accuracies": "accuracy"}
            rows = {
                column: _means(self.data.read(name))
                for name, column in measured.items()
                if name in self.data.measured
            }
            return pd.DataFrame({"epoch": np.arange(1, self.data.epochs + 1), **rows})
        table = self._saved("losses") if isinstance(self.data, SavedRun) else self.data
        if not isinstance(table, pd.DataFrame) or not {"epoch", "loss"} <= set(table):
            raise ValueError(
                f"{self.label!r} has no losses: a run has them, or a table with the columns epoch "
                f"and loss. Received: {_described(self.data)}"
            )
        return table

    def regret(
        self, scope: Any, record: str | None, radius: float | None, **options: Any
    ) -> pd.DataFrame:
        """The table of `nta.regret` of a scope: what is solved already, or solved now."""
        names = scopes.parse(scope).names
        wanted = (names, record, radius, options.get("comparator", "static"))
        if isinstance(self.data, pd.DataFrame):
            missing = [column for column in _NEEDED if column not in self.data]
            if missing:
                raise ValueError(f"The table {self.label!r} has no columns {missing}.")
            table = _chosen(self.data, *wanted)
            there = self.data
        else:
            if record is None:
                record = next(iter(self.records(_TAYLOR)), None)
            saved = self._saved("regret")
            there = pd.DataFrame(columns=_NEEDED) if saved is None else saved
            table = _chosen(there, names, record, radius, wanted[3])
            if isinstance(self.data, Run) and not self._is_whole(table, radius, options):
                table = regret(self.data, scope, record, radius, **options)
                return table.assign(reduction=self._record(record)["reduction"])
        if table.empty:
            raise ValueError(
                f"{self.label!r} has no regret of {scope!r}"
                f"{f' in record {record!r}' if record else ''}; solved scopes are "
                f"{list(dict.fromkeys(there['scope']))}. Received: {_described(self.data)}"
            )
        return table

    def exploration(
        self, measure: str, layers: str | None, record: str | None
    ) -> tuple[np.ndarray, np.ndarray]:
        """A measure of exploration as a curve: epochs or places in the order, and values."""
        if isinstance(self.data, (SavedRun, pd.DataFrame)):
            return self._saved_exploration(measure, layers)
        name = record or next(iter(self.records(_ACTIVATIONS)), "activations")
        configurations = exploration.Configurations(self.data, layers, name)
        values = getattr(exploration, measure)(configurations)
        if measure == "minimum_hamming":
            return configurations.epochs, values
        return np.arange(1, len(values) + 1), np.sort(values)[::-1]

    def _saved_exploration(self, measure, layers):
        table = self._saved(measure) if isinstance(self.data, SavedRun) else self.data
        if table is None or measure not in table:
            raise ValueError(
                f"{self.label!r} has no table of {measure}. Received: {_described(self.data)}"
            )
        if "scope" in table:
            scope = "network" if layers is None else layers
            rows = table[table["scope"] == scope]
            if rows.empty:
                raise ValueError(
                    f"{self.label!r} has {measure} of {list(dict.fromkeys(table['scope']))}. "
                    f"Received: layers={layers!r}"
                )
            table = rows
        place = "epoch" if measure == "minimum_hamming" else "position"
        return table[place].to_numpy(float), table[measure].to_numpy(float)

    def _record(self, name):
        return self.config["records"][name]

    def _is_whole(self, table, radius, options):
        """Whether saved rows are what would be solved: of all epochs, on the ball asked for."""
        if table.empty or set(options) - {"comparator"}:
            return False
        on_ball = radius is None or math.isfinite(radius)
        return table["epoch"].max() == self.data.whole_epochs and on_ball == all(
            np.isfinite(table["radius"])
        )

    def _saved(self, name):
        return saved_table(getattr(self.data, "directory", None), name)


def sources(given: Any) -> list[Source]:
    """Everything that is drawn, with labels that differ.

    Args:
        given: A source, a list of them, or a dictionary by label.

    Returns:
        A list of `Source`.

    Raises:
        ValueError: If something can be no source.
    """
    if isinstance(given, Mapping):
        return [Source(str(label), _read(one)) for label, one in given.items()]
    several = isinstance(given, Sequence) and not isinstance(given, str)
    data = [_read(one) for one in (given if several else [given])]
    if not data:
        raise ValueError("There is nothing to draw: the list of runs is empty.")
    names = [_name(one, place) for place, one in enumerate(data, 1)]
    longer = [
        f"{name}, {_place(one, number)}" if names.count(name) > 1 else name
        for number, (name, one) in enumerate(zip(names, data), 1)
    ]
    return [Source(label, one) for label, one in zip(longer, data)]


def _read(given: Any) -> Run | SavedRun | pd.DataFrame | np.ndarray:
    given = getattr(given, "run", given)  # of a callback
    if isinstance(given, (Run, SavedRun, pd.DataFrame, np.ndarray)):
        return given
    if not isinstance(given, (str, os.PathLike)):
        raise ValueError(
            "What is drawn is a nta.Run, its directory, a table (DataFrame or CSV file) or an "
            f"array of activation configurations. Received: {given!r}"
        )
    path = pathlib.Path(given)
    if path.suffix == ".csv":
        return pd.read_csv(path)
    return SavedRun(path) if SavedRun.is_one(path) else Run.open(path)


def _name(data, place):
    """The optimizer of a run, as its config has it."""
    if not isinstance(data, (Run, SavedRun)):
        return f"{'table' if isinstance(data, pd.DataFrame) else 'configurations'} {place}"
    optimizer = data.config.get("optimizer")
    if not optimizer:
        return _place(data, place)
    rate = optimizer["config"].get("learning_rate")
    numeric = isinstance(rate, (int, float))
    return optimizer["class_name"] + (f" {rate:g}" if numeric else "")


def _place(data, place):
    directory = getattr(data, "directory", None)
    return directory.name if directory is not None else f"run {place}"


def _described(data):
    if isinstance(data, pd.DataFrame):
        return f"a table with columns {list(data)}"
    return f"an array of shape {data.shape}" if isinstance(data, np.ndarray) else repr(data)


def _means(rows):
    """Means over the steps that were measured; NaN of an epoch without any."""
    counts = np.isfinite(rows).sum(axis=1)
    diverged = np.isinf(rows).any(axis=1)
    sums = np.where(np.isfinite(rows), rows, 0).sum(axis=1, dtype=np.float64)
    means = np.divide(sums, counts, out=np.full(len(rows), np.nan), where=counts > 0)
    return np.where(diverged, np.inf, means)


def _chosen(table, names, record, radius, comparator):
    """Rows of one record, comparator and ball."""
    rows = table[table["scope"].isin(names)]
    if "comparator" in rows:
        rows = rows[rows["comparator"] == comparator]
    if "record" in rows and len(rows):
        rows = rows[rows["record"] == (record or rows["record"].iloc[0])]
    if "radius" in rows and len(rows):
        finite = np.isfinite(rows["radius"].astype(float))
        if radius is None:
            rows = rows[finite] if finite.any() else rows
        else:
            rows = rows[~finite] if math.isinf(radius) else rows[np.isclose(rows["radius"], radius)]
    return rows
