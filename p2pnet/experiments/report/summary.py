"""summary.json: the figures of a run."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from p2pnet.agent.atomic_files import write_atomically
from p2pnet.catalogue.losses import Task
from p2pnet.data.sharding import PartitionName
from p2pnet.experiments.report.baselines import Baselines
from p2pnet.experiments.report.outcome import NetworkOutcome
from p2pnet.experiments.workload import Workload
from p2pnet.protocol.links.conservation import conservation_error


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """The figures of one run. Objectives are those of the network: over all training samples, with the penalty."""

    agents: int
    agents_judged: int
    """the number of agents whose models are judged: all, or of many agents some evenly spread"""
    agents_missing: dict[str, str]
    """that did not finish, and are not among `agents`: why, by name; objectives are over their samples too"""
    topology: str
    data: str
    partition: PartitionName
    task: Task
    model: str
    penalty: str
    rounds: int
    seconds_training: float
    """from the first round to the last"""
    seconds_total: float
    """from the command's start until every agent was done"""
    seconds_baselines: float
    """spent afterwards on training centrally and alone"""
    stopped_because: str
    test_metric_name: str
    test_metric_worst: float
    test_metric_mean: float
    test_metric_central: float
    test_metric_alone_mean: float
    objective_worst: float
    objective_mean: float
    objective_central: float
    central_converged: bool
    sparsity: float
    """fraction of parameters that are 0, in the judged model where it is least"""
    neurons_removed: int
    """hidden neurons whose fan-in is 0, in the judged model where they are fewest"""
    disagreement_max: float
    """max_k ‖w_k − w̄‖ / ‖w̄‖, w̄ the mean of the agents' parameters"""
    bytes_sent_total: int
    peak_rss_mb_max: float
    messages_dropped: int
    conservation_error: float
    """see `p2pnet.protocol.links.conservation`"""


def summarize(workload: Workload, network: NetworkOutcome, baselines: Baselines | None) -> Summary:
    """Summarize a run; every model is judged on the same test samples, and on all training samples.

    Without baselines their figures are not a number.
    """
    problem = workload.problem
    cost = problem.local_objective(workload.train)
    metric = problem.metric(workload.test)
    results = [agent.result for agent in network.agents]
    judged = network.followed
    models = [agent.params for agent in judged]
    with threadpool_limits(limits=1, user_api="blas"), ThreadPoolExecutor(os.cpu_count()) as pool:
        test_metrics = list(pool.map(metric, models))
        objectives = list(pool.map(lambda params: problem.objective(params, cost), models))
    alone = [metric(trained.params) for trained in baselines.alone] if baselines else []
    return Summary(
        agents=len(results),
        agents_judged=len(judged),
        agents_missing=dict(network.missing),
        topology=workload.topology,
        data=workload.data,
        partition=workload.partition,
        task=problem.task,
        model=problem.model.describe(),
        penalty=problem.penalty.describe(),
        rounds=max(result.rounds for result in results),
        seconds_training=network.seconds_training,
        seconds_total=network.seconds_total,
        seconds_baselines=baselines.seconds if baselines else 0.0,
        stopped_because=", ".join(sorted({result.stopped_because for result in results})),
        test_metric_name=problem.metric_name,
        test_metric_worst=min(test_metrics),
        test_metric_mean=float(np.mean(test_metrics)),
        test_metric_central=metric(baselines.central.params) if baselines else np.nan,
        test_metric_alone_mean=float(np.mean(alone)) if alone else np.nan,
        objective_worst=max(objectives),
        objective_mean=float(np.mean(objectives)),
        objective_central=baselines.central.objective if baselines else np.nan,
        central_converged=baselines is not None and baselines.central.is_converged,
        sparsity=min(float(np.mean(agent.params == 0.0)) for agent in judged),
        neurons_removed=min(problem.n_neurons_removed(agent.params) for agent in judged),
        disagreement_max=disagreement([agent.params for agent in network.agents]),
        bytes_sent_total=sum(result.bytes_sent for result in results),
        peak_rss_mb_max=max(result.peak_rss_mb for result in results),
        messages_dropped=sum(result.n_messages_dropped for result in results),
        conservation_error=conservation_error([agent.ledger for agent in network.agents]),
    )


def disagreement(params: Sequence[NDArray[np.float64]]) -> float:
    """max_k ‖w_k − w̄‖ / ‖w̄‖ with w̄ = mean_k w_k; 0 where all are 0."""
    mean = np.mean(params, axis=0)
    farthest = max(float(np.linalg.norm(own - mean)) for own in params)
    return farthest / float(np.linalg.norm(mean)) if farthest > 0.0 else 0.0


def summary_json(summary: Summary) -> str:
    """Format a summary as one JSON object; figures that are not finite (divergence) are null."""
    figures = {
        name: None if isinstance(value, float) and not np.isfinite(value) else value
        for name, value in asdict(summary).items()
    }
    return json.dumps(figures, indent=2, ensure_ascii=False, allow_nan=False)


def write_summary(summary: Summary, path: Path) -> None:
    write_atomically(path, summary_json(summary).encode() + b"\n", mode=0o666)
