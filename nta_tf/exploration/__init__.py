"""Exploration of activation configurations (section 3 of the paper)."""

from nta_tf.exploration.gradients import (
    example_gradients,
    rms_normalized_gradient,
    signed_gradient,
)
from nta_tf.exploration.rectifiers import Rectifiers

__all__ = ["Rectifiers", "example_gradients", "rms_normalized_gradient", "signed_gradient"]
