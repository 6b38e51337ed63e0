"""The solution of a local step's problem, as a whole or in blocks."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import final

from p2pnet.optim.local_objective import Map, serial_map
from p2pnet.optim.solvers.base import Solution, solve
from p2pnet.optim.solvers.blocks import solve_blocks
from p2pnet.optim.solvers.by_name import solver_by_name
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

    def solve(
        self, problem: SurrogateProblem, *, tolerance: float, max_iterations: int, should_stop: Callable[[], bool]
    ) -> Solution:
        def solve_part(part: SurrogateProblem) -> Solution:
            solver = solver_by_name(self.solver, part)
            return solve(part, solver, tolerance=tolerance, max_iterations=max_iterations, should_stop=should_stop)

        if len(self.blocks) <= 1:
            return solve_part(problem)
        return solve_blocks(problem, self.blocks, solve_part, self.block_map)
