"""summary.json of a simulation: the demo's figures, and those that need all agents' parameters."""

from __future__ import annotations

import math
import sys
from dataclasses import asdict, dataclass

import numpy as np

from p2pnet.experiments.report.baselines import Baselines
from p2pnet.experiments.report.outcome import NetworkOutcome
from p2pnet.experiments.report.summary import Summary, summarize
from p2pnet.experiments.report.text import in_bytes, print_findings
from p2pnet.experiments.simulate.options import SimulateOptions
from p2pnet.experiments.workload import Workload
from p2pnet.optim.arrays import Array
from p2pnet.simulation.network import Trained
from p2pnet.training.problem import Problem


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulationSummary(Summary):
    """Seconds of training are virtual; those in total are real."""

    algorithm: str
    surrogate: str
    exchanges: int | None
    """for each local step; None: few at first, more later"""
    loss: str
    seed: int
    objective_at_mean: float
    """of the mean of all agents' parameters"""
    test_metric_at_mean: float
    stationarity: float
    """‖w̄ − prox_r(w̄ − ∇(F − r)(w̄))‖ with w̄ the mean of all agents' parameters; 0 at a stationary point"""
    stationarity_first: float
    """the same at the first parameters"""
    local_steps: int
    """of the agent that did most"""
    local_iterations: int
    """of the solvers, in all local steps of all agents; each costs about a gradient"""
    gradient_evaluations: float
    """of all agents, each over all of the agent's samples"""
    messages_lost: int
    rounds_lost: int
    """rounds mixed without a share of every neighbor, summed over agents"""
    links_reopened: int
    conservation_error_max: float
    """with faults the largest at any time, mass in flight included; else that at the end"""


def summarize_simulation(
    options: SimulateOptions,
    workload: Workload,
    network: NetworkOutcome,
    baselines: Baselines | None,
    trained: Trained,
) -> SimulationSummary:
    """Summarize a simulation with these options."""
    work = [agent.work for agent in trained.agents]
    last = trained.record[-1] if trained.record else None
    problem = workload.problem
    mean: Array = np.mean([agent.params for agent in network.agents], axis=0)
    cost = problem.local_objective(workload.train)
    common = asdict(summarize(workload, network, baselines)) | {"peak_rss_mb_max": trained.peak_rss_mb}
    if last is not None:  # the ledgers of agents that were cut off in the middle of a round differ by what is in flight
        common["conservation_error"] = last.conservation_error
    return SimulationSummary(
        **common,
        algorithm=options.algorithm,
        surrogate=options.surrogate_used,
        exchanges=options.exchanges_used,
        loss=problem.loss.describe(),
        seed=options.seed,
        objective_at_mean=problem.objective(mean, cost),
        test_metric_at_mean=problem.metric(workload.test)(mean),
        stationarity=stationarity_at(problem, workload, mean),
        stationarity_first=stationarity_at(problem, workload, problem.first_params()),
        local_steps=max(done.n_steps for done in work),
        local_iterations=sum(done.n_iterations for done in work),
        gradient_evaluations=sum(done.n_gradients for done in work),
        messages_lost=last.messages_lost if last else 0,
        rounds_lost=last.rounds_lost if last else 0,
        links_reopened=last.links_reopened if last else 0,
        conservation_error_max=max(
            (moment.conservation_error for moment in trained.record), default=common["conservation_error"]
        ),
    )


def stationarity_at(problem: Problem, workload: Workload, params: Array) -> float:
    """‖w − prox_r(w − ∇(F − r)(w))‖ for the network's objective F."""
    params = params.astype(np.float64, copy=False)
    gradient = problem.local_objective(workload.train).gradient(params.astype(problem.model.dtype, copy=False))
    return float(np.linalg.norm(params - problem.penalty.prox(params - gradient, 1.0)))


def print_simulation_summary(summary: SimulationSummary) -> None:
    """Print the metrics and costs of a simulation."""
    left = summary.stationarity / summary.stationarity_first
    diverged = [] if math.isfinite(summary.objective_worst) else ["It diverged: steps of this size are too long."]
    judged = "" if summary.agents_judged == summary.agents else f" {summary.agents_judged} agents are judged."
    print_findings(
        summary,
        [
            *diverged,
            f"{summary.rounds} rounds ({summary.algorithm}), {summary.local_steps} local steps; "
            f"stopped: {summary.stopped_because}. The network's residual is {left:.1g} of the first.{judged}",
            f"{summary.gradient_evaluations:,.0f} gradients and {summary.local_iterations:,} iterations of solvers, "
            f"{in_bytes(summary.bytes_sent_total)} sent, by all agents together.",
            f"{summary.seconds_total:.1f} s, {summary.seconds_baselines:.1f} s more to compare; "
            f"{summary.peak_rss_mb_max:.0f} MB of memory for all.",
        ],
        sys.stdout,
    )


def faults_as_text(summary: SimulationSummary) -> str:
    """The effects of injected faults, as text."""
    return (
        f"{summary.messages_lost} messages lost, {summary.rounds_lost} rounds mixed without a neighbor's share, "
        f"{summary.links_reopened} links reopened; conservation error at most {summary.conservation_error_max:.0e}."
    )
