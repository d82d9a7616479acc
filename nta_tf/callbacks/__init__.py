"""The recorders of `nta.train` inside `model.fit`, and what is measured of them while it runs."""

from nta_tf.callbacks.exploration import Exploration
from nta_tf.callbacks.record_rounds import RecordRounds
from nta_tf.callbacks.regret import Regret

__all__ = ["Exploration", "RecordRounds", "Regret"]
