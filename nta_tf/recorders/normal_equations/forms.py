"""Normal equations of the mean squared error, accumulated without ever forming G.

The cumulative Taylor loss of one layer is a quadratic of its kernel V (section 2 of the
design notes; P weights in the kernel's own order, row by row):

    F_N(V) = constant + 2 <gradient, V> + <V, hessian V>

summed over rounds, already divided by B p_L, so that F_N is a sum of losses. Each class
below is a form in which the sum of one layer is kept: `accumulate` adds a block of rounds,
on the device; `hessian` reads the sum back, in NumPy. Products are made in the dtype of the
evaluation (float32 is fast, float64 is slow and exact); sums are always float64.

| form               | reduction     | kept of the hessian                                   |
|--------------------|---------------|-------------------------------------------------------|
| `PerExample`       | `per_example` | sum of pairs(x) (x) pairs(S): half by half of P x P   |
| `BatchMean`        | `batch_mean`  | upper triangle of P x P, summed over rounds           |
| `BatchMeanFactors` | `batch_mean`  | factors Z and M of every round (hessian = Z^T M Z)    |
| `OutputLayer`      | both          | one p_{L-1} x p_{L-1} block an output, or one for all |
"""

from __future__ import annotations

import abc
from typing import Any

import numpy as np
import tensorflow as tf

from nta_tf.recorders.base import ArraySpecification
from nta_tf.recorders.normal_equations import packing
from nta_tf.recorders.normal_equations.linearized_chain import LinearizedChain


class Form(abc.ABC):
    """Common to all forms: the shapes of the layer and of the part below the hessian."""

    name: str  # in the record's config
    by_round: tuple[str, ...] = ()  # arrays that keep every round by itself; others are sums
    kept_of_hessian: tuple[str, ...] = ("hessian",)  # arrays from which `hessian` is read
    decoupled = False  # whether every neuron is a block of its own

    def __init__(self, layer: int, width: int, units: int, outputs: int, mean: bool) -> None:
        self.layer = layer  # index, 0 for l = 1
        self.width = width  # p_{l-1}, plus one if the bias is a weight
        self.units = units  # p_l
        self.outputs = outputs  # p_L
        self.mean = mean  # whether the reduction is batch_mean

    def config(self) -> dict[str, Any]:
        """What `make` needs to make the form again, JSON-ready."""
        return {
            "name": self.name,
            "layer": self.layer,
            "width": self.width,
            "units": self.units,
            "outputs": self.outputs,
            "mean": self.mean,
        }

    def arrays(self) -> dict[str, ArraySpecification]:
        """Specifications of the arrays that the form keeps."""
        by_neuron = (self.units, self.width)
        return {
            "gradient": ArraySpecification(by_neuron, "float64"),
            "constant": ArraySpecification((), "float64"),
            "neuron_gradient": ArraySpecification(by_neuron, "float64"),
            "neuron_constant": ArraySpecification((self.units,), "float64"),
        }

    @abc.abstractmethod
    def accumulate(self, linear: LinearizedChain) -> dict[str, tf.Tensor]:
        """What a block of rounds adds to each of the arrays."""

    def _sums(self, hessian, gradient, constant, neuron_gradient, neuron_constant):
        sums = {
            "hessian": hessian,
            "gradient": gradient,
            "constant": constant,
            "neuron_gradient": neuron_gradient,
            "neuron_constant": neuron_constant,
        }
        return {name: tf.cast(value, tf.float64) for name, value in sums.items()}


class PerExample(Form):
    """`per_example` sums of a hidden layer: sum_i (x_i x_i^T) (x) S_i (exact)."""

    name = "per_example"

    def arrays(self) -> dict[str, ArraySpecification]:
        shape = (packing.count(self.width), packing.count(self.units))
        return {"hessian": ArraySpecification(shape, "float64"), **super().arrays()}

    def accumulate(self, linear: LinearizedChain) -> dict[str, tf.Tensor]:
        x, gram = linear.x(self.layer), linear.gram(self.layer)
        moved, back = linear.moved(self.layer), linear.backpropagated(self.layer)
        scale = 1 / (x.shape[-2] * self.outputs)
        own = tf.transpose(packing.diagonal(gram, tf.shape(moved)[-1]))
        own = tf.reshape(own, tf.shape(moved))
        through = linear.through(self.layer)
        squares = linear.squared_errors()
        flat_x = _flat(x)
        hessian = tf.matmul(packing.pair_products(x), gram, transpose_b=True) * scale
        gradient = tf.matmul(_flat(back - through), flat_x, transpose_a=True) * scale
        neuron = tf.matmul(_flat(back - own * moved), flat_x, transpose_a=True) * scale
        changes = _column_totals(moved * (2 * back - own * moved))
        units, inputs = linear.units(self.layer), linear.inputs(self.layer)
        pairs = packing.places(units, self.units), packing.places(inputs, self.width)
        hessian = packing.spread(hessian, pairs[0], packing.count(self.units), axis=1)
        return self._sums(
            packing.spread(hessian, pairs[1], packing.count(self.width), axis=0),
            self._by_neuron(gradient, units, inputs),
            _total(squares - _dot(moved, 2 * back - through)) * scale,
            self._by_neuron(neuron, units, inputs),
            (_total(squares) - packing.spread(changes, units, self.units, axis=0)) * scale,
        )

    def _by_neuron(self, rows, units, inputs):
        """A matrix of some units by some inputs, among all of the layer."""
        rows = packing.spread(rows, inputs, self.width, axis=1)
        return packing.spread(rows, units, self.units, axis=0)

    def hessian(self, hessian: np.ndarray, neuron: int | None = None) -> np.ndarray:
        """The P x P hessian in the kernel's order, or a neuron's p_{l-1} square of it."""
        inputs = packing.index(self.width)
        if neuron is not None:
            return hessian[inputs, packing.index(self.units)[neuron, neuron]]
        square, size = (self.units, self.units), self.width * self.units
        blocks = hessian.take(packing.index(self.units).ravel(), axis=1).reshape(-1, *square)
        full = np.empty((self.width, self.units, self.width, self.units))
        for row, places in enumerate(inputs):  # one look-up of all numbers takes three times that
            full[row] = blocks[places].transpose(1, 0, 2)
        return full.reshape(size, size)


class BatchMean(Form):
    """`batch_mean` sums of a hidden layer: one mean G a round, through its factors."""

    name = "batch_mean"

    def arrays(self) -> dict[str, ArraySpecification]:
        shape = (packing.count(self.width * self.units),)
        return {"hessian": ArraySpecification(shape, "float64"), **super().arrays()}

    def accumulate(self, linear: LinearizedChain) -> dict[str, tf.Tensor]:
        factors, weight, rest = self._factors(linear)
        size = self.width * self.units
        weighted = tf.reshape(tf.matmul(weight, factors), (-1, size))
        full = tf.matmul(tf.reshape(factors, (-1, size)), weighted, transpose_a=True)
        return self._sums(packing.upper(full), *rest)

    def hessian(self, hessian: np.ndarray, neuron: int | None = None) -> np.ndarray:
        """The P x P hessian in the kernel's order, or a neuron's p_{l-1} square of it."""
        index = packing.index(self.width * self.units)
        if neuron is not None:
            own = self._weights_of(neuron)
            index = index[np.ix_(own, own)]
        return hessian[index]

    def _weights_of(self, neuron):
        """Where a neuron's weights stand in the kernel's order."""
        return np.arange(self.width) * self.units + neuron

    def _factors(self, linear):
        """Z (R, r, P), M (R, r, r) and the sums below the hessian.

        The mean G of a round is A Z with A = W_L^T (r = p_{L-1}) when the output is
        linear, and A the identity (r = p_L) otherwise; M = A^T A / p_L.
        """
        x = linear.x(self.layer)
        rows, weight, pull = linear.collapsed(self.layer)
        examples = x.shape[-2]
        factors = tf.einsum("rhba,rbj->rhja", rows, x) / examples
        kernel = linear.kernel(self.layer)
        offset = tf.einsum("rhja,rja->rh", factors, kernel)
        neuron_offset = tf.einsum("rhja,rja->rha", factors, kernel)
        slope = pull - tf.linalg.matvec(weight, offset)
        neuron_slope = pull[..., tf.newaxis] - tf.matmul(weight, neuron_offset)
        losses = linear.losses()
        neuron_change = tf.reduce_sum(
            neuron_offset * (pull[..., tf.newaxis] + neuron_slope), axis=1
        )
        rest = (
            tf.einsum("rhja,rh->aj", factors, slope),
            _total(losses - _dot(offset, pull + slope)),
            tf.einsum("rhja,rha->aj", factors, neuron_slope),
            _total(losses) - _column_totals(neuron_change),
        )
        flat = tf.reshape(factors, (-1, tf.shape(factors)[1], self.width * self.units))
        return flat, weight, rest


class BatchMeanFactors(BatchMean):
    """As `BatchMean`, but Z and M of every round are kept: smaller for few rounds."""

    name = "batch_mean_factors"
    by_round = ("hessian", "weight")
    kept_of_hessian = ("hessian", "weight")

    def __init__(self, *shape: Any, rank: int, rounds: int, dtype: str, **named: Any) -> None:
        super().__init__(*shape, **named)
        self.rank, self.rounds, self.dtype = rank, rounds, dtype

    def config(self) -> dict[str, Any]:
        """What `make` needs to make the form again, JSON-ready."""
        own = {"rank": self.rank, "rounds": self.rounds, "dtype": self.dtype}
        return {**super().config(), **own}

    def arrays(self) -> dict[str, ArraySpecification]:
        factors = (self.rounds, self.rank, self.width * self.units)
        weight = (self.rounds, self.rank, self.rank)
        return {
            **super().arrays(),
            "hessian": ArraySpecification(factors, self.dtype),
            "weight": ArraySpecification(weight, self.dtype),
        }

    def accumulate(self, linear: LinearizedChain) -> dict[str, tf.Tensor]:
        factors, weight, rest = self._factors(linear)
        return {**self._sums(0.0, *rest), "hessian": factors, "weight": weight}

    def hessian(
        self, hessian: np.ndarray, weight: np.ndarray, neuron: int | None = None
    ) -> np.ndarray:
        """The hessian of the epoch's rounds, from their factors."""
        factors = np.asarray(hessian, np.float64)
        if neuron is not None:
            factors = factors[..., self._weights_of(neuron)]
        return sum(z.T @ (m @ z) for z, m in zip(factors, np.asarray(weight, np.float64)))


class OutputLayer(Form):
    """Sums of the output layer, which decouple over the p_L outputs in both reductions.

    With a linear output J_L is the identity and all outputs share one hessian block;
    otherwise each output has its own.
    """

    name = "output_layer"
    decoupled = True

    def __init__(self, *shape: Any, linear: bool, **named: Any) -> None:
        super().__init__(*shape, **named)
        self.linear = linear
        self.blocks = 1 if linear else self.units

    def config(self) -> dict[str, Any]:
        """What `make` needs to make the form again, JSON-ready."""
        return {**super().config(), "linear": self.linear}

    def arrays(self) -> dict[str, ArraySpecification]:
        shape = (self.blocks, packing.count(self.width))
        return {"hessian": ArraySpecification(shape, "float64"), **super().arrays()}

    def accumulate(self, linear: LinearizedChain) -> dict[str, tf.Tensor]:
        x, slopes = linear.x(self.layer), linear.output_slopes()
        if self.mean:
            return self._accumulate_mean(linear, x, slopes)
        if self.linear:
            return self._accumulate_linear(linear, x)
        moved, errors = linear.moved(self.layer), linear.errors()
        scale = 1 / (x.shape[-2] * self.outputs)
        pulled = slopes * (errors - slopes * moved)
        change = slopes * moved * (2 * errors - slopes * moved)
        pairs_of_x = packing.pair_products(x)
        hessian = tf.matmul(_flat(slopes**2), pairs_of_x, transpose_a=True, transpose_b=True)
        gradient = tf.matmul(_flat(pulled), _flat(x), transpose_a=True)
        return self._sums_of_outputs(
            linear, hessian * scale, gradient * scale, _column_totals(change) * scale
        )

    def _accumulate_linear(self, linear, x):
        """All from x x^T and x (f - y)^T of each round, which are smaller than its examples."""
        scale = 1 / (x.shape[-2] * self.outputs)
        kernel = linear.kernel(self.layer)
        gram = tf.matmul(x, x, transpose_a=True)
        pulled = tf.matmul(x, linear.errors(), transpose_a=True)
        slope = pulled - tf.matmul(gram, kernel)
        change = tf.reduce_sum(kernel * (pulled + slope), axis=1)
        hessian = packing.upper(tf.reduce_sum(gram, axis=0, keepdims=True))
        gradient = tf.transpose(tf.reduce_sum(slope, axis=0))
        return self._sums_of_outputs(
            linear, hessian * scale, gradient * scale, _column_totals(change) * scale
        )

    def _sums_of_outputs(self, linear, hessian, gradient, changes):
        inputs = linear.inputs(self.layer)
        pairs = packing.places(inputs, self.width)
        hessian = packing.spread(hessian, pairs, packing.count(self.width), axis=1)
        gradient = packing.spread(gradient, inputs, self.width, axis=1)
        squares = _total(linear.squared_errors()) / (linear.x(self.layer).shape[-2] * self.outputs)
        return self._sums(
            hessian,
            gradient,
            squares - tf.reduce_sum(changes),
            gradient,  # outputs do not see each other's kernels
            squares - changes,
        )

    def _accumulate_mean(self, linear, x, slopes):
        examples = x.shape[-2]
        if self.blocks == 1:
            rows = tf.reduce_mean(x, axis=1)[:, tf.newaxis]  # (R, 1, width)
        else:
            rows = tf.matmul(slopes, x, transpose_a=True) / examples
        offset = tf.einsum("rkj,rjk->rk", _spread(rows, self.units), linear.kernel(-1))
        mean_errors = tf.reduce_mean(linear.errors(), axis=1)
        slope = mean_errors - offset
        change = offset * (mean_errors + slope) / self.outputs
        losses = linear.losses()
        first, second = np.triu_indices(self.width)
        products = tf.gather(rows, first, axis=2) * tf.gather(rows, second, axis=2)
        gradient = tf.einsum("rkj,rk->kj", _spread(rows, self.units), slope)
        return self._sums(
            tf.reduce_sum(products, axis=0) / self.outputs,
            gradient / self.outputs,
            _total(losses - tf.reduce_sum(change, axis=-1)),
            gradient / self.outputs,
            _total(losses) - _column_totals(change),
        )

    def hessian(self, hessian: np.ndarray, neuron: int | None = None) -> np.ndarray:
        """Blocks (1 or p_L, p_{L-1}, p_{L-1}), or the block of one output."""
        blocks = np.take(hessian, packing.index(self.width), axis=1)
        return blocks if neuron is None else blocks[neuron % self.blocks]


FORMS = {form.name: form for form in (PerExample, BatchMean, BatchMeanFactors, OutputLayer)}


def make(config: dict[str, Any]) -> Form:
    """The form of that config, which a record keeps for each of its layers."""
    arguments = dict(config)
    return FORMS[arguments.pop("name")](**arguments)


def _flat(rows):
    """(R, B, width) as (R B, width): all examples of all rounds side by side."""
    return tf.reshape(rows, (-1, tf.shape(rows)[-1]))


def _spread(rows, units):
    return tf.broadcast_to(rows, (tf.shape(rows)[0], units, rows.shape[-1]))


def _dot(first, second):
    return tf.reduce_sum(first * second, axis=-1)


def _total(values):
    return tf.reduce_sum(tf.cast(values, tf.float64))


def _column_totals(values):
    """Sums over rounds and examples, for every neuron."""
    return tf.reduce_sum(tf.cast(_flat(values), tf.float64), axis=0)
