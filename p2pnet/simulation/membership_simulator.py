"""Many membership machines over a virtual network with a virtual clock, seeded.

The network knows connections, as the daemon's does: dialing takes a round trip and is refused at once where nobody
listens; a connection closes at both ends when one of the processes dies, but not when the network is cut. Messages
arrive after a latency, in order or not at all. Each message is measured as it would be encoded.
"""

from __future__ import annotations

import heapq
import itertools
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from random import Random
from typing import assert_never, final

from p2pnet.protocol.membership.effects import (
    CloseLink,
    DeadlineReached,
    Dial,
    DialFailed,
    DialProblem,
    Effect,
    Event,
    HangUp,
    LeaveRequested,
    Log,
    MessageReceived,
    OpenLink,
    PeerConnected,
    PeerDisconnected,
    Send,
)
from p2pnet.protocol.membership.machine import MembershipMachine
from p2pnet.protocol.membership.timing import MembershipTiming
from p2pnet.protocol.messages.membership import MemberState, Message, PeerId, Record, decode, encode

RETRY_S = 2.0
"""How soon a transport dials again after a failure."""
CONNECT_TIMEOUT_S = 5.0
MAX_SHOWN = 12
"""PeerNames are that long."""
WINDOW_S = 10.0
"""Over this time rates are taken."""


@dataclass(frozen=True, slots=True)
class NetworkConditions:
    latency_s: float = 0.02
    loss_rate: float = 0.0
    """Of messages, and of attempts to dial."""
    is_decoding: bool = True
    """Whether messages are encoded and decoded on their way, or only measured."""


@final
class MembershipSimulator:
    """N agents; the only source of chance is the seed."""

    def __init__(self, timing: MembershipTiming, conditions: NetworkConditions, seed: int = 0) -> None:
        self.now = 0.0
        self.timing = timing
        self.conditions = conditions
        self.log: list[tuple[float, PeerId, str]] = []
        self.links: dict[PeerId, set[PeerId]] = defaultdict(set)
        """Whom each agent has been told to exchange shares with."""
        self.machines: dict[PeerId, MembershipMachine] = {}
        self.bytes_sent: dict[PeerId, dict[int, int]] = defaultdict(lambda: defaultdict(int))
        """Of each agent, in each window of WINDOW_S."""
        self.watch: Callable[[float, PeerId, Event | Effect], None] | None = None
        """Told of everything that happens, if set."""
        self._rng = Random(seed)  # noqa: S311  (a simulation's)
        self._queue: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self._open: set[frozenset[PeerId]] = set()
        self._dialed: dict[tuple[PeerId, PeerId], int] = {}
        self._dials = itertools.count()
        self._group_of: dict[PeerId, int] = {}

    # What a script says.

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
        """Start an agent that knows the seeds, and has been told of those `known` already."""
        me = record_of(peer, incarnation, is_dialable=is_dialable)
        machine = MembershipMachine(
            me,
            {seed: address_of(seed) for seed in seeds},
            lambda _: True,
            max_neighbors,
            self.timing,
            Random(self._rng.random()),  # noqa: S311
        )
        for other in known:
            machine.members.merge(record_of(other), self.now)
        self.machines[peer] = machine
        self._at(self.now, lambda: self._start(peer, machine))

    def _start(self, peer: PeerId, machine: MembershipMachine) -> None:
        self._perform(peer, machine.start(self.now))
        self._await_deadline(peer, machine)

    def crash(self, peers: Iterable[PeerId]) -> None:
        """End processes without a word: their connections close, and dialing them is refused."""
        peers = list(peers)
        for peer in peers:
            del self.machines[peer]
            self.links.pop(peer, None)
        for peer in peers:
            self._cut_connections_of(peer)

    def leave(self, peer: PeerId) -> None:
        self.handle(peer, LeaveRequested())
        del self.machines[peer]
        self.links.pop(peer, None)
        self._at(self.now + self.conditions.latency_s, lambda: self._cut_connections_of(peer))

    def partition(self, groups: Iterable[Collection[PeerId]]) -> None:
        """Cut the network: nothing passes between groups, and nobody is told."""
        self._group_of = {peer: number for number, group in enumerate(groups) for peer in group}

    def heal(self) -> None:
        self._group_of = {}

    def handle(self, peer: PeerId, event: Event) -> None:
        """Let something happen to an agent, if it is alive."""
        machine = self.machines.get(peer)
        if machine is None:
            return
        if self.watch is not None:
            self.watch(self.now, peer, event)
        self._perform(peer, machine.handle(event, self.now))

    def tell(self, sender: PeerId, receiver: PeerId, message: Message) -> None:
        """Send a message over the connection between two agents, if there is one."""
        frame = encode(message)
        self.bytes_sent[sender][int(self.now // WINDOW_S)] += len(frame)
        pair = frozenset((sender, receiver))
        if pair not in self._open or self._rng.random() < self.conditions.loss_rate:
            return
        arrived = decode([frame]) if self.conditions.is_decoding else message
        self._at(self.now + self.conditions.latency_s, lambda: self._arrive(pair, sender, receiver, arrived))

    def run(self, seconds: float) -> None:
        until = self.now + seconds
        while self._queue and self._queue[0][0] <= until:
            self.now, _, action = heapq.heappop(self._queue)
            action()
        self.now = until

    # What can be seen.

    def views(self) -> dict[PeerId, set[PeerId]]:
        return {peer: {neighbor.peer for neighbor in machine.view} for peer, machine in self.machines.items()}

    def n_components(self) -> int:
        """Of the graph of neighbors that both hold each other for such."""
        views = self.views()
        unseen = set(views)
        n_components = 0
        while unseen:
            n_components += 1
            frontier = {unseen.pop()}
            while frontier:
                peer = frontier.pop()
                reached = {other for other in views[peer] if other in unseen and peer in views[other]}
                unseen -= reached
                frontier |= reached
        return n_components

    def asymmetric(self) -> list[tuple[PeerId, PeerId]]:
        views = self.views()
        return [(peer, other) for peer, view in views.items() for other in view if peer not in views.get(other, ())]

    def n_holding(self, peer: PeerId, states: Collection[MemberState | None]) -> int:
        """How many of the others hold the peer to be in one of the states; None is for never heard of, or forgotten."""
        found = (machine.members.find(peer) for other, machine in self.machines.items() if other != peer)
        return sum((None if member is None else member.state) in states for member in found)

    def rates(self, since: float, until: float) -> Mapping[PeerId, list[float]]:
        """Bytes per second of each agent, in each whole window between."""
        windows = range(round(since / WINDOW_S), round(until / WINDOW_S))
        return {peer: [self.bytes_sent[peer][window] / WINDOW_S for window in windows] for peer in self.machines}

    # How it works.

    def _at(self, time: float, action: Callable[[], None]) -> None:
        heapq.heappush(self._queue, (time, next(self._order), action))

    def _await_deadline(self, peer: PeerId, machine: MembershipMachine) -> None:
        """The deadline moves only when it is reached, so one alarm at a time is enough."""
        deadline = machine.next_deadline()
        if deadline is not None:
            self._at(deadline, lambda: self._reach_deadline(peer, machine))

    def _reach_deadline(self, peer: PeerId, machine: MembershipMachine) -> None:
        if self.machines.get(peer) is machine:
            self.handle(peer, DeadlineReached())
            self._await_deadline(peer, machine)

    def _perform(self, peer: PeerId, effects: list[Effect]) -> None:
        for effect in effects:
            if self.watch is not None:
                self.watch(self.now, peer, effect)
            match effect:
                case Send(other, message):
                    self.tell(peer, other, message)
                case Dial(other, _):
                    if (peer, other) not in self._dialed:
                        self._dialed[peer, other] = next(self._dials)
                        self._attempt(peer, other, self._dialed[peer, other])
                case HangUp(other):
                    self._dialed.pop((peer, other), None)
                    # What has been sent still leaves.
                    self._at(self.now + 2 * self.conditions.latency_s, partial(self._hang_up, peer, other))
                case OpenLink(other):
                    self.links[peer].add(other)
                case CloseLink(other):
                    self.links[peer].discard(other)
                case Log(text):
                    self.log.append((self.now, peer, text))
                case _:
                    assert_never(effect)

    def _arrive(self, pair: frozenset[PeerId], sender: PeerId, receiver: PeerId, message: Message) -> None:
        if pair in self._open and not self._is_cut(sender, receiver):
            self.handle(receiver, MessageReceived(sender, message))

    def _attempt(self, dialer: PeerId, other: PeerId, dial: int) -> None:
        """One attempt of those that a Dial asked for, unless the peers are connected."""
        if self._dialed.get((dialer, other)) != dial or dialer not in self.machines:
            return
        pair = frozenset((dialer, other))
        latency_s = self.conditions.latency_s
        if pair in self._open:
            return
        if self._is_cut(dialer, other) or self._rng.random() < self.conditions.loss_rate:
            self._at(self.now + CONNECT_TIMEOUT_S, lambda: self._fail(dialer, other, dial, DialProblem.SILENT))
        elif other not in self.machines or not self.machines[other].members.me.address:
            self._at(self.now + 2 * latency_s, lambda: self._fail(dialer, other, dial, DialProblem.REFUSED))
        else:
            self._at(self.now + 3 * latency_s, lambda: self._connect(dialer, other, dial))

    def _connect(self, dialer: PeerId, other: PeerId, dial: int) -> None:
        pair = frozenset((dialer, other))
        is_wanted = self._dialed.get((dialer, other)) == dial and dialer in self.machines
        if pair in self._open or not is_wanted:
            return
        if other not in self.machines:
            self._fail(dialer, other, dial, DialProblem.REFUSED)
            return
        self._open.add(pair)
        self.handle(other, PeerConnected(dialer))
        self.handle(dialer, PeerConnected(other))

    def _fail(self, dialer: PeerId, other: PeerId, dial: int, problem: DialProblem) -> None:
        if self._dialed.get((dialer, other)) != dial or dialer not in self.machines:
            return
        self._at(self.now + RETRY_S, lambda: self._attempt(dialer, other, dial))
        self.handle(dialer, DialFailed(other, problem))

    def _hang_up(self, peer: PeerId, other: PeerId) -> None:
        """Unless the other has been dialed again meanwhile."""
        if (peer, other) not in self._dialed:
            self._close(frozenset((peer, other)))

    def _cut_connections_of(self, peer: PeerId) -> None:
        for key in [key for key in self._dialed if key[0] == peer]:
            del self._dialed[key]
        for pair in sorted((pair for pair in self._open if peer in pair), key=sorted):
            self._close(pair)

    def _close(self, pair: frozenset[PeerId]) -> None:
        if pair not in self._open:
            return
        self._open.discard(pair)
        one, other = sorted(pair)
        for peer, lost in ((one, other), (other, one)):
            self._at(self.now + self.conditions.latency_s, partial(self._lose, peer, lost))

    def _lose(self, peer: PeerId, lost: PeerId) -> None:
        if frozenset((peer, lost)) in self._open:
            return
        self.handle(peer, PeerDisconnected(lost))
        dial = self._dialed.get((peer, lost))
        if dial is not None:
            self._attempt(peer, lost, dial)

    def _is_cut(self, one: PeerId, other: PeerId) -> bool:
        return self._group_of.get(one) != self._group_of.get(other)


def record_of(peer: PeerId, incarnation: int = 1, *, is_dialable: bool = True) -> Record:
    return Record(peer, MemberState.ALIVE, incarnation, address_of(peer) if is_dialable else "", peer[:MAX_SHOWN])


def address_of(peer: PeerId) -> str:
    """As long as addresses are."""
    return f"tcp://192.0.2.200:{7000 + sum(peer.encode()) % 1000}"
