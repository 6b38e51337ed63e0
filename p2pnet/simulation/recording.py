"""Recording of a simulated agent's history, traced parameters and work."""

from __future__ import annotations

from collections.abc import Callable, Container
from dataclasses import dataclass
from typing import TypeAlias, final

from p2pnet.protocol.core.effects import Audit, Evaluate, RunLocalStep
from p2pnet.protocol.core.events import Audited, Evaluated, LocalStepDone
from p2pnet.protocol.core.types import Array
from p2pnet.training.learner import Learner, Observation
from p2pnet.training.records import LearnerState, RoundRecord

ParameterTrace: TypeAlias = dict[int, Array]


@dataclass(frozen=True, slots=True)
class WorkCounters:
    """Counts of one agent's work: local steps, solver iterations, gradient evaluations."""

    n_steps: int
    n_iterations: int
    """iterations of the local solvers"""
    n_gradients: float
    """gradient evaluations, in passes over the agent's samples"""


@final
class Recorder(Learner):
    """A learner that delegates to another learner, counts its work, and records the history of a followed agent."""

    def __init__(
        self,
        learner: Learner,
        *,
        is_followed: bool,
        rounds_kept: Container[int] = (),
        on_record: Callable[[RoundRecord], None] | None = None,
    ) -> None:
        """`on_record` is told each row of the history of an agent that is followed."""
        self.learner = learner
        self.n_tracked = learner.n_tracked
        self.has_curvature = learner.has_curvature
        self._on_record = on_record
        self._n_iterations_before = 0
        """Solver iterations before the last restart."""
        self.history: list[RoundRecord] = []
        self.trace: ParameterTrace = {}
        """The parameters of a followed agent, in the rounds to be kept."""
        self._n_evaluations = 0
        self._n_steps = 0
        self.clock: Callable[[], float] = float
        """Virtual time, seconds."""
        self.bytes_sent: Callable[[], int] = int
        """Bytes sent by the agent so far."""
        self._is_followed = is_followed
        self._rounds_kept = rounds_kept

    def begin_again(self, learner: Learner) -> None:
        """Continue with a new learner after a crash; counts go on."""
        self._n_iterations_before += self.learner.n_iterations
        self.learner = learner

    def evaluate(self, effect: Evaluate) -> Evaluated:
        self._n_evaluations += 1
        evaluated = self.learner.evaluate(effect)
        if self._is_followed:
            if effect.round in self._rounds_kept:
                self.trace[effect.round] = effect.params
            seen = self.learner.observe()
            record = RoundRecord(
                effect.round,
                self.clock(),
                seen.objective_local,
                seen.test_metric,
                effect.disagreement,
                seen.proximal_weight,
                self.bytes_sent(),
            )
            self.history.append(record)
            if self._on_record is not None:
                self._on_record(record)
        return evaluated

    def observe(self) -> Observation:
        return self.learner.observe()

    def run_local_step(self, effect: RunLocalStep) -> LocalStepDone:
        self._n_steps += 1
        return self.learner.run_local_step(effect)

    def audit(self, effect: Audit) -> Audited:
        return self.learner.audit(effect)

    def state(self) -> LearnerState:
        return self.learner.state()

    def restore(self, state: LearnerState) -> None:
        self.learner.restore(state)

    def work(self) -> WorkCounters:
        """The work counters over all restarts of the agent."""
        n_gradients = self._n_evaluations * self.learner.gradient_fraction
        return WorkCounters(self._n_steps, self._n_iterations_before + self.learner.n_iterations, n_gradients)
