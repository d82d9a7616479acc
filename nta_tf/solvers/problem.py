"""The problem that the solvers solve: a cumulative Taylor loss over a ball."""

import dataclasses

import numpy as np
import tensorflow as tf

from nta_tf import losses
from nta_tf.solvers import outer
from nta_tf.solvers.maps import LinearMap, Weights
from nta_tf.solvers.objective import Objective


@dataclasses.dataclass(frozen=True)
class TaylorProblem:
    """F(V) = sum_g weight_g sum_i w_gi loss(outputs_gi + A_g (V - C), targets_gi).

    A group g is one example (`per_example`: one G each) or one round (`batch_mean`: one mean
    G for the E examples of the round, which all move by the same shift). F is convex and
    not negative.

    Attributes:
        linear_map: A, a `DenseMap`, `FactoredMap` or `JointMap`.
        outputs: Predictions at V = C, (groups, E, p_L).
        targets: Integer labels (groups, E), or (groups, E, p_L).
        weights: Weight of each group, (groups,), for example 1 / E.
        centre: C, in the shape of the scope's weights (a list of arrays for a `JointMap`).
        loss: `"cross_entropy"` (on logits), `"mse"` (mean over p_L), or another name or object
            of `nta.losses`.
        sample_weights: w, weight of each example, (groups, E); None is one.

    Example:

    >>> import numpy as np
    >>> import nta_tf as nta
    >>> problem = nta.solvers.TaylorProblem(
    ...     nta.solvers.DenseMap(np.eye(2)[None]), np.zeros((1, 1, 2)), np.array([[0]]),
    ...     np.ones(1), np.zeros(2), "cross_entropy")
    >>> round(problem.value(np.zeros(2)), 4)
    0.6931
    >>> round(nta.solvers.minimize(problem, radius=1.0).loss, 4)
    0.2176
    """

    linear_map: LinearMap
    outputs: np.ndarray
    targets: np.ndarray
    weights: np.ndarray
    centre: Weights
    loss: str | losses.Loss = "cross_entropy"
    sample_weights: np.ndarray | None = None

    def __post_init__(self) -> None:
        outputs = np.asarray(self.outputs, np.float64)
        targets, weights = np.asarray(self.targets), np.asarray(self.weights, np.float64)
        object.__setattr__(self, "outputs", outputs)
        object.__setattr__(self, "targets", targets)
        object.__setattr__(self, "weights", weights)
        if self.sample_weights is not None:
            sample_weights = np.asarray(self.sample_weights, np.float64)
            object.__setattr__(self, "sample_weights", sample_weights)
        self._check()

    @property
    def loss_function(self) -> losses.Loss:
        """The loss as a `nta.losses.Loss`."""
        return losses.get(self.loss)

    def prefix(self, groups: int) -> "TaylorProblem":
        """The problem of the first groups only."""
        return self.part(0, groups)

    def part(self, first: int, last: int) -> "TaylorProblem":
        """The problem of the groups from `first` on, up to the one before `last`."""
        of_examples = self.sample_weights
        return dataclasses.replace(
            self,
            linear_map=self.linear_map.part(first, last),
            outputs=self.outputs[first:last],
            targets=self.targets[first:last],
            weights=self.weights[first:last],
            sample_weights=None if of_examples is None else of_examples[first:last],
        )

    def value(self, weights: Weights) -> float:
        """F(V), computed in float64 but for the map."""
        linear_map = self.linear_map
        shift = tf.cast(linear_map.forward(self.displacement(weights)), tf.float64)
        objective = Objective(
            linear_map.action,
            self.loss_function,
            linear_map.tensors,
            self.outer(tf.float64),
            tf.constant(self.weights[np.newaxis]),
        )
        return float(objective.at_shift(shift[tf.newaxis])[0][0])

    @property
    def is_finite(self) -> bool:
        """Whether all its numbers are finite, and F at the centre."""
        linear_map = self.linear_map
        parts = [*tf.nest.flatten(linear_map.tensors), self.outputs, self.targets, self.weights]
        finite = (tf.reduce_all(tf.math.is_finite(tf.cast(part, tf.float64))) for part in parts)
        return all(map(bool, finite)) and bool(np.isfinite(self.value(self.centre)))

    def displacement(self, weights: Weights) -> Weights:
        """V - C in the shape of the weights."""
        if self.linear_map.is_joint:
            return [np.asarray(v) - np.asarray(c) for v, c in zip(weights, self.centre)]
        return np.asarray(weights) - np.asarray(self.centre)

    def centre_plus(self, u: np.ndarray) -> Weights:
        """V = C + U in the shape of the weights, of a flat U."""
        displacement = self.linear_map.unflatten(np.asarray(u))
        if self.linear_map.is_joint:
            return [np.asarray(c) + d for c, d in zip(self.centre, displacement)]
        return np.asarray(self.centre) + displacement

    def outer(self, dtype: tf.DType) -> outer.Outer:
        """Tensors of the outer function, for `outer.evaluate`."""
        weights = np.ones(self.outputs.shape[:2])
        weights = weights if self.sample_weights is None else self.sample_weights
        parts = map(tf.convert_to_tensor, (self.outputs, self.targets, weights))
        return outer.prepare(self.loss_function, *parts, dtype)

    def _check(self):
        groups, components = self.linear_map.groups, self.linear_map.components
        expected = (groups, self.outputs.shape[1] if self.outputs.ndim > 1 else 1, components)
        if self.outputs.shape != expected:
            raise ValueError(
                f"The outputs must have shape ({groups}, E, {components}), as the linear map "
                f"has {groups} groups and p_L = {components}. "
                f"Received: outputs of shape {self.outputs.shape}"
            )
        if self.weights.shape != (groups,) or (self.weights < 0).any():
            raise ValueError(
                f"There must be {groups} weights, none of them negative. "
                f"Received: weights of shape {self.weights.shape}"
            )
        sample_weights = self.sample_weights
        if sample_weights is not None and (
            sample_weights.shape != self.outputs.shape[:2] or (sample_weights < 0).any()
        ):
            raise ValueError(
                f"Sample weights must have shape {self.outputs.shape[:2]}, none of them negative. "
                f"Received: sample weights of shape {sample_weights.shape}"
            )
        given = [np.shape(c) for c in (self.centre if self.linear_map.is_joint else [self.centre])]
        if given != [tuple(shape) for shape in self.linear_map.shapes]:
            raise ValueError(
                f"The centre must have the shape of the weights, {self.linear_map.shapes}. "
                f"Received: {given}"
            )
        self._check_targets()

    def _check_targets(self):
        labels = self.targets.shape == self.outputs.shape[:2]
        integers = labels and np.issubdtype(self.targets.dtype, np.integer)
        if not integers and self.targets.shape != self.outputs.shape:
            raise ValueError(
                f"Targets must have shape {self.outputs.shape}, or be integer labels, one an "
                "example, for the cross-entropy. "
                f"Received: targets of shape {self.targets.shape}, {self.targets.dtype}"
            )
        flat = self.targets.reshape(-1, *self.targets.shape[2:])
        if integers or np.isfinite(flat).all():  # NaN is a status of the optimum
            losses.check_targets(self.loss, flat, len(flat), self.outputs.shape[-1])
