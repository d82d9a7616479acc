"""Convex losses by name."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from nta_tf.losses.base import Loss
from nta_tf.losses.componentwise import BinaryCrossEntropy, Huber, Poisson
from nta_tf.losses.kinked import AbsoluteError, Hinge
from nta_tf.losses.of_paper import CrossEntropy, MeanSquaredError
from nta_tf.losses.recognized import recognize
from nta_tf.losses.registered import FunctionLoss

LOSSES: dict[str, Loss] = {
    loss.name: loss
    for loss in (
        MeanSquaredError(),
        CrossEntropy(),
        AbsoluteError(),
        BinaryCrossEntropy(),
        Hinge(),
        Huber(),
        Poisson(),
    )
}


def get(loss: Any) -> Loss:
    """The loss of that name.

    Args:
        loss: A name such as `"mse"` or `"cross_entropy"`, one that was given to `register`, a
            `Loss`, or what `name_of` recognizes.

    Returns:
        A `Loss`: a function of (outputs, targets) that returns one loss an example.

    Raises:
        ValueError: If there is no such loss.

    Example:

    >>> import nta_tf as nta
    >>> nta.losses.get("mse")([[1.0, 3.0]], [[0.0, 0.0]]).numpy()
    array([5.], dtype=float32)
    """
    return loss if isinstance(loss, Loss) else LOSSES[name_of(loss)]


def name_of(loss: Any) -> str:
    """The name of a loss, in whatever way it is given.

    Args:
        loss: A name; a `Loss` that is registered; `nta.losses.cross_entropy` or
            `mean_squared_error`; or a loss that Keras knows, as an object, a function or a name,
            if it computes what one of ours does: `keras.losses.MeanSquaredError()`,
            `CategoricalCrossentropy(from_logits=True)`, `"mean_absolute_error"`.

    Returns:
        The name in `LOSSES`.

    Raises:
        ValueError: If it is none of these, as where Keras's loss takes probabilities, sums over
            the examples or smooths labels.

    Example:

    >>> import keras
    >>> import nta_tf as nta
    >>> nta.losses.name_of(keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    'cross_entropy'
    """
    return loss if isinstance(loss, str) and loss in LOSSES else recognize(loss, LOSSES)


def mean(loss: Any, outputs: Any, targets: Any, weights: Any = None) -> tf.Tensor:
    """The loss of a minibatch: the mean over its examples.

    Args:
        loss: A loss, as `get` takes it.
        outputs: (B, p_L).
        targets: Targets of the examples.
        weights: How often each counts in the mean over all B, (B,), or None for once.

    Returns:
        A scalar tensor.

    Example:

    >>> import nta_tf as nta
    >>> nta.losses.mean("mse", [[1.0], [3.0]], [[0.0], [0.0]], [2.0, 0.0]).numpy()
    np.float32(1.0)
    """
    values = get(loss)(outputs, targets)
    if weights is not None:
        values = values * tf.cast(weights, values.dtype)
    return tf.reduce_mean(values)


def as_rows(loss: Any, targets: np.ndarray, shape: Sequence[Any]) -> np.ndarray:
    """Targets in the shape that losses take: labels (B,), or rows (B, p_L).

    Args:
        loss: A loss or its name.
        targets: NumPy array of targets, first axis the examples.
        shape: Shape of the network's outputs, (B, ...).

    Returns:
        The targets, flattened where they have the shape of the outputs (but for axes of size one)
        or the outputs are flat; labels (B, 1) without their last axis. What does not fit is
        returned as it is, for `check_targets` to refuse.

    Example:

    >>> import numpy as np
    >>> import nta_tf as nta
    >>> nta.losses.as_rows("mse", np.zeros((8, 28, 28)), (None, 28, 28, 1)).shape
    (8, 784)
    >>> nta.losses.as_rows("cross_entropy", np.zeros((8, 1), int), (None, 10)).shape
    (8,)
    """
    return get(loss).as_rows(targets, list(shape[1:]))


def register(name: str, function: Callable, targets: Callable | None = None) -> Loss:
    """Adds a convex loss of one's own, which solvers then take by its name.

    Convexity is checked on random pairs of outputs; derivatives are taken automatically.

    Args:
        name: Name of the loss; none that is taken.
        function: Function of outputs and targets (examples, p_L), in TensorFlow, that returns
            one loss an example, (examples,); convex in the outputs and never negative.
        targets: Function of (generator, examples, components) that draws targets for the
            check, where the loss does not take any numbers.

    Returns:
        The `Loss`.

    Raises:
        ValueError: If the name is taken, or the function is not convex or may be negative.

    Example:

    >>> import tensorflow as tf
    >>> import nta_tf as nta
    >>> loss = nta.losses.register(
    ...     "log_cosh_sum", lambda f, y: tf.reduce_sum(tf.nn.softplus(2 * (f - y)) - (f - y)
    ...                                                - tf.math.log(2.0 + 0 * f), axis=-1))
    >>> loss.name in nta.losses.LOSSES
    True
    """
    if name in LOSSES:
        raise ValueError(f"The name is taken; losses are {sorted(LOSSES)}. Received: {name!r}")
    loss = FunctionLoss(name, function, targets)
    loss.check_convex()
    LOSSES[name] = loss
    return loss


def check_targets(loss: Any, targets: np.ndarray, examples: int, components: int) -> None:
    """Raises a clear error unless the targets fit the loss and the network.

    Args:
        loss: A loss or its name.
        targets: NumPy array of targets, first axis the examples.
        examples: How many examples the inputs have.
        components: p_L, the number of output components of the network.

    Raises:
        ValueError: If there are too many or too few targets, their shape does not fit, a
            label is out of range, or a value is not finite or not one that the loss takes.
    """
    if targets.shape[:1] != (examples,):
        raise ValueError(
            f"There must be one target an example: {examples} of them. "
            f"Received: targets of shape {targets.shape}"
        )
    get(loss).check_targets(targets, components)
