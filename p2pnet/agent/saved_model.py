"""The model file of a run: its parameters, and where they come from."""

from __future__ import annotations

import math
from datetime import UTC, datetime

import numpy as np

from p2pnet import __version__
from p2pnet.protocol.core.effects import Conclude
from p2pnet.protocol.node import Node
from p2pnet.training.held_out import NetworkMetrics
from p2pnet.training.model_file import ModelFile, Provenance
from p2pnet.training.records import RoundRecord
from p2pnet.training.training import Training


def model_file_of(
    training: Training,
    node: Node,
    latest: RoundRecord | None,
    time_s: float,
    conclusion: Conclude | None = None,
    lacks: tuple[str, ...] = (),
) -> ModelFile:
    """The model with a prepared node's parameters, made feasible; `latest` is the last row of history, and `time_s` the
    seconds since the epoch. Parameters and metrics of a conclusion are those of the whole network.
    `lacks` names the neighbors that were absent when it was trained.
    """
    rounds, snapshot = node.rounds, node.snapshot()
    if rounds is None:
        raise AssertionError("there is no model of a training that has not been prepared")
    params = rounds.params
    network_metrics: NetworkMetrics = {}
    if conclusion is not None and training.held_out is not None:
        params, network_metrics = conclusion.params, training.held_out.metrics(conclusion.sums)
    feasible = training.learner.feasible(params).astype(np.float64, copy=False)
    provenance = Provenance(
        p2pnet_version=__version__,
        agent=node.identity.name,
        rounds=rounds.round,
        objective=math.nan if latest is None else latest.objective_local,
        saved_at=datetime.fromtimestamp(time_s, UTC).isoformat(timespec="seconds"),
        epoch=0 if snapshot is None else snapshot.epoch,
        lacks=lacks,
        fingerprint=training.fingerprint,
    )
    return ModelFile(
        params=feasible,
        description=training.description,
        metrics={} if latest is None else training.metrics(feasible),
        network_metrics=network_metrics,
        provenance=provenance,
    )
