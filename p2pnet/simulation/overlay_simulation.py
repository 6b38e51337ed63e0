"""Simulation of membership alone: nodes that discover each other and keep an overlay, without training."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from random import Random
from typing import final

from p2pnet.protocol.core.codec import LOWEST_VERSION
from p2pnet.protocol.core.effects import Close, Effect, PutOff, Send
from p2pnet.protocol.core.events import (
    AwayRequested,
    LeaveRequested,
    MessageReceived,
    PeerConnected,
    PeerDisconnected,
    PeerParted,
)
from p2pnet.protocol.core.notices import MemberChange, MemberChanged
from p2pnet.protocol.core.types import PeerId
from p2pnet.protocol.membership.machine import MembershipMachine
from p2pnet.protocol.membership.timing import MembershipTiming
from p2pnet.protocol.messages.membership import MembershipMessage, MemberState, Record
from p2pnet.protocol.messages.wire import encode
from p2pnet.protocol.node import Node, NodeEvent
from p2pnet.protocol.peering.overlay_peering import OverlayPeering
from p2pnet.protocol.rounds.machine import RoundMachine
from p2pnet.protocol.rounds.neighbor import Identity
from p2pnet.protocol.rounds.session import SessionEffect, SessionEvent, SessionMachine
from p2pnet.simulation.graphs import components
from p2pnet.simulation.observer import Observer
from p2pnet.simulation.rounds_only import nothing_to_train
from p2pnet.simulation.simulator import Simulator
from p2pnet.simulation.virtual_network import Conditions

MAX_NAME_LENGTH = 12
WINDOW_S = 10.0
"""The window over which rates are averaged."""


@final
class IdleSession(SessionMachine):
    """A session that does not train, and records which peers are neighbors."""

    def __init__(self, identity: Identity) -> None:
        self._identity = identity
        self.links: set[PeerId] = set()
        """The present neighbors."""
        self.news: list[PeerConnected | PeerDisconnected | PeerParted] = []
        """All events about neighbors so far."""
        self.refused: set[PeerId] = set()
        """Peers that this session rejects as neighbors."""

    @property
    def identity(self) -> Identity:
        return self._identity

    @property
    def rounds(self) -> RoundMachine | None:
        return None

    def version_with(self, peer: PeerId) -> int:
        return LOWEST_VERSION

    def start(self, now: float) -> list[SessionEffect]:
        return []

    def handle(self, event: SessionEvent, now: float) -> list[SessionEffect]:
        match event:
            case PeerConnected(peer):
                self.news.append(event)
                self.links.add(peer)
                if peer in self.refused:
                    return [PutOff(peer, peer, "nothing to train together", is_ours=True)]
            case PeerDisconnected(peer) | PeerParted(peer):
                self.news.append(event)
                self.links.discard(peer)
            case LeaveRequested() | AwayRequested():
                return [Close()]
            case _:
                pass  # an idle session takes part in no rounds
        return []

    def next_deadline(self) -> float | None:
        return None


@final
class TrafficMeter(Observer):
    """Counts the bytes that each agent sends, in windows of time."""

    def __init__(self) -> None:
        self.bytes_sent: dict[PeerId, dict[int, int]] = defaultdict(lambda: defaultdict(int))
        """Bytes sent by each agent, in each window of WINDOW_S."""

    def started(self, now: float, peer: PeerId) -> None:
        return

    def happened(self, now: float, peer: PeerId, event: NodeEvent) -> None:
        return

    def wanted(self, now: float, peer: PeerId, effect: Effect) -> None:
        if isinstance(effect, Send):
            n_bytes = sum(len(frame) for frame in encode(effect.message))
            self.bytes_sent[peer][int(now // WINDOW_S)] += n_bytes

    def rates(self, peers: Iterable[PeerId], since: float, until: float) -> Mapping[PeerId, list[float]]:
        """Bytes per second of each agent, in each whole window between."""
        windows = range(round(since / WINDOW_S), round(until / WINDOW_S))
        return {peer: [self.bytes_sent[peer][window] / WINDOW_S for window in windows] for peer in peers}


@final
class Watcher(Observer):
    """Calls a function, if there is one, for all starts, events and effects."""

    def __init__(self) -> None:
        self.watch: Callable[[float, PeerId, NodeEvent | Effect], None] | None = None

    def started(self, now: float, peer: PeerId) -> None:
        return

    def happened(self, now: float, peer: PeerId, event: NodeEvent) -> None:
        if self.watch is not None:
            self.watch(now, peer, event)

    def wanted(self, now: float, peer: PeerId, effect: Effect) -> None:
        if self.watch is not None:
            self.watch(now, peer, effect)


@final
class OverlaySimulation:
    """N simulated agents that run the membership protocol; all randomness comes from the seed."""

    def __init__(self, timing: MembershipTiming, conditions: Conditions, seed: int = 0) -> None:
        self.timing = timing
        self.meter = TrafficMeter()
        self.watcher = Watcher()
        self.simulator = Simulator(conditions, seed, observers=[self.meter, self.watcher])
        self.machines: dict[PeerId, MembershipMachine] = {}
        """The membership machines of the agents alive."""
        self.sessions: dict[PeerId, IdleSession] = {}
        self._rng = Random(seed)  # noqa: S311  (a simulation's)

    # Control.

    def add(
        self,
        peer: PeerId,
        seeds: Collection[PeerId],
        *,
        is_dialable: bool = True,
        incarnation: int = 1,
        max_neighbors: int = 8,
        known: Iterable[PeerId] = (),
    ) -> None:
        """Start an agent that knows the seeds, and has the members `known` in its table."""
        me = record_of(peer, incarnation, is_dialable=is_dialable)
        addresses = {seed: address_of(seed) for seed in seeds}
        rng = Random(self._rng.random())  # noqa: S311
        machine = MembershipMachine(me, addresses, lambda _: True, max_neighbors, self.timing, rng)
        for other in known:
            machine.members.merge(record_of(other), self.now)
        session = IdleSession(Identity(peer, me.name, incarnation, {}, me.address))
        self.machines[peer], self.sessions[peer] = machine, session
        self.simulator.add(peer, Node(session, OverlayPeering(machine, addresses), rng), nothing_to_train)

    def crash(self, peers: Iterable[PeerId]) -> None:
        """End processes without a leave: their connections close, and dialing them is refused."""
        for peer in peers:
            del self.machines[peer], self.sessions[peer]
            self.simulator.crash(peer)

    def leave(self, peer: PeerId) -> None:
        """Have an agent leave the network for good."""
        self.simulator.handle(peer, LeaveRequested())
        self.crash([peer])

    def partition(self, groups: Iterable[Collection[PeerId]]) -> None:
        """Partition the network: messages between groups are lost without notice."""
        self.simulator.network.partition(groups)

    def heal(self) -> None:
        self.simulator.network.heal()

    def tell(self, sender: PeerId, receiver: PeerId, message: MembershipMessage) -> None:
        """Deliver a message in the sender's name after the latency (message injection)."""
        self.simulator.post(self.simulator.conditions.latency_s, receiver, MessageReceived(sender, message))

    def run(self, seconds: float) -> None:
        self.simulator.run(deadline=self.now + seconds)

    # Observation.

    @property
    def now(self) -> float:
        return self.simulator.now

    @property
    def links(self) -> Mapping[PeerId, set[PeerId]]:
        """The neighbors of each agent, as its session was told."""
        return {peer: session.links for peer, session in self.sessions.items()}

    def views(self) -> dict[PeerId, set[PeerId]]:
        """The active view of each agent."""
        return {peer: {neighbor.peer for neighbor in machine.view} for peer, machine in self.machines.items()}

    def n_components(self) -> int:
        """The number of connected components of the graph of mutual neighbors."""
        return len(components(self.views()))

    def asymmetric(self) -> list[tuple[PeerId, PeerId]]:
        """Pairs in which only one agent has the other in its active view."""
        views = self.views()
        return [(peer, other) for peer, view in views.items() for other in view if peer not in views.get(other, ())]

    def n_holding(self, peer: PeerId, states: Collection[MemberState | None]) -> int:
        """The number of other agents that hold the peer in one of the states; None stands for unknown."""
        found = (machine.members.find(peer) for other, machine in self.machines.items() if other != peer)
        return sum((None if member is None else member.state) in states for member in found)

    def changed(self, change: MemberChange) -> list[str]:
        """The names of members of which agents have reported this change, once for each agent."""
        notices = [notice for _, _, notice in self.simulator.notices if isinstance(notice, MemberChanged)]
        return [notice.name for notice in notices if notice.change is change]

    def rates(self, since: float, until: float) -> Mapping[PeerId, list[float]]:
        """Bytes per second of each agent alive, in each whole window between two times."""
        return self.meter.rates(self.machines, since, until)


def record_of(peer: PeerId, incarnation: int = 1, *, is_dialable: bool = True) -> Record:
    """The record that an agent gossips of itself."""
    address = address_of(peer) if is_dialable else ""
    return Record(peer, MemberState.ALIVE, incarnation, address, peer[:MAX_NAME_LENGTH])


def address_of(peer: PeerId) -> str:
    """An address of realistic length."""
    return f"tcp://192.0.2.200:{7000 + sum(peer.encode()) % 1000}"
