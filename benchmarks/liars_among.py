"""Networks of agents in virtual time, some of which lie in their shares: what becomes of the others.

    python -m benchmarks.liars_among --lies "params flipped" zeros --topologies ring full --seeds 1 2 3

Each case is a line of .results/liars_among.jsonl, and is not run again under the same label.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import get_args

import numpy as np

from benchmarks.changing_samples import BECOMINGS, Change
from benchmarks.false_shares import LIES, ROUNDS, Memory, Telling
from benchmarks.results import DIRECTORY, ResultFile, commit, stamped
from p2pnet.agent.options import default_tolerance
from p2pnet.data.samples import Samples
from p2pnet.data.sharding import PartitionName
from p2pnet.experiments.simulate.learners import learner_maker
from p2pnet.experiments.simulate.options import SimulateOptions
from p2pnet.experiments.simulate.workload import make_simulated_workload
from p2pnet.experiments.topologies.by_name import make_graphs
from p2pnet.protocol.core.events import Prepared
from p2pnet.protocol.core.notices import CloseReason, LinkClosed
from p2pnet.protocol.core.types import FeatureStatistics
from p2pnet.protocol.rounds.options import RoundOptions
from p2pnet.protocol.rounds.state import Phase
from p2pnet.protocol.rounds.timing import Timing
from p2pnet.simulation.graphs import components, diameter_bound, neighbors_of
from p2pnet.simulation.network import names_of
from p2pnet.simulation.simulator import honest
from p2pnet.simulation.virtual_network import Conditions
from p2pnet.simulation.whole_nodes import WholeAgent, WholeNodes
from p2pnet.training.learner import Learner

MAX_S = 3_000.0
KEYS = ("label", "topology", "partition", "since", "lie", "seed")
CONVICTIONS = frozenset(
    {
        CloseReason.OUT_OF_RANGE,
        CloseReason.TOO_MUCH_WEIGHT,
        CloseReason.TOO_MANY_SAMPLES,
        CloseReason.TOO_MUCH_GRADIENT,
        CloseReason.TOO_MUCH_CURVATURE,
        CloseReason.FAR_OFF,
        CloseReason.OF_NO_USE,
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One network, and what its liars do."""

    lie: str = "honest"
    since: int = 15
    topology: str = "ring"
    partition: PartitionName = "iid"
    data: str = "digits"
    n_agents: int = 8
    liars: Sequence[int] = (3,)
    seed: int = 1
    rounds: int = ROUNDS
    tolerance: float | None = None
    conditions: Conditions = field(default_factory=lambda: Conditions(latency_s=0.05))
    is_bounded: bool = True
    is_clipped: bool = False
    is_audited: bool = True
    is_asynchronous: bool = False
    late: Sequence[int] = ()
    """agents that come in the middle"""
    cut_s: float = 0.0
    """how long the network is halved, from the middle on"""
    n_crashes: int = 0
    changes: Sequence[Change] = ()
    """of samples, for which agents keep running"""
    keeps_running: bool = False
    sizes: Sequence[int] = ()
    """rows of each agent; without, as many for all"""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What has become of the honest agents."""

    worst: float
    """accuracy, or R², of the worst honest agent of those that hang together without liars, on the test samples"""
    median: float
    round: int
    """that the worst has got to"""
    n_true: int
    """convictions of liars"""
    n_false: int
    """convictions of honest agents by honest ones"""
    first_true: float
    objective: float
    """of the data of all honest agents, at the parameters of the worst"""


def run(case: Case) -> Outcome:
    """Train until all honest agents have ended."""
    options = SimulateOptions(
        agents=case.n_agents,
        topology=case.topology,
        data=case.data,
        partition=case.partition,
        seed=case.seed,
        rounds=case.rounds,
    )
    graph = make_graphs(case.topology, case.n_agents, np.random.default_rng(case.seed))[0]
    workload = make_simulated_workload(options, list(graph))
    shards: list[Samples] = list(workload.shards)
    if case.sizes:
        shards = [shard.take(np.arange(size)) for shard, size in zip(shards, case.sizes, strict=True)]
    make_learner = learner_maker(options, workload)
    params = workload.problem.first_params().astype(np.float64, copy=False)
    names, around = names_of(case.n_agents), neighbors_of(list(graph), case.n_agents)
    nodes = WholeNodes(case.conditions, case.seed)
    liars = {names[k] for k in case.liars} if case.lie != "honest" else set()

    # Crashes are to come while all train.
    timing = Timing(
        start_timeout_s=3.0 if case.late else Timing().start_timeout_s,
        round_timeout_s=0.0 if case.is_asynchronous else Timing().round_timeout_s,
        round_pace_s=0.1 if case.is_asynchronous else 0.1 * bool(case.n_crashes),
    )

    def agent(k: int) -> WholeAgent:
        learner = make_learner(k, shards[k])

        def prepare(_: FeatureStatistics | None) -> tuple[Prepared, Learner]:
            return Prepared({}, params), learner

        memory = Memory(params, case.since, np.random.default_rng([case.seed, 7]))
        return WholeAgent(
            name=names[k],
            prepare=prepare,
            neighbors=[names[j] for j in around[k]],
            max_neighbors=max(case.n_agents, 8),
            outgoing=Telling(LIES[case.lie], memory) if names[k] in liars else honest,
            options=RoundOptions(
                is_bounded=case.is_bounded,
                is_clipped=case.is_clipped,
                is_audited=case.is_audited,
                max_rounds=case.rounds,
                keeps_running=case.keeps_running or bool(case.changes),
                expected_neighbors=1 if case.late else len(around[k]),
                max_diameter=diameter_bound(list(graph), case.n_agents),
                tolerance=default_tolerance() if case.tolerance is None else case.tolerance,
                timing=timing,
            ),
        )

    for k in set(range(case.n_agents)) - set(case.late):
        nodes.start(agent(k))
    _befall(nodes, case, agent)
    good = [name for name in names if name not in liars]

    def are_over() -> bool:
        return all(nodes.phase(name) in (Phase.FINISHED, Phase.CLOSED) for name in good)

    for change in case.changes:

        def is_time(change: Change = change) -> bool:
            return are_over() if change.in_round is None else max(map(nodes.round, nodes.names)) >= change.in_round

        nodes.run_until(is_time, MAX_S)
        shards[change.agent] = BECOMINGS[change.becoming](shards[change.agent], shards[change.other])
        nodes.simulator.change_samples(names[change.agent], make_learner(change.agent, shards[change.agent]))
        nodes.run(1.5 * Timing().idle_s)
    nodes.run_until(are_over, MAX_S, every_s=1.0)
    metric = workload.problem.metric(workload.test)
    # Who hangs by liars alone gets what they give.
    connected = {names[k]: {names[j] for j in around[k]} - liars for k in range(case.n_agents) if names[k] in good}
    scores = {name: metric(nodes.params(name)) for name in max(components(connected), key=len)}
    worst = min(scores, key=scores.__getitem__)
    convictions = [
        (time, peer, notice.name)
        for time, peer, notice in nodes.simulator.notices
        if isinstance(notice, LinkClosed) and notice.reason in CONVICTIONS and peer in good
    ]
    true = [time for time, _, name in convictions if name in liars]
    objectives = [workload.problem.local_objective(shards[k]) for k in range(case.n_agents) if names[k] in good]
    n_rows = sum(objective.n_samples for objective in objectives)
    at = nodes.params(worst)
    return Outcome(
        worst=scores[worst],
        median=float(np.median(list(scores.values()))),
        round=nodes.round(worst),
        n_true=len(true),
        n_false=sum(name not in liars for _, _, name in convictions),
        first_true=true[0] if true else np.inf,
        objective=sum(o.n_samples * o.value(at) for o in objectives) / n_rows,
    )


def _befall(nodes: WholeNodes, case: Case, agent: Callable[[int], WholeAgent]) -> None:
    """Let come what the case has for its agents while they train."""
    names = names_of(case.n_agents)
    if case.late or case.cut_s:
        nodes.run_until(lambda: max(map(nodes.round, nodes.names)) >= case.rounds // 3, MAX_S)
    for k in case.late:
        nodes.start(agent(k))
    if case.cut_s:
        nodes.cut([names[: case.n_agents // 2], names[case.n_agents // 2 :]])
        nodes.run(case.cut_s)
        nodes.heal()
    rng = np.random.default_rng([case.seed, 8])
    for _ in range(case.n_crashes):
        crashed = int(rng.integers(case.n_agents))
        nodes.crash([names[crashed]])
        nodes.run(1.0)
        nodes.start(agent(crashed))
        nodes.run(1.0)


def as_json(case: Case, outcome: Outcome) -> Mapping[str, object]:
    return {
        "lie": case.lie,
        "since": case.since,
        "topology": case.topology,
        "partition": case.partition,
        "seed": case.seed,
        **{name: getattr(outcome, name) for name in outcome.__slots__},
    }


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.liars_among", description=__doc__)
    parser.add_argument("--lies", nargs="*", default=list(LIES), help="'honest' for none")
    parser.add_argument("--since", nargs="*", type=int, default=[15], help="the first round of the lies")
    parser.add_argument("--topologies", nargs="*", default=["ring"])
    parser.add_argument("--partitions", nargs="*", choices=get_args(PartitionName), default=["iid"])
    parser.add_argument("--seeds", nargs="*", type=int, default=[1, 2, 3])
    parser.add_argument("--defenses", nargs="*", choices=["audit", "bounds", "clipping"], default=["audit", "bounds"])
    parser.add_argument("--keep-running", action="store_true", help="as agents do whose samples may change")
    parser.add_argument("--label", default=commit(), help="of the program; cases that are there under it are left out")
    chosen = parser.parse_args(arguments)
    results = ResultFile(DIRECTORY / "liars_among.jsonl")
    done = {tuple(record[name] for name in KEYS) for record in results.records()}
    wanted = product(chosen.topologies, chosen.partitions, chosen.since, chosen.lies, chosen.seeds)
    for topology, partition, since, lie, seed in wanted:
        case = Case(
            lie=lie,
            since=since,
            topology=topology,
            partition=partition,
            seed=seed,
            is_audited="audit" in chosen.defenses,
            is_bounded="bounds" in chosen.defenses,
            is_clipped="clipping" in chosen.defenses,
            keeps_running=chosen.keep_running,
        )
        if (chosen.label, topology, partition, since, lie, seed) in done:
            continue
        with np.errstate(all="ignore"):
            outcome = run(case)
        results.append(stamped({"label": chosen.label, **as_json(case, outcome)}))
        print(
            f"{topology:10} {partition:6} {since:3} {lie:26} {seed:3}  worst {outcome.worst:.3f}  "
            f"round {outcome.round}  "
            f"convictions {outcome.n_true} true from {outcome.first_true:.1f} s, {outcome.n_false} false",
            flush=True,
        )


if __name__ == "__main__":
    main(sys.argv[1:])
