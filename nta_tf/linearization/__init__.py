"""Taps on preactivations, Jacobian tensors, Taylor approximations and Taylor losses."""

from nta_tf.linearization import rules
from nta_tf.linearization.linearization import (
    REDUCTIONS,
    Linearization,
    linearize,
    taylor_loss,
)

__all__ = ["REDUCTIONS", "Linearization", "linearize", "rules", "taylor_loss"]
