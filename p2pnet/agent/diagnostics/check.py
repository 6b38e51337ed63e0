"""The check of an agent's settings, data and state before a run: `p2pnet check`."""

from dataclasses import dataclass
from typing import final

import numpy as np

from p2pnet.agent.assembly import Preparation, prepare
from p2pnet.agent.computing import require_finite
from p2pnet.agent.logs import check_log
from p2pnet.agent.options import log_options
from p2pnet.agent.state_directory import StateDirectory
from p2pnet.config import Settings
from p2pnet.protocol.core.effects import Evaluate, RunLocalStep
from p2pnet.training.training import statistics_alone


@final
@dataclass(frozen=True, slots=True)
class Report:
    """What a check has found that is no error."""

    text: str
    """one line"""
    notes: tuple[str, ...] = ()
    """what a person should look at"""


def check_agent(settings: Settings) -> Report:
    """Check all that a run starts with; one line that describes the agent. Raises the P2pnetError that a run
    would raise at its start.

    The check covers all parts up to the first local step, and leaves nothing behind.
    """
    check_log(log_options(settings))
    preparation = prepare(settings)
    state = StateDirectory(preparation.state_dir)
    notes = list(preparation.parts.train.notes)
    if state.is_held:
        notes.append(f"{preparation.state_dir}: an agent runs there now, with the settings that it was started with")
    else:
        state.check()
        preparation.open_transport().close(0.0)
    _try_a_local_step(preparation)
    train, test, validation = preparation.parts
    # Other agents may have labels that this one has not.
    least = "at least " if preparation.summary is not None and preparation.summary.labels else ""
    task = f"classification into {least}{len(train.classes)} classes" if train.classes else "regression"
    held_out = f"{train.n_samples} training and "
    if validation is not None:
        held_out = f"{train.n_samples} training, {validation.n_samples} validation and "
    text = (
        f"fit to run: agent {preparation.name} ({preparation.keys.public}), "
        f"{_others(preparation)}, {held_out}"
        f"{counted(test.n_samples, 'test sample')} of {counted(train.n_features, 'feature')}, "
        f"{task} with loss {preparation.training_options.problem.loss}"
    )
    return Report(text, tuple(notes))


def _others(preparation: Preparation) -> str:
    if preparation.trusted is None:
        return f"{counted(len(preparation.network.named), 'peer')} named"
    roster = preparation.trusted.roster
    return f"{counted(len(roster.allowed), 'member')} of the network {roster.genesis.name}"


def counted(number: int, what: str) -> str:
    """Format a number with its noun, in the plural unless the number is 1."""
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _try_a_local_step(preparation: Preparation) -> None:
    """Compute a gradient and a local step at the initial parameters, without other agents; exposes faults of user
    models.
    """
    training = preparation.training(statistics_alone(preparation.summary, preparation.parts.train))
    learner, params = training.learner, training.params
    evaluated = require_finite(learner.evaluate(Evaluate(0, params, disagreement=0.0)))
    learner.observe()
    direction = evaluated.gradient_sum / evaluated.n_samples
    with np.errstate(all="ignore"):
        learner.run_local_step(RunLocalStep(0, params, direction, evaluated.n_samples, 0.0, is_complete=True))
