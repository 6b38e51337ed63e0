"""Solvers: against scikit-learn on linear models, against each other on networks, and within their budgets."""

from itertools import count

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import ElasticNet, Lasso, LinearRegression, LogisticRegression, PoissonRegressor, Ridge

from p2pnet.catalogue.solvers import SOLVERS
from p2pnet.errors import ConfigError
from p2pnet.optim.arrays import Array
from p2pnet.optim.local_objective import LocalObjective
from p2pnet.optim.losses.base import Loss
from p2pnet.optim.losses.by_name import loss_by_name
from p2pnet.optim.losses.half_squared import HalfSquared
from p2pnet.optim.losses.margin import Logistic
from p2pnet.optim.losses.poisson_deviance import PoissonDeviance
from p2pnet.optim.losses.softmax_cross_entropy import SoftmaxCrossEntropy
from p2pnet.optim.models.mlp import Mlp
from p2pnet.optim.penalties.base import Penalty
from p2pnet.optim.penalties.by_name import penalty_by_name
from p2pnet.optim.penalties.no_penalty import NoPenalty
from p2pnet.optim.solvers.base import Solver, Status, solve
from p2pnet.optim.solvers.by_name import choose_solver, solver_by_name
from p2pnet.optim.solvers.direct import solved
from p2pnet.optim.solvers.linear_system import LinearSystem
from p2pnet.optim.surrogates.base import Surrogate
from p2pnet.optim.surrogates.full import FullLinearization
from p2pnet.optim.surrogates.partial import PartialLinearization
from p2pnet.optim.surrogates.problem import SurrogateProblem

SMOOTH = [entry.name for entry in SOLVERS if entry.penalties == "smooth"]
GENERAL = [entry.name for entry in SOLVERS if entry.penalties == "any"]
NONSMOOTH = [entry.name for entry in SOLVERS if entry.penalties != "smooth"]
RNG = np.random.default_rng(0)
X = RNG.standard_normal((60, 8)) * np.linspace(0.3, 2.0, 8)
NUMBERS = X @ RNG.standard_normal(8) + 0.5 * RNG.standard_normal(60) + 2.0
CLASSES = np.argmax(X[:, :3] + 0.7 * RNG.standard_normal((60, 3)), axis=1)
COUNTS = RNG.poisson(np.exp(0.3 * X[:, 0] + 0.2))


def penalty_of(name: str, model: Mlp, strength: float) -> Penalty:
    numbers = {"none": (), "non-negative": (), "elastic-net": (strength, 0.5), "box": (-0.3, 0.3)}
    return penalty_by_name(name, model, *numbers.get(name, (strength,)))


def problem_at(
    objective: LocalObjective, penalty: Penalty, w: Array, tau: float, surrogate: Surrogate | None = None
) -> SurrogateProblem:
    local_model = (surrogate or PartialLinearization()).local_model(objective, w, np.random.default_rng(0))
    return SurrogateProblem(local_model, w, local_model.gradient_at_origin, penalty, tau)


def minimised(objective: LocalObjective, penalty: Penalty, solver_name: str) -> Array:
    """A linear model's minimiser, by the proximal point method: local steps with a small τ."""
    w: Array = np.zeros(objective.model.n_params)
    for _ in range(30):
        problem = problem_at(objective, penalty, w, tau=1e-3)
        w = solve(problem, solver_by_name(solver_name, problem), tolerance=1e-9, max_iterations=20_000).best_response
    return w


@pytest.mark.parametrize("name", [*SMOOTH, *GENERAL])
class TestAgainstScikitLearn:
    def test_ridge(self, name: str) -> None:
        model = Mlp((8, 1))
        w = minimised(LocalObjective(model, HalfSquared(), X, NUMBERS), penalty_by_name("l2", model, 0.2), name)
        reference = Ridge(alpha=0.2 * len(X), tol=1e-12).fit(X, NUMBERS)
        np.testing.assert_allclose(w, [*reference.coef_, reference.intercept_], atol=1e-6)

    def test_weighted_ridge(self, name: str) -> None:
        model, weights = Mlp((8, 1)), np.random.default_rng(1).uniform(0.1, 3.0, len(X))
        w = minimised(
            LocalObjective(model, HalfSquared(), X, NUMBERS, weights), penalty_by_name("l2", model, 0.2), name
        )
        reference = Ridge(alpha=0.2 * weights.sum(), tol=1e-12).fit(X, NUMBERS, weights)
        np.testing.assert_allclose(w, [*reference.coef_, reference.intercept_], atol=1e-6)

    def test_logistic_regression(self, name: str) -> None:
        model, is_first = Mlp((8, 1)), (CLASSES == 0).astype(int)
        w = minimised(LocalObjective(model, Logistic(), X, is_first), penalty_by_name("l2", model, 0.05), name)
        reference = LogisticRegression(C=1 / (0.05 * len(X)), tol=1e-10, max_iter=5000).fit(X, is_first)
        np.testing.assert_allclose(w, [*reference.coef_[0], reference.intercept_[0]], atol=1e-6)

    def test_multinomial_regression(self, name: str) -> None:
        model = Mlp((8, 3))
        w = minimised(
            LocalObjective(model, SoftmaxCrossEntropy(), X, CLASSES), penalty_by_name("l2", model, 0.05), name
        )
        reference = LogisticRegression(C=1 / (0.05 * len(X)), tol=1e-10, max_iter=5000).fit(X, CLASSES)
        W, b = model.layer(w, 0)
        np.testing.assert_allclose(W, reference.coef_, atol=1e-6)
        np.testing.assert_allclose(b - b.mean(), reference.intercept_ - reference.intercept_.mean(), atol=1e-6)

    def test_poisson_regression(self, name: str) -> None:
        model = Mlp((8, 1))
        w = minimised(LocalObjective(model, PoissonDeviance(), X, COUNTS), penalty_by_name("l2", model, 0.1), name)
        reference = PoissonRegressor(alpha=0.1, tol=1e-10, max_iter=5000).fit(X, COUNTS)
        np.testing.assert_allclose(w, [*reference.coef_, reference.intercept_], atol=1e-6)


@pytest.mark.parametrize("name", NONSMOOTH)
@pytest.mark.parametrize(
    ("penalty_name", "reference"),
    [
        ("l1", Lasso(alpha=0.3, tol=1e-12, max_iter=100_000)),
        ("elastic-net", ElasticNet(alpha=0.3, l1_ratio=0.5, tol=1e-12, max_iter=100_000)),
        ("non-negative", LinearRegression(positive=True)),
    ],
)
def test_sparse_regression_against_scikit_learn(
    name: str, penalty_name: str, reference: Lasso | ElasticNet | LinearRegression
) -> None:
    model = Mlp((8, 1))
    w = minimised(LocalObjective(model, HalfSquared(), X, NUMBERS), penalty_of(penalty_name, model, 0.3), name)
    reference.fit(X, NUMBERS)
    np.testing.assert_allclose(w, [*reference.coef_, reference.intercept_], atol=1e-6)
    np.testing.assert_array_equal(w[:-1] == 0.0, reference.coef_ == 0.0)


@pytest.mark.parametrize("name", NONSMOOTH)
def test_sparse_logistic_regression_against_scikit_learn(name: str) -> None:
    model, is_first = Mlp((8, 1)), (CLASSES == 0).astype(int)
    w = minimised(LocalObjective(model, Logistic(), X, is_first), penalty_by_name("l1", model, 0.05), name)
    reference = LogisticRegression(
        l1_ratio=1.0, C=1 / (0.05 * len(X)), solver="saga", tol=1e-12, max_iter=100_000, random_state=0
    ).fit(X, is_first)
    np.testing.assert_allclose(w, [*reference.coef_[0], reference.intercept_[0]], atol=1e-6)


def network_problem(loss: Loss, penalty_name: str, n_outputs: int, tau: float = 0.05) -> SurrogateProblem:
    model = Mlp((8, 6, n_outputs))
    Y = CLASSES if loss.name == "softmax-cross-entropy" else NUMBERS / 3 if n_outputs == 1 else X[:, :n_outputs]
    if loss.name in {"logistic", "squared-hinge"}:
        Y = (CLASSES == 0).astype(int)
    if loss.name == "poisson-deviance":
        Y = COUNTS
    w = model.init(np.random.default_rng(3))
    penalty = penalty_of(penalty_name, model, 0.02)
    return problem_at(LocalObjective(model, loss, X, Y, n_chunks=2), penalty, w, tau)


NETWORKS = [
    ("half-squared", 2),
    ("huber", 1),
    ("log-cosh", 1),
    ("poisson-deviance", 1),
    ("logistic", 1),
    ("squared-hinge", 1),
    ("softmax-cross-entropy", 3),
]


@pytest.mark.parametrize(("loss_name", "n_outputs"), NETWORKS)
@pytest.mark.parametrize("penalty_name", ["none", "l2", "l1", "elastic-net", "group", "box", "non-negative"])
def test_all_solvers_find_the_same_minimum(loss_name: str, n_outputs: int, penalty_name: str) -> None:
    problem = network_problem(loss_by_name(loss_name), penalty_name, n_outputs)
    names = [*SMOOTH, *GENERAL] if penalty_name in {"none", "l2"} else NONSMOOTH
    found = [solve(problem, solver_by_name(name, problem), tolerance=1e-9, max_iterations=5000) for name in names]
    assert {solution.status for solution in found} == {Status.CONVERGED}
    for solution in found:
        np.testing.assert_allclose(solution.best_response, found[0].best_response, atol=1e-6)
        gradient = problem.smooth_gradient(solution.best_response)
        residual = problem.penalty.optimality_distance(solution.best_response, gradient)
        assert solution.optimality_residual == pytest.approx(residual, rel=1e-3, abs=1e-13)
    rng = np.random.default_rng(4)
    best = problem.value(found[0].best_response)
    for _ in range(20):
        v = problem.penalty.prox(found[0].best_response + 0.1 * rng.standard_normal(problem.local_model.n_params), 1e-3)
        assert problem.value(v) > best


@pytest.mark.parametrize("penalty_name", ["none", "l2", "l1", "group", "box"])
def test_full_linearisation_takes_one_proximal_step(penalty_name: str) -> None:
    model = Mlp((8, 6, 3))
    objective = LocalObjective(model, SoftmaxCrossEntropy(), X, CLASSES)
    w, penalty = model.init(np.random.default_rng(0)), penalty_of(penalty_name, model, 0.02)
    problem = problem_at(objective, penalty, w, 2.0, FullLinearization())
    solution = solve(problem, choose_solver(problem))
    np.testing.assert_array_equal(solution.best_response, penalty.prox(w - objective.gradient(w) / 2.0, 0.5))
    assert (solution.status, solution.n_iterations) == (Status.CONVERGED, 1)
    assert solution.optimality_residual < 1e-12


@pytest.mark.parametrize(
    ("penalty_name", "name"), [("l2", "cg"), *((kind, name) for kind in ("l1", "group", "box") for name in NONSMOOTH)]
)
@pytest.mark.parametrize("max_iterations", [0, 1, 2, 5, 10])
def test_a_spent_budget_leaves_a_usable_answer(penalty_name: str, name: str, max_iterations: int) -> None:
    problem = network_problem(SoftmaxCrossEntropy(), penalty_name, 3)
    start = problem.value(problem.penalty.prox(problem.params, 1.0 / problem.proximal_weight))
    if np.isfinite(problem.value(problem.params)):
        start = problem.value(problem.params)
    solver = solver_by_name(name, problem)
    by_count = solve(problem, solver, tolerance=1e-12, max_iterations=max_iterations)
    asked = count()
    by_time = solve(problem, solver, tolerance=1e-12, should_stop=lambda: next(asked) >= max_iterations)
    assert (by_count.status, by_time.status) == (Status.ITERATION_LIMIT, Status.STOPPED)
    assert by_count.n_iterations == by_time.n_iterations == max_iterations
    np.testing.assert_array_equal(by_count.best_response, by_time.best_response)
    gained = start - problem.value(by_count.best_response)
    assert gained > 0.0 if max_iterations else gained == pytest.approx(0.0, abs=1e-12)


def test_more_iterations_give_smaller_values() -> None:
    for penalty_name, name in (("l2", "cg"), ("l1", "proximal-newton")):
        problem = network_problem(SoftmaxCrossEntropy(), penalty_name, 3)
        values = [
            problem.value(solve(problem, solver_by_name(name, problem), tolerance=0.0, max_iterations=n).best_response)
            for n in (1, 4, 16, 64)
        ]
        assert values == sorted(values, reverse=True)


@pytest.mark.parametrize(
    ("name", "penalty_name"),
    [
        *((name, "l2") for name in [*SMOOTH, *GENERAL]),
        *((name, kind) for name in NONSMOOTH for kind in ("l1", "group", "box")),
    ],
)
def test_an_impossible_tolerance_ends_in_a_stall_not_in_a_loop(name: str, penalty_name: str) -> None:
    problem = network_problem(SoftmaxCrossEntropy(), penalty_name, 3)
    solution = solve(problem, solver_by_name(name, problem), tolerance=0.0, max_iterations=100_000)
    assert solution.status is Status.STALLED
    assert solution.optimality_residual < 1e-10


def test_at_the_solution_there_is_nothing_to_do() -> None:
    problem = network_problem(HalfSquared(), "none", 1)
    still = SurrogateProblem(problem.local_model, problem.params, 0 * problem.direction, NoPenalty(), 0.1)
    for name in ("auto", *SMOOTH, *GENERAL):
        solution = solve(still, solver_by_name(name, still))
        np.testing.assert_array_equal(solution.best_response, still.params)
        assert (solution.status, solution.n_iterations) == (Status.CONVERGED, 0)


def test_solves_are_deterministic() -> None:
    for penalty_name in ("l2", "group"):
        problem = network_problem(SoftmaxCrossEntropy(), penalty_name, 3)
        first, second = (solve(problem, choose_solver(problem), max_iterations=20).best_response for _ in range(2))
        np.testing.assert_array_equal(first, second)


@settings(max_examples=40, deadline=None)
@given(n_rows=st.integers(1, 12), n_params=st.integers(1, 12), seed=st.integers(0, 2**32 - 1))
def test_primal_and_dual_direct_solves_are_solves(n_rows: int, n_params: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    M, b, D = rng.standard_normal((n_rows, n_params)), rng.standard_normal(n_params), rng.uniform(0.1, 2.0, n_params)
    np.testing.assert_allclose(solved(M, D, b), np.linalg.solve(M.T @ M + np.diag(D), b), atol=1e-9)
    np.testing.assert_allclose(solved(M, 0.5, b), np.linalg.solve(M.T @ M + 0.5 * np.eye(n_params), b), atol=1e-9)


def test_the_choice_follows_penalty_surrogate_and_size() -> None:
    def chosen(n_samples: int, penalty_name: str, surrogate: Surrogate | None = None) -> str:
        model, rng = Mlp((8, 20, 1)), np.random.default_rng(0)
        inputs, targets = rng.standard_normal((n_samples, 8)), rng.standard_normal(n_samples)
        objective = LocalObjective(model, HalfSquared(), inputs, targets)
        penalty = penalty_of(penalty_name, model, 0.1)
        return choose_solver(problem_at(objective, penalty, model.init(rng), 0.1, surrogate)).name

    assert chosen(82, "l2") == chosen(819, "l2") == "direct"
    assert chosen(8190, "l2") == "cg"
    assert chosen(82, "l1") == chosen(819, "group") == "proximal-newton"
    assert chosen(82, "l1", FullLinearization()) == "proximal-step"


def test_names_that_do_not_fit_are_refused() -> None:
    problem = network_problem(HalfSquared(), "l1", 1)
    with pytest.raises(ConfigError, match="solver 'adam': must be one of auto, direct"):
        solver_by_name("adam", problem)
    for name in SMOOTH:
        with pytest.raises(ConfigError, match="needs a smooth penalty"):
            solve(problem, solver_by_name(name, problem))
    smooth = network_problem(HalfSquared(), "l2", 1)
    with pytest.raises(ConfigError, match="nonsmooth penalties"):
        solve(smooth, solver_by_name("proximal-newton", smooth))
    chosen: Solver = solver_by_name("auto", problem)
    assert chosen.name == choose_solver(problem).name


def test_a_system_that_bends_nowhere_is_left_as_it_is() -> None:
    def flat(step: Array) -> tuple[tuple[Array, ...], Array]:
        return (np.ones((2, 1)),), np.zeros_like(step)

    system = LinearSystem(flat, np.array([1e-200, 2e-200]), 1.0, target=0.0)
    assert system.step()
    assert not system.solution.any()
    assert not system.tangents[0].any()
