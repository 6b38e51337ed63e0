"""What a simulated agent computes, written down and counted."""

from __future__ import annotations

from collections.abc import Callable
from typing import final

from p2pnet.agent.state import RoundRecord
from p2pnet.consensus.effects import Evaluate, Evaluated, LocalStepDone, RunLocalStep
from p2pnet.learner import Learner, Observation


@final
class Recorder(Learner):
    """Passes everything on to a learner, and keeps the history of an agent that is followed."""

    def __init__(
        self, learner: Learner, clock: Callable[[], float], bytes_sent: Callable[[], int], *, is_followed: bool
    ) -> None:
        self.learner = learner
        self.history: list[RoundRecord] = []
        self.n_evaluations = 0
        self.gradient_fraction = learner.gradient_fraction
        self.n_steps = 0
        self._clock = clock
        self._bytes_sent = bytes_sent
        self._is_followed = is_followed

    def evaluate(self, effect: Evaluate) -> Evaluated:
        self.n_evaluations += 1
        evaluated = self.learner.evaluate(effect)
        if self._is_followed:
            seen = self.learner.observe()
            self.history.append(
                RoundRecord(
                    effect.round,
                    self._clock(),
                    seen.objective_local,
                    seen.test_metric,
                    effect.disagreement,
                    seen.proximal_weight,
                    self._bytes_sent(),
                )
            )
        return evaluated

    def observe(self) -> Observation:
        return self.learner.observe()

    def run_local_step(self, effect: RunLocalStep) -> LocalStepDone:
        self.n_steps += 1
        return self.learner.run_local_step(effect)
