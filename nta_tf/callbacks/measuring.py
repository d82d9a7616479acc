"""Recording rounds, and measuring what they say so far at the end of every epoch."""

from __future__ import annotations

import abc
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from nta_tf.callbacks.record_rounds import Logs, RecordRounds
from nta_tf.callbacks.writers import Csv, Scalars

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class MeasuredRounds(RecordRounds):
    """`RecordRounds`, of which something is measured while `fit` runs.

    Args:
        *arguments: As for `RecordRounds`.
        every: After how many epochs it is measured; after the last one in any case.
        log_dir: Directory of TensorBoard event files, or None.
        csv: Path of a CSV file with a row an epoch, or None.
        **options: As for `RecordRounds`.
    """

    def __init__(
        self,
        *arguments: Any,
        every: int = 1,
        log_dir: str | os.PathLike[str] | None = None,
        csv: str | os.PathLike[str] | None = None,
        **options: Any,
    ) -> None:
        super().__init__(*arguments, **options)
        if every < 1:
            raise ValueError(f"every must be a whole number from 1 on. Received: every={every!r}")
        self._every, self._log_dir, self._csv_path = every, log_dir, csv

    def on_train_begin(self, logs: Logs = None) -> None:
        super().on_train_begin(logs)
        self._scalars = Scalars(self._log_dir)
        self._csv = Csv(self._csv_path, self.run.epochs)

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        super().on_epoch_end(epoch, logs)
        done = epoch + 1
        if (
            self._diverged
            or self.run.epochs != done
            or (done % self._every and done != self.params["epochs"])
        ):
            return
        shown, numbers = self._measure()
        if isinstance(logs, dict):  # the progress bar and the history come after
            logs.update(shown)
        if numbers:
            self._scalars.write(done, numbers)
            self._csv.write(done, numbers)

    def on_train_end(self, logs: Logs = None) -> None:
        super().on_train_end(logs)
        self._scalars.close()

    @abc.abstractmethod
    def _measure(self) -> tuple[Mapping[str, float], Mapping[str, float]]:
        """What Keras's logs get of the run so far, and what is written."""

    def figure(self, **options: Any) -> Figure:
        """Draws what was recorded so far; see `nta.plotting.figure`."""
        from nta_tf import plotting

        if self.run is None:
            raise ValueError("Nothing is recorded yet: give the callback to `model.fit` first.")
        return plotting.figure(self.run, **options)
