"""The interface of solvers of a local step's problem, and the loop that drives them.

A `Solver` is a choice with its parameters; `start` makes a `Solve`, the state of one solve, which `solve` advances
step by step until it is done, or the budget is spent. One step costs about one product with J and one with Jᵀ
(except for the direct solver), so that budgets of different solvers compare.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import final

from p2pnet.optim.arrays import Array
from p2pnet.optim.surrogates.problem import SurrogateProblem


@final
class Status(Enum):
    """Why a solve ended."""

    CONVERGED = "converged"
    """the optimality residual is within the tolerance"""
    STALLED = "stalled"
    """rounding leaves nothing more to gain"""
    ITERATION_LIMIT = "iteration limit"
    STOPPED = "stopped"
    """the caller's `should_stop` said so, its time budget being spent, say"""


@dataclass(frozen=True, slots=True, eq=False)
class Solution:
    """The result of a solve; usable whatever the status."""

    best_response: Array
    """v = w + d, (n_params,); parameters that a penalty sets to zero are exactly zero"""
    status: Status
    n_iterations: int
    optimality_residual: float
    """distance of zero to the subdifferential of φ at the best response"""


class Solve(ABC):
    """One solve in progress, of one problem."""

    @abstractmethod
    def step(self) -> None:
        """One iteration."""

    @abstractmethod
    def is_converged(self) -> bool:
        """Whether the optimality residual is within the tolerance."""

    @abstractmethod
    def is_stalled(self) -> bool:
        """Whether further steps would change nothing."""

    @abstractmethod
    def result(self) -> tuple[Array, float]:
        """The present (best response, optimality residual); the last call, which ends the solve."""


class Solver(ABC):
    """A method with its parameters."""

    name: str

    @abstractmethod
    def start(self, problem: SurrogateProblem, tolerance: float) -> Solve:
        """Start a solve at d = 0; it ends when the optimality residual is `tolerance` times its value there."""


def solve(
    problem: SurrogateProblem,
    solver: Solver,
    *,
    tolerance: float = 1e-6,
    max_iterations: int = 100,
    should_stop: Callable[[], bool] = lambda: False,
) -> Solution:
    """Minimise φ approximately: until converged (`tolerance` is relative to the optimality residual at d = 0), stalled,
    after `max_iterations`, or as soon as `should_stop()`, which is asked before every iteration.
    """
    state = solver.start(problem, tolerance)
    n_iterations = 0
    while True:
        if state.is_converged():
            status = Status.CONVERGED
        elif state.is_stalled():
            status = Status.STALLED
        elif n_iterations >= max_iterations:
            status = Status.ITERATION_LIMIT
        elif should_stop():
            status = Status.STOPPED
        else:
            state.step()
            n_iterations += 1
            continue
        best_response, residual = state.result()
        return Solution(best_response, status, n_iterations, residual)
