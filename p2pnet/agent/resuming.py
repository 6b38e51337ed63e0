"""How a run begins: from the checkpoint of an earlier run, anew, or anew with the parameters of a model."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import final

from p2pnet.agent.assembly import Preparation
from p2pnet.agent.checkpoint_files import CheckpointFiles, DirectoryFiles
from p2pnet.agent.state_directory import StateDirectory
from p2pnet.errors import CheckpointError, ModelError
from p2pnet.protocol.core.types import FeatureStatistics
from p2pnet.training.checkpoint import MAX_HEADER_BYTES, Checkpoint
from p2pnet.training.fingerprint import FOUND_FIELDS
from p2pnet.training.model_file import ModelFile
from p2pnet.training.training import Training


@final
@dataclass(frozen=True, slots=True)
class Beginning:
    """What the command line says of how to begin; by default, from a checkpoint where there is one."""

    is_fresh: bool = False
    """whether a checkpoint is passed over"""
    start_from: Path | None = None
    """the model file whose parameters training begins with; a checkpoint is passed over"""


@final
@dataclass(frozen=True, slots=True)
class Start:
    """What one run begins with."""

    make_training: Callable[[FeatureStatistics | None], Training]
    resumed: Checkpoint | None = None


def checkpoint_files(preparation: Preparation, state: StateDirectory) -> CheckpointFiles:
    """The checkpoints in the agent's state directory."""
    patience = preparation.training_options.patience
    n_candidates = 0 if patience is None else patience.n_slots + 1
    # A message holds two vectors of the largest size, a checkpoint up to three, and the candidates.
    max_bytes = (2 + n_candidates) * preparation.limits.max_message_bytes + MAX_HEADER_BYTES
    return CheckpointFiles(DirectoryFiles(state.path, state.lent_descriptors), max_bytes)


def find_start(preparation: Preparation, beginning: Beginning, files: CheckpointFiles, log: logging.Logger) -> Start:
    """Find what the run begins with; ModelError where the model file to start from cannot be used.

    A checkpoint that is damaged, or of another training, is named in the log and passed over.
    """
    if beginning.start_from is not None:
        return _start_from(preparation, beginning.start_from)
    if beginning.is_fresh:
        return Start(preparation.training)
    trainings: list[Training] = []

    def check(checkpoint: Checkpoint) -> None:
        early = {name: text for name, text in preparation.fingerprint.items() if name not in FOUND_FIELDS}
        checkpoint.check(early)
        training = preparation.training(checkpoint.rounds.statistics)
        checkpoint.check(training.fingerprint)
        if checkpoint.rounds.params.size != training.params.size:
            raise CheckpointError(
                f"is of another model: {checkpoint.rounds.params.size} parameters instead of {training.params.size}"
            )
        trainings.append(training)

    checkpoint, problems = files.load(check)
    for problem in problems:
        log.warning("%s: %s; it is passed over", preparation.state_dir, problem)
    if checkpoint is None:
        return Start(preparation.training)
    # With a smaller tolerance there is more to do.
    is_converged = checkpoint.rounds.is_converged and checkpoint.tolerance <= preparation.rounds.tolerance
    rounds = replace(checkpoint.rounds, is_converged=is_converged)
    if rounds.has_ended(preparation.rounds.max_rounds) and preparation.rounds.keeps_running:
        log.info("has finished training before: idle in round %d", rounds.round)
    elif rounds.has_ended(preparation.rounds.max_rounds):
        log.info(
            "training had ended after %d rounds; neighbors that have not ended are told for %g s; "
            "to train anew, run all agents with --fresh",
            rounds.round,
            preparation.rounds.timing.finish_timeout_s,
        )
    else:
        log.info("goes on from the checkpoint of round %d", rounds.round)
    (training,) = trainings
    training.learner.restore(checkpoint.learner)
    return Start(lambda _: training, replace(checkpoint, rounds=rounds))


def _start_from(preparation: Preparation, path: Path) -> Start:
    model = ModelFile.load(path)

    def make_training(statistics: FeatureStatistics | None) -> Training:
        training = preparation.training(statistics)
        ours, theirs = training.description, model.description
        for what, its, wanted in (
            ("network", theirs.network.text, ours.network.text),
            ("columns", theirs.feature_names, ours.feature_names),
            ("classes", theirs.classes, ours.classes),
        ):
            if its != wanted:
                raise ModelError(f"--start-from {path}: its {what}: {its}; those of this training: {wanted}")
        return replace(training, params=model.params)

    return Start(make_training)
