"""What this machine has gained by the network: its own model, trained alone after the end, beside the network's."""

from __future__ import annotations

import logging
import time
from dataclasses import replace

from p2pnet.agent.assembly import Preparation
from p2pnet.agent.run_recorder import metrics_text
from p2pnet.agent.state_directory import StateDirectory
from p2pnet.training.alone import metrics_alone
from p2pnet.training.model_file import ModelFile
from p2pnet.training.training import Training


def tell_gain(
    preparation: Preparation,
    trained: Training,
    model: ModelFile,
    limit_s: float,
    state: StateDirectory,
    log: logging.Logger,
) -> None:
    """Train alone for `limit_s` of processor time at most, log how good that is, and save it with the model."""
    begun = time.process_time()
    fresh = preparation.training(trained.statistics)
    n_rounds, alone = metrics_alone(
        fresh,
        preparation.rounds.max_rounds,
        preparation.rounds.tolerance,
        lambda: time.process_time() - begun >= limit_s,
    )
    if not alone:
        log.info("trained alone there is nothing to compare: this agent has no test samples")
        return
    state.save_model(replace(model, alone_metrics=alone))
    log.info(
        "trained alone in %d rounds, this agent has on the same test samples %s (with the network %s)",
        n_rounds,
        metrics_text(alone),
        metrics_text(model.metrics),
    )
