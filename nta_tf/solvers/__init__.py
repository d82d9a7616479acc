"""Solvers of the Taylor optimum; each returns an `Optimum` with its certificate."""

from nta_tf.solvers.closed_form import ClosedForm
from nta_tf.solvers.maps import DenseMap, FactoredMap, JointMap, LinearMap
from nta_tf.solvers.minimize import (
    Quadratics,
    choose,
    minimize,
    minimize_on_balls,
    minimize_prefixes,
)
from nta_tf.solvers.newton import Newton
from nta_tf.solvers.newton_cg import NewtonCG
from nta_tf.solvers.objective import frank_wolfe_gap
from nta_tf.solvers.optimum import Optimum, Status
from nta_tf.solvers.problem import TaylorProblem
from nta_tf.solvers.quadratic import Quadratic
from nta_tf.solvers.row_space import RowSpace, RowSpaceProblem, gram
from nta_tf.solvers.search import Solver
from nta_tf.solvers.sgd import SGD

__all__ = [
    "SGD",
    "ClosedForm",
    "DenseMap",
    "FactoredMap",
    "JointMap",
    "LinearMap",
    "Newton",
    "NewtonCG",
    "Optimum",
    "Quadratic",
    "Quadratics",
    "RowSpace",
    "RowSpaceProblem",
    "Solver",
    "Status",
    "TaylorProblem",
    "choose",
    "frank_wolfe_gap",
    "gram",
    "minimize",
    "minimize_on_balls",
    "minimize_prefixes",
]
