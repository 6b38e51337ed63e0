"""One simulation, with what the network reached round by round; and what one place reaches."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from p2pnet.experiments.report.baselines import train_centrally
from p2pnet.experiments.simulate.options import SimulateOptions
from p2pnet.experiments.simulate.run import Simulated, simulate
from p2pnet.experiments.simulate.summary import SimulationSummary
from p2pnet.experiments.simulate.workload import make_simulated_workload

CENTRAL_TOLERANCE = 1e-6
CENTRAL_STEPS = 2000
POINTS_PER_CURVE = 60


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

    @property
    def residual(self) -> float:
        """That of the network's objective at the mean of the agents' parameters, relative to the first."""
        return self.summary.stationarity / self.summary.stationarity_first

    @property
    def is_stopped(self) -> bool:
        """Whether training ended by itself."""
        return self.summary.stopped_because == "converged"

    def exchanges_to(self, objective: float) -> float:
        """The first round looked at from which on the worst agent's objective stays at or below this; else infinity."""
        late = [point.round for point in self.curve if not point.objective_worst <= objective]
        return next((point.round for point in self.curve if point.round > max(late, default=-1)), math.inf)


@dataclass(frozen=True, slots=True)
class Central:
    """The same model trained in one place."""

    objective: float
    test_metric: float


def rounds_looked_at(rounds: int) -> frozenset[int]:
    """Some tens of rounds, closer together at the beginning."""
    return frozenset({0, 1, rounds, *np.geomspace(1, rounds, POINTS_PER_CURVE).round().astype(int).tolist()})


def run(options: SimulateOptions) -> Run:
    simulated = simulate(replace(options, is_compared=False), rounds_looked_at(options.rounds))
    return Run(options, simulated.summary, _curve(simulated))


def _curve(simulated: Simulated) -> tuple[Point, ...]:
    problem, trails = simulated.workload.problem, list(simulated.trails.values())
    cost, metric = problem.local_objective(simulated.workload.train), problem.metric(simulated.workload.test)
    with np.errstate(over="ignore", invalid="ignore"):
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
    trained = train_centrally(problem, workload.train, tolerance=CENTRAL_TOLERANCE, max_steps=CENTRAL_STEPS)
    return Central(trained.objective, problem.metric(workload.test)(trained.params))
