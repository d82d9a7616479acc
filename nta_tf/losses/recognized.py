"""Losses that are given as an object or a function: which of ours they are, by their values.

A loss of Keras has options that make it another one (probabilities in the place of logits, a sum in
the place of a mean, smoothed labels, another delta), and not all of them are in its config. So what
is given is computed on random outputs and targets beside each of ours.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import keras
import numpy as np

from nta_tf.losses.base import Loss
from nta_tf.losses.of_paper import cross_entropy, mean_squared_error

_FUNCTIONS = {mean_squared_error: "mse", cross_entropy: "cross_entropy"}
_EXAMPLES, _COMPONENTS, _SCALES = 7, 3, (0.3, 3.0)


def recognize(loss: Any, losses: Mapping[str, Loss]) -> str:
    """The name of a loss that is given in another way.

    Args:
        loss: A `Loss`, a `keras.losses.Loss`, a name that Keras knows, or a function: of this
            package, or of Keras's kind, of (targets, outputs).
        losses: All losses by name.

    Returns:
        The name under which it stands in `losses`.

    Raises:
        ValueError: If it is none of them.
    """
    if isinstance(loss, Loss):
        if _is_registered(loss, losses.get(loss.name)):
            return loss.name
        raise ValueError(_unknown(loss, losses))
    if not isinstance(loss, str) and not callable(loss):
        raise ValueError(_unknown(loss, losses))
    for ours, name in _FUNCTIONS.items():
        if loss is ours:
            return name
    function = _of_keras(loss) if isinstance(loss, str) else loss
    for name in losses:
        if function is not None and any(
            _is_same(function, losses[name], targets) for targets in _targets(name)
        ):
            return name
    raise ValueError(_unknown(loss, losses, function))


def _is_registered(loss: Loss, other: Loss | None) -> bool:
    # Losses with options are compared by these; those without have none in which to differ.
    return loss == other or (type(loss) is type(other) and not vars(loss))


def _of_keras(name: str) -> Callable | None:
    try:
        return keras.losses.get(name)
    except ValueError:
        return None


def _targets(name: str) -> Iterator[np.ndarray]:
    """Random targets of each kind that a loss takes; none for a registered one."""
    generator = np.random.default_rng(0)
    shape = (_EXAMPLES, _COMPONENTS)
    labels = np.arange(_EXAMPLES) % _COMPONENTS
    bits = generator.integers(2, size=shape).astype(np.float32)
    if name in ("mse", "absolute_error", "huber"):
        yield generator.normal(size=shape).astype(np.float32)
    elif name == "cross_entropy":
        yield np.eye(_COMPONENTS, dtype=np.float32)[labels]
        yield labels
    elif name == "binary_cross_entropy":
        yield bits
    elif name == "hinge":
        yield 2 * bits - 1
    elif name == "poisson":
        yield generator.poisson(2.0, size=shape).astype(np.float32)


def _is_same(function: Callable, loss: Loss, targets: np.ndarray) -> bool:
    generator = np.random.default_rng(1)
    for scale in _SCALES:
        outputs = (scale * generator.normal(size=(_EXAMPLES, _COMPONENTS))).astype(np.float32)
        try:
            value = np.asarray(function(targets, outputs))
        except Exception:  # whatever a function says of targets that are not of its kind
            return False
        reduced = isinstance(function, keras.losses.Loss)
        if value.shape != (() if reduced else (_EXAMPLES,)):
            return False
        expected = np.asarray(loss(outputs, targets))
        if not np.allclose(value, expected.mean() if reduced else expected, rtol=1e-4, atol=1e-5):
            return False
    return True


def _unknown(loss: Any, losses: Mapping[str, Loss], function: Any = None) -> str:
    hint = ""
    if function is not None:
        hint = (
            " A loss of Keras is taken if it is one of them: from logits (from_logits=True), the "
            "mean over the examples, nothing smoothed. For another convex one see "
            "nta.losses.register."
        )
    elif isinstance(loss, Loss):
        hint = " Losses with other options need a name: see nta.losses.register."
    return f"The loss must be one of {sorted(losses)}.{hint} Received: loss={loss!r}"
