"""Training in a session, with rounds on the way."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from reproduce.original.graphs import Network

v1 = tf.compat.v1

OPTIMIZERS = {
    "adam": v1.train.AdamOptimizer,
    "rmsprop": v1.train.RMSPropOptimizer,
    "sgd": v1.train.GradientDescentOptimizer,
}


class Round(NamedTuple):
    """What section 2.4 records of a round.

    `weights` are all W^n; `sums` and `tensors` hold for each recorded layer the gradient of the
    outputs with respect to its kernel, of the minibatch (p_L, ...) and of each example
    (B, p_L, ...).
    """

    epoch: int
    loss: float
    targets: np.ndarray
    outputs: np.ndarray
    weights: dict[str, np.ndarray]
    sums: dict[str, np.ndarray]
    tensors: dict[str, np.ndarray]


class Recording(NamedTuple):
    """Losses (epochs, steps), rounds, bits (epochs, D, M) of each epoch, final weights."""

    losses: np.ndarray
    rounds: list[Round]
    bits: np.ndarray
    weights: dict[str, np.ndarray]


def shuffled(seed: int, epochs: int, examples: int, batch_size: int) -> np.ndarray:
    """The examples of each minibatch, (epochs, steps, B); the rest of an epoch is left out."""
    steps = examples // batch_size
    orders = [np.random.default_rng([seed, n]).permutation(examples) for n in range(epochs)]
    return np.array([order[: steps * batch_size].reshape(steps, -1) for order in orders])


def train(
    network: Network,
    optimizer: str,
    rate: float,
    x: np.ndarray,
    y: np.ndarray,
    order: np.ndarray,
    layers: tuple[str, ...] = (),
    rounds: Sequence[int] | None = None,
    points: int | None = None,
) -> Recording:
    """Trains, and records the gradient tensors of some layers.

    Args:
        network: A `Network`.
        optimizer: `"adam"`, `"rmsprop"` or `"sgd"`.
        rate: Learning rate.
        x: Inputs (D, ...).
        y: Targets.
        order: Of `shuffled`.
        layers: Names of the layers to record.
        rounds: Steps of each epoch that are rounds; the last one if None.
        points: On how many of the inputs activations are recorded; all if None.

    Returns:
        A `Recording`.
    """
    rounds = (order.shape[1] - 1,) if rounds is None else rounds
    losses, recorded, bits = np.zeros(order.shape[:2]), [], []
    with network.graph.as_default():
        step = OPTIMIZERS[optimizer](rate).minimize(network.loss)
        gradients = _Gradients(network, layers)
        active = tf.concat([tf.reshape(a, [tf.shape(a)[0], -1]) > 0 for a in network.rectified], 1)
        with v1.Session() as session:
            session.run(v1.global_variables_initializer())
            for epoch, minibatches in enumerate(order):
                for n, examples in enumerate(minibatches):
                    feed = {network.x: x[examples], network.y: y[examples]}
                    if n in rounds:
                        recorded.append(gradients.record(session, epoch, feed))
                    if n == len(minibatches) - 1:
                        bits.append(session.run(active, {network.x: x[:points]}))
                    losses[epoch, n], _ = session.run([network.loss, step], feed)
            weights = session.run(network.variables)
    return Recording(losses, recorded, np.array(bits), weights)


class _Gradients:
    """The gradient of each component of the output, one `session.run` each (appendix A5)."""

    def __init__(self, network: Network, layers: tuple[str, ...]) -> None:
        self.network = network
        self.component = v1.placeholder(tf.int32, [])
        chosen = tf.gather(network.outputs, self.component, axis=1)
        kernels = {layer: network.variables[f"{layer}/kernel"] for layer in layers}
        self.gradients = {name: tf.gradients(chosen, kernel)[0] for name, kernel in kernels.items()}

    def record(self, session: Any, epoch: int, feed: dict[Any, np.ndarray]) -> Round:
        x, y = feed[self.network.x], feed[self.network.y]
        loss, outputs, weights = session.run(
            [self.network.loss, self.network.outputs, self.network.variables], feed
        )
        sums = self._of(session, x, outputs.shape[1])
        single = [self._of(session, x[i : i + 1], outputs.shape[1]) for i in range(len(x))]
        tensors = {layer: np.array([one[layer] for one in single]) for layer in sums}
        return Round(epoch, float(loss), y, outputs, weights, sums, tensors)

    def _of(self, session: Any, x: np.ndarray, components: int) -> dict[str, np.ndarray]:
        """For each layer (p_L, ...): what `tf.gradients` gives, summed over the examples of x."""
        rows = [
            session.run(self.gradients, {self.network.x: x, self.component: k})
            for k in range(components)
        ]
        return {layer: np.array([row[layer] for row in rows]) for layer in self.gradients}
