"""Local steps: accepted only with the predicted reduction, stationary at a solution, bound by weights and penalties."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import Lasso, Ridge

from p2pnet.catalogue.step_rules import STEP_RULES
from p2pnet.optim.arrays import Array
from p2pnet.optim.disagreement_trend import PERIOD
from p2pnet.optim.local_objective import LocalObjective
from p2pnet.optim.local_optimizer import MAX_REJECTIONS, MIN_DECREASE_RATIO, LocalOptimizer, LocalStep
from p2pnet.optim.losses.half_squared import HalfSquared
from p2pnet.optim.losses.softmax_cross_entropy import SoftmaxCrossEntropy
from p2pnet.optim.models.mlp import Mlp
from p2pnet.optim.penalties.base import Penalty
from p2pnet.optim.penalties.box import Box
from p2pnet.optim.penalties.by_name import penalty_by_name
from p2pnet.optim.penalties.no_penalty import NoPenalty
from p2pnet.optim.proximal_weight import ConstantWeight, ProximalWeightRule, SecantWeight
from p2pnet.optim.step_rules import make_step_rule
from p2pnet.optim.surrogates.base import Surrogate
from p2pnet.optim.surrogates.full import FullLinearization
from p2pnet.optim.surrogates.partial import PartialLinearization
from p2pnet.optim.surrogates.quadratic import QuadraticModel

RNG = np.random.default_rng(0)
X = RNG.standard_normal((50, 5)) * np.linspace(0.5, 2.0, 5)
NUMBERS = X @ RNG.standard_normal(5) + 0.3 * RNG.standard_normal(50) + 1.0
CLASSES = RNG.integers(0, 3, 50)
LINEAR = Mlp((5, 1))
NETWORK = Mlp((5, 6, 3))


def optimizer_of(
    model: Mlp, penalty: Penalty, surrogate: Surrogate, rule: ProximalWeightRule, **options: object
) -> LocalOptimizer:
    loss, Y = (HalfSquared(), NUMBERS) if model is LINEAR else (SoftmaxCrossEntropy(), CLASSES)
    objective = LocalObjective(model, loss, X, Y)
    return LocalOptimizer(objective, penalty, surrogate, rule, np.random.default_rng(0), **options)  # type: ignore[arg-type]


def step_alone(optimizer: LocalOptimizer, w: Array) -> LocalStep:
    """A step of the only agent of a network: its direction is its own gradient."""
    gradient = optimizer.evaluate(w).gradient_at_origin
    return optimizer.step(w, gradient, neighbor_weight=0.0, is_direction_exact=True)


@pytest.mark.parametrize(
    ("error", "is_faded"), [pytest.param(0.01, True, id="passed"), pytest.param(100.0, False, id="failed")]
)
def test_with_a_network_model_a_disturbed_secant_test_counts_where_it_is_passed(error: float, is_faded: bool) -> None:
    optimizer = optimizer_of(LINEAR, NoPenalty(), PartialLinearization(), SecantWeight(1.0))
    model = QuadraticModel(np.eye(6), 0.0, np.zeros(6))
    w, direction = np.zeros(6), np.ones(6)
    step = optimizer.step(w, direction, neighbor_weight=0.0, is_direction_exact=True, network_model=model)
    moved = step.proposal
    disturbed = direction + (1.0 + error) * (moved - w)
    later = optimizer.step(moved, disturbed, neighbor_weight=0.0, is_direction_exact=False, network_model=model)
    assert (later.proximal_weight < step.proximal_weight) == is_faded
    assert later.proximal_weight <= step.proximal_weight


def minimised(optimizer: LocalOptimizer, n_steps: int = 300) -> Array:
    w: Array = np.zeros(optimizer.objective.model.n_params)
    for _ in range(n_steps):
        w = step_alone(optimizer, w).proposal
    return w


@pytest.mark.parametrize("term", ["secant", "constant:0.1"])
@pytest.mark.parametrize("surrogate", [PartialLinearization(), FullLinearization()], ids=lambda each: each.name)
@pytest.mark.parametrize(
    ("penalty", "reference"),
    [("l2", Ridge(alpha=0.1 * len(X), tol=1e-12)), ("l1", Lasso(alpha=0.1, tol=1e-12, max_iter=100_000))],
)
def test_one_agent_alone_finds_the_solution_of_scikit_learn(
    term: str, surrogate: Surrogate, penalty: str, reference: Ridge | Lasso
) -> None:
    rule = make_step_rule(STEP_RULES.parse(term), proximal_weight=0.1)
    optimizer = optimizer_of(
        LINEAR, penalty_by_name(penalty, LINEAR, 0.1), surrogate, rule.proximal_weight, step_sizes=rule.step_size
    )
    reference.fit(X, NUMBERS)
    np.testing.assert_allclose(minimised(optimizer), [*reference.coef_, reference.intercept_], atol=1e-6)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), weight=st.floats(1e-6, 1.0), is_full=st.booleans())
def test_an_accepted_step_has_a_good_part_of_its_predicted_reduction(seed: int, weight: float, is_full: bool) -> None:
    surrogate = FullLinearization() if is_full else PartialLinearization()
    rule, penalty = ConstantWeight(weight), penalty_by_name("l1", NETWORK, 1e-3)
    optimizer = optimizer_of(NETWORK, penalty, surrogate, rule)
    w = 2.0 * NETWORK.init(np.random.default_rng(seed))
    model = optimizer.evaluate(w)
    step = step_alone(optimizer, w)
    v, objective = step.best_response, optimizer.objective
    predicted = model.value(v - w) - model.value(np.zeros_like(w)) + penalty.value(v) - penalty.value(w)
    true = objective.value(v) - objective.value(w) + penalty.value(v) - penalty.value(w)
    assert predicted < 0.0
    assert true <= MIN_DECREASE_RATIO * predicted + 1e-12
    doublings = np.log2(step.proximal_weight / weight)
    assert doublings == pytest.approx(round(doublings))
    assert 0 <= round(doublings) < MAX_REJECTIONS


def test_a_weight_far_too_small_is_doubled_within_the_step() -> None:
    optimizer = optimizer_of(LINEAR, NoPenalty(), FullLinearization(), ConstantWeight(1e-3))
    step = step_alone(optimizer, np.zeros(LINEAR.n_params))
    largest = np.linalg.eigvalsh(np.cov(X.T, bias=True)).max()
    assert largest / 4 < step.proximal_weight <= 2.0 * largest
    assert optimizer.rule.weight == step.proximal_weight


def test_where_time_is_up_before_a_step_is_accepted_the_agent_stays() -> None:
    optimizer = optimizer_of(LINEAR, NoPenalty(), FullLinearization(), ConstantWeight(1e-9))
    w = np.zeros(LINEAR.n_params)
    step = optimizer.step(
        w,
        optimizer.evaluate(w).gradient_at_origin,
        neighbor_weight=0.0,
        is_direction_exact=True,
        should_stop=lambda: True,
    )
    assert step.best_response is w
    assert step.residual > 0.0


def test_a_stationary_point_stays_where_it_is() -> None:
    optimizer = optimizer_of(LINEAR, NoPenalty(), PartialLinearization(), SecantWeight())
    w = np.linspace(-1.0, 1.0, LINEAR.n_params)
    step = optimizer.step(w, np.zeros_like(w), neighbor_weight=0.0, is_direction_exact=True)
    np.testing.assert_array_equal(step.best_response, w)
    assert (step.residual, step.n_iterations) == (0.0, 0)


def test_the_residual_is_the_distance_to_a_proximal_step_of_length_one() -> None:
    penalty = penalty_by_name("l1", LINEAR, 0.2)
    optimizer = optimizer_of(LINEAR, penalty, PartialLinearization(), SecantWeight())
    w = np.linspace(-1.0, 1.0, LINEAR.n_params)
    gradient = optimizer.evaluate(w).gradient_at_origin
    assert step_alone(optimizer, w).residual == pytest.approx(np.linalg.norm(w - penalty.prox(w - gradient, 1.0)))


def test_the_weight_is_at_least_a_neighbors_and_learns_from_exact_directions_only() -> None:
    w = np.zeros(LINEAR.n_params)
    for is_exact in (True, False):
        optimizer = optimizer_of(LINEAR, NoPenalty(), FullLinearization(), SecantWeight(50.0))
        first = step_alone(optimizer, w)
        gradient = optimizer.evaluate(first.proposal).gradient_at_origin
        second = optimizer.step(first.proposal, gradient, neighbor_weight=0.0, is_direction_exact=is_exact)
        assert second.proximal_weight == (40.0 if is_exact else 50.0)
        third = optimizer.step(second.proposal, gradient, neighbor_weight=70.0, is_direction_exact=False)
        assert third.proximal_weight == 70.0


@pytest.mark.parametrize("progress", [0.0, 0.25, 1.0, 9.0])
def test_on_other_samples_the_weight_follows_from_the_residual_over_that_of_the_first_step(progress: float) -> None:
    optimizer = optimizer_of(LINEAR, NoPenalty(), FullLinearization(), SecantWeight())
    w = np.zeros(LINEAR.n_params)
    gradient = optimizer.evaluate(w).gradient_at_origin
    optimizer.step(w, gradient, neighbor_weight=0.0, is_direction_exact=True)
    optimizer.restore({"proximal_weight": 4.0, "largest_weight": 64.0})
    optimizer.begin_anew()
    step = optimizer.step(w, progress * gradient, neighbor_weight=0.0, is_direction_exact=True)
    assert step.proximal_weight == pytest.approx(4.0 * 16.0 ** min(np.sqrt(progress), 1.0))


def test_the_unmodelled_curvature_of_full_linearisation_is_that_of_the_objective() -> None:
    """τ⁺ = 1.5 sᵀHs / sᵀs, with H the second derivative of the half-squared loss."""
    optimizer = optimizer_of(LINEAR, NoPenalty(), FullLinearization(), SecantWeight(8.0))
    w = np.ones(LINEAR.n_params)
    first = step_alone(optimizer, w)
    second = step_alone(optimizer, first.proposal)
    A, s = np.column_stack([X, np.ones(len(X))]), first.proposal - w
    curvature = float(np.square(A @ s).mean() / (s @ s))
    assert second.proximal_weight == pytest.approx(max(1.5 * curvature, 0.8 * first.proximal_weight))


def test_partial_linearisation_of_a_linear_model_leaves_no_curvature_out() -> None:
    optimizer = optimizer_of(LINEAR, NoPenalty(), PartialLinearization(), SecantWeight(1.0))
    w: Array = np.ones(LINEAR.n_params)
    taken = []
    for _ in range(4):
        step = step_alone(optimizer, w)
        w = step.proposal
        taken.append(step.proximal_weight)
    assert taken == pytest.approx([1.0, 0.8, 0.64, 0.512])


def test_a_proposal_never_leaves_the_box() -> None:
    rule = make_step_rule(STEP_RULES.parse("secant"), proximal_weight=0.1)
    box = Box(-0.2, 0.2)
    optimizer = optimizer_of(NETWORK, box, PartialLinearization(), rule.proximal_weight, step_sizes=rule.step_size)
    w = np.clip(NETWORK.init(np.random.default_rng(1)), -0.2, 0.2)
    for _ in range(40):
        w = step_alone(optimizer, w).proposal
        assert box.value(w) == 0.0
    assert np.any(np.abs(w) == 0.2)


@pytest.mark.parametrize("penalty", ["l2", "l1"])
def test_what_is_said_to_remain_is_about_what_the_objective_decreases_by_from_there_on(penalty: str) -> None:
    term = penalty_by_name(penalty, LINEAR, 0.1)
    optimizer = optimizer_of(LINEAR, term, FullLinearization(), ConstantWeight(3.0))
    w: Array = np.zeros(6)
    remaining, objectives = [], []
    for _ in range(200):
        objectives.append(optimizer.objective.value(w) + term.value(w))
        step = step_alone(optimizer, w)
        remaining.append(step.remaining)
        w = step.proposal
    for k in (10, 20, 40):
        assert 0.2 < remaining[k] / (objectives[k] - objectives[-1]) < 5.0
    assert remaining[-1] < 1e-9


def weight_after(growth: float, rule: ProximalWeightRule, n_steps: int = 2 * PERIOD + 1) -> float:
    """τ after steps of one length beside a neighbor that is farther away by a factor each time."""
    optimizer = optimizer_of(LINEAR, NoPenalty(), PartialLinearization(), rule)
    for k in range(n_steps):
        w, apart = np.full(6, -0.01 * k), 1e-5 * growth**k  # away from the solution: the residual rises
        direction = optimizer.evaluate(w).gradient_at_origin
        step = optimizer.step(w, direction, neighbor_weight=0.0, is_direction_exact=True, disagreement=apart)
    return step.proximal_weight


def test_a_weight_does_not_fade_while_agents_go_apart_and_rises_where_they_do_so_fast() -> None:
    together, apart, far, away = (weight_after(growth, SecantWeight(1.0)) for growth in (0.95, 1.02, 1.2, 1.4))
    assert together < apart < far < away
    assert away <= 1.0, "no more than was ever needed"
    assert weight_after(1.2, ConstantWeight(1.0)) == 1.0
