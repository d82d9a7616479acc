"""Recorder of the weights themselves, from which everything else can be made later."""

import numpy as np

from nta_tf import schedules
from nta_tf.recorders.base import ArraySpecification, ScheduledRecorder, padded


class WeightRounds(ScheduledRecorder):
    """Records the weights W^n of a model at chosen rounds while it trains.

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
    >>> nta.WeightRounds("4 an epoch").config()
    {'kind': 'weight_rounds', 'schedule': '4 an epoch'}
    """

    def __init__(self, schedule="1 an epoch", name="weights"):
        self.schedule = schedules.get(schedule)
        self.name = name

    def start(self, training):
        self._training = training
        self._most = self._most_rounds()
        arrays = {
            "rounds": ArraySpecification((), "int64"),
            "losses": ArraySpecification((self._most,), "float32"),
        }
        for variable in training.model.trainable_variables:
            shape = (self._most, *variable.shape)
            arrays[f"variables/{variable.path}"] = ArraySpecification(shape, variable.dtype)
        return arrays

    def begin_epoch(self, epoch):
        self._rows = {}

    def record(self, rounds):
        self._rows.setdefault("losses", []).append(rounds.losses)
        for path, values in rounds.weights.items():
            self._rows.setdefault(f"variables/{path}", []).append(values.numpy())

    def end_epoch(self):
        rows = {name: np.concatenate(parts) for name, parts in self._rows.items()}
        filled = {name: padded(row, self._most) for name, row in rows.items()}
        return {"rounds": len(rows.get("losses", ())), **filled}

    def config(self):
        return {"kind": "weight_rounds", "schedule": str(self.schedule)}
