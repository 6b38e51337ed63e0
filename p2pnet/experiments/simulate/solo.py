"""Training of one agent alone, whose direction is its own gradient."""

from __future__ import annotations

import numpy as np

from p2pnet.protocol.core.effects import Evaluate, RunLocalStep
from p2pnet.protocol.core.types import Array
from p2pnet.protocol.links.conservation import AgentLedger
from p2pnet.simulation.network import TrainedAgent, trained_agent
from p2pnet.simulation.recording import Recorder


def train_solo(name: str, recorder: Recorder, params: Array, rounds: int, tolerance: float) -> TrainedAgent:
    """Run local steps until the residual is `tolerance` times the first, or all rounds are done.

    A round takes a second of virtual time.
    """
    round_ = 0
    recorder.clock = lambda: float(round_)
    residual, first_residual = np.inf, 0.0
    while True:
        evaluated = recorder.evaluate(Evaluate(round_, params, 0.0))
        if round_ == rounds or residual <= tolerance * first_residual:
            own = np.concatenate([evaluated.gradient_sum, [evaluated.n_samples, 1.0]])
            return trained_agent(name, params, round_, round_ < rounds, AgentLedger(name, own, own, ()), recorder)
        direction = evaluated.gradient_sum / evaluated.n_samples
        step = RunLocalStep(round_, params, direction, evaluated.n_samples, 0.0, is_complete=True)
        done = recorder.run_local_step(step)
        params, residual = done.params, done.residual
        if round_ == 0:
            first_residual = residual
        round_ += 1
