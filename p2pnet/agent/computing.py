"""What the learner's thread computes, and what it answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from p2pnet.agent.service import Service
from p2pnet.errors import TrainingError
from p2pnet.protocol.core.effects import Audit, Choose, Measure, Rescale, RunLocalStep
from p2pnet.protocol.core.events import ComputedEvent, Evaluated, SamplesChanged
from p2pnet.training.learner import Learner
from p2pnet.training.records import LearnerState, RoundRecord
from p2pnet.training.training import Training

Answer: TypeAlias = ComputedEvent | SamplesChanged


@dataclass(frozen=True, slots=True)
class Computed:
    """A result of the learner's thread."""

    answer: Answer | None
    """what the node is to know of it; None where there is nothing"""
    record: RoundRecord | None
    learner: LearnerState | None = None
    """what the learner of a later run goes on with, where a gradient was computed"""
    training: Training | None = None
    """that of samples or scales that have changed"""


def run_local_step(learner: Learner, effect: RunLocalStep) -> Computed:
    return Computed(learner.run_local_step(effect), None)


def answer(learner: Learner, effect: Audit | Measure | Choose) -> Computed:
    match effect:
        case Audit():
            return Computed(learner.audit(effect), None)
        case Measure():
            return Computed(learner.measure(effect), None)
        case Choose():
            return Computed(learner.choose(effect), None)


def require_finite(evaluated: Evaluated) -> Evaluated:
    """Return the gradient unchanged; TrainingError if it is not finite, since it would spoil every agent's model."""
    if not np.isfinite(evaluated.gradient_sum).all():
        raise TrainingError(
            f"round {evaluated.round}: the gradient is not finite; scale the data, or check the model for overflow"
        )
    return evaluated


def aside(work: Callable[[], None]) -> Computed:
    """Do what concerns no round, between those that do."""
    work()
    return Computed(None, None)


def train_anew(service: Service) -> Computed:
    """The training of other samples, if they can be used."""
    renewed = service.train_anew()
    return Computed(None if renewed is None else SamplesChanged(), None, training=renewed)


def rescale(service: Service | None, effect: Rescale) -> Computed:
    """The training by other scales."""
    if service is None:
        raise AssertionError("scales change where agents keep running only")
    renewed = service.rescale(effect.statistics, effect.params)
    return Computed(renewed.prepared, None, training=renewed)
