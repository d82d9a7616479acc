"""Convex losses of a network's outputs: the two of the paper, more, and one's own."""

from nta_tf.losses.base import Loss
from nta_tf.losses.componentwise import BinaryCrossEntropy, Componentwise, Huber, Poisson
from nta_tf.losses.kinked import AbsoluteError, Hinge, Kinked
from nta_tf.losses.metrics import accuracy
from nta_tf.losses.of_paper import (
    CrossEntropy,
    MeanSquaredError,
    cross_entropy,
    mean_squared_error,
)
from nta_tf.losses.registered import FunctionLoss
from nta_tf.losses.registry import LOSSES, as_rows, check_targets, get, mean, name_of, register

__all__ = [
    "LOSSES",
    "AbsoluteError",
    "BinaryCrossEntropy",
    "Componentwise",
    "CrossEntropy",
    "FunctionLoss",
    "Hinge",
    "Huber",
    "Kinked",
    "Loss",
    "MeanSquaredError",
    "Poisson",
    "accuracy",
    "as_rows",
    "check_targets",
    "cross_entropy",
    "get",
    "mean",
    "mean_squared_error",
    "name_of",
    "register",
]
