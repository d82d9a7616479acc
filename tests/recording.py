"""A recorder that keeps every round as it is, for comparison with the real ones."""

import numpy as np

from nta_tf import schedules
from nta_tf.recorders import Recorder


class KeepRounds(Recorder):
    """Keeps weights and minibatches of its rounds in memory, nothing in the trace."""

    def __init__(self, schedule="every step", name="keep"):
        self.name = name
        self.schedule = schedules.get(schedule)
        self.rounds = []  # (epoch, step, {path: weights}, inputs, targets, loss)

    def start(self, training):
        self._training = training
        return {}

    def steps(self, epoch):
        training = self._training
        return self.schedule.steps(epoch, training.steps_per_epoch, training.epochs)

    def begin_epoch(self, epoch):
        self._epoch = epoch

    def record(self, rounds):
        for n, step in enumerate(rounds.steps):
            weights = {path: value[n].numpy() for path, value in rounds.weights.items()}
            self.rounds.append(
                (
                    self._epoch,
                    int(step),
                    weights,
                    np.asarray(rounds.inputs[n]),
                    np.asarray(rounds.targets[n]),
                    float(rounds.losses[n]),
                )
            )

    def end_epoch(self):
        return {}

    def config(self):
        return {"kind": "keep_rounds", "schedule": str(self.schedule)}


def assert_same_trace(one, other):
    """Whether two runs hold the same numbers, bit for bit."""
    assert one.measured == other.measured
    for name in one.measured:
        np.testing.assert_array_equal(one.read(name), other.read(name), err_msg=name)
    filled, also = (sorted(n for n in run.records if run.records[n].arrays) for run in (one, other))
    assert filled == also
    for name in filled:
        assert_same_record(one.records[name], other.records[name])


def assert_same_record(one, other):
    """Whether two records hold the same numbers, bit for bit."""
    assert one.arrays == other.arrays
    for array in one.arrays:
        np.testing.assert_array_equal(one.read(array), other.read(array), err_msg=array)
