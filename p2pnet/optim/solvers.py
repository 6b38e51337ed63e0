"""Which solver for which problem: by name, or by rules that were measured."""

from p2pnet.errors import ConfigError
from p2pnet.optim.newton import ConjugateGradients, Direct, JacobiPreconditioner
from p2pnet.optim.penalties import SmoothPenalty
from p2pnet.optim.proximal import AcceleratedProximalGradient, ProximalStep
from p2pnet.optim.solving import Solution, Solver, Status, solve
from p2pnet.optim.surrogates import FirstOrderModel, SurrogateProblem

__all__ = ["Solution", "Solver", "Status", "choose_solver", "solve", "solver_by_name"]


def choose_solver(problem: SurrogateProblem) -> Solver:
    """The solver that measured fastest on problems of this kind."""
    if isinstance(problem.local_model, FirstOrderModel):
        return ProximalStep()
    if isinstance(problem.penalty, SmoothPenalty):
        return ConjugateGradients()
    return AcceleratedProximalGradient()


def solver_by_name(name: str, problem: SurrogateProblem) -> Solver:
    """The solver called `name` ("auto" chooses); ConfigError if there is none, or if it cannot solve this problem."""
    if name == "auto":
        return choose_solver(problem)
    smooth: list[Solver] = [ConjugateGradients(), ConjugateGradients("cg-jacobi", JacobiPreconditioner()), Direct()]
    general: list[Solver] = [AcceleratedProximalGradient()]
    for solver in [*smooth, *general]:
        if solver.name == name:
            if solver in smooth and not isinstance(problem.penalty, SmoothPenalty):
                raise ConfigError(
                    f"solver {name!r} needs a smooth penalty (none or l2), not {problem.penalty.describe()}; "
                    f"use auto or {general[0].name}"
                )
            return solver
    known = ", ".join(["auto", *(solver.name for solver in [*smooth, *general])])
    raise ConfigError(f"unknown solver {name!r}; known are {known}")
