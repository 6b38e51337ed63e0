"""Whole nodes in virtual time: agents that find each other, agree on feature statistics, train, go and come back.

Each agent is what the daemon runs: a session with its statistics stage, and a peering that dials over the virtual
network. Neighbors are chosen by gossip, beginning with seeds, or named. The seed is the only source of chance.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import final

from p2pnet.protocol.core.events import AwayRequested, LeaveRequested
from p2pnet.protocol.core.notices import Notice
from p2pnet.protocol.core.types import Array, FeatureStatistics, PeerId
from p2pnet.protocol.membership.machine import MembershipMachine
from p2pnet.protocol.membership.timing import LAN, MembershipTiming
from p2pnet.protocol.messages.membership import MemberState, Record
from p2pnet.protocol.node import Node
from p2pnet.protocol.peering.overlay_peering import OverlayPeering
from p2pnet.protocol.peering.peering import Peering
from p2pnet.protocol.peering.static_peering import StaticPeering
from p2pnet.protocol.rounds.moments import LocalStatistics
from p2pnet.protocol.rounds.neighbor import Identity
from p2pnet.protocol.rounds.options import RoundOptions
from p2pnet.protocol.rounds.session import Session
from p2pnet.protocol.rounds.snapshot import RoundSnapshot
from p2pnet.protocol.rounds.state import Phase
from p2pnet.protocol.trust.roster import Roster
from p2pnet.protocol.trust.spreading import RecordSpread
from p2pnet.simulation.conservation_oracle import ConservationOracle
from p2pnet.simulation.graphs import components
from p2pnet.simulation.link_secrets import SimulatedSecrets
from p2pnet.simulation.observer import Observer
from p2pnet.simulation.overlay_simulation import address_of
from p2pnet.simulation.simulator import Outgoing, Preparation, Rescaling, Simulator, honest, keep_scales
from p2pnet.simulation.virtual_network import Conditions

CLOCK_AT_START = 1_000_000_000
"""What the clocks of all machines say when virtual time begins, in seconds."""

SETTLING_S = 3.0
"""How long no new agent must have come before the statistics stage ends where neighbors are not named."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WholeAgent:
    """What one agent runs with, in each of its lives."""

    name: PeerId
    prepare: Preparation
    options: RoundOptions
    statistics: LocalStatistics | None = None
    """of its samples; None where there is no statistics stage"""
    fingerprint: Mapping[str, str] = field(default_factory=dict)
    """what is known before the statistics stage"""
    has_masks: bool = True
    """whether links of the statistics stage are masked"""
    seeds: Sequence[PeerId] = ()
    neighbors: Sequence[PeerId] = ()
    """named ones; without any they are chosen by gossip, beginning with the seeds"""
    allowed: Collection[PeerId] | None = None
    """whose keys are allowed besides those of seeds and neighbors; None: all"""
    roster: Roster | None = None
    """the records of its network, which say whom it admits in place of `allowed`; it outlives a restart"""
    max_neighbors: int = 8
    is_dialable: bool = True
    membership: MembershipTiming = LAN
    settling_s: float = SETTLING_S
    """where no neighbors are named"""
    outgoing: Outgoing = honest
    """what is sent in place of each of its messages"""
    rescale: Rescaling = keep_scales

    def admits(self, peer: PeerId) -> bool:
        """Whether the peer's key is on the allow-list."""
        if self.roster is not None:
            return peer in self.roster.allowed
        return self.allowed is None or peer in self.allowed or peer in self.seeds or peer in self.neighbors


def make_whole_node(
    agent: WholeAgent, incarnation: int, rng: Random, resumed: RoundSnapshot | None = None
) -> tuple[Node, Session]:
    """The node of one life of the agent, and its session, which the node drives; `resumed` is where an earlier life
    stood.
    """
    address = address_of(agent.name) if agent.is_dialable else ""
    identity = Identity(agent.name, agent.name, incarnation, agent.fingerprint, address)
    settling_s = 0.0 if agent.neighbors else agent.settling_s
    secrets = SimulatedSecrets(agent.name) if agent.has_masks else None
    session = Session(identity, agent.options, agent.statistics, settling_s, resumed, secrets)
    spread = None if agent.roster is None else RecordSpread(agent.roster, agent.name)
    return Node(session, _make_peering(agent, identity, rng), rng, spread=spread), session


def _make_peering(agent: WholeAgent, identity: Identity, rng: Random) -> Peering:
    if agent.neighbors:
        return StaticPeering({peer: address_of(peer) for peer in agent.neighbors}, agent.max_neighbors)
    me = Record(identity.peer, MemberState.ALIVE, identity.incarnation, identity.address, identity.name)
    seeds = {peer: address_of(peer) for peer in agent.seeds}
    membership = MembershipMachine(me, seeds, agent.admits, agent.max_neighbors, agent.membership, rng)
    return OverlayPeering(membership, seeds)


@final
class WholeNodes:
    """A fleet of whole nodes, what befalls them, and how they stand."""

    def __init__(self, conditions: Conditions, seed: int = 0, observers: Sequence[Observer] = ()) -> None:
        self._seed = seed
        self.simulator = Simulator(conditions, seed, ConservationOracle(), observers=observers)
        self._agents: dict[PeerId, WholeAgent] = {}
        self._sessions: dict[PeerId, Session] = {}
        """Of the processes that run, and of those that have ended by themselves."""
        self._incarnations: dict[PeerId, int] = {}
        """What the state directories say."""
        self._n_lives: dict[PeerId, int] = {}
        self._clocks_ahead_s: dict[PeerId, int] = {}

    # What befalls the agents.

    def start(self, agent: WholeAgent, resumed: RoundSnapshot | None = None) -> None:
        """Start an agent, for the first time or with other settings, in the state directory that there may be;
        `resumed` is the checkpoint in it.
        """
        self._end(agent.name)
        self._agents[agent.name] = agent
        clock = CLOCK_AT_START + int(self.simulator.now) + self._clocks_ahead_s.get(agent.name, 0)
        incarnation = max(self._incarnations.get(agent.name, 0) + 4, clock)
        life = self._n_lives.get(agent.name, 0) + 1
        self._incarnations[agent.name], self._n_lives[agent.name] = incarnation, life
        rng = Random(f"{self._seed} {agent.name} {life}")  # noqa: S311  (a simulation's)
        node, self._sessions[agent.name] = make_whole_node(agent, incarnation, rng, resumed)
        self.simulator.add(agent.name, node, agent.prepare, agent.admits, agent.outgoing, agent.rescale)

    def restart(self, name: PeerId, *, is_state_lost: bool = False) -> None:
        """Start an agent again, as it was set up, with its state directory or with none."""
        if is_state_lost:
            self.lose_state(name)
        self.start(self._agents[name])

    def lose_state(self, name: PeerId) -> None:
        """Remove an agent's state directory: the clock alone makes its next incarnation."""
        self._incarnations.pop(name, None)

    def set_clock(self, name: PeerId, ahead_s: int) -> None:
        """Set the clock of an agent's machine, by which it takes its incarnation when it starts."""
        self._clocks_ahead_s[name] = ahead_s

    def crash(self, names: Iterable[PeerId]) -> None:
        """End processes without a word: their connections close, and dialing them is refused."""
        for name in names:
            self._end(name)

    def leave(self, name: PeerId) -> None:
        """Let an agent take leave of the network for good, and end."""
        self.simulator.handle(name, LeaveRequested())
        self._end(name)

    def go_away(self, name: PeerId) -> None:
        """Let an agent say that it will be back, and end."""
        self.simulator.handle(name, AwayRequested())
        self._end(name)

    def cut(self, groups: Iterable[Collection[PeerId]]) -> None:
        """Cut the network: nothing passes between groups, and no agent is told."""
        self.simulator.network.partition(groups)

    def heal(self) -> None:
        self.simulator.network.heal()

    def run(self, seconds: float) -> None:
        """Let virtual time pass."""
        self.simulator.run(deadline=self.now + seconds)

    def run_until(self, condition: Callable[[], bool], within_s: float, every_s: float = 0.1) -> bool:
        """Go on until the condition holds, which is looked at now and then; whether it holds within the time."""
        deadline = self.now + within_s
        while not (holds := condition()) and self.now < deadline:
            self.run(min(every_s, deadline - self.now))
        return holds

    def _end(self, name: PeerId) -> None:
        if self._sessions.pop(name, None) is not None:
            self.simulator.crash(name)

    # How they stand.

    @property
    def now(self) -> float:
        """Virtual time, in seconds."""
        return self.simulator.now

    @property
    def names(self) -> list[PeerId]:
        """The agents whose processes run."""
        return [name for name in self._sessions if self.phase(name) is not Phase.CLOSED]

    def incarnation(self, name: PeerId) -> int:
        """What the agent's state directory says; 0 where there is none."""
        return self._incarnations.get(name, 0)

    def phase(self, name: PeerId) -> Phase | None:
        """That of the agent's training; None before it is prepared."""
        rounds = self._sessions[name].rounds
        return None if rounds is None else rounds.phase

    def round(self, name: PeerId) -> int:
        """The agent's round of training; -1 before it is prepared."""
        rounds = self._sessions[name].rounds
        return -1 if rounds is None else rounds.round

    def params(self, name: PeerId) -> Array:
        """The parameters of an agent that trains, or has trained."""
        return self.simulator.machines[name].params

    def members(self, name: PeerId) -> Mapping[PeerId, MemberState]:
        """What the agent holds of all other members; nothing where neighbors are named."""
        peering = self.simulator.nodes[name].peering
        return peering.membership.members.states if isinstance(peering, OverlayPeering) else {}

    def statistics(self, name: PeerId) -> FeatureStatistics | None:
        """What the agent's statistics stage has found; None before, and where there is none."""
        return self._sessions[name].found

    def linked(self, name: PeerId) -> set[PeerId]:
        """The peers with which the agent holds a link of its training open."""
        rounds = self._sessions[name].rounds
        return set() if rounds is None else {neighbor.peer for neighbor, _ in rounds.neighborhood.open()}

    def parts(self) -> list[set[PeerId]]:
        """The agents that hang together by links which are open at both ends."""
        return components({name: self.linked(name) for name in self.names})

    def notices(self, name: PeerId) -> list[Notice]:
        """All that the agent has told people so far, in all its lives."""
        return [notice for _, peer, notice in self.simulator.notices if peer == name]

    def conservation_error(self) -> float:
        """That of the oracle, which holds at any moment."""
        return self.simulator.conservation_error()
