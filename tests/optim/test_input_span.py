"""Curvature in the span of the main inputs: chosen where it gains, the gradient that of all inputs."""

from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from p2pnet.optim.arrays import Array, BoolArray
from p2pnet.optim.blocks import partition
from p2pnet.optim.input_span import MAX_RANK, MIN_INPUTS, MIN_SAMPLES, InputSpan, main_directions
from p2pnet.optim.local_objective import LocalObjective
from p2pnet.optim.local_optimizer import MAX_ITERATIONS_IN_SPAN, LocalOptimizer
from p2pnet.optim.losses.softmax_cross_entropy import SoftmaxCrossEntropy
from p2pnet.optim.models.mlp import Mlp
from p2pnet.optim.penalties.base import Penalty
from p2pnet.optim.penalties.elastic_net import l1
from p2pnet.optim.penalties.no_penalty import NoPenalty
from p2pnet.optim.penalties.squared_l2 import SquaredL2
from p2pnet.optim.proximal_weight import ConstantWeight, ProximalWeightRule, SecantWeight
from p2pnet.optim.solvers.base import Status, solve
from p2pnet.optim.solvers.best_response import BestResponseSolver
from p2pnet.optim.solvers.conjugate_gradients import ConjugateGradients, cg_jacobi
from p2pnet.optim.solvers.in_span import problem_in_span
from p2pnet.optim.solvers.newton import SmoothNewton
from p2pnet.optim.step_sizes import MomentumStep, StepSizeRule
from p2pnet.optim.surrogates.base import LocalModel, Surrogate
from p2pnet.optim.surrogates.full import FullLinearization
from p2pnet.optim.surrogates.partial import PartialLinearization
from p2pnet.optim.surrogates.problem import SurrogateProblem
from p2pnet.optim.surrogates.spanned import SpannedModel

MODEL = Mlp((MIN_INPUTS, 5, 3))


def low_rank(n_samples: int, n_inputs: int, rank: int, noise: float, seed: int = 0) -> Array:
    rng = np.random.default_rng(seed)
    X: Array = rng.standard_normal((n_samples, rank)) @ rng.standard_normal((rank, n_inputs)) / np.sqrt(rank)
    return X + noise * rng.standard_normal(X.shape)


def objective_of(X: Array, model: Mlp = MODEL, n_chunks: int = 1) -> LocalObjective:
    classes = np.random.default_rng(1).integers(0, 3, len(X))
    return LocalObjective(model, SoftmaxCrossEntropy(), X, classes, n_chunks=n_chunks)


def optimizer_of(
    objective: LocalObjective,
    penalty: Penalty | None = None,
    surrogate: Surrogate | None = None,
    response_solver: BestResponseSolver | None = None,
    step_sizes: StepSizeRule | None = None,
    rule: ProximalWeightRule | None = None,
) -> LocalOptimizer:
    return LocalOptimizer(
        objective,
        penalty or SquaredL2(1e-3, ~objective.model.is_bias()),
        surrogate or PartialLinearization(),
        rule or SecantWeight(),
        np.random.default_rng(0),
        response_solver=response_solver,
        step_sizes=step_sizes,
    )


def model_at(optimizer: LocalOptimizer, seed: int = 2) -> LocalModel:
    return optimizer.evaluate(optimizer.objective.model.init(np.random.default_rng(seed)))


WIDE = low_rank(200, MIN_INPUTS, 6, noise=0.02)
RNG = partial(np.random.default_rng, 0)


class TestDirections:
    def test_they_are_orthonormal_and_those_of_the_singular_value_decomposition(self) -> None:
        Q = main_directions(WIDE, RNG())
        assert Q is not None
        np.testing.assert_allclose(Q.T @ Q, np.eye(6), atol=1e-12)
        _, _, Vt = np.linalg.svd(WIDE, full_matrices=False)
        # The cosines of the angles between both spans.
        np.testing.assert_allclose(np.linalg.svd(Vt[:6] @ Q, compute_uv=False), 1.0, atol=1e-6)

    @pytest.mark.parametrize(
        ("X", "why"),
        [
            (WIDE[:, 1:], "too few inputs"),
            (WIDE[: MIN_SAMPLES - 1], "too few samples"),
            (np.random.default_rng(0).standard_normal((400, 300)), "no main directions"),
            (np.zeros((200, MIN_INPUTS)), "inputs that are all 0"),
        ],
    )
    def test_there_are_none_where_they_would_gain_little(self, X: Array, why: str) -> None:
        assert main_directions(X, RNG()) is None, why

    @settings(max_examples=20, deadline=None)
    @given(rank=st.integers(1, 30), seed=st.integers(0, 2**32 - 1), decay=st.floats(0.0, 3.0))
    def test_what_they_leave_out_is_small_beside_the_largest(self, rank: int, seed: int, decay: float) -> None:
        rng = np.random.default_rng(seed)
        scales = np.exp(-decay * np.arange(rank) / rank)
        X = rng.standard_normal((150, rank)) * scales @ rng.standard_normal((rank, MIN_INPUTS))
        Q = main_directions(X, rng)
        assert Q is not None
        assert 1 <= Q.shape[1] <= MAX_RANK
        left_out = np.linalg.norm(X - X @ Q @ Q.T, ord=2) ** 2
        assert left_out <= 0.1 * np.linalg.norm(X, ord=2) ** 2


class TestCoordinates:
    span = InputSpan(np.linalg.qr(np.random.default_rng(0).standard_normal((7, 3)))[0], 4, 4 * 8 + 10)

    @settings(max_examples=30, deadline=None)
    @given(seed=st.integers(0, 2**32 - 1))
    def test_expanding_is_an_isometry_and_projecting_its_transpose(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        vector, c = rng.standard_normal(self.span.n_params), rng.standard_normal(self.span.n_coordinates)
        np.testing.assert_allclose(self.span.projected(self.span.expanded(c)), c, atol=1e-12)
        assert self.span.projected(vector) @ c == pytest.approx(vector @ self.span.expanded(c))

    @settings(max_examples=30, deadline=None)
    @given(seed=st.integers(0, 2**32 - 1))
    def test_a_diagonal_is_the_same_in_coordinates(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        first = [[weight] * 7 + [bias] for weight, bias in rng.uniform(0, 1, (4, 2))]
        diagonal = np.concatenate([np.ravel(first), rng.uniform(0, 1, 10)])
        thin = self.span.diagonal_in_coordinates(diagonal)
        c = rng.standard_normal(self.span.n_coordinates)
        assert thin is not None
        np.testing.assert_allclose(self.span.expanded(thin * c), diagonal * self.span.expanded(c), atol=1e-12)

    def test_a_diagonal_that_differs_along_a_neuron_has_no_coordinates(self) -> None:
        assert self.span.diagonal_in_coordinates(np.arange(42.0)) is None
        assert self.span.diagonal_in_coordinates(0.5) == 0.5

    def test_scores_are_kept_of_inputs_that_are_named(self) -> None:
        X = np.random.default_rng(1).standard_normal((5, 7))
        self.span.keep_scores([X])
        assert self.span.scores(X) is self.span.scores(X)
        np.testing.assert_allclose(self.span.scores(X.copy()), self.span.scores(X))


class TestLocalModel:
    @pytest.mark.parametrize("n_chunks", [1, 3])
    @pytest.mark.parametrize("n_samples", [None, 100])
    def test_value_and_gradient_are_those_of_all_inputs(self, n_chunks: int, n_samples: int | None) -> None:
        """Inputs that vary in six ways and in noise: what the noise does to the gradient is in it, to the last bit."""
        objective = objective_of(WIDE, n_chunks=n_chunks)
        model = model_at(optimizer_of(objective, surrogate=PartialLinearization(n_samples)))
        assert isinstance(model, SpannedModel)
        value, gradient = objective.value_and_gradient(MODEL.init(np.random.default_rng(2)))
        assert model.value_at_origin == value
        np.testing.assert_array_equal(model.gradient_at_origin, gradient)
        nothing = np.zeros(MODEL.n_params)
        np.testing.assert_array_equal(model.gradient(nothing), gradient)

    @settings(max_examples=10, deadline=None)
    @given(seed=st.integers(0, 2**32 - 1))
    def test_its_gradient_is_that_of_its_value_and_its_curvature_that_of_its_gradient(self, seed: int) -> None:
        model = model_at(optimizer_of(objective_of(WIDE, n_chunks=2)))
        rng = np.random.default_rng(seed)
        d, t, h = 0.1 * rng.standard_normal(MODEL.n_params), 0.1 * rng.standard_normal(MODEL.n_params), 1e-4
        slope = (model.value(d + h * t) - model.value(d - h * t)) / (2 * h)
        assert model.gradient(d) @ t == pytest.approx(slope, rel=1e-5, abs=1e-8)
        change = (model.gradient(d + h * t) - model.gradient(d - h * t)) / (2 * h)
        product = model.curvature(d).product(t)
        np.testing.assert_allclose(product, change, atol=1e-6 * float(np.abs(change).max()) + 1e-9)
        M = model.curvature(d).factor()
        np.testing.assert_allclose(M.T @ (M @ t), product, atol=1e-10)
        np.testing.assert_allclose(model.curvature(d).diagonal(), np.square(M).sum(axis=0), atol=1e-12)

    def test_on_inputs_that_lie_in_the_span_it_is_the_model_of_all_inputs(self) -> None:
        objective, w = objective_of(low_rank(200, MIN_INPUTS, 6, noise=0.0)), MODEL.init(np.random.default_rng(2))
        d = np.random.default_rng(3).standard_normal(MODEL.n_params)
        spanned = optimizer_of(objective).evaluate(w)
        whole = PartialLinearization().local_model(objective, w, RNG())
        assert isinstance(spanned, SpannedModel)
        assert spanned.value(d) == pytest.approx(whole.value(d))
        np.testing.assert_allclose(spanned.gradient(d), whole.gradient(d), atol=1e-10)


def problem_of(penalty: Penalty, scale: float = 1.0) -> SurrogateProblem:
    optimizer = optimizer_of(objective_of(WIDE), penalty)
    w = MODEL.init(np.random.default_rng(2))
    model = optimizer.evaluate(w)
    assert isinstance(model, SpannedModel)
    direction = model.gradient_at_origin + 0.1 * np.random.default_rng(4).standard_normal(w.size)
    return SurrogateProblem(model, w, direction, penalty, 0.3, scale)


HIDDEN_ONLY: BoolArray = ~MODEL.is_bias()
UNLIKE: BoolArray = np.random.default_rng(0).random(MODEL.n_params) < 0.5


class TestSolve:
    @pytest.mark.parametrize("solver", [ConjugateGradients(), cg_jacobi()], ids=lambda each: each.name)
    @pytest.mark.parametrize("scale", [1.0, 0.4])
    @pytest.mark.parametrize(
        "penalty",
        [NoPenalty(), SquaredL2(0.2), SquaredL2(0.2, HIDDEN_ONLY), SquaredL2(0.2, UNLIKE)],
        ids=["none", "l2", "l2 without biases", "l2 of some weights"],
    )
    def test_the_whole_gradient_vanishes_at_its_solution(
        self, penalty: SquaredL2 | NoPenalty, scale: float, solver: ConjugateGradients
    ) -> None:
        problem = problem_of(penalty, scale)
        solution = solve(problem, solver, tolerance=1e-9, max_iterations=2000)
        assert solution.status is Status.CONVERGED
        gradient = problem.smooth_gradient(solution.best_response) + penalty.gradient(solution.best_response)
        first = SmoothNewton(problem).origin().residual
        assert np.linalg.norm(gradient) <= 2e-9 * first
        assert solution.optimality_residual == pytest.approx(float(np.linalg.norm(gradient)), abs=1e-12)

    def test_a_solve_that_is_cut_short_has_moved_across_the_span(self) -> None:
        penalty = SquaredL2(0.2)
        problem = problem_of(penalty)
        v = solve(problem, ConjugateGradients(), tolerance=0.0, max_iterations=0).best_response
        assert isinstance(problem.local_model, SpannedModel)
        gradient = problem.smooth_gradient(v) + penalty.gradient(v)
        span = problem.local_model.span
        np.testing.assert_allclose(gradient, span.expanded(span.projected(gradient)), atol=1e-12)


class TestParts:
    @settings(max_examples=20, deadline=None)
    @given(seed=st.integers(0, 2**32 - 1))
    def test_the_problem_is_the_sum_of_its_parts(self, seed: int) -> None:
        """φ(B c + s) = φ_along(c) + what s costs across the span, which is least at the step across."""
        problem = problem_of(SquaredL2(0.2, HIDDEN_ONLY))
        parts = problem_in_span(problem)
        assert parts is not None
        rng = np.random.default_rng(seed)
        c, s = 0.1 * rng.standard_normal((2, parts.span.n_coordinates))
        w, step_across = problem.params, parts.step_across
        along = [problem.value(w + parts.span.expanded(each) + step_across) for each in (c, s)]
        assert along[0] - along[1] == pytest.approx(parts.along.value(c) - parts.along.value(s), abs=1e-9)
        other = rng.standard_normal(w.size)
        other -= parts.span.expanded(parts.span.projected(other))
        nearby = [problem.value(w + step_across + h * other) for h in (-1e-3, 0.0, 1e-3)]
        assert nearby[1] < min(nearby[0], nearby[2])
        assert parts.residual == SmoothNewton(problem).origin().residual

    def test_there_are_none_without_a_span_or_for_a_penalty_that_tells_the_weights_of_a_neuron_apart(self) -> None:
        assert problem_in_span(problem_of(SquaredL2(0.2, UNLIKE))) is None
        whole = PartialLinearization().local_model(objective_of(WIDE), w := np.zeros(MODEL.n_params), RNG())
        assert problem_in_span(SurrogateProblem(whole, w, w, NoPenalty(), 1.0)) is None


class TestChoice:
    def test_wide_inputs_with_main_directions_have_it(self) -> None:
        assert isinstance(model_at(optimizer_of(objective_of(WIDE))), SpannedModel)

    @pytest.mark.parametrize(
        "optimizer",
        [
            optimizer_of(objective_of(WIDE), l1(1e-3)),
            optimizer_of(objective_of(WIDE), surrogate=FullLinearization()),
            optimizer_of(objective_of(WIDE), response_solver=BestResponseSolver("accelerated-proximal-gradient")),
            optimizer_of(objective_of(WIDE, Mlp((MIN_INPUTS, 3)))),
            optimizer_of(objective_of(np.random.default_rng(0).standard_normal((200, MIN_INPUTS)))),
        ],
        ids=["l1", "no curvature", "another solver", "no hidden layer", "no main directions"],
    )
    def test_all_others_keep_the_curvature_of_all_inputs(self, optimizer: LocalOptimizer) -> None:
        assert not isinstance(model_at(optimizer), SpannedModel)

    def test_blocks_change_nothing(self) -> None:
        solver = BestResponseSolver(blocks=partition(MODEL, 2))
        optimizers = optimizer_of(objective_of(WIDE)), optimizer_of(objective_of(WIDE), response_solver=solver)
        w = MODEL.init(np.random.default_rng(2))
        gradients = [optimizer.evaluate(w).gradient_at_origin for optimizer in optimizers]
        whole, blocks = (
            optimizer.step(w, gradient, neighbor_weight=0.0, is_direction_exact=True).proposal
            for optimizer, gradient in zip(optimizers, gradients, strict=True)
        )
        np.testing.assert_array_equal(blocks, whole)

    def test_curvature_left_out_is_made_up_for_by_the_proximal_weight(self) -> None:
        """One agent alone, with inputs of which a part is left out, goes on to a stationary point of its whole cost."""
        objective, penalty = objective_of(WIDE), SquaredL2(1e-2)
        optimizer = optimizer_of(objective, penalty, step_sizes=MomentumStep())
        w, residuals = MODEL.init(np.random.default_rng(2)), []
        for _ in range(150):
            gradient = optimizer.evaluate(w).gradient_at_origin
            residuals.append(float(np.linalg.norm(objective.gradient(w) + penalty.gradient(w))))
            w = optimizer.step(w, gradient, neighbor_weight=0.0, is_direction_exact=True).proposal
        assert residuals[-1] <= 1e-5 * residuals[0]

    def test_a_solve_has_few_iterations(self) -> None:
        optimizer = optimizer_of(objective_of(WIDE), rule=ConstantWeight(1e-6))
        w = MODEL.init(np.random.default_rng(2))
        gradient = optimizer.evaluate(w).gradient_at_origin
        step = optimizer.step(w, gradient, neighbor_weight=0.0, is_direction_exact=True)
        n_rejections = round(np.log2(step.proximal_weight / 1e-6))
        assert step.n_iterations == MAX_ITERATIONS_IN_SPAN * (1 + n_rejections)
