"""Newton with products of the Hessian only: for layers and the network, and on balls."""

import dataclasses

from nta_tf.solvers import krylov, second_order
from nta_tf.solvers.certificate import optima_of
from nta_tf.solvers.optimum import Optimum
from nta_tf.solvers.problem import TaylorProblem
from nta_tf.solvers.search import Search, Solver, check_iterations


@dataclasses.dataclass(frozen=True)
class NewtonCG(Solver[TaylorProblem]):
    """Matrix-free Newton: the model is minimised in Krylov spaces; see `krylov`.

    All numbers of groups are solved at once, so that the products with A, which take the
    time, serve every one of them.

    Attributes:
        max_iterations: Limit of the outer iterations.

    Example:

    >>> import nta_tf as nta
    >>> nta.solvers.NewtonCG(max_iterations=30)
    NewtonCG(max_iterations=30)
    """

    max_iterations: int = 100

    def __post_init__(self) -> None:
        check_iterations("max_iterations", self.max_iterations)

    def solve(self, problem: TaylorProblem, searches: list[Search]) -> list[list[Optimum]]:
        return [self._solve(problem.prefix(max(search.groups)), search) for search in searches]

    def _solve(self, problem, search):
        columns = search.columns(problem)
        summary = second_order.solve_columns(
            krylov.model_minimum, problem, columns, self.max_iterations
        )
        return optima_of(problem, columns, summary)
