"""What a solver is, and what it is asked for."""

import abc
import dataclasses
import math
from collections.abc import Callable
from typing import ClassVar, Generic, TypeVar

import numpy as np
import tensorflow as tf

from nta_tf.solvers.descent import Columns
from nta_tf.solvers.optimum import Optimum
from nta_tf.solvers.problem import TaylorProblem
from nta_tf.solvers.quadratic import Quadratic

Problem = TypeVar("Problem", TaylorProblem, Quadratic)


@dataclasses.dataclass(frozen=True)
class Search:
    """Which minima are asked for: of the first N groups over one ball, for several N.

    Attributes:
        groups: Numbers N of groups.
        radius: D, possibly infinite.
        tolerance: Relative gap at which to stop.
        start: The first U = V - C, flat, (P,).
        negligible: For each N an F at which to stop, as good as zero.
    """

    groups: list[int]
    radius: float
    tolerance: float
    start: np.ndarray
    negligible: np.ndarray

    def columns(self, problem: TaylorProblem, start: np.ndarray | None = None) -> Columns:
        """A column for each N of a problem; groups that N leaves out have weight zero there.

        Args:
            problem: A `TaylorProblem` of at least N groups.
            start: Where to start instead, in the coordinates of the problem.
        """
        count, dtype = len(self.groups), problem.linear_map.dtype
        mask = np.arange(problem.linear_map.groups) < np.asarray(self.groups)[:, np.newaxis]
        start = self.start if start is None else start
        length = np.linalg.norm(start)
        if length > self.radius:
            start = start * (self.radius / length)
        return Columns(
            tf.constant(problem.weights * mask, tf.float64),
            tf.fill([count], tf.constant(self.radius, tf.float64)),
            tf.constant(np.where(math.isinf(self.radius), 0.0, self.negligible), tf.float64),
            tf.constant(np.broadcast_to(start, (count, len(start))), dtype),
            tf.constant(self.tolerance, tf.float64),
        )

    def one_after_another(
        self, problem: TaylorProblem, solve: Callable[[TaylorProblem, "Search"], Optimum]
    ) -> list[Optimum]:
        """Solves for each N alone, starting where the last one has ended."""
        optima, start = [], self.start
        for position, count in enumerate(self.groups):
            prefix = problem.prefix(count)
            negligible = self.negligible[position : position + 1]
            search = dataclasses.replace(self, groups=[count], start=start, negligible=negligible)
            optimum = solve(prefix, search)
            optima.append(optimum)
            ended = prefix.linear_map.flatten(prefix.displacement(optimum.weights)).numpy()
            start = ended if np.isfinite(ended).all() else start
        return optima


class Solver(abc.ABC, Generic[Problem]):
    """A way to a Taylor optimum, with its options: a small frozen dataclass.

    Attributes:
        solves: The kind of problem it solves.
    """

    solves: ClassVar[type] = TaylorProblem

    @abc.abstractmethod
    def solve(self, problem: Problem, searches: list[Search]) -> list[list[Optimum]]:
        """Minimises; `nta.solvers.minimize` calls it after checking what it is given.

        Args:
            problem: A problem of the kind that it `solves`.
            searches: One `Search` for each ball.

        Returns:
            For each search a list with an `Optimum` for each of its numbers of groups.
        """


def check_iterations(name: str, limit: int) -> None:
    """Raises unless the limit of iterations is a positive number."""
    if not limit >= 1:
        raise ValueError(f"{name} must be at least 1. Received: {name}={limit!r}")
