"""Where decisions and mathematics meet: answers to what the round machine wants computed."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import final

from p2pnet.consensus.effects import Evaluate, Evaluated, LocalStepDone, RunLocalStep
from p2pnet.optim.local_optimizer import LocalOptimizer


class Learner(ABC):
    """One agent's mathematics."""

    @abstractmethod
    def evaluate(self, effect: Evaluate) -> Evaluated: ...

    @abstractmethod
    def run_local_step(self, effect: RunLocalStep) -> LocalStepDone: ...


@final
class NextLearner(Learner):
    """NEXT: convex surrogates of the agent's own cost, solved locally."""

    def __init__(self, optimizer: LocalOptimizer) -> None:
        self.optimizer = optimizer
        self.n_iterations = 0

    def evaluate(self, effect: Evaluate) -> Evaluated:
        local_model = self.optimizer.evaluate(effect.params)
        n_samples = self.optimizer.cost.n_samples
        return Evaluated(effect.round, n_samples * local_model.gradient_at_origin, n_samples)

    def run_local_step(self, effect: RunLocalStep) -> LocalStepDone:
        step = self.optimizer.step(
            effect.params,
            effect.direction,
            neighbor_weight=effect.neighbor_proximal_weight,
            is_direction_exact=effect.is_complete,
        )
        self.n_iterations += step.n_iterations
        return LocalStepDone(effect.round, step.best_response, step.step_norm, step.proximal_weight)
