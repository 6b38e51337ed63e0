"""The choice of a solver, by name or by measured rules."""

from typing import Final

from p2pnet.catalogue.penalties import PENALTIES
from p2pnet.catalogue.solvers import SOLVERS, SolverEntry
from p2pnet.errors import ConfigError
from p2pnet.optim.penalties.base import NonsmoothPenalty, Penalty, SmoothPenalty
from p2pnet.optim.solvers.accelerated_proximal_gradient import AcceleratedProximalGradient
from p2pnet.optim.solvers.base import Solver
from p2pnet.optim.solvers.conjugate_gradients import ConjugateGradients
from p2pnet.optim.solvers.direct import Direct
from p2pnet.optim.solvers.proximal_gradient import ProximalStep
from p2pnet.optim.solvers.proximal_newton import ProximalNewton
from p2pnet.optim.surrogates.full import FirstOrderModel
from p2pnet.optim.surrogates.problem import SurrogateProblem

MAX_DIRECT_MULTIPLICATIONS: Final = 40_000_000
"""MLP 8-20-1 with 82 samples (1.4 million): direct 0.6 ms, conjugate gradients 1.2 to 3.6 ms; with 819 samples (33
million): direct 6 ms, conjugate gradients 1.6 to 3 ms for the 20 iterations that a local step allows, which leave the
directions of little curvature where they are: ten agents then need a sixth more rounds at first, and later twice as
many.
"""


def choose_solver(problem: SurrogateProblem) -> Solver:
    """The solver that measured fastest on problems of this kind."""
    if isinstance(problem.local_model, FirstOrderModel):
        return ProximalStep()
    if isinstance(problem.penalty, SmoothPenalty):
        return Direct() if _is_small(problem) else ConjugateGradients()
    if isinstance(problem.penalty, NonsmoothPenalty):
        # 1 to 2 times faster than the accelerated gradient at a tolerance of 1e-2, 2 to 5 times at 1e-6.
        return ProximalNewton()
    return AcceleratedProximalGradient()


def _is_small(problem: SurrogateProblem) -> bool:
    """Whether a Newton system is formed and solved in the time of a few products with J and Jᵀ."""
    model = problem.local_model
    n_multiplications = model.n_rows * model.n_params * min(model.n_rows, model.n_params)
    return model.forms_jacobian and n_multiplications <= MAX_DIRECT_MULTIPLICATIONS


def solver_by_name(name: str, problem: SurrogateProblem) -> Solver:
    """The solver called `name` ("auto" chooses); ConfigError if there is none.

    Solvers that need a penalty of a certain kind raise ConfigError when they are started on another.
    """
    if name == "auto":
        return choose_solver(problem)
    if name not in SOLVERS:
        raise ConfigError(f"solver {name!r}: {SOLVERS.requirement(name, also=('auto',))}")
    solver: Solver = SOLVERS[name].load()()
    return solver


def check_solver(name: str, penalty: Penalty, surrogate: str) -> None:
    """ConfigError if the solver called `name` cannot be used with the penalty, or with the surrogate of that name,
    before anything is solved.
    """
    if name == "auto":
        return
    entry = SOLVERS[name]
    if not _solves(entry, penalty):
        fitting = ["auto", *(other.name for other in SOLVERS if _solves(other, penalty))]
        kind = f"{entry.penalties} penalties ({', '.join(_penalties(entry))})"
        raise ConfigError(f"solver {name} is for {kind}, not {penalty.describe()}; choose {', '.join(fitting)}")
    if entry.surrogates and surrogate not in entry.surrogates:
        known = ", ".join(entry.surrogates)
        raise ConfigError(f"solver {name} is for surrogate {known}, not {surrogate}; choose auto or another surrogate")


def _solves(entry: SolverEntry, penalty: Penalty) -> bool:
    match entry.penalties:
        case "any":
            return True
        case "smooth":
            return isinstance(penalty, SmoothPenalty)
        case "nonsmooth":
            return isinstance(penalty, NonsmoothPenalty)


def _penalties(entry: SolverEntry) -> list[str]:
    """The built-in penalties that a solver is for."""
    return [penalty.name for penalty in PENALTIES if penalty.is_smooth == (entry.penalties == "smooth")]
