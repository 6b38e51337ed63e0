"""The run of `p2pnet simulate`."""

from __future__ import annotations

import gc
import sys
import time
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import click
import numpy as np
from threadpoolctl import threadpool_limits

from p2pnet.data.samples import Samples
from p2pnet.data.scaling import is_target_scaled, moments
from p2pnet.experiments.progress_line import follow
from p2pnet.experiments.report.baselines import train_baselines
from p2pnet.experiments.report.files import make_directory, write_report, writing_to
from p2pnet.experiments.report.outcome import NetworkOutcome
from p2pnet.experiments.report.summary import summary_json
from p2pnet.experiments.simulate.learners import learner_maker
from p2pnet.experiments.simulate.options import SimulateOptions
from p2pnet.experiments.simulate.solo import train_solo
from p2pnet.experiments.simulate.summary import (
    SimulationSummary,
    faults_as_text,
    print_simulation_summary,
    summarize_simulation,
)
from p2pnet.experiments.simulate.workload import make_simulated_workload
from p2pnet.experiments.topologies.by_name import is_one_peer, make_graphs
from p2pnet.experiments.workload import Workload
from p2pnet.protocol.core.types import Array
from p2pnet.protocol.links.tracker import N_SIGNS
from p2pnet.protocol.rounds.moments import LocalStatistics
from p2pnet.simulation.faults import NetworkSnapshot, write_record
from p2pnet.simulation.network import Graphs, Plan, Protocol, Trained, names_of, peak_rss_mb, train_network
from p2pnet.simulation.recording import ParameterTrace, Recorder
from p2pnet.training.learner import Learner
from p2pnet.training.problem import Problem
from p2pnet.training.records import RoundRecord

BASELINES_TIME_LIMIT_S = 120.0
MAX_SHARDS_ALONE = 32
"""The most shards on which a model is trained alone as a baseline."""
MAX_FOLLOWED = 100
"""The most agents whose history is kept and whose models are judged."""


@dataclass(frozen=True, slots=True)
class Simulated:
    """The results of a simulation."""

    workload: Workload
    network: NetworkOutcome
    summary: SimulationSummary
    trails: Mapping[str, ParameterTrace]
    """the parameters of each followed agent at the beginning of the traced rounds"""
    record: Sequence[NetworkSnapshot]
    """snapshots of a network with faults"""


def run_simulation(options: SimulateOptions) -> int:
    """Simulate, train baselines and report; return the exit code."""
    if options.report is not None:
        make_directory(options.report)
    on_record, close = follow(sys.stderr.isatty())
    try:
        simulated = simulate(options, on_record=on_record)
    finally:
        close()
    # Said first, so that it is not lost where the report cannot be written.
    if options.is_json:
        click.echo(summary_json(simulated.summary))
    else:
        print_simulation_summary(simulated.summary)
        if simulated.record:
            click.echo(faults_as_text(simulated.summary))
    if options.report is not None:
        write_report(simulated.network, simulated.summary, options.report)
        if simulated.record:
            with writing_to(options.report):
                write_record(simulated.record, options.report / "faults.csv")
    return 0


def simulate(
    options: SimulateOptions,
    rounds_kept: Container[int] = (),
    samples: tuple[Samples, Samples] | None = None,
    on_record: Callable[[RoundRecord], None] | None = None,
    first_params: Array | None = None,
) -> Simulated:
    """Simulate one network with these options, on the (training, test) samples if given, else on those of
    `options.data`, from these parameters or those of the seed; `on_record` receives each row of the first agent's
    history as it is recorded.
    """
    started_at = time.monotonic()
    rng = np.random.default_rng(options.seed)
    graphs = Graphs(options.agents, make_graphs(options.topology, options.agents, rng), is_one_peer(options.topology))
    workload = make_simulated_workload(options, graphs.edges, samples)
    with threadpool_limits(limits=1, user_api="blas"), _without_cycle_collector(), _without_overflow_warnings():
        start = workload.problem.first_params() if first_params is None else first_params
        params: Array = start.astype(workload.problem.model.dtype, copy=False)
        trained = _train(options, workload, graphs, params, rounds_kept, on_record)
    network = NetworkOutcome(tuple(agent.outcome for agent in trained.agents), time.monotonic() - started_at)
    baselines = None
    if options.is_compared:
        n_alone = min(options.agents, MAX_SHARDS_ALONE)
        alone = [workload.shards[k] for k in np.linspace(0, options.agents - 1, n_alone).astype(int)]
        baselines = train_baselines(workload.problem, workload.train, alone, BASELINES_TIME_LIMIT_S)
    with _without_overflow_warnings():
        summary = summarize_simulation(options, workload, network, baselines, trained)
    trails = {agent.outcome.name: agent.trace for agent in trained.agents if agent.outcome.history}
    return Simulated(workload, network, summary, trails, trained.record)


@contextmanager
def _without_cycle_collector() -> Iterator[None]:
    """Disable the cycle collector: a simulation's short-lived objects have no reference cycles, and with many agents
    collecting takes much of the time.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _without_overflow_warnings() -> np.errstate:
    """Silence overflow warnings: methods with too long a step diverge, which the summary reports in one line."""
    return np.errstate(over="ignore", invalid="ignore")


def _train(
    options: SimulateOptions,
    workload: Workload,
    graphs: Graphs,
    params: Array,
    rounds_kept: Container[int],
    on_record: Callable[[RoundRecord], None] | None,
) -> Trained:
    make_learner = learner_maker(options, workload)
    is_central = options.algorithm == "central"
    shards = (workload.train,) if is_central else workload.shards
    # Many agents are not all followed, which would take longer than to train them.
    is_followed = set(np.linspace(0, len(shards) - 1, min(len(shards), MAX_FOLLOWED)).astype(int).tolist())

    def make_recorder(k: int, learner: Learner) -> Recorder:
        return Recorder(
            learner,
            is_followed=k in is_followed,
            rounds_kept=rounds_kept,
            on_record=on_record if k == 0 else None,
        )

    if options.algorithm in ("alone", "central"):
        names = ["central"] if is_central else names_of(options.agents)
        recorders = [make_recorder(k, make_learner(k, shard)) for k, shard in enumerate(shards)]
        agents = [
            train_solo(name, recorder, params, options.rounds, options.tolerance_used)
            for name, recorder in zip(names, recorders, strict=True)
        ]
        return Trained(agents, peak_rss_mb())
    is_next = options.algorithm == "next"
    protocol = Protocol(
        rounds=options.rounds,
        exchanges=options.exchanges_used,
        tolerance=options.tolerance_used,
        # Between neighbors that change there is no flow to go on with; and the plain methods have none.
        momentum=None if is_next and not graphs.is_changing else 0.0,
        is_gradient_first=options.gradient_order == "before-mixing",
        n_signs=N_SIGNS if options.weighting == "paper" else 0,
        precision=options.wire_bits,
        is_coded=options.wire == "coded",
        pace_s=options.pace_s,
    )
    plan = Plan(
        graphs=graphs,
        protocol=protocol,
        faults=options.faults,
        params=params,
        make_learner=lambda k: make_learner(k, shards[k]),
        make_recorder=make_recorder,
        seed=options.seed,
        statistics=(lambda k: _statistics(shards[k], workload.problem)) if options.is_found else None,
    )
    return train_network(plan, options.processes_used)


def _statistics(shard: Samples, problem: Problem) -> LocalStatistics:
    """What one agent contributes to the feature statistics."""
    n_samples = float(shard.n_samples if shard.weights is None else shard.weights.sum())
    return LocalStatistics(n_samples, *moments(shard, is_target_scaled(shard, problem.loss.name)))
