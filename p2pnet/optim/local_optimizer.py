"""One agent's local steps: from its parameters and the tracked direction to its best response."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import final

import numpy as np

from p2pnet.optim.arrays import Array
from p2pnet.optim.disagreement_trend import DisagreementTrend
from p2pnet.optim.input_span import InputSpan
from p2pnet.optim.local_objective import LocalObjective
from p2pnet.optim.penalties.base import Penalty
from p2pnet.optim.proximal_weight import ProximalWeightRule
from p2pnet.optim.remaining import RemainingDecrease
from p2pnet.optim.secant import Secant
from p2pnet.optim.solvers.best_response import BestResponseSolver
from p2pnet.optim.step_sizes import FullStep, StepSizeRule
from p2pnet.optim.surrogates.base import LocalModel, Surrogate
from p2pnet.optim.surrogates.problem import SurrogateProblem
from p2pnet.optim.surrogates.spanned import SpannedModel

MAX_REJECTIONS = 30
MAX_ITERATIONS_IN_SPAN = 8
"""of a solver where curvature is taken in the span of the main inputs: 20 took no fewer rounds"""
LOOSEST_SOLVE = 5.0
GOING_APART = 1.3
"""The growth of disagreement in steps, from one period to the next, from which the proximal weight is raised."""
AGAINST_GOING_APART = 1.25
AGAINST_RUNNING_AWAY = 2.0
"""The factors by which it is."""
ROUNDING_APART = 1e-6
"""Of the parameters' size: a disagreement that shares in single precision may leave."""
COMMON_DISPLACEMENT = 3.0
"""A displacement counts as shared by all agents where it is this many times the distance to the farthest neighbor."""
MIN_DECREASE_RATIO = 0.1
"""Least part of the predicted reduction that the true objective must show."""


@dataclass(frozen=True, slots=True)
class LocalStep:
    """A best response v = w + d and how it was found."""

    best_response: Array = field(repr=False)
    proposal: Array = field(repr=False)
    """z, what the step size rule makes of it"""
    residual: float
    """‖w − prox_r(w − direction)‖: how far w is from stationary; nearly ‖direction + ∇r(w)‖ for a smooth r"""
    proximal_weight: float
    n_iterations: int
    """of the solver, over all proximal weights tried"""
    remaining: float
    """what the network's objective may still decrease by, as it has decreased of late"""


@final
@dataclass(frozen=True, slots=True)
class _Point:
    """Where a local step begins."""

    params: Array
    direction: Array
    """ŷ, the tracked gradient of the network's mean loss"""
    residual: float
    penalty: float
    """r(w)"""

    def decrease_since(self, past: _Point) -> float:
        """What the network's objective has decreased by on the way from there to here, by the trapezoidal rule:
        r(w⁻) − r(w) − (ŷ⁻ + ŷ)ᵀ(w − w⁻) / 2.
        """
        way = self.params - past.params
        return past.penalty - self.penalty - 0.5 * float(self.direction @ way + past.direction @ way)


@final
@dataclass(frozen=True, slots=True)
class _Past:
    """The last local step's surrogate, to be compared with the change of the tracked gradient since."""

    point: _Point
    local_model: LocalModel
    scale: float
    secant: Secant | None
    """of the step before; None where it could not be tested"""
    has_momentum: bool
    is_of_network: bool
    """whether the model is that of the network's mean loss"""


@final
class LocalOptimizer:
    """Computes one agent's best responses over the rounds; keeps the proximal weight's rule and the last surrogate."""

    def __init__(
        self,
        objective: LocalObjective,
        penalty: Penalty,
        surrogate: Surrogate,
        rule: ProximalWeightRule,
        rng: np.random.Generator,
        *,
        solver_tolerance: float = 3e-2,
        max_solver_iterations: int = 20,
        response_solver: BestResponseSolver | None = None,
        step_sizes: StepSizeRule | None = None,
    ) -> None:
        self.objective = objective
        self.penalty = penalty
        self.rule = rule
        self._surrogate = surrogate
        self._rng = rng
        self._solver_tolerance = solver_tolerance
        self._max_solver_iterations = max_solver_iterations
        self._response_solver = response_solver or BestResponseSolver()
        self._step_sizes = step_sizes or FullStep()
        self._local_model: LocalModel | None = None
        self._params: Array | None = None
        self._past: _Past | None = None
        self._remaining = RemainingDecrease()
        self._trend = DisagreementTrend()
        self._first_residual: float | None = None
        self._begins_anew = False
        """Whether the next step is the first one on other samples."""
        self._may_have_span = True
        """False once the main inputs are known to have no span."""

    def state(self) -> dict[str, float]:
        """The numbers that a later run goes on with: those of the rules, and the residual of the first step.

        The last surrogate is not among them: the first step after `restore` has no secant test, and no momentum.
        """
        first = {} if self._first_residual is None else {"first_step_residual": self._first_residual}
        return {**self.rule.state(), **self._step_sizes.state(), **first}

    def restore(self, state: Mapping[str, float]) -> None:
        """Go on from the numbers of an earlier run with the same settings."""
        self.rule.restore(state)
        self._step_sizes.restore(state)
        self._first_residual = state.get("first_step_residual", self._first_residual)

    def begin_anew(self) -> None:
        """Forget what was measured on samples that the network has no more: the next step has no secant test, and its
        proximal weight follows from how far it is from stationary.
        """
        self._begins_anew = True
        self._past = None
        self._remaining.begin_anew()
        self._trend.begin_anew()

    def evaluate(self, params: Array) -> LocalModel:
        """The local model around `params`: its value and gradient there are the agent's own."""
        local_model = self._surrogate.local_model(self.objective, params, self._rng)
        self._params, self._local_model = params, self._spanned(local_model)
        return self._local_model

    def _spanned(self, local_model: LocalModel) -> LocalModel:
        """The local model in the span of the main inputs, where they have one and a solve costs less there."""
        if not self._may_have_span or not self._response_solver.can_use_span(local_model, self.penalty):
            return local_model
        self._may_have_span = self._span is not None
        return local_model if self._span is None else local_model.along(self._span)

    @cached_property
    def _span(self) -> InputSpan | None:
        """The span of the main inputs, where they have one."""
        span = self.objective.model.input_span(self.objective.samples.X, self._rng)
        if span is not None:
            span.keep_scores([chunk.samples.X for chunk in self.objective.chunks])
        return span

    def step(
        self,
        params: Array,
        direction: Array,
        *,
        neighbor_weight: float,
        is_direction_exact: bool,
        disagreement: float = 0.0,
        scale: float = 1.0,
        should_stop: Callable[[], bool] = lambda: False,
        network_model: LocalModel | None = None,
    ) -> LocalStep:
        """The best response to `direction`, the tracked gradient of the network's mean loss, at `params`.

        The secant test is left out where the direction moved for other reasons than the step (`is_direction_exact`
        false: a share was missing, a link closed). The weight is doubled until the agent's true objective shows the
        predicted reduction; where time runs out before that, the agent stays at `params`. `disagreement` is the
        distance to the farthest neighbor, `scale` the factor of the agent's own objective (see `surrogates.problem`).

        A `network_model` takes the place of the agent's own: it is solved in one block, without momentum, the own
        objective does not test it, and the secant test counts wherever it is passed.
        """
        is_of_network = network_model is not None
        residual = float(np.linalg.norm(params - self.penalty.prox(params - direction, 1.0)))
        if network_model is not None:
            local_model = network_model
            if self._past is not None and not self._past.is_of_network:
                self.rule.fade_anew()
        else:
            local_model = self._local_model if self._params is params and self._local_model else self.evaluate(params)
        if self._begins_anew:
            self.rule.begin_anew(min(self._progress(residual), 1.0))
            self._begins_anew = False
        self.rule.follow(neighbor_weight)
        here = _Point(params, direction, residual, self.penalty.value(params))
        secant = None
        if is_direction_exact:
            secant = self._test_weight(here, disagreement, is_of_network=is_of_network)
        elif is_of_network:
            self._test_disturbed_weight(here)
        if self._past is not None:
            self._remaining.take_in(here.decrease_since(self._past.point))
        # What was compared is let go before the solver takes as much memory again.
        previous, self._past = (None if self._past is None else self._past.point.params), None
        v, n_iterations = self._respond(here, local_model, scale, should_stop, is_tested=not is_of_network)
        proposal = v if is_of_network else self._step_sizes.proposal(params, v, previous, disagreement)
        if not np.isfinite(self.penalty.value(proposal)):
            proposal = v
        has_momentum = proposal is not v
        self._past = _Past(here, local_model, scale, secant, has_momentum=has_momentum, is_of_network=is_of_network)
        return LocalStep(v, proposal, residual, self.rule.weight, n_iterations, self._remaining.estimate())

    def _test_weight(self, here: _Point, disagreement: float, *, is_of_network: bool) -> Secant | None:
        """Update the proximal weight by what the last step's model left out; the secant, where there is one."""
        past = self._past
        secant = None if past is None else self._secant(past, here)
        if past is None or secant is None:
            return None
        is_rising = here.residual > past.point.residual
        is_blind = past.has_momentum and is_rising
        curvature = secant.curvature()
        if is_blind and past.secant is not None:
            curvature = max(curvature, self._curvature_across(secant, past.secant, here.params, disagreement))
        if is_of_network:
            self._trend.begin_anew()
        else:
            self._watch_disagreement(secant, here.params, disagreement)
        growth = self._trend.growth()
        self.rule.observe(curvature, is_blind=is_blind or growth > 1.0)
        if is_rising and self._trend.runs_away():
            self.rule.damp(AGAINST_RUNNING_AWAY)
        elif growth > GOING_APART:
            self.rule.damp(AGAINST_GOING_APART)
            self._trend.forget_all_but_late()
        return secant

    def _test_disturbed_weight(self, here: _Point) -> None:
        """The same where the direction moved for other reasons too: a test that is passed all the same counts."""
        secant = None if self._past is None else self._secant(self._past, here)
        if secant is not None and self.rule.covers(secant.curvature()):
            self.rule.observe(secant.curvature(), is_blind=False)

    def _respond(
        self,
        here: _Point,
        local_model: LocalModel,
        scale: float,
        should_stop: Callable[[], bool],
        *,
        is_tested: bool,
    ) -> tuple[Array, int]:
        """(the best response by the local model, the solver's iterations)."""
        tolerance = self._tolerance(here.residual)
        max_iterations = self._max_solver_iterations
        if isinstance(local_model, SpannedModel):
            max_iterations = min(max_iterations, MAX_ITERATIONS_IN_SPAN)
        n_iterations = 0
        for _ in range(MAX_REJECTIONS):
            problem = SurrogateProblem(local_model, here.params, here.direction, self.penalty, self.rule.weight, scale)
            solution = self._response_solver.solve(
                problem, tolerance=tolerance, max_iterations=max_iterations, should_stop=should_stop
            )
            n_iterations += solution.n_iterations
            if not is_tested or self._decreases(problem, solution.best_response):
                return solution.best_response, n_iterations
            self.rule.reject()
            if should_stop():
                break
        return here.params, n_iterations

    def _tolerance(self, residual: float) -> float:
        """The solver's tolerance, relative to the solve's first residual: smaller near a stationary point.

        The progress, between 1 and 5 times `solver_tolerance`: far from a solution most of an exact solve would be
        wasted on a model that holds only nearby (Dembo, Eisenstat and Steihaug 1982).
        """
        return min(max(self._progress(residual), self._solver_tolerance), LOOSEST_SOLVE * self._solver_tolerance)

    def _progress(self, residual: float) -> float:
        """The residual over that of the first step, which this one is if there was none before."""
        if self._first_residual is None:
            self._first_residual = residual
        return residual / self._first_residual if self._first_residual > 0 else 0.0

    def _decreases(self, problem: SurrogateProblem, best_response: Array) -> bool:
        """Whether mean_k(v) + (ŷ − ∇mean_k(w))ᵀ(v − w) + r(v) decreases by a good part of its predicted reduction."""
        step = best_response - problem.params
        local_model = problem.local_model
        excess = local_model.excess_at(local_model.tangents(step))
        slope = float(local_model.gradient_at_origin @ step)
        true_excess = self.objective.value(best_response) - local_model.value_at_origin - slope
        predicted = float(problem.direction @ step) + problem.scale * excess
        predicted += self.penalty.value(best_response) - self.penalty.value(problem.params)
        true = predicted + problem.scale * (true_excess - excess)
        rounding = 500.0 * self.objective.model.epsilon * (1.0 + abs(local_model.value_at_origin))
        return true <= MIN_DECREASE_RATIO * predicted + rounding

    def _secant(self, past: _Past, here: _Point) -> Secant | None:
        """Between the last local step's parameters and these; None where they differ by rounding only."""
        displacement, local_model = here.params - past.point.params, past.local_model
        modelled = local_model.vjp(local_model.slopes_at(local_model.tangents(displacement)))
        secant = Secant(displacement, here.direction - past.point.direction - past.scale * modelled)
        return secant if secant.is_longer_than_rounding(here.params, self.objective.model.epsilon) else None

    def _watch_disagreement(self, secant: Secant, params: Array, disagreement: float) -> None:
        """Follow disagreement that a common displacement hides, and that is more than rounding."""
        is_hidden = secant.length() > COMMON_DISPLACEMENT * disagreement
        if is_hidden and disagreement > ROUNDING_APART * float(np.linalg.norm(params)):
            self._trend.take_in(disagreement, secant.length())
        else:
            self._trend.begin_anew()

    def _curvature_across(self, secant: Secant, earlier: Secant, params: Array, disagreement: float) -> float:
        """δ across the earlier displacement, which momentum may have made so long that it hides oscillations; 0 where
        the part across is no longer than disagreement alone can make it.
        """
        across = secant.across(earlier)
        is_common = across.length() > COMMON_DISPLACEMENT * disagreement
        is_long = is_common and across.is_longer_than_rounding(params, self.objective.model.epsilon)
        return across.curvature() if is_long else 0.0
