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
