"""What the learner's thread computes, and what it answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from p2pnet.agent.service import Service
from p2pnet.protocol.core.effects import Choose, Measure, RunLocalStep
from p2pnet.protocol.core.events import Chosen, Evaluated, LocalStepDone, Measured, Prepared, SamplesChanged
from p2pnet.training.learner import Learner
from p2pnet.training.records import RoundRecord
from p2pnet.training.training import Training

Answer: TypeAlias = Evaluated | LocalStepDone | Measured | Chosen | Prepared | SamplesChanged


@dataclass(frozen=True, slots=True)
class Computed:
    """A result of the learner's thread."""

    answer: Answer | None
    """what the node is to know of it; None where there is nothing"""
    record: RoundRecord | None
    learner: Mapping[str, float] | None = None
    """the numbers that the learner of a later run goes on with, where a gradient was computed"""
    training: Training | None = None
    """that of samples that have changed"""


def run_local_step(learner: Learner, effect: RunLocalStep) -> Computed:
    return Computed(learner.run_local_step(effect), None)


def measure(learner: Learner, effect: Measure) -> Computed:
    return Computed(learner.measure(effect), None)


def choose(learner: Learner, effect: Choose) -> Computed:
    return Computed(learner.choose(effect), None)


def train_anew(service: Service, training: Training) -> Computed:
    """The training of other samples, if they can be used."""
    renewed = service.train_anew(training)
    return Computed(None if renewed is None else SamplesChanged(), None, training=renewed)
