"""Recorder of the weights themselves, from which everything else can be made later."""

from __future__ import annotations

from typing import Any

import numpy as np

from nta_tf import schedules
from nta_tf.recorders.base import (
    ArraySpecification,
    Rounds,
    ScheduledRecorder,
    Training,
    padded,
    recorded_steps,
)
from nta_tf.schedules import Schedule
from nta_tf.trace import Record, Run
from nta_tf.variables import recorded_dtype, recorded_variables

KIND = "weight_rounds"
_VARIABLES = "variables/"


class WeightRounds(ScheduledRecorder):
    """Records the weights W^n of a model at chosen rounds while it trains.

    Statistics that training moves, such as those of BatchNormalization, are kept with them, and
    the states of the seeds of dropout, so that a replay sees the masks of the step.

    The minibatch of a round is a function of the run's seed, so that weights are all that is
    needed to look at the round again: `nta.replay` gives the rounds of a finished run to
    other recorders, as if they had watched the training. So a long training need not
    wait for expensive recorders, nor be repeated for another choice of theirs.

    Args:
        schedule: Which steps are rounds; see `nta.schedules.get`.
        name: Name of the record in the trace.

    Raises:
        ValueError: For an unknown schedule.

    Example:

    >>> import nta_tf as nta
    >>> str(nta.WeightRounds("4 an epoch").schedule)
    '4 an epoch'
    """

    def __init__(self, schedule: str | Schedule = "1 an epoch", name: str = "weights") -> None:
        self.schedule = schedules.get(schedule)
        self.name = name

    def start(self, training: Training) -> dict[str, ArraySpecification]:
        self._training = training
        self._most = self._most_rounds()
        arrays = {
            "rounds": ArraySpecification((), "int64"),
            "losses": ArraySpecification((self._most,), "float32"),
        }
        for name, variable in recorded_variables(training.model).items():
            shape = (self._most, *variable.shape)
            arrays[_VARIABLES + name] = ArraySpecification(shape, recorded_dtype(variable))
        return arrays

    def begin_epoch(self, epoch: int) -> None:
        self._rows = {}

    def record(self, rounds: Rounds) -> None:
        self._rows.setdefault("losses", []).append(rounds.losses)
        for path, values in rounds.weights.items():
            self._rows.setdefault(_VARIABLES + path, []).append(values.numpy())

    def end_epoch(self) -> dict[str, Any]:
        rows = {name: np.concatenate(parts) for name, parts in self._rows.items()}
        filled = {name: padded(row, self._most) for name, row in rows.items()}
        return {"rounds": len(rows.get("losses", ())), **filled}

    def config(self) -> dict[str, Any]:
        return {
            "kind": KIND,
            "schedule": str(self.schedule),
            "variables": list(recorded_variables(self._training.model)),
        }


class WeightReader:
    """The weights W^n that a `WeightRounds` recorder kept.

    Args:
        run: A `nta.Run`.
        name: Name of the record.

    Attributes:
        record: The `nta.trace.Record`.
        schedule: Which steps are rounds, in words.
        paths: Paths of the variables that were kept, in the order of
            `nta.variables.recorded_variables`.

    Raises:
        ValueError: If the run has no such record.
    """

    def __init__(self, run: Run, name: str = "weights") -> None:
        if name not in run.records or run.records[name].kind != KIND:
            raise ValueError(
                f"{run!r} has no record {name!r} of weights to replay; train it with a "
                f"nta.WeightRounds recorder. Its records are {sorted(run.records)}."
            )
        self.record: Record = run.records[name]
        self.schedule = self.record.config["schedule"]
        self.paths: list[str] = self.record.config["variables"]

    def steps(self, epoch: int) -> np.ndarray:
        """Steps of the epoch whose weights were kept."""
        return recorded_steps(self.record, epoch)

    def at(self, epoch: int, steps: np.ndarray) -> dict[str, np.ndarray]:
        """The weights before steps of an epoch.

        Args:
            epoch: Index of the epoch.
            steps: Array (R,) of steps that were kept.

        Returns:
            {path of a variable: NumPy array (R, ...)}.
        """
        rows = np.searchsorted(self.steps(epoch), steps)
        return {path: self.record.read(_VARIABLES + path, epoch)[rows] for path in self.paths}
