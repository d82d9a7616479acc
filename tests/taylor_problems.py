"""Small Taylor problems of every awkward kind, with their NumPy reference."""

import numpy as np

from nta_tf.solvers import DenseMap, TaylorProblem
from tests.reference.taylor_problem import ReferenceProblem

# (groups, examples of a group, p_L, shape of the weights)
SIZES = {
    "tall": (30, 1, 4, (7,)),
    "wide": (4, 1, 3, (5, 6)),
    "batch mean": (8, 5, 3, (6,)),
    "batch mean, wide": (3, 6, 4, (20,)),
    "one weight": (5, 2, 3, (1,)),
}
KINDS = (
    "plain",
    "duplicated examples",
    "one class missing",
    "dead groups",
    "large logits",
    "separable",
)


def rng_normal(rng, shape):
    return rng.normal(size=shape)


TARGETS = {
    "binary_cross_entropy": lambda rng, shape: rng.integers(2, size=shape),
    "hinge": lambda rng, shape: rng.choice([-1.0, 1.0], size=shape),
    "poisson": lambda rng, shape: rng.poisson(2.0, size=shape),
}


def arrays(rng, size, kind="plain", loss="cross_entropy"):
    """G, outputs, targets, weights and centre."""
    groups, examples, components, shape = SIZES[size]
    tensors = rng.normal(size=(groups, components, *shape))
    outputs = rng.normal(size=(groups, examples, components))
    targets = rng.integers(components, size=(groups, examples))
    if kind == "duplicated examples":
        tensors[1::2], outputs[1::2] = (
            tensors[: groups // 2 * 2 : 2],
            outputs[: groups // 2 * 2 : 2],
        )
        targets[1::2] = targets[: groups // 2 * 2 : 2]
    if kind == "one class missing":
        targets = np.minimum(targets, components - 2)
    if kind == "dead groups":
        tensors[::2] = 0
    if kind == "large logits":
        outputs = outputs * 1e3
    if kind == "separable":
        targets = np.full((groups, examples), 1)
        tensors[:, 1] = tensors[:, 0] + np.abs(tensors[:, 1])
        tensors[:, 2:] = tensors[:, :1]
    if loss != "cross_entropy":
        targets = TARGETS.get(loss, rng_normal)(rng, outputs.shape)
    weights = rng.uniform(0.5, 1.5, size=groups) / examples
    return tensors, outputs, targets, weights, rng.normal(size=shape)


def problem(rng, size="tall", kind="plain", loss="cross_entropy", dtype=np.float64):
    """A `TaylorProblem` and its `ReferenceProblem`."""
    tensors, outputs, targets, weights, centre = arrays(rng, size, kind, loss)
    tensors = tensors.astype(dtype)
    ours = TaylorProblem(DenseMap(tensors), outputs, targets, weights, centre, loss)
    return ours, ReferenceProblem(tensors, outputs, targets, weights, centre, loss)
