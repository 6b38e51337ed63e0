"""Simulations side by side, each with what the network reached round by round, and what one place reaches."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass, replace
from typing import final

import numpy as np

from p2pnet.experiments.report.baselines import train_centrally
from p2pnet.experiments.simulate.options import SimulateOptions
from p2pnet.experiments.simulate.run import Simulated, simulate
from p2pnet.experiments.simulate.summary import SimulationSummary
from p2pnet.experiments.simulate.workload import make_simulated_workload

STEP_SIZES = (0.1, 0.3, 1.0)
"""The grid from which gradient tracking, DGD and D-PSGD get the step size that is best for them."""
TUNING_ROUNDS = 30
CENTRAL_TOLERANCE = 1e-5
CENTRAL_TIME_LIMIT_S = 10.0
POINTS_PER_CURVE = 20


@dataclass(frozen=True, slots=True)
class Point:
    """The network at the beginning of a round, judged by all training samples and the test samples."""

    round: int
    objective_worst: float
    test_metric_worst: float


@dataclass(frozen=True, slots=True)
class Run:
    options: SimulateOptions
    summary: SimulationSummary
    curve: tuple[Point, ...]
    seconds: float
    """of processor time, for all agents"""

    def objective_after(self, round_: int) -> float:
        """The worst agent's, at the last round looked at up to this one."""
        return next(point.objective_worst for point in reversed(self.curve) if point.round <= round_)

    def rounds_to(self, objective: float) -> int | None:
        """The first round looked at from which on the worst agent's objective stays at or below this."""
        late = [point.round for point in self.curve if point.objective_worst > objective]
        return next((point.round for point in self.curve if point.round > max(late, default=-1)), None)


@dataclass(frozen=True, slots=True)
class Central:
    """The same model trained in one place."""

    objective: float
    test_metric: float


def rounds_looked_at(rounds: int) -> frozenset[int]:
    """Some tens of rounds, closer together at the beginning."""
    return frozenset({0, 1, rounds, *np.geomspace(1, rounds, POINTS_PER_CURVE).round().astype(int).tolist()})


def run(options: SimulateOptions) -> Run:
    start = time.process_time()
    simulated = simulate(replace(options, is_compared=False), rounds_looked_at(options.rounds))
    seconds = time.process_time() - start
    return Run(options, simulated.summary, _curve(simulated), seconds)


def _curve(simulated: Simulated) -> tuple[Point, ...]:
    problem, trails = simulated.workload.problem, list(simulated.trails.values())
    cost, metric = problem.local_objective(simulated.workload.train), problem.metric(simulated.workload.test)
    points = [
        Point(
            round_,
            max(problem.objective(trail[round_], cost) for trail in trails),
            min(metric(trail[round_]) for trail in trails),
        )
        for round_ in sorted(set.intersection(*(set(trail) for trail in trails)))
    ]
    end, summary = simulated.network, simulated.summary
    last = max(agent.result.rounds for agent in end.agents)
    return (*points, Point(last, summary.objective_worst, summary.test_metric_worst))


def central(options: SimulateOptions) -> Central:
    workload = make_simulated_workload(options, [])
    problem = workload.problem
    deadline = time.process_time() + CENTRAL_TIME_LIMIT_S
    trained = train_centrally(
        problem,
        workload.train,
        tolerance=CENTRAL_TOLERANCE,
        should_stop=lambda: time.process_time() > deadline,
    )
    return Central(trained.objective, problem.metric(workload.test)(trained.params))


@final
class Laboratory:
    """Runs simulations in a pool of processes, each only once however many sections ask for it."""

    def __init__(self, pool: Executor) -> None:
        self._pool = pool
        self._runs: dict[SimulateOptions, Future[Run]] = {}
        self._centrals: dict[SimulateOptions, Future[Central]] = {}

    def run_all(self, options: Iterable[SimulateOptions]) -> list[Run]:
        futures = [self._run(one) for one in options]
        return [future.result() for future in futures]

    def central_all(self, options: Iterable[SimulateOptions]) -> list[Central]:
        futures = [self._central(one) for one in options]
        return [future.result() for future in futures]

    def run_tuned(self, options: Sequence[SimulateOptions]) -> list[Run]:
        """Each run with the step size of the grid whose objective is least after some rounds."""
        trials = [
            replace(one, rounds=min(TUNING_ROUNDS, one.rounds), step_size=step)
            for one in options
            for step in STEP_SIZES
        ]
        outcomes = iter(self.run_all(trials))
        tuned = []
        for one in options:
            finals = {step: next(outcomes).summary.objective_worst for step in STEP_SIZES}
            finite = {step: objective for step, objective in finals.items() if np.isfinite(objective)}
            tuned.append(replace(one, step_size=min(finite or finals, key=finals.__getitem__)))
        return self.run_all(tuned)

    def _run(self, options: SimulateOptions) -> Future[Run]:
        if options not in self._runs:
            self._runs[options] = self._pool.submit(run, options)
        return self._runs[options]

    def _central(self, options: SimulateOptions) -> Future[Central]:
        # Neither the network nor how the samples are dealt makes a difference to it.
        problem = SimulateOptions(
            data=options.data, hidden=options.hidden, loss=options.loss, penalty=options.penalty, seed=options.seed
        )
        if problem not in self._centrals:
            self._centrals[problem] = self._pool.submit(central, problem)
        return self._centrals[problem]
