"""Solvers of the Taylor optimum; each returns an `Optimum` with its certificate."""

from nta_tf.solvers.closed_form import Quadratic, minimize_on_balls, minimize_quadratic
from nta_tf.solvers.maps import DenseMap, FactoredMap, JointMap
from nta_tf.solvers.minimize import choose, minimize, minimize_prefixes
from nta_tf.solvers.optimum import Optimum, Status, frank_wolfe_gap
from nta_tf.solvers.problem import TaylorProblem
from nta_tf.solvers.reduction import gram, reduced
from nta_tf.solvers.sgd import sgd

__all__ = [
    "DenseMap",
    "FactoredMap",
    "JointMap",
    "Optimum",
    "Quadratic",
    "Status",
    "TaylorProblem",
    "choose",
    "frank_wolfe_gap",
    "gram",
    "minimize",
    "minimize_on_balls",
    "minimize_prefixes",
    "minimize_quadratic",
    "reduced",
    "sgd",
]
