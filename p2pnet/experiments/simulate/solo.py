"""Training of one agent alone in virtual time."""

from __future__ import annotations

import numpy as np

from p2pnet.protocol.core.types import Array
from p2pnet.protocol.links.conservation import AgentLedger
from p2pnet.simulation.network import TrainedAgent, trained_agent
from p2pnet.simulation.recording import Recorder
from p2pnet.training.alone import train_alone


def train_solo(name: str, recorder: Recorder, params: Array, rounds: int, tolerance: float) -> TrainedAgent:
    """Train alone, with a row of history for each round, which takes a second of virtual time."""

    def begin_round(round_: int) -> None:
        recorder.clock = lambda: float(round_)

    n_rounds, params, evaluated = train_alone(recorder, params, rounds, tolerance, begin_round)
    own = np.concatenate([evaluated.gradient_sum, [evaluated.n_samples, 1.0]])
    ledger = AgentLedger(name, own, own, ())
    return trained_agent(name, params, n_rounds, n_rounds < rounds, ledger, recorder)
