"""Exploration of activation configurations (section 3 of the paper)."""

from nta_tf.exploration.configurations import Configurations
from nta_tf.exploration.gradients import (
    example_gradients,
    rms_normalized_gradient,
    signed_gradient,
)
from nta_tf.exploration.measures import (
    FLOOR,
    log_volume,
    minimum_hamming,
    ranks,
    singular_values,
    switches,
    volumes,
)
from nta_tf.exploration.unit_names import units
from nta_tf.rectifiers import Rectifiers

__all__ = [
    "FLOOR",
    "Configurations",
    "Rectifiers",
    "example_gradients",
    "log_volume",
    "minimum_hamming",
    "ranks",
    "rms_normalized_gradient",
    "signed_gradient",
    "singular_values",
    "switches",
    "units",
    "volumes",
]
