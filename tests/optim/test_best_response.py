"""Best responses by a solver's name: with products of the whole, or block by block."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest

from p2pnet.catalogue.solvers import SOLVERS, SolverEntry
from p2pnet.errors import ConfigError
from p2pnet.optim.blocks import partition
from p2pnet.optim.local_objective import LocalObjective
from p2pnet.optim.losses.softmax_cross_entropy import SoftmaxCrossEntropy
from p2pnet.optim.models.mlp import Mlp
from p2pnet.optim.penalties.base import Penalty
from p2pnet.optim.penalties.elastic_net import l1
from p2pnet.optim.penalties.squared_l2 import SquaredL2
from p2pnet.optim.solvers.base import Solution, solve
from p2pnet.optim.solvers.best_response import BestResponseSolver
from p2pnet.optim.solvers.by_name import check_solver, solver_by_name
from p2pnet.optim.surrogates.partial import PartialLinearization
from p2pnet.optim.surrogates.problem import SurrogateProblem

MODEL = Mlp((4, 6, 3))


def problem_with(penalty: Penalty) -> SurrogateProblem:
    rng = np.random.default_rng(0)
    objective = LocalObjective(MODEL, SoftmaxCrossEntropy(), rng.standard_normal((20, 4)), rng.integers(0, 3, 20))
    w = MODEL.init(rng)
    model = PartialLinearization().local_model(objective, w, rng)
    return SurrogateProblem(model, w, model.gradient_at_origin, penalty, 0.2)


def solved_by(solver: BestResponseSolver, problem: SurrogateProblem) -> Solution:
    return solver.solve(problem, tolerance=1e-9, max_iterations=500, should_stop=lambda: False)


@pytest.mark.parametrize("name", ["auto", *SOLVERS.built_in_names])
def test_without_blocks_it_is_the_solver_of_that_name(name: str) -> None:
    problem = problem_with(l1(0.02) if name == "proximal-newton" else SquaredL2(0.1))
    whole = solve(problem, solver_by_name(name, problem), tolerance=1e-9, max_iterations=500)
    for blocks in ((), (slice(0, MODEL.n_params),)):
        response = solved_by(BestResponseSolver(name, blocks), problem).best_response
        np.testing.assert_array_equal(response, whole.best_response)


SMOOTH, NONSMOOTH = SquaredL2(0.1), l1(0.02)
FITTING = [
    *((name, SMOOTH) for name in ("auto", *(entry.name for entry in SOLVERS if entry.penalties != "nonsmooth"))),
    *((name, NONSMOOTH) for name in ("auto", *(entry.name for entry in SOLVERS if entry.penalties != "smooth"))),
]


@pytest.mark.parametrize("n_blocks", [2, 3, 9])
@pytest.mark.parametrize(
    ("name", "penalty"), FITTING, ids=lambda each: each if isinstance(each, str) else each.describe()
)
def test_blocks_change_no_result_in_any_threads(name: str, penalty: Penalty, n_blocks: int) -> None:
    problem, blocks = problem_with(penalty), partition(MODEL, n_blocks)
    whole = solved_by(BestResponseSolver(name), problem)
    with ThreadPoolExecutor(3) as pool:
        together = solved_by(BestResponseSolver(name, blocks, pool.map), problem)
    assert (together.status, together.n_iterations) == (whole.status, whole.n_iterations)
    np.testing.assert_allclose(together.best_response, whole.best_response, rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize("entry", list(SOLVERS), ids=lambda entry: entry.name)
@pytest.mark.parametrize(("penalty", "kind"), [(SquaredL2(0.1), "smooth"), (l1(0.02), "nonsmooth")])
def test_the_catalogue_says_which_penalties_a_solver_takes(entry: SolverEntry, penalty: Penalty, kind: str) -> None:
    name = entry.name
    problem = problem_with(penalty)
    if entry.penalties in ("any", kind):
        check_solver(name, penalty, "partial")
        assert solved_by(BestResponseSolver(name), problem).optimality_residual < 1e-6
    else:
        with pytest.raises(ConfigError, match=f"solver {name} is for .* choose auto"):
            check_solver(name, penalty, "partial")
        with pytest.raises(ConfigError, match="smooth penalt"):
            solved_by(BestResponseSolver(name), problem)


def test_a_solver_for_some_surrogates_only_is_refused_for_others(monkeypatch: pytest.MonkeyPatch) -> None:
    picky = SolverEntry(name="picky", target="fractions:Fraction", surrogates=("full",))
    monkeypatch.setattr("p2pnet.optim.solvers.by_name.SOLVERS", replace(SOLVERS, entries=[*SOLVERS, picky]))
    check_solver("picky", l1(0.02), "full")
    with pytest.raises(ConfigError, match="solver picky is for surrogate full, not partial"):
        check_solver("picky", l1(0.02), "partial")
