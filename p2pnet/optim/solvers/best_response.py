"""The solution of a local step's problem, by a solver's name, with products by block where there are several."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import final

from p2pnet.optim.local_objective import Map, serial_map
from p2pnet.optim.penalties.base import Penalty
from p2pnet.optim.solvers.base import Solution, solve
from p2pnet.optim.solvers.by_name import solver_by_name
from p2pnet.optim.solvers.conjugate_gradients import ConjugateGradients
from p2pnet.optim.surrogates.base import LocalModel
from p2pnet.optim.surrogates.problem import SurrogateProblem


@final
@dataclass(frozen=True, slots=True)
class BestResponseSolver:
    """Computes the minimiser of φ; with several blocks, its Jacobian products are made by `block_map` block by block.

    `solver` is a name that `solver_by_name` knows.
    """

    solver: str = "auto"
    blocks: tuple[slice, ...] = ()
    block_map: Map = serial_map

    def can_use_span(self, local_model: LocalModel, penalty: Penalty) -> bool:
        """Whether a solve costs less where the model's curvature is that in the span of the main inputs only.

        That is so for conjugate gradients. Solvers for nonsmooth penalties work on parameters themselves.
        """
        params = local_model.gradient_at_origin
        problem = SurrogateProblem(local_model, params, params, penalty, 1.0)
        return isinstance(solver_by_name(self.solver, problem), ConjugateGradients)

    def solve(
        self, problem: SurrogateProblem, *, tolerance: float, max_iterations: int, should_stop: Callable[[], bool]
    ) -> Solution:
        solver = solver_by_name(self.solver, problem)
        if len(self.blocks) > 1:
            problem = replace(problem, local_model=problem.local_model.in_blocks(self.blocks, self.block_map))
        return solve(problem, solver, tolerance=tolerance, max_iterations=max_iterations, should_stop=should_stop)
