"""Taylor rounds kept as normal equations: sums of quadratics (appendix A5)."""

from nta_tf.recorders.normal_equations.reader import (
    PRECISION,
    NormalEquationReader,
    QuadraticProblem,
)
from nta_tf.recorders.normal_equations.recorder import (
    FORM,
    NormalEquationRecorder,
    dense_chain_of,
)

__all__ = [
    "FORM",
    "PRECISION",
    "NormalEquationReader",
    "NormalEquationRecorder",
    "QuadraticProblem",
    "dense_chain_of",
]
