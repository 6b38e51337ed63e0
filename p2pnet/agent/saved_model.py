"""The model file of a run: its parameters, and where they come from."""

from __future__ import annotations

import math
from datetime import UTC, datetime

import numpy as np

from p2pnet import __version__
from p2pnet.protocol.core.effects import Conclude
from p2pnet.protocol.core.types import Array
from p2pnet.training.held_out import NetworkMetrics
from p2pnet.training.model_file import ModelFile, Provenance
from p2pnet.training.records import RoundRecord
from p2pnet.training.training import Training


def model_file_of(
    training: Training,
    params: Array,
    n_rounds: int,
    agent: str,
    latest: RoundRecord | None,
    time_s: float,
    conclusion: Conclude | None = None,
) -> ModelFile:
    """The model with these parameters, made feasible, after so many rounds; `latest` is the last row of history, and
    `time_s` the seconds since the epoch. Parameters and metrics of a conclusion are those of the whole network.
    """
    network_metrics: NetworkMetrics = {}
    if conclusion is not None and training.held_out is not None:
        params, network_metrics = conclusion.params, training.held_out.metrics(conclusion.sums)
    feasible = training.learner.feasible(params).astype(np.float64, copy=False)
    provenance = Provenance(
        p2pnet_version=__version__,
        agent=agent,
        rounds=n_rounds,
        objective=math.nan if latest is None else latest.objective_local,
        saved_at=datetime.fromtimestamp(time_s, UTC).isoformat(timespec="seconds"),
        fingerprint=training.fingerprint,
    )
    return ModelFile(
        params=feasible,
        description=training.description,
        metrics={} if latest is None else training.metrics(feasible),
        network_metrics=network_metrics,
        provenance=provenance,
    )
