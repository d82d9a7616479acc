"""What is written while a model trains."""

from nta_tf.recorders.activations import ActivationRounds
from nta_tf.recorders.base import ArraySpecification, Recorder, Rounds, Training
from nta_tf.recorders.gradient_tensor_rounds import chosen_examples, smallest_form
from nta_tf.recorders.taylor import TaylorRounds
from nta_tf.recorders.weights import WeightRounds

__all__ = [
    "ActivationRounds",
    "ArraySpecification",
    "Recorder",
    "Rounds",
    "TaylorRounds",
    "Training",
    "WeightRounds",
    "chosen_examples",
    "smallest_form",
]
