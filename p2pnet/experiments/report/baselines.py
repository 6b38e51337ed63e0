"""Baselines without a network: one model trained on all samples, and one on each shard alone."""

from __future__ import annotations

import math
import os
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import final

import numpy as np
from threadpoolctl import threadpool_limits

from p2pnet.data.samples import Samples
from p2pnet.optim.arrays import Array
from p2pnet.optim.local_optimizer import LocalOptimizer
from p2pnet.optim.proximal_weight import ProximalWeightRule
from p2pnet.optim.surrogates.partial import PartialLinearization
from p2pnet.training.problem import Problem

MAX_STEPS = 400
STEPS_COMPARED = 10
TOLERANCE = 1e-3
"""The relative decrease of the objective over several steps below which training has converged."""
TOLERANCE_ALONE = 1e-2
"""The same where only the test metric is reported, which converges far earlier."""


@dataclass(frozen=True, slots=True)
class TrainedBaseline:
    """A model trained without a network."""

    params: Array = field(repr=False)
    objective: float
    n_steps: int
    is_converged: bool


@dataclass(frozen=True, slots=True)
class Baselines:
    """The baselines that a network is compared with."""

    central: TrainedBaseline
    """trained on the samples of all agents"""
    alone: tuple[TrainedBaseline, ...]
    """for each agent, trained on its own shard"""
    seconds: float


def train_baselines(
    problem: Problem, train: Samples, shards: Sequence[Samples], time_limit_s: float = math.inf
) -> Baselines:
    """Train all baselines in parallel on the machine's cores; training is stopped after `time_limit_s`."""
    start = time.monotonic()
    is_given_up = threading.Event()

    def should_stop() -> bool:
        return is_given_up.is_set() or time.monotonic() - start > time_limit_s

    def train_on(samples: Samples, tolerance: float) -> TrainedBaseline:
        return train_centrally(problem, samples, tolerance=tolerance, should_stop=should_stop)

    with threadpool_limits(limits=1, user_api="blas"), ThreadPoolExecutor(os.cpu_count()) as pool:
        try:
            tolerances = [TOLERANCE] + [TOLERANCE_ALONE] * len(shards)
            central, *alone = pool.map(train_on, [train, *shards], tolerances)
        finally:
            is_given_up.set()  # so that an interrupt does not wait for the pool
    return Baselines(central, tuple(alone), time.monotonic() - start)


def train_centrally(
    problem: Problem,
    samples: Samples,
    *,
    max_steps: int = MAX_STEPS,
    tolerance: float = TOLERANCE,
    should_stop: Callable[[], bool] = lambda: False,
) -> TrainedBaseline:
    """Minimise mean loss over the samples + penalty approximately, from the problem's initial parameters.

    Generalised Levenberg-Marquardt with momentum, for every loss and penalty: v is the best response to the gradient
    at y, then y⁺ = v + (t − 1)/t⁺ (v − v_previous), t⁺ = (1 + √(1 + 4t²))/2, and t = 1 again where the momentum points
    uphill (Beck and Teboulle 2009; O'Donoghue and Candès 2015). The step itself is that of an agent without neighbors.
    """
    cost = problem.local_objective(samples)
    optimizer = LocalOptimizer(
        cost,
        problem.penalty,
        PartialLinearization(),
        _MetCurvature(),
        np.random.default_rng(problem.seed),
        solver_tolerance=0.1,
        max_solver_iterations=50,
    )
    v = y = problem.first_params()
    momentum = 1.0
    values = [problem.objective(v, cost)]
    best, best_value = v, values[0]
    is_converged = False
    while not is_converged and len(values) <= max_steps and not should_stop():
        gradient = optimizer.evaluate(y).gradient_at_origin
        previous = v
        v = optimizer.step(y, gradient, neighbor_weight=0.0, is_direction_exact=True).best_response
        if float((y - v) @ (v - previous)) > 0.0:
            momentum, y = 1.0, v
        else:
            longer = 0.5 * (1.0 + math.sqrt(1.0 + 4.0 * momentum**2))
            momentum, y = longer, v + (momentum - 1.0) / longer * (v - previous)
        values.append(problem.objective(v, cost))
        if values[-1] < best_value:
            best, best_value = v, values[-1]
        recent = values[-STEPS_COMPARED - 1 :]
        is_converged = len(recent) > STEPS_COMPARED and recent[0] - min(recent) <= tolerance * abs(recent[0])
    return TrainedBaseline(best, best_value, len(values) - 1, is_converged)


@final
class _MetCurvature(ProximalWeightRule):
    """τ is the last step's unmodelled curvature δ, and decreases by 0.3 at most from step to step.

    Bolder than an agent's rule: with all samples at hand a bad step is found out, and taken back, at once.
    """

    def __init__(self) -> None:
        self.weight = 0.1

    def observe(self, unmodelled_curvature: float, *, is_blind: bool) -> None:
        self.weight = max(0.3 * self.weight, unmodelled_curvature)

    def covers(self, unmodelled_curvature: float) -> bool:
        return unmodelled_curvature <= self.weight

    def follow(self, neighbor_weight: float) -> None: ...

    def reject(self) -> None:
        self.weight *= 2.0
