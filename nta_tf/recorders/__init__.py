"""What is written while a model trains."""

from nta_tf.recorders.base import ArraySpecification, Recorder, Rounds, Training
from nta_tf.recorders.taylor import TaylorRounds
from nta_tf.recorders.weights import WeightRounds

__all__ = ["ArraySpecification", "Recorder", "Rounds", "TaylorRounds", "Training", "WeightRounds"]
