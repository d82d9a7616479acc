"""`python -m reproduce lines`: the Taylor loss beside the Taylor approximation to the loss (A4).

Both are made at the weights W^n of a round of a trained run, on its minibatch, and followed
with the loss itself along straight lines through W^n in the space of all kernels.
"""

import dataclasses
from collections.abc import Mapping
from pathlib import Path

import keras
import numpy as np
import pandas as pd
import tensorflow as tf

import nta_tf as nta
from nta_tf.linearization.opened import OpenedModel
from reproduce.results import illustrations
from reproduce.stages.record import Recording, prepare

_EXAMPLES_AT_ONCE = 16  # whose Jacobians are held, in float64
_RANDOM = 2  # directions beside the gradient
_FARTHEST = 0.35  # along random directions: the part of a kernel's norm by which it changes
_BEYOND_ZERO = 1.1  # along the gradient: as far as the affine approximation's zero, and on


@dataclasses.dataclass(frozen=True)
class Round:
    """A round of a run: its weights and its minibatch.

    Attributes:
        model: The network at W^n, in float64.
        x: Inputs of the minibatch.
        y: Its targets.
        epoch: In which epoch, from one.
        step: Which step of it, from one.
    """

    model: keras.Model
    x: np.ndarray
    y: np.ndarray
    epoch: int
    step: int


def write(
    directory: str | Path,
    out: str | Path,
    epoch: int | None = None,
    seed: int = 0,
    points: int = 81,
    data_dir: str | None = None,
) -> list[Path]:
    """Writes the table of a run for Figure A4.

    Args:
        directory: Directory of a run that `stages.train` made.
        out: Directory to write to; `DIR/illustrations` is where the figure of results in
            `DIR` looks for it.
        epoch: Which epoch's first round that kept its weights; see `round_of`.
        seed: Seed of the random directions.
        points: At how many positions along each direction.
        data_dir: Where TFDS keeps its datasets; see `nta.data.load`.

    Returns:
        The paths written.

    Raises:
        ValueError: If the run is none of the paper's tasks, or has no weights of that epoch.
    """
    prepared = prepare(directory, data_dir=data_dir)
    config = prepared.run.config
    snapshot = round_of(prepared, epoch)
    of_round = (snapshot.model, snapshot.x, snapshot.y, config["loss"])
    table = follow(*of_round, directions(*of_round, seed), points)
    kept = ("metadata", "epochs", "batch_size", "seed", "versions")
    settings = {
        "epoch": snapshot.epoch,
        "step": snapshot.step,
        "examples": len(snapshot.x),
        "directions_seed": seed,
        "config": {key: config[key] for key in kept},
    }
    name = f"lines_{config['metadata']['task']}"
    return illustrations.write(out, name, {"losses": table}, settings)


def round_of(prepared: Recording, epoch: int | None = None) -> Round:
    """The weights and the minibatch of one round of a run.

    Args:
        prepared: A `stages.record.Recording`.
        epoch: An epoch of a run that kept weights on some rounds, of which the first is
            taken. Defaults to the last. Other runs have only the weights after their last
            epoch; these meet the first minibatch of the epoch that would follow.

    Returns:
        A `Round`.

    Raises:
        ValueError: If the run has no weights of that epoch.
    """
    run, model = prepared.run, prepared.model
    values, index, step = _kept_weights(run, epoch) or _last_weights(run, model, epoch)
    if not all(np.isfinite(value).all() for value in values.values()):
        raise ValueError(
            f"The weights of {run!r} are not finite there. Choose another epoch or run."
        )
    for variable in model.trainable_variables:
        variable.assign(values[variable.path])
    order = nta.session.epoch_order(
        run.config["seed"], index, len(prepared.x), run.config["batch_size"]
    )
    examples = order[step]
    return Round(
        in_float64(model), prepared.x[examples], prepared.y[examples], index + 1, int(step) + 1
    )


def directions(
    model: keras.Model,
    x: np.ndarray,
    y: np.ndarray,
    loss: str,
    seed: int = 0,
    count: int = _RANDOM,
) -> dict[str, tuple[dict, float]]:
    """The negative gradient and some random directions, and how far to go along each.

    A random direction has Gaussian components and, in each layer, the norm of its kernel:
    at position t every kernel has moved by t times its norm. The gradient, of the loss of
    the minibatch, is scaled as a whole to the norm of all kernels together, and is followed
    until a little beyond where the affine approximation is zero.

    Args:
        model: A `keras.Model`.
        x: Inputs of a minibatch.
        y: Its targets.
        loss: `"mse"` or `"cross_entropy"`.
        seed: Seed of the random directions.
        count: How many of them.

    Returns:
        A dictionary from names to pairs: {layer: change of its kernel} and the farthest
        position.
    """
    value, gradients = _loss_and_gradients(model, x, y, loss)
    kernels = {name: layer.kernel.numpy() for name, layer in _layers(model).items()}
    scale = _norm(kernels) / _norm(gradients)
    descent = {name: -scale * gradient for name, gradient in gradients.items()}
    lines = {"negative gradient": (descent, _BEYOND_ZERO * value / (scale * _norm(gradients) ** 2))}
    generator = np.random.default_rng(seed)
    for number in range(1, count + 1):
        change = {}
        for name, kernel in kernels.items():
            gaussian = generator.normal(size=kernel.shape)
            change[name] = gaussian * np.linalg.norm(kernel) / np.linalg.norm(gaussian)
        lines[f"random {number}"] = (change, _FARTHEST)
    return lines


def follow(
    model: keras.Model,
    x: np.ndarray,
    y: np.ndarray,
    loss: str,
    lines: Mapping[str, tuple[dict, float]],
    points: int = 81,
) -> pd.DataFrame:
    """The loss, the Taylor loss and the Taylor approximation to the loss along lines (A4).

    Args:
        model: A `keras.Model`, at W^n.
        x: Inputs of a minibatch.
        y: Its targets.
        loss: `"mse"` or `"cross_entropy"`.
        lines: Directions as `directions` gives them.
        points: At how many positions along each, W^n in the middle.

    Returns:
        A `pandas.DataFrame` with columns `direction`, `position`, `loss`, `taylor_loss` (of
        the network scope) and `taylor_approximation_of_the_loss`.
    """
    value, gradients = _loss_and_gradients(model, x, y, loss)
    outputs, changes = _taylor_approximations(model, x, {n: line[0] for n, line in lines.items()})
    frames = []
    for name, (direction, farthest) in lines.items():
        half = points // 2
        # Not linspace, whose middle is zero on some processors only.
        positions = np.arange(-half, half + 1) * (farthest / half)
        slope = sum(np.vdot(gradients[layer], direction[layer]) for layer in direction)
        frames.append(
            pd.DataFrame(
                {
                    "direction": name,
                    "position": positions,
                    "loss": [_loss_at(model, x, y, loss, direction, t) for t in positions],
                    # T(W + t V) is affine in t: its outputs and one change say all of it.
                    "taylor_loss": [
                        _mean_loss(outputs + t * changes[name], y, loss) for t in positions
                    ],
                    "taylor_approximation_of_the_loss": value + positions * slope,
                }
            )
        )
    return pd.concat(frames, ignore_index=True)


def in_float64(model: keras.Model) -> keras.Model:
    """A copy of a model that computes in float64, with the same weights."""
    copy = keras.models.clone_model(
        model,
        clone_function=lambda layer: type(layer).from_config(
            {**layer.get_config(), "dtype": "float64"}
        ),
    )
    copy.set_weights(model.get_weights())
    return copy


def _taylor_approximations(model, x, lines):
    """f_W(x), and by how much T changes from W to W + V in each direction V."""
    outputs, changes = [], {name: [] for name in lines}
    kernels = {name: layer.kernel.numpy() for name, layer in _layers(model).items()}
    for first in range(0, len(x), _EXAMPLES_AT_ONCE):
        lin = nta.linearize(model, x[first : first + _EXAMPLES_AT_ONCE])
        outputs.append(lin.outputs.numpy())
        for name, direction in lines.items():
            moved = {layer: kernels[layer] + change for layer, change in direction.items()}
            changes[name].append(lin.predict(moved).numpy() - outputs[-1])
    return np.concatenate(outputs), {name: np.concatenate(c) for name, c in changes.items()}


def _loss_at(model, x, y, loss, direction, position):
    """The loss of the network with its kernels moved along the direction."""
    weights = {
        layer.kernel.path: layer.kernel + position * direction[name]
        for name, layer in _layers(model).items()
    }
    outputs = OpenedModel(model).run(
        tf.constant(x), lambda call, args, kwargs: call.layer(*args, **kwargs), weights
    )
    return _mean_loss(outputs, y, loss)


def _loss_and_gradients(model, x, y, loss):
    """The loss of the minibatch and its gradient by layer, with respect to the kernels."""
    kernels = {name: layer.kernel.value for name, layer in _layers(model).items()}
    with tf.GradientTape() as tape:
        outputs = model(x, training=False)
        targets = tf.cast(y, outputs.dtype) if loss == "mse" else y
        value = tf.reduce_mean(nta.losses.get(loss)(outputs, targets))
    return float(value), {n: g.numpy() for n, g in tape.gradient(value, kernels).items()}


def _mean_loss(outputs, y, loss):
    outputs = tf.convert_to_tensor(outputs)
    targets = tf.cast(y, outputs.dtype) if loss == "mse" else y
    return float(tf.reduce_mean(nta.losses.get(loss)(outputs, targets)))


def _layers(model):
    """The layers that have kernels, by name."""
    return {layer.name: layer for layer in model.layers if hasattr(layer, "kernel")}


def _norm(kernels):
    return np.sqrt(sum(np.vdot(kernel, kernel) for kernel in kernels.values()))


def _kept_weights(run, epoch):
    """Weights by path, index of the epoch and step of a round that kept them, or None."""
    names = [name for name, record in run.records.items() if record.kind == "weight_rounds"]
    if not names:
        return None
    epoch = run.epochs if epoch is None else epoch
    if not 1 <= epoch <= run.epochs:
        raise ValueError(f"{run!r} has epochs 1 to {run.epochs}. Received: epoch={epoch}")
    kept = nta.recorders.WeightReader(run, names[0])
    steps = kept.steps(epoch - 1)
    if not len(steps):
        raise ValueError(
            f"{run!r} kept no weights in epoch {epoch} ({kept.schedule}). Choose another."
        )
    values = {path: value[0] for path, value in kept.at(epoch - 1, steps[:1]).items()}
    return values, epoch - 1, steps[0]


def _last_weights(run, model, epoch):
    """Weights after the last epoch, which meet the first minibatch of the next."""
    if not run.epochs:
        raise ValueError(f"{run!r} has no epoch that is done. Let it train on first.")
    if epoch not in (None, run.epochs):
        raise ValueError(
            f"{run!r} kept no weights but those after epoch {run.epochs}. "
            f"Received: epoch={epoch}; leave it out, or train with a nta.WeightRounds recorder."
        )
    run.load_weights(model)
    values = {variable.path: variable.numpy() for variable in model.trainable_variables}
    return values, run.epochs, 0
