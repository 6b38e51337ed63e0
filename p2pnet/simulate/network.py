"""The agents of a simulation: a machine and a learner each, joined by a graph's edges, run until all have ended."""

from __future__ import annotations

import resource
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from p2pnet.agent.state import Result
from p2pnet.consensus.conservation import Books
from p2pnet.consensus.messages import Array
from p2pnet.consensus.mixing import MetropolisMixing, Mixing, OnePeerExponential, ScheduledMetropolis
from p2pnet.consensus.neighborhood import Identity
from p2pnet.consensus.rounds import RoundMachine, RoundSettings
from p2pnet.consensus.standing import Phase
from p2pnet.consensus.timing import Timing
from p2pnet.errors import TrainingError
from p2pnet.learner import Learner
from p2pnet.report.outcome import AgentOutcome
from p2pnet.simulate.faults import Faults, Moment, Ordeal
from p2pnet.simulate.recording import Recorder
from p2pnet.simulation import Conditions, Simulation
from p2pnet.topology import Edge, diameter_bound, neighbors_of, union
from p2pnet.witness import Witness

DEADLINE_S = 1e7
"""Virtual time after which a network that has not ended never will."""


@dataclass(frozen=True, slots=True)
class Graphs:
    """Who is whose neighbor: the graphs that the rounds take in turn, one where it stays the same."""

    name: str
    n_agents: int
    in_turn: Sequence[Sequence[Edge]]

    @property
    def edges(self) -> list[Edge]:
        return union(self.in_turn)

    @property
    def is_changing(self) -> bool:
        return len(self.in_turn) > 1

    @property
    def max_diameter(self) -> int:
        """A bound on the rounds that word takes from any agent to any other."""
        return len(self.in_turn) * diameter_bound(self.edges, self.n_agents)

    def mixings(self, names: Sequence[str]) -> list[Mixing]:
        """Each agent's rule for its weights; one-peer exponential graphs are directed, with weight ½."""
        if not self.is_changing:
            return [MetropolisMixing()] * self.n_agents
        if self.name == "one-peer-exponential":
            members = tuple(names)
            return [OnePeerExponential(name, members) for name in names]
        neighbors_in = [neighbors_of(graph, self.n_agents) for graph in self.in_turn]
        return [
            ScheduledMetropolis([{names[j]: len(around[j]) for j in around[k]} for around in neighbors_in])
            for k in range(self.n_agents)
        ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Protocol:
    """How the agents exchange."""

    rounds: int
    exchanges: int | None
    tolerance: float
    momentum: float | None
    is_gradient_first: bool = False
    n_signs: int = 0
    precision: int = 64
    pace_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Trained:
    """What became of a network."""

    agents: list[tuple[Recorder, AgentOutcome]]
    record: list[Moment]
    """of a network with faults"""


def names_of(n_agents: int) -> list[str]:
    return [f"agent-{k + 1}" for k in range(n_agents)]


def train_network(
    recorders: Sequence[Recorder],
    params: Array,
    graphs: Graphs,
    protocol: Protocol,
    faults: Faults | None,
    renew_learner: Callable[[int], Learner],
    seed: int,
) -> Trained:
    """Run one agent for each learner in its recorder, from the same parameters; TrainingError if they do not end.

    An agent that returns after a crash begins anew, with what `renew_learner` makes for it.
    """
    names = names_of(len(recorders))
    neighbors = neighbors_of(graphs.edges, len(recorders))
    conditions = Conditions() if faults is None else faults.conditions(names)
    witness = None if faults is None else Witness(protocol.n_signs)
    simulation = Simulation(conditions, np.random.default_rng(seed), witness)
    max_diameter = graphs.max_diameter
    mixings = graphs.mixings(names)
    place = {name: k for k, name in enumerate(names)}

    def start(name: str, incarnation: int) -> None:
        k = place[name]
        settings = RoundSettings(
            max_rounds=protocol.rounds,
            exchanges=protocol.exchanges,
            is_gradient_first=protocol.is_gradient_first,
            n_signs=protocol.n_signs,
            momentum=protocol.momentum,
            expected_neighbors=len(neighbors[k]),
            max_diameter=max_diameter,
            tolerance=protocol.tolerance,
            precision=protocol.precision,
            mixing=mixings[k],
            timing=Timing(round_pace_s=protocol.pace_s) if faults is None else faults.timing(k, protocol.pace_s),
        )
        if incarnation > 1:
            recorders[k].learner = renew_learner(k)
        simulation.add(name, RoundMachine(Identity(name, name, incarnation, {}), settings, params), recorders[k])

    for k, name in enumerate(names):
        recorders[k].clock = lambda: simulation.now
        recorders[k].bytes_sent = partial(simulation.bytes_sent.__getitem__, name)
        start(name, 1)
    simulation.connect((names[j], names[k]) for j, k in graphs.edges)
    record: list[Moment] = []
    if faults is None:
        simulation.run(deadline=DEADLINE_S)
    else:
        chance = np.random.default_rng([seed, 1])
        record = Ordeal(faults, simulation, start, names, len(graphs.edges), chance).run(DEADLINE_S)
    outcomes = [
        (recorder, _outcome(simulation.machines[name], simulation.bytes_sent, recorder, protocol.rounds))
        for name, recorder in zip(names, recorders, strict=True)
    ]
    return Trained(outcomes, record)


def _outcome(machine: RoundMachine, bytes_sent: Mapping[str, int], recorder: Recorder, rounds: int) -> AgentOutcome:
    name = machine.neighborhood.identity.name
    if machine.phase is not Phase.CLOSED:
        raise TrainingError(
            f"{name}: still {machine.phase.value} in round {machine.round} when nothing happened any more"
        )
    return outcome(
        name, machine.params, machine.round, machine.round < rounds, machine.books(), recorder, bytes_sent[name]
    )


def outcome(
    name: str, params: Array, n_rounds: int, is_converged: bool, books: Books, recorder: Recorder, bytes_sent: int = 0
) -> AgentOutcome:
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
    return AgentOutcome(result, params, tuple(recorder.history), books)


def peak_rss_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
