"""Quadratic Taylor problems of a run, read from the normal equations that it recorded."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from nta_tf.recorders.normal_equations import forms
from nta_tf.recorders.taylor_reader import RecordedProblem, TaylorReader
from nta_tf.scopes import Scope
from nta_tf.solvers import Optimum, Quadratic, minimize_on_balls

# Relative size of an eigenvalue, times 1 / P, below which it is rounding. The float32
# value is measured: products are rounded to 6e-8, but independently, and the sum over
# examples and rounds is float64 (tests/test_taylor_rounds.py, README "Precision").
PRECISION = {"float64": np.finfo(np.float64).eps, "float32": 1e-12}


class NormalEquationReader(TaylorReader):
    """Reads a record of normal equations (`nta.TaylorRounds`)."""

    def kernel_shape(self, layer: str) -> tuple[int, ...]:
        """Shape of the layer's weights V, with the bias as last row if it is a weight."""
        return self.record.arrays[f"{layer}/kernel"]

    def cumulative_losses(self, epochs: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
        """The loss incurred up to the end of each of the epochs, twice: all examples count."""
        incurred = self.record.read("incurred")[self.epochs]
        losses = np.cumsum(incurred)[np.searchsorted(self.epochs, epochs)]
        return losses, losses

    def problems(self, scope: Scope) -> Iterator[RecordedProblem]:
        """Yields the problem of a layer, or of each of its neurons."""
        if scope.layer is None:
            raise ValueError(
                f"Record {self.record.name!r} keeps the normal equations of each layer alone; the "
                "network needs a record with form=\"gradient_tensors\". Received: scope 'network'"
            )
        self._check(scope)
        for name, neuron in zip(scope.names, scope.neurons or [None]):
            yield QuadraticProblem(self, name, scope.layer, neuron)


class QuadraticProblem(RecordedProblem):
    """The cumulative Taylor loss of a layer or a neuron, a quadratic, prefix by prefix.

    Args:
        reader: The `NormalEquationReader`.
        name: Name of the scope.
        layer: Name of the layer.
        neuron: Index of a neuron of it, or None for the layer.

    Attributes:
        centre: C, (blocks, weights of a block).
        radius: Largest distance from it at the first recorded round and the last one of each
            epoch, which are the weights that the record knows.
    """

    def __init__(
        self, reader: NormalEquationReader, name: str, layer: str, neuron: int | None
    ) -> None:
        self.name = name
        self._record, self.epochs, self._rounds = reader.record, reader.epochs, reader.rounds
        self._layer, self._neuron = layer, neuron
        self._form = forms.make(self._record.config["forms"][layer])
        self._shape = reader.kernel_shape(layer)
        self._small: dict[str, np.ndarray] = {}
        self._precision = PRECISION[self._record.config["dtype"]]
        trajectory = self._trajectory()
        self.centre = trajectory.mean(axis=0)
        distances = np.sqrt(((trajectory - self.centre) ** 2).sum(axis=(1, 2)))
        self.radius = float(distances.max())

    def optima(
        self, epochs: Sequence[int], radii: Sequence[float], solver: Any, tolerance: float
    ) -> Iterator[list[Optimum]]:
        """Yields, for each epoch, the optimum in closed form on each ball."""
        for quadratic in self.prefixes(epochs):
            yield minimize_on_balls(quadratic, radii)

    def separate_optima(
        self,
        comparator: str,
        epochs: Sequence[int],
        radii: Sequence[float],
        solver: Any,
        tolerance: float,
    ) -> Iterator[list[list[Optimum]]]:
        """Yields, for each epoch, the optimum of its rounds in closed form on each ball."""
        most = int(self._rounds[epochs].max())
        if comparator == "each_round" and most > 1:
            raise ValueError(
                f"Record {self._record.name!r} keeps the sum of the {most} rounds of an epoch, in "
                'which no round stands alone: for comparator="each_round" record with '
                'schedule="1 an epoch" or form="gradient_tensors".'
            )
        for epoch in epochs:
            yield [minimize_on_balls(self.quadratic(epoch), radii)]

    def prefixes(self, epochs: Sequence[int]) -> Iterator[Quadratic]:
        """Yields, for each of the epochs, the `Quadratic` of all rounds up to its end."""
        total: list[np.ndarray] = []
        for epoch in self.epochs[self.epochs <= max(epochs, default=-1)].tolist():
            sums = self._sums(epoch)
            total = [np.add(part, new, out=part) for part, new in zip(total, sums)] or sums
            if epoch in epochs:
                yield self._quadratic(*total)

    def quadratic(self, epoch: int) -> Quadratic:
        """The sum of the Taylor losses of the epoch's rounds."""
        return self._quadratic(*self._sums(epoch))

    def _sums(self, epoch):
        """Sums over the epoch's rounds as they are kept: of H, the gradient and the constant."""
        kept = {array: self._read(array, epoch) for array in self._form.kept_of_hessian}
        hessian = kept["hessian"]
        if self._form.by_round:
            hessian = self._form.hessian(**kept, neuron=self._neuron)
        by = "" if self._neuron is None else "neuron_"
        gradient, constant = self._all(f"{by}gradient")[epoch], self._all(f"{by}constant")[epoch]
        if self._neuron is not None:
            gradient, constant = gradient[[self._neuron]], constant[self._neuron]
        return [hessian, gradient.copy(), np.array(constant)]

    def _quadratic(self, hessian, gradient, constant):
        if not self._form.by_round:
            hessian = self._form.hessian(hessian, neuron=self._neuron)
        return Quadratic(
            hessian if hessian.ndim == 3 else hessian[None],
            self._blocks(gradient.T),
            float(constant),
            self._precision,
            self.centre,
        )

    def distance(self, weights: np.ndarray) -> float:
        """How far weights lie from the centre."""
        return float(np.linalg.norm(weights - self.centre))

    def kernels(self, weights: np.ndarray) -> dict[str, np.ndarray]:
        """Weights V of the layer as its kernel."""
        return {self._layer: weights.T if self._form.decoupled else weights.reshape(self._shape)}

    def _trajectory(self):
        """Weights at the first recorded round, then at the last one of each epoch."""
        first = self._read("first_kernel", int(self.epochs[0]))[None]
        later = self._read("kernel")[self.epochs]
        kernels = np.concatenate([first, later]).astype(np.float64)
        if self._neuron is not None:
            kernels = kernels[..., [self._neuron]]
        return np.stack([self._blocks(kernel) for kernel in kernels])

    def _blocks(self, kernel):
        """A kernel (p_{l-1}, p_l) as blocks of weights: (1, P), or its columns."""
        if self._neuron is not None or self._form.decoupled:
            return kernel.T
        return kernel.reshape(1, -1)

    def _all(self, array):
        """A small array of all epochs, read once."""
        if array not in self._small:
            self._small[array] = self._read(array)
        return self._small[array]

    def _read(self, array, epoch=None):
        return self._record.read(f"{self._layer}/{array}", epoch)
