"""What is written while a model trains."""

from nta_tf.recorders.activations import ActivationReader, ActivationRounds
from nta_tf.recorders.base import ArraySpecification, Recorder, Rounds, Training
from nta_tf.recorders.gradient_norms import GradientNormReader, GradientNorms
from nta_tf.recorders.gradient_tensors import smallest_form
from nta_tf.recorders.taylor import TaylorRounds, taylor_reader
from nta_tf.recorders.weights import WeightReader, WeightRounds

__all__ = [
    "ActivationReader",
    "ActivationRounds",
    "ArraySpecification",
    "GradientNormReader",
    "GradientNorms",
    "Recorder",
    "Rounds",
    "TaylorRounds",
    "Training",
    "WeightReader",
    "WeightRounds",
    "smallest_form",
    "taylor_reader",
]
