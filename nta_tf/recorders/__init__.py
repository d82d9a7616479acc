"""What is written while a model trains."""

from nta_tf.recorders.base import ArraySpecification, Recorder, Rounds, Training
from nta_tf.recorders.taylor import TaylorRounds

__all__ = ["ArraySpecification", "Recorder", "Rounds", "TaylorRounds", "Training"]
