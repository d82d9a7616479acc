"""What one recorder kept of a run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from nta_tf.trace import files
from nta_tf.trace.arrays import ArrayStore

if TYPE_CHECKING:
    from nta_tf.trace.run import Run

_RECORDS = "records"


class Record:
    """What one recorder kept of a run.

    Attributes:
        run: The `Run`.
        name: Name of the record.
        group: Where its arrays lie in the trace.
    """

    def __init__(self, run: Run, name: str, store: ArrayStore) -> None:
        self.run = run
        self.name = name
        self.group = group_of(name)
        self._store = store
        self._counted: tuple[int, np.ndarray] | None = None

    @property
    def config(self) -> dict[str, Any]:
        """What made the record, as JSON-ready dictionary."""
        return self.run.config["records"][self.name]

    @property
    def kind(self) -> str:
        """What it holds, such as `"taylor_rounds"`, `"weight_rounds"`, `"gradient_norms"`."""
        return self.config["kind"]

    @property
    def arrays(self) -> dict[str, tuple[int, ...]]:
        """{array: shape of a row}; a row is what an epoch adds."""
        names = self._store.names(self.group)
        return {name: self._store.shape(self.group, name) for name in names}

    @property
    def is_added(self) -> bool:
        """Whether it was made after the training, by `nta.replay`."""
        return self.name in self.run.progress["added"]

    @property
    def done(self) -> int:
        """How many epochs of the run it covers: all, unless it is being replayed."""
        if self.is_added:
            return self.run.progress["added"][self.name]["epochs"]
        return self.run.whole_epochs

    @property
    def rounds(self) -> np.ndarray:
        """How many rounds each epoch of the run has in it, (epochs,)."""
        if self._counted is None or self._counted[0] != self.done:
            counts = np.zeros(self.run.epochs, np.int64)
            counts[: self.done] = self.read("rounds", slice(0, self.done))
            self._counted = (self.done, counts)
        return self._counted[1].copy()

    @property
    def epochs(self) -> np.ndarray:
        """Indices of the epochs that have rounds."""
        return np.flatnonzero(self.rounds)

    def read(self, array: str, epoch: int | slice | None = None) -> np.ndarray:
        """Rows of an array as they lie in the trace.

        Args:
            array: Its name.
            epoch: Index or slice of epochs. Defaults to all that are done.

        Returns:
            NumPy array with the epochs as first axis, without it for a single index.

        Raises:
            RunDirectoryError: If a row of them is damaged or missing.
        """
        epochs = slice(0, self.run.epochs) if epoch is None else epoch
        return self._store.read(self.group, array, epochs, self.done)

    def read_rounds(self, array: str, epoch: int | None = None) -> np.ndarray:
        """An array that has an entry for each round, without the filling of shorter epochs.

        Args:
            array: Its name.
            epoch: Index of an epoch. Defaults to all, one behind the other.

        Returns:
            NumPy array with the rounds as first axis.
        """
        rounds = self.rounds
        if epoch is not None:
            return self.read(array, int(epoch))[: rounds[epoch]]
        epochs = [int(index) for index in np.flatnonzero(rounds)]
        return np.concatenate([self.read(array, index)[: rounds[index]] for index in epochs])

    def write(self, epoch: int, rows: Mapping[str, Any]) -> None:
        """Writes the epoch's row of each of the arrays; not yet committed."""
        self._store.write(self.group, epoch, rows)

    def recover(self) -> None:
        """Removes what a kill left of an added record, and forgets epochs that lost power."""
        if self.run.directory is not None and self.done < self.run.whole_epochs:
            files.sweep(self.run.directory)
        synced = self.run.progress["added"][self.name]["synced"]
        if any(self._store.damaged_rows(self.group, synced, self.done)):
            self.commit(synced)

    def commit(self, epochs: int) -> None:
        """Makes the epochs of an added record count that were written so far."""
        self.run.commit_record(self.name, self.config, epochs)

    def __repr__(self) -> str:
        return f"<Record {self.name!r} of {self.run!r}: {self.kind}>"


class Records(Mapping[str, Record]):
    """The records of a run by name, in the order in which they were made."""

    def __init__(self, run: Run, store: ArrayStore) -> None:
        self._run = run
        self._store = store
        self._opened: dict[str, Record] = {}

    def __getitem__(self, name: str) -> Record:
        if name not in self._run.config["records"]:
            raise KeyError(f"{self._run!r} has records {list(self)}. Received: {name!r}")
        if name not in self._opened:
            self._opened[name] = Record(self._run, name, self._store)
        return self._opened[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._run.config["records"])

    def __len__(self) -> int:
        return len(self._run.config["records"])


def group_of(record: str) -> str:
    """Where the arrays of a record lie in the trace."""
    return f"{_RECORDS}/{record}/"
