"""Taylor problems of a run, made from the rounds that it recorded as gradient tensors."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from nta_tf.recorders.base import recorded_steps
from nta_tf.recorders.gradient_tensors.recorded_layer import recorded_layer
from nta_tf.recorders.taylor_reader import RecordedProblem, TaylorReader
from nta_tf.scopes import NETWORK, Scope
from nta_tf.solvers import (
    DenseMap,
    JointMap,
    NewtonCG,
    Optimum,
    Status,
    TaylorProblem,
    minimize_on_balls,
    minimize_prefixes,
)
from nta_tf.solvers.minimize import get
from nta_tf.trace import Record

# Up to this size a map's G is held in float64: without a ball, float32 does not resolve the
# flat directions along which the minimiser lies far away.
_DOUBLE_BYTES = 2**31
_AIM_ON_BALL = 1e-7
# Cross-entropies on a ball below this share of the cumulative loss are as good as zero: where
# examples are separated they fall on to e^-30, and regret is the cumulative loss.
_NEGLIGIBLE = 1e-4


class GradientTensorReader(TaylorReader):
    """Reads a record of gradient tensors (`nta.TaylorRounds`).

    Attributes:
        groups_a_round: How many groups of examples with a G of their own a round has.
        losses: Incurred loss of each round, in order, on the examples that it took.
    """

    checkpoints = 20

    def __init__(self, record: Record) -> None:
        super().__init__(record)
        self._config = record.config
        self._in_memory: dict[str, np.ndarray] = {}
        self._mean = self._config["reduction"] == "batch_mean"
        self._examples = record.arrays["outputs"][1]
        self.groups_a_round = 1 if self._mean else self._examples
        self.losses = self._read("losses").astype(np.float64)

    def kernel_shape(self, layer: str) -> tuple[int, ...]:
        """Shape of the layer's kernel; its last axis counts neurons."""
        return self.record.arrays[f"{layer}/kernel"][1:]

    def round_counts(self, epochs: Sequence[int]) -> np.ndarray:
        """N, number of rounds up to the end of each of the epochs."""
        return np.cumsum(self.rounds)[np.asarray(epochs, int)]

    def cumulative_losses(self, epochs: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
        """The loss incurred up to the end of each epoch: of the examples taken, and of all."""
        last = self.round_counts(epochs) - 1
        return np.cumsum(self.losses)[last], np.cumsum(self._network_losses())[last]

    def problems(self, scope: Scope) -> Iterator[RecordedProblem]:
        """Yields the problem of each name of a scope; a layer's neurons are read at once."""
        self._check(scope)
        if scope.layer is None:
            paths = [self._read(f"{layer}/kernel") for layer in self.layers]
            parts = [self._tensors(layer) for layer in self.layers]
            yield self._assemble(NETWORK, self.layers, parts, paths)
            return
        path, layer = self._read(f"{scope.layer}/kernel"), scope.layer
        if scope.neurons is None:
            yield self._assemble(layer, [layer], [self._tensors(layer)], [path])
            return
        tensors = self._tensors_of_neurons(layer, scope.neurons)
        for name, neuron, part in zip(scope.names, scope.neurons, tensors):
            yield self._assemble(name, [layer], [part], [path[..., neuron]])

    def _network_losses(self):
        losses = self.record.run.losses
        rows = [
            losses[epoch, recorded_steps(self.record, int(epoch))[: self.rounds[epoch]]]
            for epoch in self.epochs
        ]
        return np.concatenate(rows).astype(np.float64)

    def _assemble(self, name, layers, parts, paths):
        centres = [path.mean(axis=0, dtype=np.float64) for path in paths]
        squares = [
            ((path - centre) ** 2).reshape(len(path), -1).sum(axis=1)
            for path, centre in zip(paths, centres)
        ]
        # At V = C the outputs are f + <G, C - W^n>.
        moved = sum(self._moved(*part) for part in zip(layers, parts, paths, centres))
        outputs, targets = self._once("outputs").astype(np.float64), self._once("targets")
        if not self._mean:  # every example is a group of its own
            outputs = outputs.reshape(-1, 1, outputs.shape[-1])
            targets = targets.reshape(-1, 1, targets.shape[-1])
        weights = self._once("sample_weights") if "sample_weights" in self.record.arrays else None
        dtype = _precision(parts)
        maps = [self._map(layer, part, dtype) for layer, part in zip(layers, parts)]
        joint = len(maps) > 1
        problem = TaylorProblem(
            JointMap(maps) if joint else maps[0],
            outputs + moved[:, np.newaxis],
            targets,
            np.full(len(outputs), 1.0 / self._examples),
            centres if joint else centres[0],
            self._config["loss"],
            None if weights is None else weights.reshape(outputs.shape[:2]),
        )
        radius = float(np.sqrt(sum(squares).max()))
        return GradientTensorProblem(self, name, problem, radius, _recorded_dtype(parts))

    def _moved(self, layer, part, path, centre):
        """<G_g, C - W^n> of every group g of every round n, (groups, p_L)."""
        moved = []
        for n, weights in enumerate(path):
            change = centre - weights
            groups = slice(n * self.groups_a_round, (n + 1) * self.groups_a_round)
            if isinstance(part, tuple):
                jacobian, layer_input = (factor[groups] for factor in part)
                change = tf.cast(change, jacobian.dtype)
                change = self._recorded(layer).mapped(tf.constant(layer_input), change).numpy()
                moved.append(_product(jacobian, change.reshape(len(jacobian), -1, 1))[..., 0])
            else:
                moved.append(_product(part[groups], change.reshape(-1)))
        return np.concatenate(moved)

    def _map(self, layer, part, dtype):
        if isinstance(part, tuple):
            factors = (factor.astype(dtype, copy=False) for factor in part)
            return self._recorded(layer).linear_map(*factors)
        return DenseMap(part.astype(dtype, copy=False))

    def _tensors(self, layer):
        """G of every group, or (J, x) where factors are kept and groups are examples."""
        if self._config["forms"][layer] == "gradient_tensor":
            return _groups(self._read(f"{layer}/gradient_tensor"), merge=not self._mean)
        if not self._mean:
            return tuple(
                _groups(self._read(f"{layer}/{name}"), merge=True)
                for name in ("jacobian", "layer_input")
            )
        return np.stack([rounds[0] for rounds in self._rounds_of_tensors(layer)])

    def _tensors_of_neurons(self, layer, neurons):
        """G of every group, neuron by neuron: (neurons, groups, p_L, *kernel.shape[:-1])."""
        tensors = None
        for n, of_round in enumerate(self._rounds_of_tensors(layer, neurons)):
            if tensors is None:
                groups = len(self.losses) * self.groups_a_round
                shape = (groups, *of_round.shape[1:-1])
                tensors = np.empty((len(neurons), *shape), of_round.dtype)
            groups = slice(n * self.groups_a_round, (n + 1) * self.groups_a_round)
            tensors[:, groups] = np.moveaxis(of_round, -1, 0)
        return tensors

    def _rounds_of_tensors(self, layer, neurons=None):
        """Yields G of each round, (groups, p_L, *kernel.shape), or of its neurons alone."""
        chosen = slice(None) if neurons is None else list(neurons)
        if self._config["forms"][layer] == "gradient_tensor":
            for epoch in self.epochs:
                for tensor in self._read(f"{layer}/gradient_tensor", epoch):
                    yield (tensor[np.newaxis] if self._mean else tensor)[..., chosen]
            return
        recorded = self._recorded(layer)
        for epoch in self.epochs:
            jacobians = self._read(f"{layer}/jacobian", epoch)
            inputs = self._read(f"{layer}/layer_input", epoch)
            for factors in zip(jacobians, inputs):
                if self._mean:
                    yield recorded.mean_gradient_tensor(*factors)[np.newaxis, ..., chosen]
                else:
                    yield recorded.gradient_tensor_of(chosen, *factors)

    def _recorded(self, layer):
        return recorded_layer(self._config["kernels"][layer])

    def _once(self, name):
        """A small array of all rounds, which every neuron asks for, from memory."""
        if name not in self._in_memory:
            self._in_memory[name] = self._read(name)
        return self._in_memory[name]

    def _read(self, name, epoch=None):
        return self.record.read_rounds(name, epoch)


@dataclasses.dataclass(frozen=True)
class GradientTensorProblem(RecordedProblem):
    """The cumulative Taylor loss of one scope, from the G of every round.

    Attributes:
        reader: The `GradientTensorReader`.
        name: Name of the scope.
        problem: The `TaylorProblem` of all rounds, centred on the trajectory.
        radius: Largest distance of a recorded W^n from the centre.
        recorded: The dtype in which its gradient tensors were recorded.
    """

    reader: GradientTensorReader
    name: str
    problem: TaylorProblem
    radius: float
    recorded: np.dtype

    @property
    def centre(self) -> Any:
        """C, in the shape of the scope's weights (a list of arrays for the network)."""
        return self.problem.centre

    def optima(
        self, epochs: Sequence[int], radii: Sequence[float], solver: Any, tolerance: float
    ) -> Iterator[list[Optimum]]:
        """Yields, for each epoch, the optimum on each ball; all of them are solved at once."""
        counts = self.reader.round_counts(epochs)
        optima = minimize_prefixes(
            self._in_the_precision_of(radii, solver),
            (counts * self.reader.groups_a_round).tolist(),
            radii,
            solver,
            tolerance=_aims(radii, tolerance),
            negligible=self._negligible(self.reader.cumulative_losses(epochs)[0]),
        )
        for on_balls in optima:
            yield self._accepted(on_balls, radii, tolerance)

    def separate_optima(
        self,
        comparator: str,
        epochs: Sequence[int],
        radii: Sequence[float],
        solver: Any,
        tolerance: float,
    ) -> Iterator[list[list[Optimum]]]:
        """Yields, for each epoch, the optima of its rounds, or of each of them."""
        losses = self.reader.losses
        ends = self.reader.round_counts(epochs)
        for last, count in zip(ends, self.reader.rounds[epochs]):
            edges = [last - count, last]
            if comparator == "each_round":
                edges = range(last - count, last + 1)
            parts = []
            for first, end in itertools.pairwise(edges):
                groups = (first * self.reader.groups_a_round, end * self.reader.groups_a_round)
                on_balls = minimize_on_balls(
                    self.problem.part(*groups),
                    radii,
                    solver,
                    tolerance=_aims(radii, tolerance),
                    negligible=self._negligible(losses[first:end].sum()),
                )
                parts.append(self._accepted(on_balls, radii, tolerance, losses[first:end].sum()))
            yield parts

    @property
    def epochs(self) -> np.ndarray:
        """Indices of the epochs that have rounds."""
        return self.reader.epochs

    def distance(self, weights: Any) -> float:
        """How far weights lie from the centre."""
        displacement = self.problem.displacement(weights)
        parts = displacement if isinstance(displacement, list) else [displacement]
        return math.sqrt(sum(float(np.sum(np.square(part))) for part in parts))

    def kernels(self, weights: Any) -> dict[str, np.ndarray]:
        """Weights V of a layer, or of the network, as kernels."""
        if self.name == NETWORK:
            return dict(zip(self.reader.layers, weights))
        return {self.name: weights}

    def _in_the_precision_of(self, radii, solver):
        """The problem as balls need it: products in float32 lead to a gap as small, in two thirds
        of the time, where no flat direction leads far away; it is certified in float64.
        """
        linear_map = self.problem.linear_map
        on_balls = all(map(math.isfinite, radii)) and linear_map.is_dense
        if on_balls and isinstance(get(solver, self.problem, max(radii)), NewtonCG):
            return dataclasses.replace(self.problem, linear_map=linear_map.cast(self.recorded))
        return self.problem

    def _negligible(self, incurred):
        return _NEGLIGIBLE * incurred if self.problem.loss == "cross_entropy" else 0.0

    def _accepted(self, on_balls, radii, tolerance, incurred=0.0):
        """The optima; one that missed the aim but not the tolerance counts as found.

        So does one of a single part whose gap is nothing beside the loss incurred on it: with more
        weights than rows its minimum is zero, and no gap is small beside that.
        """
        accepted = []
        for optimum, radius in zip(on_balls, radii):
            unfinished = optimum.status in (Status.STALLED, Status.MAX_ITERATIONS)
            if unfinished and optimum.gap <= max(tolerance * optimum.loss, _NEGLIGIBLE * incurred):
                on_ball = self.distance(optimum.weights) > (1 - 1e-6) * radius
                status = Status.ON_BALL if on_ball else Status.OPTIMAL
                optimum = dataclasses.replace(optimum, status=status)
            accepted.append(optimum)
        return accepted


def _aims(radii, tolerance):
    """Gaps at which the solver aims: on a ball, where the last digits cost little, small ones."""
    on_ball = min(_AIM_ON_BALL, tolerance)
    return [on_ball if math.isfinite(radius) else tolerance / 2 for radius in radii]


def _precision(parts):
    """In which dtype maps are held: that of the record, or float64 where it fits."""
    if any(isinstance(part, tuple) for part in parts):
        return _recorded_dtype(parts)
    fits = 8 * sum(part.size for part in parts) <= _DOUBLE_BYTES
    return np.float64 if fits else _recorded_dtype(parts)


def _recorded_dtype(parts):
    factors = [part[0] for part in parts if isinstance(part, tuple)]
    return (factors or parts)[0].dtype


def _product(tensors, change):
    """Contraction of (g, p_L, ...) with a change of weights, in float64."""
    flat = tensors.reshape(*tensors.shape[:2], -1).astype(np.float64)
    return flat @ change.astype(np.float64)


def _groups(rows, merge):
    """Rounds (N, ...) as groups; (N, E, ...) becomes (N E, ...) where each example is one."""
    return rows.reshape(-1, *rows.shape[2:]) if merge else rows
