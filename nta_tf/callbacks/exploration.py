"""Exploration while `model.fit` runs."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from nta_tf import exploration
from nta_tf.callbacks.measuring import MeasuredRounds
from nta_tf.callbacks.record_rounds import Logs
from nta_tf.recorders import ActivationRounds
from nta_tf.training_data import Layout, TrainingData

MEASURES = ("minimum_hamming", "switches", "log_volume")


class Exploration(MeasuredRounds):
    """Measures how thoroughly an optimizer explores activation configurations (section 3).

    From the second epoch on Keras's logs, TensorBoard and the CSV file have the measures of
    `nta.exploration` on the run so far, as one number each: `"minimum_hamming"` of the last
    configuration, `"switches"` averaged over data points, `"log_volume"` averaged over units.
    Losses of the run are those that `fit` reports, one an epoch.

    Args:
        x: Data points on which the rectifiers are looked at, as for `nta.ActivationRounds`.
        measures: Which measures are taken; `"log_volume"`, of which each epoch decomposes a matrix
            a unit, is left out by default.
        recorder: The `nta.ActivationRounds` to measure. Defaults to all rectifiers on all of `x`,
            at the last step of each epoch.
        directory: Where the run is kept, or None to keep it in memory.
        every: After how many epochs it is measured; after the last one in any case.
        log_dir: Directory of TensorBoard event files, or None.
        csv: Path of a CSV file with a row an epoch, or None.
        **options: Further arguments of `nta.ActivationRounds`, such as `layers` or `points`.

    Attributes:
        run: The `nta.Run`, once `fit` was called.

    Raises:
        ValueError: For an unknown measure, or as `RecordRounds`.

    Example:

    >>> import nta_tf as nta
    >>> digits = nta.data.load("sample").x[:256].reshape(256, 784)
    >>> model = nta.models.autoencoder(seed=0)
    >>> model.compile("adam", "mse")
    >>> watch = nta.callbacks.Exploration(digits)
    >>> history = model.fit(digits, digits, 64, epochs=3, verbose=0, callbacks=[watch])
    >>> nta.exploration.minimum_hamming(watch.run)[1:] == history.history["minimum_hamming"]
    array([ True,  True])
    >>> figure = watch.figure()
    """

    def __init__(
        self,
        x: Any,
        measures: Sequence[str] = ("minimum_hamming", "switches"),
        recorder: ActivationRounds | None = None,
        directory: str | os.PathLike[str] | None = None,
        *,
        every: int = 1,
        log_dir: str | os.PathLike[str] | None = None,
        csv: str | os.PathLike[str] | None = None,
        **options: Any,
    ) -> None:
        self._measures = [measures] if isinstance(measures, str) else list(measures)
        unknown = [name for name in self._measures if name not in MEASURES]
        if unknown or (recorder is not None and options):
            raise ValueError(
                f"Measures are {MEASURES}, and options are those of the recorder that is made, so "
                f"that recorder= takes none. Received: measures={measures!r}, options={options}"
            )
        recorder = ActivationRounds(x, **options) if recorder is None else recorder
        super().__init__(
            x, None, [recorder], None, directory, every=every, log_dir=log_dir, csv=csv
        )
        self._record_name = recorder.name

    def _minibatch(self, epochs):
        """Nothing: rounds have weights alone, and the recorder has its own data points."""
        return TrainingData([np.zeros((1, 1))], Layout(0, own=True))

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        if logs and "loss" in logs and not self._diverged and self.run.epochs == epoch:
            self._measured["losses"][-1] = logs["loss"]
            self._diverged = not np.isfinite(logs["loss"])
        super().on_epoch_end(epoch, logs)

    def _measure(self) -> tuple[Mapping[str, float], Mapping[str, float]]:
        if self.run.records[self._record_name].rounds.sum() < 2:
            return {}, {}
        configurations = exploration.Configurations(self.run, record=self._record_name)
        numbers = {}
        for name in self._measures:
            values = getattr(exploration, name)(configurations)
            numbers[name] = float(values[-1] if name == "minimum_hamming" else values.mean())
        return numbers, numbers
