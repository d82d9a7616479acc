"""Taps on preactivations, Jacobian tensors, Taylor approximations and Taylor losses.

Everything that Keras can call is linearized. `layer_table()` says which layers have a rule, which
makes G from J, and what the others cost; `rules` how to add one. What runs in training mode, and
variables that are no floating-point numbers, are refused by name.
"""

from nta_tf.linearization import rules
from nta_tf.linearization.api import linearize, outputs_at, taylor_loss
from nta_tf.linearization.linearization import REDUCTIONS, Linearization
from nta_tf.linearization.softmax import softmax_output
from nta_tf.linearization.table import layer_table

__all__ = [
    "REDUCTIONS",
    "Linearization",
    "layer_table",
    "linearize",
    "outputs_at",
    "rules",
    "softmax_output",
    "taylor_loss",
]
