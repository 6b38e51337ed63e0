"""Learners: gradients and local steps, computed for the round machine."""

from __future__ import annotations

import math
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import cast, final

import numpy as np
from numpy.typing import NDArray

from p2pnet.optim.arrays import Array
from p2pnet.optim.few_samples import FewSamples
from p2pnet.optim.local_optimizer import LocalOptimizer
from p2pnet.optim.models.base import Model
from p2pnet.optim.network_curvature import (
    FIRST_MEASURED_ROUND,
    MAX_PARAMS,
    MAX_PARAMS_BY_DEFAULT,
    NetworkCurvature,
    check_size,
    is_needed,
    n_tracked,
)
from p2pnet.optim.proximal_weight import PROXIMAL_WEIGHT
from p2pnet.optim.step_sizes import N_STEPS
from p2pnet.optim.surrogates.base import LocalModel
from p2pnet.protocol.core.effects import Audit, Choose, Evaluate, Measure, RunLocalStep
from p2pnet.protocol.core.events import Audited, Chosen, Evaluated, LocalStepDone, Measured
from p2pnet.protocol.core.types import CHOICE
from p2pnet.protocol.core.types import Array as ProtocolArray
from p2pnet.training.early_stopping import EarlyStopping
from p2pnet.training.records import LearnerState
from p2pnet.training.typicality import is_typical

ROUND = "round"
"""The name of the round among a learner's numbers."""

PATIENCE_OVER = "patience_over"
"""The name of whether its patience has ended."""

PART_OF_FIRST = 0.02
"""Of the first objective: what a decrease is measured by where the objective falls to nothing."""

MAX_ROUNDS_AWAY = 20
"""The rounds after which the numbers of an earlier run are of no use in a network that has gone on: the steps of an
agent that enters it begin after eight."""


@dataclass(frozen=True, slots=True)
class Observation:
    """The observed quantities of one agent at the parameters evaluated last."""

    objective_local: float
    """mean loss over the agent's own samples, plus the penalty"""
    test_metric: float
    proximal_weight: float


@final
class Weighting(Enum):
    """The factor of the own curvature in the surrogate of the network's mean loss."""

    AUTO = "auto"
    """as proxy; where an agent's own curvature is a poor stand-in, and the model small enough, as network"""
    PROXY = "proxy"
    """1: the curvature of the network's mean loss is taken to be the agent's own"""
    OWN = "own"
    """n_k / n̄: the agent's own term of the network's objective"""
    PAPER = "paper"
    """n_k / (n̄ N): the same as the paper scales it, all other agents' terms being linear"""
    NETWORK = "network"
    """1 in the first rounds, and then none: the curvature is the network's own (`optim.network_curvature`)"""

    def check(self, model: Model) -> None:
        """ConfigError where it is not for models of this size."""
        if self is Weighting.NETWORK:
            check_size(model)

    def has_curvature(self, model: Model) -> bool:
        """Whether the network's curvature may be tracked for a model."""
        return self is Weighting.NETWORK or (self is Weighting.AUTO and model.n_params <= MAX_PARAMS_BY_DEFAULT)

    def most_tracked(self, model: Model, most_params: int) -> int:
        """How many numbers are tracked of curvature at most, for a model that may turn out to have more parameters."""
        if not self.has_curvature(model):
            return 0
        return n_tracked(min(most_params, MAX_PARAMS if self is Weighting.NETWORK else MAX_PARAMS_BY_DEFAULT))

    def scale(self, n_samples: float, effect: RunLocalStep) -> float:
        match self:
            case Weighting.AUTO | Weighting.PROXY | Weighting.NETWORK:
                return 1.0
            case Weighting.OWN:
                return n_samples / effect.mean_samples
            case Weighting.PAPER:
                return n_samples / (effect.mean_samples * effect.network_size)


class Learner(ABC):
    """The interface of one agent's computations; methods are called one at a time, from any thread."""

    n_iterations: int = 0
    """solver iterations of all local steps so far"""
    n_tracked: int = 0
    """how many numbers are tracked beside the gradient"""
    has_curvature: bool = False
    """whether curvature may be tracked, too"""
    gradient_fraction: float = 1.0
    """fraction of the agent's samples that `evaluate` uses"""

    @abstractmethod
    def evaluate(self, effect: Evaluate) -> Evaluated: ...

    @abstractmethod
    def observe(self) -> Observation: ...

    @abstractmethod
    def run_local_step(self, effect: RunLocalStep) -> LocalStepDone: ...

    def audit(self, effect: Audit) -> Audited:
        """Compute losses of own samples at parameters of neighbors; for learners that can."""
        return Audited(effect.round, math.nan, math.nan, {})

    def measure(self, effect: Measure) -> Measured:
        """Compute the sums of the held-out rows; none where none are held out."""
        return Measured(effect.stage, effect.round, np.zeros(0))

    def choose(self, effect: Choose) -> Chosen:
        """Choose the best parameters of late; for learners that keep some."""
        raise AssertionError(f"there is nothing to choose from, whatever {effect} says")

    def cut_short(self, round_: int) -> None:  # noqa: B027  (not every step has something to be left out)
        """Stop the solver of this round's local step at its present iterate; callable from any thread at any time."""

    def state(self) -> LearnerState:
        """What the learner of a later run goes on with; to be asked for between calls of other methods."""
        return LearnerState()

    def restore(self, state: LearnerState) -> None:  # noqa: B027  (not every learner remembers something)
        """Go on from what the learner of an earlier run has left."""

    def succeed(self, earlier: Learner) -> None:
        """Take the place of a learner of other samples of this agent, between two calls of its methods."""
        self.restore(earlier.state())

    def begin_elsewhere(self, earlier: Learner) -> None:  # noqa: B027  (not every learner remembers something)
        """Take the place of a learner whose parameters have other coordinates, with what does not depend on these."""

    def feasible(self, params: Array) -> Array:
        """Project onto the domain of the penalty (the limit of prox_{t r} for t → 0), since mixing may round out of a
        box; the identity for finite penalties.
        """
        return params


@final
class NextLearner(Learner):
    """NEXT: convex surrogates of the agent's own cost, solved locally."""

    def __init__(
        self,
        optimizer: LocalOptimizer,
        test_metric: Callable[[Array], float],
        weighting: Weighting = Weighting.PROXY,
        step_limit_s: float = math.inf,
        clock: Callable[[], float] = time.monotonic,
        held_out: Callable[[Array], NDArray[np.float64]] | None = None,
        stopping: EarlyStopping | None = None,
        moments: Array | None = None,
    ) -> None:
        """The solver of a local step stops after `step_limit_s` of the clock's time, at its present iterate.

        `held_out` gives the sums of the held-out rows at parameters; `moments` are tracked beside the gradient.
        """
        self._beside = np.zeros(0) if moments is None else moments
        self.has_curvature = weighting.has_curvature(optimizer.objective.model)
        self._curvature = NetworkCurvature(optimizer.objective) if self.has_curvature else None
        self.n_tracked = self._beside.size if stopping is None else stopping.n_tracked
        self.optimizer = optimizer
        self._few_samples = FewSamples(optimizer.objective)
        self._is_typical = is_typical(optimizer.objective)
        self._first_loss = math.nan
        self._first_objective = 0.0
        self._step_limit_s = step_limit_s
        self._clock = clock
        self._weighting = weighting
        self._test_metric = test_metric
        self._held_out = held_out
        self._stopping = stopping
        self._given: Array | None = None
        self._params: Array | None = None
        self._loss = np.nan
        self._gradient: Array = np.zeros(0)
        """That of the own objective, at these parameters."""
        self._disagreement = 0.0
        """That of the last exchange, relative to the size of the parameters."""
        self._cut_short_in = -1
        self._round = 0
        self._epoch: int | None = None
        """That of the last evaluation."""
        self._earlier: Mapping[str, float] = {}
        """The numbers of an earlier run, until the first step."""

    def evaluate(self, effect: Evaluate) -> Evaluated:
        if self._epoch is not None and effect.epoch != self._epoch:
            self.optimizer.begin_anew()
        self._epoch = effect.epoch
        params = self.feasible(self._in_model_precision(effect.params))
        local_model = self.optimizer.evaluate(params)
        if math.isnan(self._first_loss):
            self._first_loss = self._loss_at(params)
        self._round = effect.round
        self._given, self._params, self._loss = effect.params, params, local_model.value_at_origin
        self._disagreement = effect.disagreement
        n_samples = self.optimizer.objective.n_samples
        precision = effect.params.dtype
        sums = n_samples * local_model.gradient_at_origin.astype(precision, copy=False)
        self._gradient = local_model.gradient_at_origin
        curvature = np.zeros(0)
        if self._curvature is not None and self._curvature.has_begun:
            self._curvature.measure(params, self._gradient)
            curvature = n_samples * self._curvature.tracked(params).astype(np.float64, copy=False)
        beside = self._beside if self._stopping is None else self._stopping.observe(effect.round, params)
        if beside.size:
            sums = np.concatenate([sums, beside], dtype=precision)
        return Evaluated(effect.round, sums, n_samples, curvature, self._is_typical)

    def observe(self) -> Observation:
        weight = self.optimizer.rule.weight
        if self._params is None:
            return Observation(np.nan, np.nan, weight)
        return Observation(self._objective, self._test_metric(self._params), weight)

    @property
    def _objective(self) -> float:
        """The agent's own at the parameters evaluated last, 0 before."""
        return 0.0 if self._params is None else self._loss + self.optimizer.penalty.value(self._params)

    def run_local_step(self, effect: RunLocalStep) -> LocalStepDone:
        earlier, self._earlier = self._earlier, {}
        if effect.round <= earlier.get(ROUND, -math.inf) + MAX_ROUNDS_AWAY:
            self.optimizer.restore(earlier)
        elif N_STEPS in earlier:
            self.optimizer.restore({N_STEPS: earlier[N_STEPS]})
        if self._params is not None and effect.params is self._given:
            params = self._params
        else:
            params = self._in_model_precision(effect.params)
        gradient: Array = effect.direction[: params.size]
        tracked = effect.direction[params.size :]
        network_model: LocalModel | None = None
        if self._curvature is not None:
            self._begin_curvature(self._curvature, effect, params, gradient)
            if self._curvature.is_known(effect.round, effect.curvature):
                gradient, network_model = self._curvature.model(params, gradient, effect.curvature)
        if self._stopping is not None and self._stopping.has_ended(effect.round, tracked):
            return LocalStepDone(effect.round, effect.params, 0.0, self.optimizer.rule.weight)
        size = 1.0 if self._given is None else 1.0 + float(np.linalg.norm(self._given))
        deadline = self._clock() + self._step_limit_s
        step = self.optimizer.step(
            params,
            self._in_model_precision(gradient),
            neighbor_weight=effect.neighbor_proximal_weight,
            is_direction_exact=effect.is_complete,
            disagreement=self._disagreement * size,
            scale=self._weighting.scale(self.optimizer.objective.n_samples, effect),
            should_stop=lambda: self._cut_short_in == effect.round or self._clock() >= deadline,
            network_model=network_model,
        )
        self.n_iterations += step.n_iterations
        proposal = step.proposal.astype(effect.params.dtype, copy=False)
        remaining = self._relative(step.remaining)
        return LocalStepDone(effect.round, proposal, step.residual, step.proximal_weight, remaining)

    def _relative(self, decrease: float) -> float:
        """A decrease relative to the agent's own objective, and a little of its first one: some fall to nothing."""
        objective = abs(self._objective)
        self._first_objective = max(self._first_objective, objective)
        scale = objective + PART_OF_FIRST * self._first_objective
        return decrease / scale if scale else decrease

    def _begin_curvature(
        self, curvature: NetworkCurvature, effect: RunLocalStep, params: Array, direction: Array
    ) -> None:
        """Begin to measure curvature where it is due: because it is asked for, needed here, or has come from others."""
        if curvature.has_begun or effect.round < FIRST_MEASURED_ROUND:
            return
        is_due = self._weighting is Weighting.NETWORK or effect.curvature.size > 0
        # Where agents come and go, directions are of some of them only.
        known = direction if effect.is_complete else self._gradient
        if is_due or is_needed(self.optimizer.objective, params, self._gradient, known):
            curvature.begin()

    def audit(self, effect: Audit) -> Audited:
        losses = {peer: self._loss_at(params) for peer, params in effect.others.items()}
        if effect.is_way_too:
            halfway = {peer: self._loss_at(0.5 * (effect.own + params)) for peer, params in effect.others.items()}
            losses = {peer: max(loss, halfway[peer]) for peer, loss in losses.items()}
        return Audited(effect.round, self._first_loss, self._loss_at(effect.own), losses)

    def _loss_at(self, params: Array) -> float:
        return self._few_samples.loss(self.feasible(self._in_model_precision(params)))

    def measure(self, effect: Measure) -> Measured:
        if effect.stage == CHOICE and self._stopping is not None:
            return Measured(effect.stage, effect.round, self._stopping.candidates())
        if self._held_out is None:
            return super().measure(effect)
        params = self.feasible(self._in_model_precision(effect.params))
        return Measured(effect.stage, effect.round, self._held_out(params))

    def choose(self, effect: Choose) -> Chosen:
        if self._stopping is None:
            return super().choose(effect)
        best = self._stopping.best(effect.sums)
        return Chosen(best.round, cast(ProtocolArray, best.params), is_kept=best.is_kept)

    def cut_short(self, round_: int) -> None:
        self._cut_short_in = round_

    def state(self) -> LearnerState:
        numbers = {**self.optimizer.state(), ROUND: self._round, **self._earlier}
        if self._stopping is None:
            return LearnerState(numbers)
        return LearnerState({**numbers, PATIENCE_OVER: float(self._stopping.is_over)}, self._stopping.kept)

    def restore(self, state: LearnerState) -> None:
        """Go on from what an earlier run has left. Where the first step comes many rounds later, go on from how many
        steps there were only, or it would be without momentum as at the start of training: a proximal weight that was
        measured on what others had then would spread among them.
        """
        self._earlier = state.numbers
        if self._stopping is not None:
            kept = {number: self._in_model_precision(params) for number, params in state.candidates.items()}
            self._stopping.restore(kept, is_over=bool(state.numbers.get(PATIENCE_OVER)))

    def succeed(self, earlier: Learner) -> None:
        """Go on with the numbers of the learner before, and its iterations; in an epoch of its own they begin anew."""
        self.optimizer.restore(earlier.state().numbers)
        self.n_iterations = earlier.n_iterations
        if isinstance(earlier, NextLearner):
            self._epoch = earlier._epoch

    def begin_elsewhere(self, earlier: Learner) -> None:
        weight = earlier.state().numbers.get(PROXIMAL_WEIGHT, self.optimizer.rule.weight)
        self.optimizer.rule.restore({PROXIMAL_WEIGHT: weight})
        self.n_iterations = earlier.n_iterations

    @property
    def model(self) -> Model:
        """What is trained."""
        return self.optimizer.objective.model

    def feasible(self, params: Array) -> Array:
        return self.optimizer.penalty.feasible(params)

    def _in_model_precision(self, vector: Array) -> Array:
        return vector.astype(self.optimizer.objective.model.dtype, copy=False)
