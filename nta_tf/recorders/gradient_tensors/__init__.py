"""Taylor rounds kept one by one: outputs, and G_l or its factors."""

from nta_tf.recorders.gradient_tensors.reader import GradientTensorProblem, GradientTensorReader
from nta_tf.recorders.gradient_tensors.recorder import (
    FORM,
    GradientTensorRecorder,
    smallest_form,
)

__all__ = [
    "FORM",
    "GradientTensorProblem",
    "GradientTensorReader",
    "GradientTensorRecorder",
    "smallest_form",
]
