"""The agents of a simulation: a node and a learner each, run until all have ended.

They are wired by a graph's edges and train at once; or they are whole nodes that find each other from a seed, and agree
on feature statistics before they train.
"""

from __future__ import annotations

import resource
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from random import Random
from typing import final

import numpy as np

from p2pnet.errors import TrainingError
from p2pnet.protocol.core.events import Prepared
from p2pnet.protocol.core.types import Array, FeatureStatistics
from p2pnet.protocol.links.conservation import AgentLedger
from p2pnet.protocol.rounds.fingerprints import SURVEY_FIELD
from p2pnet.protocol.rounds.last_round import bound_for
from p2pnet.protocol.rounds.mixing import MetropolisMixing, Mixing, OnePeerExponential, ScheduledMetropolis
from p2pnet.protocol.rounds.moments import LocalStatistics
from p2pnet.protocol.rounds.neighbor import Identity
from p2pnet.protocol.rounds.options import RoundOptions
from p2pnet.protocol.rounds.snapshot import RoundSnapshot
from p2pnet.protocol.rounds.state import Phase
from p2pnet.protocol.rounds.timing import Timing
from p2pnet.simulation.conservation_oracle import ConservationOracle
from p2pnet.simulation.faults import CALM_ROUNDS, CALM_ROUNDS_FOUND, FaultInjector, Faults, NetworkSnapshot, Saved
from p2pnet.simulation.graphs import Edge, diameter_bound, neighbors_of, union
from p2pnet.simulation.processes import Meet, in_processes, run_with_others
from p2pnet.simulation.recording import ParameterTrace, Recorder, WorkCounters
from p2pnet.simulation.rounds_only import wired_agent
from p2pnet.simulation.simulator import Simulator
from p2pnet.simulation.virtual_network import Conditions
from p2pnet.simulation.whole_nodes import WholeAgent, make_whole_node
from p2pnet.training.learner import Learner
from p2pnet.training.records import AgentOutcome, Result

MAX_DIAMETER_FOUND = 32
"""The bound on the diameter where the graph is not known: an agent's own default."""
DEADLINE_S = 1e7
"""The virtual time after which a run that has not ended is stopped."""


@dataclass(frozen=True, slots=True)
class Graphs:
    """The communication graphs that the rounds use in turn; a single graph where the topology is fixed."""

    n_agents: int
    in_turn: Sequence[Sequence[Edge]]
    is_one_peer: bool = False
    """whether the rounds follow `OnePeerExponential`, whose graphs are directed"""

    @property
    def edges(self) -> list[Edge]:
        return union(self.in_turn)

    @property
    def is_changing(self) -> bool:
        return len(self.in_turn) > 1

    @property
    def max_diameter(self) -> int:
        """The bound that termination needs on the rounds that information takes from any agent to any other."""
        if not self.edges:
            return MAX_DIAMETER_FOUND
        return bound_for(len(self.in_turn) * diameter_bound(self.edges, self.n_agents))

    def mixings(self, names: Sequence[str]) -> list[Mixing]:
        """The mixing rule of each agent."""
        if not self.is_changing:
            return [MetropolisMixing()] * self.n_agents
        if self.is_one_peer:
            members = tuple(names)
            return [OnePeerExponential(name, members) for name in names]
        neighbors_in = [neighbors_of(graph, self.n_agents) for graph in self.in_turn]
        return [
            ScheduledMetropolis([{names[j]: len(around[j]) for j in around[k]} for around in neighbors_in])
            for k in range(self.n_agents)
        ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Protocol:
    """Options of the rounds, equal for all agents."""

    rounds: int
    exchanges: int | None
    tolerance: float
    momentum: float | None
    is_gradient_first: bool = False
    n_signs: int = 0
    precision: int = 64
    is_coded: bool = False
    pace_s: float = 0.0


@dataclass(frozen=True, slots=True)
class TrainedAgent:
    """The outcome of one agent: result, work counters, and traced parameters."""

    outcome: AgentOutcome
    work: WorkCounters
    trace: ParameterTrace
    """its parameters at the beginning of the traced rounds"""


@dataclass(frozen=True, slots=True)
class Trained:
    """The outcome of a simulated network."""

    agents: Sequence[TrainedAgent]
    peak_rss_mb: float
    """of all processes together"""
    record: Sequence[NetworkSnapshot] = ()
    """snapshots of a network with faults"""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is needed to start, and restart, the agents of a network."""

    graphs: Graphs
    protocol: Protocol
    faults: Faults | None
    params: Array
    """initial parameters of all agents"""
    make_learner: Callable[[int], Learner]
    make_recorder: Callable[[int, Learner], Recorder]
    seed: int
    statistics: Callable[[int], LocalStatistics] | None = None
    """of each agent's samples, which the agents agree on once they have found each other; None: they are wired"""

    @property
    def names(self) -> list[str]:
        return names_of(self.graphs.n_agents)

    @property
    def faults_met(self) -> Faults | None:
        """Those that were asked for; none of any kind where agents find each other over a network that is well."""
        return Faults() if self.faults is None and self.statistics is not None else self.faults


def names_of(n_agents: int) -> list[str]:
    return [f"agent-{k + 1}" for k in range(n_agents)]


def train_network(plan: Plan, n_processes: int) -> Trained:
    """Simulate the agents until all have ended, in `n_processes` processes; TrainingError if they do not end.

    The number of processes changes nothing but the time. With faults, and where the agents find each other, it must be
    1: chance is one for all.
    """
    n_agents, names = plan.graphs.n_agents, plan.names
    if plan.faults_met is not None:
        part = _Part(plan, range(n_agents))
        chance = np.random.default_rng([plan.seed, 1])
        edges = [(names[j], names[k]) for j, k in plan.graphs.edges]
        calm_rounds = CALM_ROUNDS if plan.statistics is None else CALM_ROUNDS_FOUND
        injector = FaultInjector(plan.faults_met, part.simulation, part.start, names, edges, chance, calm_rounds)
        record = injector.run(DEADLINE_S, plan.faults_met.patience_s(plan.protocol.pace_s))
        return Trained(part.trained(), peak_rss_mb(), record)
    bounds = np.linspace(0, n_agents, n_processes + 1).astype(int).tolist()
    place = {name: k for k, name in enumerate(names)}

    def part_of(name: str) -> int:
        return bisect_right(bounds, place[name]) - 1

    def train_part(k: int, meet: Meet) -> tuple[list[TrainedAgent], float]:
        part = _Part(plan, range(bounds[k], bounds[k + 1]))
        run_with_others(part.simulation, meet, part_of, n_processes, DEADLINE_S)
        return part.trained(), peak_rss_mb()

    parts = in_processes(n_processes, train_part)
    return Trained([agent for agents, _ in parts for agent in agents], sum(memory_mb for _, memory_mb in parts))


@final
class _Part:
    """The agents of a network that one process simulates."""

    def __init__(self, plan: Plan, places: range) -> None:
        self._plan = plan
        self._names = names = plan.names
        self._place = {name: k for k, name in enumerate(names)}
        self._neighbors = neighbors_of(plan.graphs.edges, len(names))
        self._max_diameter = plan.graphs.max_diameter
        self._mixings = plan.graphs.mixings(names)
        self._recorders: dict[str, Recorder] = {}
        faults = plan.faults_met
        conditions = Conditions() if faults is None else faults.conditions(names)
        oracle = None if faults is None else ConservationOracle(plan.protocol.n_signs)
        elsewhere = frozenset(names).difference(names[k] for k in places)
        self.simulation = Simulator(conditions, plan.seed, oracle, elsewhere)
        for k in places:
            recorder = plan.make_recorder(k, plan.make_learner(k))
            recorder.clock = lambda: self.simulation.now
            recorder.bytes_sent = partial(self.simulation.bytes_sent.__getitem__, names[k])
            self._recorders[names[k]] = recorder
            self.start(names[k], 1)
        edges = [(j, k) for j, k in plan.graphs.edges if j in places or k in places]
        self.simulation.connect((names[j], names[k]) for j, k in edges)

    def start(self, name: str, life: int, saved: Saved | None = None) -> None:
        """Start an agent; after a crash, with nothing of its earlier state but what it has saved."""
        k, protocol, faults = self._place[name], self._plan.protocol, self._plan.faults_met
        options = RoundOptions(
            max_rounds=protocol.rounds,
            exchanges=protocol.exchanges,
            is_gradient_first=protocol.is_gradient_first,
            n_signs=protocol.n_signs,
            momentum=protocol.momentum,
            expected_neighbors=len(self._neighbors[k]) or 1,
            max_diameter=self._max_diameter,
            tolerance=protocol.tolerance,
            precision=protocol.precision,
            is_coded=protocol.is_coded,
            mixing=self._mixings[k],
            timing=Timing(round_pace_s=protocol.pace_s) if faults is None else faults.timing(k, protocol.pace_s),
        )
        recorder = self._recorders[name]
        if life > 1:
            recorder.begin_again(self._plan.make_learner(k))
        if saved is not None:
            recorder.restore(saved.learner)
        resumed = None if saved is None else saved.rounds
        if self._plan.statistics is None:
            identity = Identity(name, name, life, {})
            self.simulation.add(name, *wired_agent(identity, options, self._plan.params, recorder, resumed))
        else:
            self._start_whole_node(name, life, options, self._plan.statistics(k), recorder, resumed)

    def _start_whole_node(
        self,
        name: str,
        life: int,
        options: RoundOptions,
        statistics: LocalStatistics,
        recorder: Recorder,
        resumed: RoundSnapshot | None,
    ) -> None:
        """Start an agent that knows seeds only. The samples are scaled already: what is found decides who trains with
        whom, and changes nothing of the samples.
        """

        def prepare(found: FeatureStatistics | None) -> tuple[Prepared, Learner]:
            fingerprint = {} if found is None else {SURVEY_FIELD: found.survey}
            n_tracked, has_curvature = recorder.n_tracked, recorder.has_curvature
            prepared = Prepared(fingerprint, self._plan.params, n_tracked=n_tracked, has_curvature=has_curvature)
            return prepared, recorder

        # One in each half, so that an agent finds others as well where the network is cut.
        seeds = [self._names[place] for place in (0, len(self._names) // 2) if place != self._place[name]]
        agent = WholeAgent(name=name, prepare=prepare, options=options, statistics=statistics, seeds=seeds)
        rng = Random(f"{self._plan.seed} {name} {life}")  # noqa: S311  (a simulation's)
        # Each life takes four incarnations: for the statistics stage, for training, and two for what follows.
        node, _ = make_whole_node(agent, 4 * life, rng, resumed)
        self.simulation.add(name, node, prepare)

    def trained(self) -> list[TrainedAgent]:
        """The outcomes of the agents; TrainingError if an agent has not ended."""
        return [self._trained(name, recorder) for name, recorder in self._recorders.items()]

    def _trained(self, name: str, recorder: Recorder) -> TrainedAgent:
        machine = self.simulation.machines.get(name)
        if machine is None or machine.phase is not Phase.CLOSED:
            state = "without a model" if machine is None else f"still {machine.phase.value} in round {machine.round}"
            faults = self._plan.faults
            if faults is None:
                raise TrainingError(f"{name}: {state} when nothing happened any more")
            raise TrainingError(
                f"{name}: {state} when the others had ended, or no round had begun for long: the faults keep the "
                f"agents apart ({faults}); ask for less"
            )
        is_converged = machine.round < self._plan.protocol.rounds
        n_bytes = self.simulation.bytes_sent[name]
        return trained_agent(name, machine.params, machine.round, is_converged, machine.ledger(), recorder, n_bytes)


def trained_agent(
    name: str,
    params: Array,
    n_rounds: int,
    is_converged: bool,
    ledger: AgentLedger,
    recorder: Recorder,
    bytes_sent: int = 0,
) -> TrainedAgent:
    result = Result(
        agent=name,
        public_key="",
        rounds=n_rounds,
        stopped_because="converged" if is_converged else "all rounds done",
        bytes_sent=bytes_sent,
        bytes_received=0,
        peak_rss_mb=peak_rss_mb(),
        n_messages_dropped=0,
        n_rejected={},
    )
    params = recorder.learner.feasible(params).astype(np.float64, copy=False)
    return TrainedAgent(AgentOutcome(result, params, tuple(recorder.history), ledger), recorder.work(), recorder.trace)


def peak_rss_mb() -> float:
    """The peak resident set size of this process, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
