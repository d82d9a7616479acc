"""What every record of Taylor rounds offers: the problems of its scopes, ready to be solved."""

from __future__ import annotations

import abc
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from nta_tf import scopes
from nta_tf.comparators import CumulativeOptimum
from nta_tf.scopes import Scope
from nta_tf.solvers import Optimum
from nta_tf.trace import Record

KIND = "taylor_rounds"


class TaylorReader(abc.ABC):
    """Reads a record of Taylor rounds.

    Args:
        record: A `nta.trace.Record` of kind `"taylor_rounds"`.

    Attributes:
        record: The record.
        layers: Names of the recorded layers.
        rounds: Number of rounds in each epoch.
        epochs: Indices of the epochs that have rounds.
        checkpoints: At the end of how many epochs optima are found unless the caller says; None
            for all of them.

    Raises:
        ValueError: If the record holds no rounds yet.
    """

    checkpoints: int | None = None

    def __init__(self, record: Record) -> None:
        self.record = record
        self.layers: list[str] = record.config["layers"]
        self.rounds = record.rounds
        self.epochs = np.flatnonzero(self.rounds)
        if not len(self.epochs):
            raise ValueError(
                f"Record {record.name!r} of {record.run!r} holds no rounds yet; train at least "
                "one epoch that has some."
            )

    @abc.abstractmethod
    def kernel_shape(self, layer: str) -> tuple[int, ...]:
        """Shape of the layer's weights V; its last axis counts neurons."""

    @abc.abstractmethod
    def cumulative_losses(self, epochs: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
        """The loss incurred up to the end of each of the epochs.

        Args:
            epochs: Indices of epochs that have rounds.

        Returns:
            Two arrays (epochs,): on the examples that the rounds took, and on the whole
            minibatches, as training incurred it.
        """

    def checkpoint_epochs(self, count: int | None = None) -> list[int]:
        """At the end of which epochs optima are found.

        Args:
            count: How many epochs, evenly spaced with the last one. Defaults to `checkpoints`.

        Returns:
            Their indices.
        """
        count = count or self.checkpoints or len(self.epochs)
        ends = np.arange(1, count + 1) * len(self.epochs) // count - 1
        return [int(epoch) for epoch in self.epochs[np.unique(ends[ends >= 0])]]

    @abc.abstractmethod
    def problems(self, scope: Scope) -> Iterator[RecordedProblem]:
        """Yields the problem of each name of a scope.

        Args:
            scope: A `nta.scopes.Scope`.

        Raises:
            ValueError: If the record does not have it.
        """

    def _check(self, scope: Scope) -> None:
        scopes.check_layer(self.record.name, scope.layer, self.layers)
        if scope.layer is not None:
            units = self.kernel_shape(scope.layer)[-1]
            scopes.check_neurons(scope.layer, scope.neurons, units)


class RecordedProblem(abc.ABC):
    """The cumulative Taylor loss of one scope, over the rounds of a record.

    Attributes:
        name: Of the scope: `"network"`, `"conv2d_2"` or `"conv2d_2:7"`.
        centre: C, centre of the trajectory {W^n}.
        radius: Largest distance from the centre on that trajectory.
        epochs: Indices of the epochs that have rounds.
    """

    name: str
    centre: Any
    radius: float
    epochs: np.ndarray

    @abc.abstractmethod
    def optima(
        self, epochs: Sequence[int], radii: Sequence[float], solver: Any, tolerance: float
    ) -> Iterator[list[Optimum]]:
        """Yields the static Taylor optima of all rounds up to the end of each epoch.

        Args:
            epochs: Indices of epochs that have rounds, increasing.
            radii: Radii of balls around the centre.
            solver: Solver where there is no closed form.
            tolerance: Relative gap up to which an optimum counts as found.

        Yields:
            For each epoch a list with an `Optimum` for each radius.
        """

    @abc.abstractmethod
    def separate_optima(
        self,
        comparator: str,
        epochs: Sequence[int],
        radii: Sequence[float],
        solver: Any,
        tolerance: float,
    ) -> Iterator[list[list[Optimum]]]:
        """Yields the Taylor optima of each round, or of all rounds, of each epoch alone.

        Args:
            comparator: `"each_round"` or `"each_epoch"`.
            epochs: Indices of epochs that have rounds, increasing.
            radii: As for `optima`, as are the others.
            solver: The solver.
            tolerance: The relative gap.

        Yields:
            For each epoch, for each of its rounds (or once), an `Optimum` for each radius.

        Raises:
            ValueError: If the record knows only sums over several rounds.
        """

    def cumulative_optima(
        self,
        comparator: str,
        epochs: Sequence[int],
        radii: Sequence[float],
        solver: Any,
        tolerance: float,
    ) -> Iterator[list[CumulativeOptimum]]:
        """Yields what the loss of all rounds up to the end of each epoch is compared with.

        Args:
            comparator: One of `nta_tf.comparators.COMPARATORS`.
            epochs: As for `optima`, as are the others.
            radii: Radii of balls.
            solver: The solver.
            tolerance: The relative gap.

        Yields:
            For each epoch a list with a `CumulativeOptimum` for each radius.
        """
        arguments = (radii, solver, tolerance)
        if comparator == "static":
            for optima in self.optima(epochs, *arguments):
                yield [self._alone(optimum) for optimum in optima]
            return
        all_epochs = self.epochs[self.epochs <= max(epochs)].tolist()
        totals: list[CumulativeOptimum] = []
        for epoch, parts in zip(
            all_epochs, self.separate_optima(comparator, all_epochs, *arguments)
        ):
            for optima in parts:
                alone = [self._alone(optimum) for optimum in optima]
                totals = [a + b for a, b in zip(totals, alone)] if totals else alone
            if epoch in epochs:
                yield totals

    def _alone(self, optimum):
        return CumulativeOptimum.of(optimum, self.distance(optimum.weights))

    @abc.abstractmethod
    def distance(self, weights: Any) -> float:
        """How far weights V lie from the centre."""

    @abc.abstractmethod
    def kernels(self, weights: Any) -> dict[str, np.ndarray]:
        """Weights V of a layer or of the network as kernels, by the names of the layers."""
