"""`python -m reproduce illustrations`: the tables of Figures 1 and 2, from small real networks.

Figure 1 is the function of a rectifier network with one input, fitted to a random walk.
Figure 2 is the loss of another one in a single weight, that weight's rounds of gradient
descent, and the Taylor loss of each round. Both are computed by the library, in float64.
"""

import dataclasses
import itertools
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import pandas as pd
import tensorflow as tf

import nta_tf as nta
from reproduce.results import illustrations

_NARROWEST = 1e-12  # of the interval in which a kink is located


@dataclasses.dataclass(frozen=True)
class Shattered:
    """What makes Figure 1.

    Attributes:
        widths: Units of the layers, from the input to the output.
        points: How many points of a random walk the network is fitted to.
        epochs: Steps of Adam (of Keras) on all of them.
        learning_rate: Its learning rate.
        seed: Seed of the initial weights and of the random walk.
    """

    widths: tuple = (1, 24, 24, 24, 1)
    points: int = 24
    epochs: int = 3000
    learning_rate: float = 0.005
    seed: int = 1


@dataclasses.dataclass(frozen=True)
class Flashlight:
    """What makes Figure 2.

    Attributes:
        widths: Units of the layers, from the input to the output.
        points: How many random data points the loss is over.
        rounds: Number of rounds of gradient descent in the weight.
        learning_rate: Its learning rate.
        first: W^1, the weight on the first round.
        low: Least weight that is shown.
        high: Greatest weight that is shown.
        seed: Seed of the other weights and of the data.
    """

    widths: tuple = (2, 4, 4, 4, 1)
    points: int = 5
    rounds: int = 4
    learning_rate: float = 3.83
    first: float = -3.25
    low: float = -4.0
    high: float = 4.0
    seed: int = 1229


def illustrate(
    out: str | Path,
    shattered: Shattered | None = None,
    flashlight: Flashlight | None = None,
) -> list[Path]:
    """Writes the tables of Figures 1 and 2.

    Args:
        out: Directory to write to; `DIR/illustrations` is where the figures of results in
            `DIR` look for them.
        shattered: A `Shattered`. Defaults to that of the committed figure.
        flashlight: A `Flashlight`. Defaults to that of the committed figure.

    Returns:
        The paths written.
    """
    shattered, flashlight = shattered or Shattered(), flashlight or Flashlight()
    losses, rounds = taylor_losses_in_one_weight(flashlight)
    return [
        *illustrations.write(
            out, "figure_1", {"regions": smooth_regions(shattered)}, _settings(shattered)
        ),
        *illustrations.write(
            out, "figure_2", {"losses": losses, "rounds": rounds}, _settings(flashlight)
        ),
    ]


def smooth_regions(settings: Shattered) -> pd.DataFrame:
    """The smooth regions of a network with one input, and its gradient in each (Figure 1).

    Args:
        settings: A `Shattered`.

    Returns:
        A `pandas.DataFrame` with a row for each activation configuration on the way from
        -1 to 1: `start`, `end`, `value_at_start`, `value_at_end` and `gradient`.
    """
    model = _fitted_network(settings)
    rectifiers = nta.exploration.Rectifiers(model)

    def bits(points):
        active = rectifiers(tf.constant(points[:, np.newaxis]))
        return np.concatenate([one.numpy() for one in active.values()], axis=1)

    edges = np.concatenate([[-1.0], switches(bits, -1.0, 1.0), [1.0]])
    start, end = edges[:-1], edges[1:]
    middle = tf.constant((start + end)[:, np.newaxis] / 2)
    with tf.GradientTape() as tape:
        tape.watch(middle)
        values = model(middle)
    return pd.DataFrame(
        {
            "start": start,
            "end": end,
            "value_at_start": model(start[:, np.newaxis]).numpy()[:, 0],
            "value_at_end": model(end[:, np.newaxis]).numpy()[:, 0],
            "gradient": tape.gradient(values, middle).numpy()[:, 0],
        }
    )


def taylor_losses_in_one_weight(
    settings: Flashlight, count: int = 801
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The loss in one weight of the first layer, and its Taylor losses (Figure 2).

    Args:
        settings: A `Flashlight`.
        count: At how many weights, evenly spaced, losses are computed; kinks are added.

    Returns:
        Two frames. One has a row a weight: `weight`, `kink` (whether a rectifier switches
        there), `loss`, and `taylor_loss_1`, `taylor_loss_2`, ... of the rounds. The other has
        a row a round: `round`, `weight` (W^n), `loss`, `gradient`, `start` and `end` of the
        smooth region around it, `taylor_optimum` and `optimal_weight`, its minimiser.
    """
    weight = _OneWeight(settings)
    kinks = switches(weight.bits, settings.low, settings.high)
    grid = np.union1d(np.linspace(settings.low, settings.high, count), kinks)
    losses = {"weight": grid, "kink": np.isin(grid, kinks), "loss": weight.losses(grid)}
    edges = np.concatenate([[settings.low], kinks, [settings.high]])
    rounds, current = [], settings.first
    for number in range(1, settings.rounds + 1):
        region = np.searchsorted(edges, current)
        row = weight.round(current, grid)
        losses[f"taylor_loss_{number}"] = row.pop("taylor_losses")
        rounds.append({"round": number, **row, "start": edges[region - 1], "end": edges[region]})
        current -= settings.learning_rate * row["gradient"]
    return pd.DataFrame(losses), pd.DataFrame(rounds)


def switches(bits: Callable, low: float, high: float, scan: int = 2000) -> np.ndarray:
    """Where along an interval the activation configuration changes.

    Args:
        bits: Function from an array of places to their activation configurations, one a row.
        low: Lower end of the interval.
        high: Upper end.
        scan: In how many steps changes are looked for, before each is located by bisection.

    Returns:
        Array of places, in order, each known to 1e-12.
    """
    below, above = np.linspace(low, high, scan + 1)[:-1], np.linspace(low, high, scan + 1)[1:]
    while len(below):
        middle = (below + above) / 2
        at = {"below": bits(below), "middle": bits(middle), "above": bits(above)}
        left = (at["below"] != at["middle"]).any(axis=1)
        right = (at["middle"] != at["above"]).any(axis=1)
        below, above = (
            np.concatenate([below[left], middle[right]]),
            np.concatenate([middle[left], above[right]]),
        )
        if len(below) and (above - below).max() < _NARROWEST:
            break
    return np.unique((below + above) / 2)


class _OneWeight:
    """The network of Figure 2, with the weight kernel[0, 0] of its first layer free."""

    def __init__(self, settings):
        generator = np.random.default_rng(settings.seed)
        widths = settings.widths
        pairs = list(itertools.pairwise(widths))
        kernels = [generator.normal(size=pair) * np.sqrt(2 / pair[0]) for pair in pairs]
        biases = [generator.normal(size=units) * 0.3 for units in widths[1:]]
        self.x = generator.normal(size=(settings.points, widths[0]))
        self.y = generator.normal(size=(settings.points, widths[-1]))
        self.model = _dense_network(widths)
        self.model.set_weights([w for pair in zip(kernels, biases) for w in pair])
        self.rectifiers = nta.exploration.Rectifiers(self.model)
        self.first = kernels[0]

    def kernel(self, value):
        """The first layer's kernel with that value of the weight."""
        kernel = self.first.copy()
        kernel[0, 0] = value
        return kernel

    def bits(self, values):
        return np.stack([self._bits(self.kernel(value)).numpy() for value in values])

    def losses(self, values):
        return np.array([float(self._loss(self.kernel(value))) for value in values])

    def round(self, value, values):
        """Loss, gradient, Taylor losses at other values and their optimum, around one value."""
        with tf.GradientTape() as tape:
            kernel = tf.constant(self.kernel(value))
            tape.watch(kernel)
            loss = self._loss(kernel)
        self.model.get_layer("dense_1").kernel.assign(self.kernel(value))
        lin = nta.linearize(self.model, self.x, layers="dense_1")
        taylor = [nta.taylor_loss(lin, {"dense_1": self.kernel(v)}, self.y) for v in values]
        # The squared error in one weight is a parabola.
        slopes = lin.gradient_tensor("dense_1").numpy()[:, :, 0, 0].ravel()
        residuals = (lin.outputs.numpy() - self.y).ravel()
        optimal = value - slopes @ residuals / (slopes @ slopes)
        optimum = nta.taylor_loss(lin, {"dense_1": self.kernel(optimal)}, self.y)
        return {
            "weight": value,
            "loss": float(loss),
            "gradient": float(tape.gradient(loss, kernel)[0, 0]),
            "optimal_weight": optimal,
            "taylor_optimum": float(optimum),
            "taylor_losses": np.array(taylor),
        }

    @tf.function(autograph=False)
    def _bits(self, kernel):
        active = self.rectifiers(tf.constant(self.x), {"dense_1/kernel": kernel})
        return tf.concat([tf.reshape(one, [-1]) for one in active.values()], axis=0)

    @tf.function(autograph=False)
    def _loss(self, kernel):
        outputs = self.rectifiers.run(
            tf.constant(self.x),
            lambda call, args, kwargs: call.layer(*args, **kwargs),
            {"dense_1/kernel": kernel},
        )
        return tf.reduce_mean(nta.losses.mean_squared_error(outputs, tf.constant(self.y)))


def _fitted_network(settings):
    """A network with one input, fitted to a random walk of mean 0 and variance 1."""
    generator = np.random.default_rng(settings.seed)
    walk = np.cumsum(generator.normal(size=settings.points))
    model = _dense_network(settings.widths, settings.seed)
    nta.train(
        model,
        np.linspace(-1, 1, settings.points)[:, np.newaxis],
        (walk[:, np.newaxis] - walk.mean()) / walk.std(),
        optimizer=keras.optimizers.Adam(settings.learning_rate),
        loss="mse",
        epochs=settings.epochs,
        batch_size=settings.points,
        seed=settings.seed,
        progress=False,
    )
    return model


def _dense_network(widths, seed=0):
    """Rectifiers on all layers but the last; He-normal kernels, biases between -1 and 1."""
    inputs = hidden = keras.Input((widths[0],), dtype="float64")
    for number, units in enumerate(widths[1:], 1):
        last = number == len(widths) - 1
        hidden = keras.layers.Dense(
            units,
            "linear" if last else "relu",
            kernel_initializer=keras.initializers.HeNormal(10 * seed + number),
            bias_initializer="zeros"
            if last
            else keras.initializers.RandomUniform(-1, 1, 10 * seed + 5 + number),
            name=f"dense_{number}",
            dtype="float64",
        )(hidden)
    return keras.Model(inputs, hidden)


def _settings(settings):
    versions = {"tensorflow": tf.__version__, "keras": keras.__version__}
    return {**dataclasses.asdict(settings), "versions": versions}
