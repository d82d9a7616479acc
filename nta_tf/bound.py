"""The bound of gradient descent's regret, from a run's own gradients and weights (Theorem 2).

Taylor losses are convex and have the training loss's value and gradient at W^n. So for every V

    regret against V  <=  sum_n <g^n, W^n - V>,

the linearized regret, whatever made the weights. Gradient descent at a constant rate moves by
W^{n+1} = W^n - eta g^n, so that

    ||W^{n+1} - V||^2  =  ||W^n - V||^2 - 2 eta <g^n, W^n - V> + eta^2 ||g^n||^2

telescopes, and the linearized regret equals

    (||W^1 - V||^2 - ||W^{N+1} - V||^2) / (2 eta) + (eta / 2) sum_n ||g^n||^2,

the bound. It is an identity: what is wrong in a run, a record or an optimum breaks one of the two.
"""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from nta_tf import scopes
from nta_tf.recorders import GradientNormReader, taylor_reader
from nta_tf.recorders.gradient_norms import LayerGradients
from nta_tf.recorders.taylor_reader import TaylorReader
from nta_tf.scopes import Scope
from nta_tf.trace import Run, as_run

COLUMNS = (
    "scope round epoch regret bound slack d g g_d_root_n linearized_regret rounding step_rounding "
    "radius"
).split()

# What float32 may do to a sum of losses or to a Taylor loss, in units of its epsilon. Losses are
# kept in float32, half a unit; optima of float32 records differ from those of float64 ones by up
# to 1e-6 on a ball, 8 units, and to 1e-4 without one, where terms cancel that are as large as V is
# far away (tests/test_taylor_rounds.py). Twice that on a ball, and what 1e-4 is without one.
_ROUNDING_ON_BALL, _ROUNDING_OF_FREE = 16, 1024
# Beyond this share of the cumulative loss the losses that training incurred are not those whose
# Taylor expansions were recorded.
_SAME_LOSSES = 1e-3


def regret_bound(
    run_or_directory: Run | str | os.PathLike[str],
    scope: Any,
    record: str | None = None,
    norms: str = "gradient_norms",
    radius: float | None = None,
    checkpoints: int | None = None,
    *,
    solver: Any = "auto",
    tolerance: float = 1e-3,
) -> pd.DataFrame:
    """Regret beside the bound that a run's own gradients and weights give it (Theorem 2).

    For gradient descent at a constant rate eta, with every step a round and one G an example,
    regret against any V is at most

        (||W^1 - V||^2 - ||W^{N+1} - V||^2) / (2 eta) + (eta / 2) sum_n ||g^n||^2

    with g^n the gradient of the training loss at W^n by the weights of the scope. V is the Taylor
    optimum that regret is measured against. Nothing in the bound is estimated, so that a run in
    which regret exceeds it is wrong somewhere.

    Args:
        run_or_directory: A run of `nta.train` with a `nta.TaylorRounds` recorder of every step
            and a `nta.GradientNorms` recorder, or its directory.
        scope: A layer by name, or `"network"` (all layers of the record, whose norms add up)
            where the record keeps gradient tensors.
        record: Name of the Taylor record; may be left out when the run has only one.
        norms: Name of the record of gradient norms.
        radius: Radius of the ball over which V may range, as in `nta.regret`.
        checkpoints: At the end of how many epochs, evenly spaced; as in `nta.regret`.
        solver: As in `nta.regret`.
        tolerance: As in `nta.regret`.

    Returns:
        A `pandas.DataFrame` with one row a checkpoint round: `scope`, `round` (N), `epoch`,
        `regret`, `bound` and `slack` (bound minus regret; both NaN for other optimizers than
        gradient descent at a constant rate without momentum), `d` (D: no W^n lies farther from V),
        `g` (G, the largest ||g^n||), `g_d_root_n` (G D sqrt(N), the bound of the best constant
        rate), `linearized_regret` (sum_n <g^n, W^n - V>, a bound for every optimizer),
        `rounding`, `step_rounding` and `radius`.

        `step_rounding` is by how much rounding alone could part the bound from the linearized
        regret: for each step that of W^{n+1} and of g^n, times the distance from V, over eta.
        `rounding` is by how much it could lift regret above the bound: that, and 16 units of
        float32's epsilon (1,024 where V is free) of the cumulative loss or the Taylor optimum,
        whichever is larger. Both are worst cases.

    Raises:
        ValueError: If the run has no such records, if the Taylor record does not take every step,
            takes some examples only, has one mean G a round or biases among its weights, if the
            scope is not there or is a neuron, or if the gradients of the record are not those that
            training followed.

    Example:

    >>> import nta_tf as nta
    >>> digits = nta.data.load("sample").x[:256].reshape(256, 784)
    >>> run = nta.train(nta.models.autoencoder(seed=0), digits, digits, epochs=3, batch_size=64,
    ...                 optimizer=nta.optimizers.get("sgd", 0.1),
    ...                 recorders=[nta.TaylorRounds(["dense_3"]), nta.GradientNorms(["dense_3"])])
    >>> table = nta.regret_bound(run, "dense_3")
    >>> bool((table["regret"] <= table["bound"]).all())
    True
    """
    run, scope = as_run(run_or_directory), scopes.parse(scope)
    reader, gradients = taylor_reader(run, record), GradientNormReader(run, norms)
    _check_record(reader)
    layers = _layers(reader, gradients, scope)
    epochs = reader.checkpoint_epochs(checkpoints)
    _check_rounds(reader, gradients, epochs[-1] + 1)
    incurred, of_training = reader.cumulative_losses(epochs)
    _check_losses(reader, incurred, of_training)
    bounds = _Bounds(run, {layer: gradients.layer(layer, epochs[-1] + 1) for layer in layers})
    (problem,) = reader.problems(scope)
    limit = problem.radius if radius is None else float(radius)
    rows = []
    optima = problem.optima(epochs, [limit], solver, tolerance)
    for epoch, loss, (optimum,) in zip(epochs, incurred, optima):
        regret = float(loss) - optimum.loss
        row = bounds.at(epoch, problem.kernels(optimum.weights))
        units = _ROUNDING_ON_BALL if math.isfinite(limit) else _ROUNDING_OF_FREE
        of_losses = units * float(np.finfo(np.float32).eps) * max(float(loss), optimum.loss)
        own = {
            "scope": problem.name,
            "epoch": epoch + 1,
            "regret": regret,
            "slack": row["bound"] - regret,
            "rounding": row["step_rounding"] + of_losses,
            "radius": limit,
        }
        rows.append({**row, **own})
    return pd.DataFrame(rows, columns=COLUMNS)


def constant_rate(run: Run) -> float | None:
    """The rate eta of a run that is gradient descent, W^{n+1} = W^n - eta g^n.

    Args:
        run: A `nta.Run`.

    Returns:
        The rate, or None for every other optimizer: one with momentum, weight decay, clipping,
        averaging or a schedule of rates.
    """
    options = dict(run.config["optimizer"]["config"])
    rate = options.pop("learning_rate", None)
    options.pop("ema_momentum", None)  # of averages that `use_ema` asks for
    plain = run.config["optimizer"]["class_name"] == "SGD" and not any(options.values())
    return float(rate) if plain and isinstance(rate, float) else None


class _Bounds:
    """The right-hand side for any V, from the gradients of a scope's layers.

    Args:
        run: The run.
        layers: `LayerGradients` by name.
    """

    def __init__(self, run: Run, layers: dict[str, LayerGradients]) -> None:
        self._layers = layers
        self._rate = constant_rate(run)
        self._steps = run.config["steps_per_epoch"]
        self._batch_size = run.config["batch_size"]
        # Norms of the scope: those of its layers add up.
        self._squared = np.sum([one.squared_norms for one in layers.values()], axis=0)

    def at(self, epoch: int, kernels: dict[str, np.ndarray]) -> dict[str, float]:
        """Columns of the rounds up to the end of an epoch, against V."""
        count = (epoch + 1) * self._steps
        squared = self._squared[: epoch + 1]
        largest = math.sqrt(squared.max())
        reach = self._reach(epoch, kernels)
        diameter = float(reach.max())
        linearized = [one.linearized(epoch, kernels[name]) for name, one in self._layers.items()]
        return {
            "round": count,
            "bound": self._bound(epoch, kernels, float(squared.sum())),
            "d": diameter,
            "g": largest,
            "g_d_root_n": largest * diameter * math.sqrt(count),
            "linearized_regret": float(sum(linearized)),
            "step_rounding": self._rounding(epoch, reach),
        }

    def _bound(self, epoch, kernels, squared):
        if self._rate is None:
            return math.nan
        distances = 0.0
        for name, gradients in self._layers.items():
            first, last = gradients.first_kernels[0], gradients.after(epoch, self._rate)
            # ||W^1 - V||^2 - ||W^{N+1} - V||^2 without the cancellation of two large squares.
            distances += float(np.sum((first - last) * (first + last - 2 * kernels[name])))
        return distances / (2 * self._rate) + self._rate / 2 * squared

    def _rounding(self, epoch, reach):
        """What rounding of weights and gradients makes of either bound.

        A step ends at W^n - eta g^n + e with ||e|| <= u (||W^{n+1}|| + 2 eta ||g^n||), u half the
        machine epsilon, beside what g^n itself errs by: as a mean over B examples, B u ||g^n||.
        Its share of the sum is <e, W^{n+1} - V> / eta.
        """
        unit = max(one.epsilon for one in self._layers.values()) / 2
        norms = np.sqrt(self._squared[: epoch + 1])
        of_gradients = (self._batch_size + 2) * norms.sum(axis=1)
        if self._rate is None:
            return unit * float(np.sum(of_gradients * reach))
        weights = self._reach(epoch, {}) + self._rate * norms.max(axis=1)
        of_weights = self._steps * weights / self._rate
        apart = reach + self._rate * norms.max(axis=1)  # from V, after the step
        return unit * float(np.sum((of_weights + of_gradients) * apart))

    def _reach(self, epoch, kernels):
        """A bound on ||W^n - V|| in each epoch; of layers without a V, on ||W^n||."""
        reaches = [one.reach(epoch, kernels.get(name, 0.0)) for name, one in self._layers.items()]
        return np.sqrt(np.sum(np.square(reaches), axis=0))


def _layers(reader: TaylorReader, gradients: GradientNormReader, scope: Scope) -> Sequence[str]:
    if scope.neurons is not None:
        raise ValueError(
            "Gradient norms are kept of whole layers, so that the bound is one of a layer or of "
            f"the network. Received: scope {scope.names[0]!r}"
        )
    layers = reader.layers if scope.layer is None else [scope.layer]
    scopes.check_layer(reader.record.name, scope.layer, reader.layers)
    missing = [layer for layer in layers if layer not in gradients.layers]
    if missing:
        raise ValueError(
            f"Record {gradients.record.name!r} has gradient norms of the layers "
            f"{gradients.layers}, but not of {missing}, which the scope takes; train with "
            "nta.GradientNorms of the layers of the Taylor record."
        )
    return layers


def _check_record(reader: TaylorReader) -> None:
    """Raises unless the Taylor losses of a record are those that the bound speaks of."""
    config, name, run = reader.record.config, reader.record.name, reader.record.run
    if config["reduction"] != "per_example":
        raise ValueError(
            "The bound speaks of one G an example, whose Taylor loss has the gradient of the "
            f'training loss; record with reduction="per_example". Received: record {name!r} with '
            f"reduction={config['reduction']!r}"
        )
    if config.get("examples") is not None:
        raise ValueError(
            "The bound speaks of whole minibatches, whose gradient training follows; record with "
            f"examples=None. Received: record {name!r} with examples={config['examples']}"
        )
    if config.get("training_mode"):
        raise ValueError(
            "Gradient norms are those of inference mode; record Taylor rounds with "
            f"training_mode=False. Received: record {name!r} in training mode"
        )
    if config["bias"]:
        raise ValueError(
            "The bound is one of kernels; record with bias=False. Received: record "
            f"{name!r} with biases among its weights"
        )
    if run.config["seed"] is None:
        raise ValueError(
            f"{run!r} was recorded in `model.fit`, on a minibatch of its own at which no step "
            "was taken; the bound needs a run of nta.train."
        )
    if run.config["dtype_policy"] is not None:
        raise ValueError(
            f"The steps of {run!r} computed under {run.config['dtype_policy']!r}, so that they did "
            "not follow the gradients that were recorded; train with dtype_policy=None."
        )


def _check_rounds(reader: TaylorReader, gradients: GradientNormReader, epochs: int) -> None:
    steps = reader.record.run.config["steps_per_epoch"]
    if (reader.rounds[:epochs] != steps).any():
        raise ValueError(
            'The bound sums over every step; record with schedule="every step". Received: '
            f"record {reader.record.name!r} with schedule {reader.record.config['schedule']!r}"
        )
    if (gradients.record.rounds[:epochs] != steps).any():
        raise ValueError(
            f"Record {gradients.record.name!r} has gradient norms of "
            f"{int(gradients.record.rounds.sum())} of the {epochs * steps} rounds of record "
            f"{reader.record.name!r}; replay it to the end."
        )


def _check_losses(reader: TaylorReader, incurred: np.ndarray, of_training: np.ndarray) -> None:
    if not np.allclose(incurred, of_training, rtol=_SAME_LOSSES):
        raise ValueError(
            f"Training incurred a loss of {of_training[-1]:.6g} on the rounds of record "
            f"{reader.record.name!r}, whose Taylor losses begin at {incurred[-1]:.6g}: its steps "
            "ran in training mode (dropout, BatchNormalization), along other gradients than those "
            "of the Taylor losses, which are of inference mode."
        )
