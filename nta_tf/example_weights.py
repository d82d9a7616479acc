"""Weights of examples in the loss, as `model.fit` takes them: one an example, or one a class."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np


def example_weights(
    sample_weight: Any, class_weight: Mapping[int, float] | None, targets: np.ndarray
) -> np.ndarray | None:
    """A weight for each example: its loss counts so many times in the mean over a minibatch.

    Args:
        sample_weight: Weights of the examples, (D,) or (D, 1), or None.
        class_weight: `{class: weight}`; classes that are not in it have weight one. Or None.
        targets: Targets of the examples, which tell their classes: labels (D,), or rows.

    Returns:
        NumPy array (D,) of float32, or None if neither is given.

    Raises:
        ValueError: If both are given, they do not fit, or one is negative or not finite.

    Example:

    >>> import numpy as np
    >>> from nta_tf.example_weights import example_weights
    >>> example_weights(None, {1: 3.0}, np.array([0, 1, 1]))
    array([1., 3., 3.], dtype=float32)
    """
    if sample_weight is not None and class_weight is not None:
        raise ValueError("Give sample_weight or class_weight, not both: multiply them yourself.")
    if class_weight is not None:
        sample_weight = _of_classes(class_weight, targets)
    if sample_weight is None:
        return None
    weights = np.asarray(sample_weight, np.float32)
    weights = weights.reshape(-1) if weights.shape[1:] == (1,) else weights
    if weights.shape != (len(targets),):
        raise ValueError(
            f"There must be one weight an example, shape ({len(targets)},). Received: weights of "
            f"shape {weights.shape}"
        )
    if not (np.isfinite(weights) & (weights >= 0)).all() or not weights.any():
        raise ValueError(
            "Weights of examples must be finite, none of them negative and not all zero. Received: "
            f"weights from {weights.min():.4g} to {weights.max():.4g}"
        )
    return weights


def _of_classes(class_weight: Mapping[int, float], targets: np.ndarray) -> np.ndarray:
    if targets.ndim == 2 and targets.shape[1] > 1:
        classes = targets.argmax(axis=1)
    elif targets.ndim == 1 and np.issubdtype(targets.dtype, np.integer):
        classes = targets
    else:
        raise ValueError(
            "class_weight needs targets that are labels or rows of classes. Received: targets of "
            f"shape {targets.shape} and dtype {targets.dtype}"
        )
    return np.array([class_weight.get(int(one), 1.0) for one in classes], np.float32)
