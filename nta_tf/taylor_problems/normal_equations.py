"""Quadratic Taylor problems of a run, read from the normal equations that it recorded."""

import numpy as np

from nta_tf.recorders.normal_equation_rounds import make_form
from nta_tf.solvers import Quadratic
from nta_tf.taylor_problems import scopes

# Relative size of an eigenvalue, times 1 / P, below which it is rounding. The float32
# value is measured: products are rounded to 6e-8, but independently, and the sum over
# examples and rounds is float64 (tests/test_taylor_rounds.py, README "Precision").
PRECISION = {"float64": np.finfo(np.float64).eps, "float32": 1e-12}


class RecordedQuadratic:
    """The cumulative Taylor loss of one scope, a quadratic, prefix by prefix.

    Args:
        run: A `nta.Run`.
        record: Name of a record of normal equations.
        layer: Name of the layer.
        neuron: Index of a neuron of it, or None for the layer.

    Attributes:
        epochs: Epochs that have rounds.
        centre: C, centre of the trajectory {W^n}.
        radius: Largest distance from the centre on the trajectory.
    """

    def __init__(self, run, record, layer, neuron=None):
        self._config = run.config["records"][record]
        self._run, self._neuron = run, neuron
        self._record_prefix = f"records/{record}/"
        self._prefix = f"{self._record_prefix}{layer}/"
        shapes = {
            name.removeprefix(self._prefix): shape
            for name, shape in run.arrays(self._prefix).items()
        }
        self._form = make_form(self._config, layer, shapes)
        units = shapes["kernel"][1]
        scopes.check_neuron(layer, neuron, units)
        self._has_weight = "weight" in shapes
        self._rounds = run.read(f"{self._record_prefix}rounds")
        self.epochs = np.flatnonzero(self._rounds)
        if not len(self.epochs):
            raise ValueError(
                f"Record {record!r} of {run!r} holds no rounds yet; train at least one "
                "epoch that has some."
            )
        trajectory = self._trajectory()
        self.centre = trajectory.mean(axis=0)
        distances = np.sqrt(((trajectory - self.centre) ** 2).sum(axis=(1, 2)))
        self.radius = float(distances.max())

    def prefixes(self, epochs):
        """Yields N, epoch, incurred loss and `Quadratic` after each of the epochs."""
        rounds, incurred, total = 0, 0.0, None
        for epoch in epochs:
            rounds += int(self._rounds[epoch])
            incurred += float(self._run.read(f"{self._record_prefix}incurred", int(epoch)))
            increment = self._increment(int(epoch))
            total = increment if total is None else total + increment
            yield rounds, int(epoch), incurred, total

    def _increment(self, epoch):
        own = {} if not self._has_weight else {"weight": self._read("weight", epoch)}
        hessian = self._form.hessian(self._read("hessian", epoch), self._neuron, **own)
        by = "" if self._neuron is None else "neuron_"
        gradient = self._read(f"{by}gradient", epoch)
        constant = self._read(f"{by}constant", epoch)
        if self._neuron is not None:
            gradient, constant = gradient[[self._neuron]], constant[self._neuron]
        return Quadratic(
            hessian if hessian.ndim == 3 else hessian[None],
            self._blocks(gradient.T),
            float(constant),
            PRECISION[self._config["dtype"]],
            self.centre,
        )

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

    def _read(self, array, epoch=None):
        return self._run.read(self._prefix + array, epoch)
