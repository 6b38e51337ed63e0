"""The solution of a local step's problem, as a whole or in blocks."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import final

from p2pnet.optim.local_objective import Map, serial_map
from p2pnet.optim.penalties.base import Penalty
from p2pnet.optim.solvers.base import Solution, solve
from p2pnet.optim.solvers.blocks import solve_blocks
from p2pnet.optim.solvers.by_name import solver_by_name
from p2pnet.optim.solvers.conjugate_gradients import ConjugateGradients
from p2pnet.optim.surrogates.base import LocalModel
from p2pnet.optim.surrogates.problem import SurrogateProblem


@final
@dataclass(frozen=True, slots=True)
class BestResponseSolver:
    """Computes the minimiser of φ; with several blocks, each block's minimiser with the others held at w.

    `solver` is a name that `solver_by_name` knows; blocks are solved by `block_map`, that of a thread pool, say.
    """

    solver: str = "auto"
    blocks: tuple[slice, ...] = ()
    block_map: Map = serial_map

    def can_use_span(self, local_model: LocalModel, penalty: Penalty) -> bool:
        """Whether a solve costs less where the model's curvature is that in the span of the main inputs only.

        That is so for conjugate gradients. Blocks, and solvers for nonsmooth penalties, work on parameters themselves.
        """
        params = local_model.gradient_at_origin
        problem = SurrogateProblem(local_model, params, params, penalty, 1.0)
        return len(self.blocks) <= 1 and isinstance(solver_by_name(self.solver, problem), ConjugateGradients)

    def solve(
        self, problem: SurrogateProblem, *, tolerance: float, max_iterations: int, should_stop: Callable[[], bool]
    ) -> Solution:
        def solve_part(part: SurrogateProblem) -> Solution:
            solver = solver_by_name(self.solver, part)
            return solve(part, solver, tolerance=tolerance, max_iterations=max_iterations, should_stop=should_stop)

        if len(self.blocks) <= 1:
            return solve_part(problem)
        return solve_blocks(problem, self.blocks, solve_part, self.block_map)
