"""summary.json of a simulation: the demo's figures, and what only one place that sees all agents can know."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np

from p2pnet.optim.arrays import Array
from p2pnet.problem import Problem
from p2pnet.report.baselines import Baselines
from p2pnet.report.outcome import NetworkOutcome
from p2pnet.report.summary import Summary, summarize
from p2pnet.simulate.options import SimulateOptions
from p2pnet.simulate.recording import Recorder
from p2pnet.workload import Workload


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulationSummary(Summary):
    """Seconds of training are virtual; those in total are real."""

    algorithm: str
    surrogate: str
    exchanges: int
    loss: str
    seed: int
    objective_at_mean: float
    """of the mean of all agents' parameters"""
    test_metric_at_mean: float
    stationarity: float
    """‖w̄ − v‖ with w̄ the mean of all agents' parameters and v = prox_r(w̄ − ∇(F − r)(w̄)); 0 at a stationary point"""
    stationarity_first: float
    """the same at the first parameters"""
    sparsity: float
    """part of the parameters that are 0 in v, where those are exactly 0 that are so at a solution nearby"""
    neurons_removed: int
    """hidden neurons whose fan-in is 0 in v"""
    local_steps: int
    """of the agent that did most"""
    local_iterations: int
    """of the solvers, in all local steps of all agents; each costs about a gradient"""
    gradient_evaluations: float
    """of all agents, each over all of the agent's samples"""


def summarize_simulation(
    options: SimulateOptions,
    workload: Workload,
    network: NetworkOutcome,
    baselines: Baselines | None,
    recorders: Sequence[Recorder],
) -> SimulationSummary:
    """The summary of a simulation with these options."""
    problem = workload.problem
    mean: Array = np.mean([agent.params for agent in network.agents], axis=0)
    cost = problem.local_cost(workload.train)
    v, stationarity = prox_gradient(problem, workload, mean)
    _, stationarity_first = prox_gradient(problem, workload, problem.first_params())
    common = summarize(workload, network, baselines)
    return SimulationSummary(
        **asdict(common),
        algorithm=options.algorithm,
        surrogate=options.surrogate_used,
        exchanges=options.exchanges_used,
        loss=problem.loss.describe(),
        seed=options.seed,
        objective_at_mean=problem.objective(mean, cost),
        test_metric_at_mean=problem.metric(workload.test)(mean),
        stationarity=stationarity,
        stationarity_first=stationarity_first,
        sparsity=float(np.mean(v == 0.0)),
        neurons_removed=_n_removed(problem, v),
        local_steps=max(recorder.n_steps for recorder in recorders),
        local_iterations=sum(recorder.learner.n_iterations for recorder in recorders),
        gradient_evaluations=sum(recorder.n_evaluations * recorder.gradient_fraction for recorder in recorders),
    )


def prox_gradient(problem: Problem, workload: Workload, params: Array) -> tuple[Array, float]:
    """prox_r(w − ∇(F − r)(w)) for the network's objective F, and its distance from w."""
    params = params.astype(np.float64, copy=False)
    gradient = problem.local_cost(workload.train).gradient(params.astype(problem.model.dtype, copy=False))
    v = problem.penalty.prox(params - gradient, 1.0)
    return v, float(np.linalg.norm(params - v))


def _n_removed(problem: Problem, params: Array) -> int:
    hidden = [neuron for neuron in problem.model.neurons() if not neuron.is_output]
    return sum(not np.any(params[neuron.weights]) for neuron in hidden)
