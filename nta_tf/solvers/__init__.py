"""Solvers of the Taylor optimum; each returns an `Optimum` with its certificate."""

from nta_tf.solvers.closed_form import Quadratic, minimize_on_balls, minimize_quadratic
from nta_tf.solvers.optimum import Optimum, Status, frank_wolfe_gap

__all__ = [
    "Optimum",
    "Quadratic",
    "Status",
    "frank_wolfe_gap",
    "minimize_on_balls",
    "minimize_quadratic",
]
