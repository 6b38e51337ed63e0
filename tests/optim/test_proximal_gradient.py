"""Proximal-gradient steps and the methods made of them: start, step length, and the minimum that all of them find."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from p2pnet.errors import ConfigError
from p2pnet.optim.local_objective import LocalObjective
from p2pnet.optim.losses.softmax_cross_entropy import SoftmaxCrossEntropy
from p2pnet.optim.models.mlp import Mlp
from p2pnet.optim.penalties.base import Penalty
from p2pnet.optim.penalties.box import Box
from p2pnet.optim.penalties.elastic_net import ElasticNet, l1
from p2pnet.optim.penalties.group_l2 import GroupL2, neuron_groups
from p2pnet.optim.penalties.squared_l2 import SquaredL2
from p2pnet.optim.solvers.accelerated_proximal_gradient import AcceleratedProximalGradient
from p2pnet.optim.solvers.base import Status, solve
from p2pnet.optim.solvers.proximal_gradient import ProximalStep, feasible_start, first_lipschitz, proximal_move
from p2pnet.optim.solvers.proximal_newton import ProximalNewton
from p2pnet.optim.surrogates.base import Surrogate
from p2pnet.optim.surrogates.full import FullLinearization
from p2pnet.optim.surrogates.partial import PartialLinearization
from p2pnet.optim.surrogates.problem import SurrogateProblem

MODEL = Mlp((4, 5, 3))
NONSMOOTH: list[Penalty] = [
    l1(0.02),
    ElasticNet(0.02, 0.5),
    Box(-0.3, 0.3),
    GroupL2(0.02, neuron_groups(MODEL.neurons(), MODEL.n_params)),
]
every_nonsmooth = pytest.mark.parametrize("penalty", NONSMOOTH, ids=lambda penalty: penalty.describe())


def problem_with(penalty: Penalty, seed: int = 0, surrogate: Surrogate | None = None) -> SurrogateProblem:
    rng = np.random.default_rng(seed)
    objective = LocalObjective(MODEL, SoftmaxCrossEntropy(), rng.standard_normal((20, 4)), rng.integers(0, 3, 20))
    w = MODEL.init(rng)
    model = (surrogate or PartialLinearization()).local_model(objective, w, rng)
    return SurrogateProblem(model, w, model.gradient_at_origin + 0.1 * rng.standard_normal(w.size), penalty, 0.05)


def test_the_start_is_w_or_its_prox_where_w_is_not_allowed() -> None:
    allowed, outside = problem_with(l1(0.1)), problem_with(Box(-0.1, 0.1))
    v, tangents, residual = feasible_start(allowed)
    assert v is allowed.params
    assert all(not T.any() for T in tangents)
    assert residual == pytest.approx(allowed.penalty.optimality_distance(v, allowed.direction))
    v, tangents, residual = feasible_start(outside)
    np.testing.assert_array_equal(v, np.clip(outside.params, -0.1, 0.1))
    np.testing.assert_allclose(tangents[0], outside.local_model.tangents(v - outside.params)[0])
    assert residual == pytest.approx(outside.penalty.optimality_distance(v, outside.smooth_gradient(v)))


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_the_first_step_length_is_the_curvature_along_the_direction(seed: int) -> None:
    problem = problem_with(l1(0.1), seed)
    g, h = problem.direction / np.linalg.norm(problem.direction), 1e-5
    w = problem.params
    change = problem.smooth_gradient(w + h * g) - problem.smooth_gradient(w - h * g)
    assert first_lipschitz(problem) == pytest.approx(float(g @ change) / (2 * h), rel=1e-4)


@every_nonsmooth
@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), guess=st.floats(0.05, 10.0))
def test_a_move_decreases_phi_by_its_squared_length(penalty: Penalty, seed: int, guess: float) -> None:
    """With 1/L for step length and L above the curvature between y and v: φ(y) − φ(v) ≥ L/2 ‖v − y‖², nearly."""
    problem = problem_with(penalty, seed)
    y, tangents, _ = feasible_start(problem)
    slopes = problem.local_model.slopes_at(tangents)
    move = proximal_move(problem, y, tangents, slopes, problem.smooth_gradient(y), guess)
    assert move.lipschitz >= guess
    np.testing.assert_allclose(move.change, move.v - y)
    expected = penalty.prox(y - problem.smooth_gradient(y) / move.lipschitz, 1.0 / move.lipschitz)
    np.testing.assert_allclose(move.v, expected)
    change = problem.smooth_gradient(move.v) - problem.smooth_gradient(y)
    squared_length = float(move.change @ move.change)
    assert float(change @ move.change) <= move.lipschitz * squared_length * (1 + 2e-6)
    assert problem.value(move.v) <= problem.value(y) + 1e-12


def test_one_step_solves_full_linearisation() -> None:
    problem = problem_with(l1(0.1), surrogate=FullLinearization())
    solution = solve(problem, ProximalStep())
    tau = problem.proximal_weight
    np.testing.assert_array_equal(
        solution.best_response, problem.penalty.prox(problem.params - problem.direction / tau, 1.0 / tau)
    )
    assert solution.optimality_residual < 1e-12


@every_nonsmooth
@settings(max_examples=5, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_first_and_second_order_methods_find_the_same_minimum(penalty: Penalty, seed: int) -> None:
    problem = problem_with(penalty, seed)
    solutions = [
        solve(problem, solver, tolerance=1e-9, max_iterations=20_000)
        for solver in (AcceleratedProximalGradient(), ProximalNewton())
    ]
    for solution in solutions:
        assert solution.status is Status.CONVERGED
        v = solution.best_response
        assert penalty.optimality_distance(v, problem.smooth_gradient(v)) < 1e-8
    np.testing.assert_allclose(solutions[0].best_response, solutions[1].best_response, atol=1e-6)


def test_the_second_order_method_refuses_a_smooth_penalty() -> None:
    with pytest.raises(ConfigError, match="for nonsmooth penalties"):
        ProximalNewton().start(problem_with(SquaredL2(0.1)), 1e-6)
