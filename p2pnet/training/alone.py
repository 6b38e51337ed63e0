"""Training of one agent alone, whose direction is its own gradient: what it would have without the network."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from p2pnet.protocol.core.effects import Choose, Evaluate, Measure, RunLocalStep
from p2pnet.protocol.core.events import Evaluated
from p2pnet.protocol.core.types import CHOICE, Array
from p2pnet.training.learner import Learner
from p2pnet.training.training import Training


def train_alone(
    learner: Learner,
    params: Array,
    max_rounds: int,
    tolerance: float,
    begin_round: Callable[[int], None] = lambda _: None,
    is_time_up: Callable[[], bool] = lambda: False,
) -> tuple[int, Array, Evaluated]:
    """Take local steps until the residual is `tolerance` times the first, all rounds are done, or time is up.

    The number of rounds, the parameters, and the evaluation there. `begin_round` is told each round.
    """
    round_ = 0
    residual, first_residual = np.inf, 0.0
    while True:
        begin_round(round_)
        evaluated = learner.evaluate(Evaluate(round_, params, 0.0))
        if round_ == max_rounds or residual <= tolerance * first_residual or is_time_up():
            return round_, params, evaluated
        direction = evaluated.gradient_sum / evaluated.n_samples
        step = RunLocalStep(round_, params, direction, evaluated.n_samples, 0.0, is_complete=True)
        done = learner.run_local_step(step)
        params, residual = done.params, done.residual
        if round_ == 0:
            first_residual = residual
        round_ += 1


def metrics_alone(
    training: Training, max_rounds: int, tolerance: float, is_time_up: Callable[[], bool]
) -> tuple[int, Mapping[str, float]]:
    """(rounds, metrics of the agent's own test samples by name) of a model trained alone, otherwise as the network's.

    `training` is one that has not begun, scaled as the network's.
    """
    learner = training.learner
    n_rounds, params, _ = train_alone(learner, training.params, max_rounds, tolerance, is_time_up=is_time_up)
    if training.stopping is not None:
        own = learner.measure(Measure(CHOICE, n_rounds, params))
        params = learner.choose(Choose(own.sums)).params
    return n_rounds, training.metrics(learner.feasible(params).astype(np.float64, copy=False))
