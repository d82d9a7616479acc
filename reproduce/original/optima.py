"""Taylor losses and their optima: least squares, and SGD."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from reproduce.original.training import Round

v1 = tf.compat.v1

REDUCTIONS = ("per_example", "batch_mean", "batch_sum")


class Snapshot(NamedTuple):
    """A round of one layer or neuron: f + <G, V - W> with G (1 or B, p_L, p) and W (p,)."""

    outputs: np.ndarray
    targets: np.ndarray
    tensor: np.ndarray
    weights: np.ndarray
    loss: float
    epoch: int


def snapshot(recorded: Round, scope: str, reduction: str) -> Snapshot:
    """Picks a layer (`"dense_3"`) or a neuron (`"dense_3:7"`) out of a round.

    Args:
        recorded: A `Round`.
        scope: Name of the layer, or of the neuron.
        reduction: `"per_example"` (Definition 1), `"batch_sum"` (what `tf.gradients` gives on a
            minibatch) or `"batch_mean"` (that, divided by B).

    Returns:
        A `Snapshot` in float64.
    """
    layer, _, neuron = scope.partition(":")
    tensor = recorded.tensors[layer]
    if reduction != "per_example":
        divisor = len(recorded.outputs) if reduction == "batch_mean" else 1
        tensor = recorded.sums[layer][None] / divisor
    weights = recorded.weights[f"{layer}/kernel"]
    if neuron:
        tensor, weights = tensor[..., int(neuron)], weights[..., int(neuron)]
    return Snapshot(
        recorded.outputs.astype(float),
        recorded.targets,
        tensor.reshape(*tensor.shape[:2], -1).astype(float),
        weights.ravel().astype(float),
        recorded.loss,
        recorded.epoch,
    )


def taylor_approximation(one: Snapshot, v: np.ndarray) -> np.ndarray:
    """T(V) of each example, (B, p_L)."""
    return one.outputs + one.tensor @ (v - one.weights)


def squared_error(one: Snapshot, v: np.ndarray) -> float:
    """The Taylor loss of a round, mean over examples and components."""
    return float(np.mean((taylor_approximation(one, v) - one.targets) ** 2))


def cross_entropy(one: Snapshot, v: np.ndarray) -> float:
    """The Taylor loss of a round, mean over examples."""
    logits = taylor_approximation(one, v)
    logits = logits - logits.max(axis=1, keepdims=True)
    chosen = np.take_along_axis(logits, one.targets[:, None], axis=1)[:, 0]
    return float(np.mean(np.log(np.exp(logits).sum(axis=1)) - chosen))


def least_squares(snapshots: list[Snapshot]) -> list[tuple[float, np.ndarray]]:
    """The cumulative optimum after each round, and its V: closed form.

    Every example and component of every round is a row of one least-squares problem
    G V = y - f + G W; the rows so far are kept as the triangle of their QR decomposition.
    """
    optima: list[tuple[float, np.ndarray]] = []
    triangle: np.ndarray | None = None
    for one in snapshots:
        size = one.outputs.size
        tensor = np.broadcast_to(one.tensor, (*one.outputs.shape, len(one.weights)))
        targets = one.targets - one.outputs + tensor @ one.weights
        rows = np.column_stack([tensor.reshape(size, -1), targets.ravel()]) / np.sqrt(size)
        triangle = rows if triangle is None else np.vstack([triangle, rows])
        triangle = np.asarray(np.linalg.qr(triangle, mode="r"))
        v = np.linalg.lstsq(triangle[:, :-1], triangle[:, -1], rcond=None)[0]
        optima.append((float(np.sum((triangle[:, :-1] @ v - triangle[:, -1]) ** 2)), v))
    return optima


def descend(
    snapshots: list[Snapshot], rates: Sequence[float] = (1.0, 10.0, 100.0), passes: int = 100
) -> tuple[float, np.ndarray]:
    """The cumulative optimum of the cross-entropy over these rounds, by SGD on V.

    The problem is badly conditioned, and its minimisers lie far away, so that SGD stops above the
    optimum: regret comes out too small.

    Args:
        snapshots: The rounds, each a minibatch of SGD.
        rates: Learning rates to try. In each pass they fall like 1 / sqrt(pass).
        passes: How often each round is visited.

    Returns:
        The least cumulative Taylor loss seen at the end of a pass, or at the start, the mean of
        the weights W^n; and its V.
    """
    start = np.mean([one.weights for one in snapshots], axis=0)
    best = (sum(cross_entropy(one, start) for one in snapshots), start)
    with tf.Graph().as_default(), v1.Session() as session:
        v, feeds, step, learning_rate = _descent(snapshots, start)
        for rate in rates:
            session.run(v1.global_variables_initializer())
            for number in range(passes):
                for feed in feeds:
                    session.run(step, {**feed, learning_rate: rate / np.sqrt(number + 1)})
                reached = session.run(v)
                total = sum(cross_entropy(one, reached) for one in snapshots)
                best = min(best, (total, reached), key=lambda pair: pair[0])
    return best


def _descent(
    snapshots: list[Snapshot], start: np.ndarray
) -> tuple[Any, list[dict[Any, np.ndarray]], Any, Any]:
    """The graph of one step: V, what to feed it for each round, the step, its learning rate."""
    v = v1.Variable(start)
    constant = v1.placeholder(tf.float64, [None, None])
    tensor = v1.placeholder(tf.float64, [None, None, len(start)])
    labels = v1.placeholder(tf.int32, [None])
    learning_rate = v1.placeholder(tf.float64, [])
    logits = constant + tf.tensordot(tensor, v, 1)
    loss = tf.reduce_mean(
        tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=logits)
    )
    step = v1.train.GradientDescentOptimizer(learning_rate).minimize(loss, var_list=[v])
    feeds = [
        {
            constant: one.outputs - one.tensor @ one.weights,
            tensor: one.tensor,
            labels: one.targets,
        }
        for one in snapshots
    ]
    return v, feeds, step, learning_rate
