"""What the solvers solve, made from the records of a run: one problem a scope."""

from nta_tf.taylor_problems.gradient_tensors import RecordedRounds
from nta_tf.taylor_problems.normal_equations import PRECISION, RecordedQuadratic
from nta_tf.taylor_problems.scopes import Scope, sample_neurons

__all__ = ["PRECISION", "RecordedQuadratic", "RecordedRounds", "Scope", "sample_neurons"]
