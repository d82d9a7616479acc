"""Taylor problems of a run, made from the rounds that it recorded as gradient tensors."""

import functools
import json

import keras
import numpy as np
import tensorflow as tf

from nta_tf import schedules
from nta_tf.linearization import rules
from nta_tf.solvers import DenseMap, FactoredMap, JointMap, TaylorProblem
from nta_tf.taylor_problems import scopes

# Up to this size a map's G is held in float64: without a ball, float32 does not resolve the
# flat directions along which the minimiser lies far away.
_DOUBLE_BYTES = 2**31


class RecordedRounds:
    """The rounds of one record of gradient tensors (`nta.TaylorRounds`).

    Args:
        run: A `nta.Run`.
        record: Name of the record.

    Attributes:
        layers: Names of the recorded layers.
        rounds: Number of rounds in each epoch.
        losses: Incurred loss of each round, in order, on the examples that the round took.
        network_losses: The same on the whole minibatch, as training incurred it.
        groups_a_round: How many groups of examples with a G of their own a round has.
    """

    def __init__(self, run, record):
        self._run, self._prefix = run, f"records/{record}/"
        self._config = run.config["records"][record]
        self.layers = self._config["layers"]
        self.rounds = run.read(f"{self._prefix}rounds")
        if not self.rounds.any():
            raise ValueError(
                f"Record {record!r} of {run!r} holds no rounds yet; train at least one "
                "epoch that has some."
            )
        self.losses = self._read("losses").astype(np.float64)
        self.network_losses = self._network_losses()
        self._mean = self._config["reduction"] == "batch_mean"
        examples = run.arrays(self._prefix)[f"{self._prefix}outputs"][1]
        self._examples = examples
        self.groups_a_round = 1 if self._mean else examples

    def kernel_shape(self, layer):
        """Shape of the layer's kernel; its last axis counts neurons."""
        return self._run.arrays(self._prefix)[f"{self._prefix}{layer}/kernel"][1:]

    def _network_losses(self):
        schedule, trained = schedules.get(self._config["schedule"]), self._run.losses
        steps, epochs = trained.shape[1], self._run.config["epochs"]
        rows = [
            trained[epoch, schedule.steps(int(epoch), steps, epochs)]
            for epoch in np.flatnonzero(self.rounds)
        ]
        return np.concatenate(rows).astype(np.float64)

    def problems(self, scope):
        """Yields the problem of each name of a scope; a layer's neurons are read at once.

        Args:
            scope: A `Scope`.

        Yields:
            A `TaylorProblem` centred on the trajectory, and the radius of the trajectory: the
            largest distance of a recorded W^n from the centre.
        """
        if scope.layer is None:
            paths = [self._read(f"{layer}/kernel") for layer in self.layers]
            parts = [self._scope(layer) for layer in self.layers]
            yield self._assemble(self.layers, parts, paths)
            return
        path, layer = self._read(f"{scope.layer}/kernel"), scope.layer
        if scope.neurons is None:
            yield self._assemble([layer], [self._scope(layer)], [path])
            return
        for neuron in scope.neurons:
            scopes.check_neuron(layer, neuron, path.shape[-1])
        tensors = self._scope(layer, list(scope.neurons))
        for position, neuron in enumerate(scope.neurons):
            own = np.ascontiguousarray(tensors[..., position])
            yield self._assemble([layer], [own], [path[..., neuron]])

    def _assemble(self, layers, parts, paths):
        centres = [path.mean(axis=0, dtype=np.float64) for path in paths]
        squares = [
            ((path - centre) ** 2).reshape(len(path), -1).sum(axis=1)
            for path, centre in zip(paths, centres)
        ]
        # At V = C the outputs are f + <G, C - W^n>.
        moved = sum(self._moved(*of) for of in zip(layers, parts, paths, centres))
        outputs, targets = self._read("outputs").astype(np.float64), self._read("targets")
        if not self._mean:  # every example is a group of its own
            outputs = outputs.reshape(-1, 1, outputs.shape[-1])
            targets = targets.reshape(-1, 1, targets.shape[-1])
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
        )
        return problem, float(np.sqrt(sum(squares).max()))

    def _moved(self, layer, part, path, centre):
        """<G_g, C - W^n> of every group g of every round n, (groups, p_L)."""
        moved = []
        for n, weights in enumerate(path):
            change = centre - weights
            groups = slice(n * self.groups_a_round, (n + 1) * self.groups_a_round)
            if isinstance(part, tuple):
                jacobian, layer_input = (factor[groups] for factor in part)
                change = tf.cast(change, jacobian.dtype)
                change = self._products(layer)[0](tf.constant(layer_input), change).numpy()
                moved.append(_product(jacobian, change.reshape(len(jacobian), -1, 1))[..., 0])
            else:
                moved.append(_product(part[groups], change.reshape(-1)))
        return np.concatenate(moved)

    def _map(self, layer, scope, dtype):
        if isinstance(scope, tuple):
            jacobian, layer_input = (factor.astype(dtype, copy=False) for factor in scope)
            return FactoredMap(
                jacobian, layer_input, self.kernel_shape(layer), *self._products(layer)
            )
        return DenseMap(scope.astype(dtype, copy=False))

    def _scope(self, layer, neurons=None):
        """G of every group, or (J, x) where factors are kept; neurons along a last axis."""
        if f"{self._prefix}{layer}/gradient_tensor" in self._run.arrays(self._prefix):
            return self._dense(layer, neurons)
        if neurons is None and not self._mean:
            return tuple(
                _groups(self._read(f"{layer}/{name}"), merge=True)
                for name in ("jacobian", "layer_input")
            )
        return self._dense_from_factors(layer, neurons)

    def _dense(self, layer, neurons):
        name = f"{layer}/gradient_tensor"
        parts = []
        for epoch in np.flatnonzero(self.rounds):
            rows = self._read(name, epoch)
            parts.append(rows if neurons is None else rows[..., neurons])
        return _groups(np.concatenate(parts), merge=not self._mean)

    def _dense_from_factors(self, layer, neurons):
        """G, or the G of neurons, one round after the other."""
        keras_layer, rule = _layer(json.dumps(self._config["kernels"][layer]))
        parts = []
        for epoch in np.flatnonzero(self.rounds):
            jacobians = self._read(f"{layer}/jacobian", epoch)
            inputs = self._read(f"{layer}/layer_input", epoch)
            for jacobian, layer_input in zip(map(tf.constant, jacobians), map(tf.constant, inputs)):
                if self._mean:
                    g = rule.mean_gradient_tensor(keras_layer, jacobian, layer_input)
                    g = g.numpy() if neurons is None else g.numpy()[..., neurons]
                else:
                    of_neurons = [
                        rule.gradient_tensor(keras_layer, jacobian, layer_input, neuron).numpy()
                        for neuron in neurons
                    ]
                    g = np.stack(of_neurons, axis=-1)
                parts.append(g[np.newaxis])
        return _groups(np.concatenate(parts), merge=not self._mean)

    def _products(self, layer):
        return _products(json.dumps(self._config["kernels"][layer]))

    def _read(self, name, epoch=None):
        """Rows of an array by round: those of one epoch, or of all of them."""
        if epoch is not None:
            return self._run.read(f"{self._prefix}{name}", int(epoch))[: self.rounds[epoch]]
        return np.concatenate([self._read(name, epoch) for epoch in np.flatnonzero(self.rounds)])


def _precision(parts):
    """In which dtype maps are held: that of the record, or float64 where it fits."""
    if any(isinstance(part, tuple) for part in parts):
        return next(part[0].dtype for part in parts if isinstance(part, tuple))
    fits = 8 * sum(part.size for part in parts) <= _DOUBLE_BYTES
    return np.float64 if fits else parts[0].dtype


def _product(tensors, change):
    """Contraction of (g, p_L, ...) with a change of weights, in float64."""
    flat = tensors.reshape(*tensors.shape[:2], -1).astype(np.float64)
    return flat @ change.astype(np.float64)


def _groups(rows, merge):
    """Rounds (N, ...) as groups; (N, E, ...) becomes (N E, ...) where each example is one."""
    return rows.reshape(-1, *rows.shape[2:]) if merge else rows


@functools.cache
def _layer(config):
    config = json.loads(config)
    layer = keras.layers.deserialize(config["layer"])
    if not layer.built:
        layer.build((None, *config["input_shape"]))
    return layer, rules.rule_of(layer)


@functools.cache
def _products(config):
    """The products of a `FactoredMap`; the same objects for the same layer."""
    layer, rule = _layer(config)

    def linear_map(inputs, kernel):
        return rule.linear_map(layer, inputs, kernel)

    def kernel_gradient(inputs, weighted):
        return rule.kernel_gradient(layer, inputs, weighted)

    def gram(jacobian, inputs):
        return rule.gram(layer, jacobian, inputs)

    return linear_map, kernel_gradient, gram
