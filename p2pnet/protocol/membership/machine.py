"""The membership machine: sans-I/O gossip, failure detection and choice of neighbors for one agent.

    members.py                  the table of members: alive, suspect, dead, left
    gossip.py                   news, flooded over the overlay
    anti_entropy.py             repair of what gossip missed
    views.py, overlay.py        the active view of neighbors, and how it is filled
    probing.py, local_health.py failure detection, and this agent's own health

The machine works by a tick: a few times a second it checks what is due, and sends queued news.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import TypeAlias, assert_never, final

from p2pnet.protocol.core.effects import CloseLink, Notify, OpenLink, Send
from p2pnet.protocol.core.events import (
    DeadlineReached,
    DialFailed,
    DialProblem,
    GuestsChanged,
    LeaveRequested,
    MessageReceived,
    NeighborRejected,
    PeerConnected,
    PeerDisconnected,
    PeerFound,
    PeerHeard,
)
from p2pnet.protocol.core.machine import Machine
from p2pnet.protocol.core.notices import MemberChange, MemberChanged, MessageDropped
from p2pnet.protocol.core.types import PeerId, Randomness
from p2pnet.protocol.membership.anti_entropy import AntiEntropy
from p2pnet.protocol.membership.gossip import Allowance, GossipQueue
from p2pnet.protocol.membership.local_health import LocalHealthMultiplier
from p2pnet.protocol.membership.members import Members
from p2pnet.protocol.membership.overlay import Overlay, OverlayEffect
from p2pnet.protocol.membership.probing import Probing
from p2pnet.protocol.membership.timing import MembershipTiming
from p2pnet.protocol.membership.views import ActiveView
from p2pnet.protocol.messages.membership import (
    Digest,
    Disconnect,
    Gossip,
    MemberRecords,
    MembershipMessage,
    MemberState,
    NeighborReply,
    NeighborRequest,
    Ping,
    Pong,
    ProbeRequest,
    Record,
    Vouch,
)
from p2pnet.protocol.messages.wire import encode

MembershipEvent: TypeAlias = (
    PeerConnected
    | PeerDisconnected
    | DialFailed
    | MessageReceived[MembershipMessage]
    | PeerHeard
    | PeerFound
    | NeighborRejected
    | GuestsChanged
    | DeadlineReached
    | LeaveRequested
)
MembershipEffect: TypeAlias = OverlayEffect | Notify

MAX_GOSSIP_BYTES = 800
MIN_WANTED = 3
TELL_AGAIN_S = 1.0
"""How often a peer is told that it is held suspect or dead."""
MAX_LATE_TICKS = 4
"""The delay of a tick, in ticks, from which on this agent itself counts as suspended."""


@final
class MembershipMachine(Machine[MembershipEvent, MembershipEffect]):
    """One agent's membership: table of members, gossip, probing and active view; maps events to effects."""

    def __init__(
        self,
        me: Record,
        seeds: Mapping[PeerId, str],
        is_allowed: Callable[[PeerId], bool],
        max_neighbors: int,
        timing: MembershipTiming,
        rng: Randomness,
    ) -> None:
        """`seeds` maps ids of first members to addresses; records of peers that are not `is_allowed` are ignored.

        The machine seeks half of `max_neighbors`, but at least three where permitted: with fewer the graph can split
        into components that seek no more.
        """
        self._timing = timing
        self._rng = rng
        self.members = Members(me, is_allowed, timing)
        self.view = ActiveView(min(max((max_neighbors + 1) // 2, MIN_WANTED), max_neighbors), max_neighbors)
        self._queue = GossipQueue()
        self._allowance = Allowance(timing.max_bytes_per_s)
        self._health = LocalHealthMultiplier()
        self._overlay = Overlay(self.members, self.view, seeds, self._allowance, timing, rng)
        self._probing = Probing(self.members, self.view, self._overlay, timing)
        self._anti_entropy = AntiEntropy(self.members, self.view, timing, rng)
        self._told_at: dict[PeerId, float] = {}
        """When peers held suspect or dead were last told so."""
        self._next_tick: float | None = None
        self._is_closed = False
        self._n_news = 0
        """The number of changes of the table that anti-entropy counts as news."""

    def start(self, now: float) -> list[MembershipEffect]:
        self._next_tick = now + self._rng.random() * self._timing.tick_s
        self._allowance.refill(now)
        return self._spend([*self._overlay.tick(now)])

    def next_deadline(self) -> float | None:
        """The time at which `DeadlineReached` is due; None before the start and after leaving."""
        return None if self._is_closed else self._next_tick

    def handle(self, event: MembershipEvent, now: float) -> list[MembershipEffect]:
        """Handle one event, and return its effects."""
        if self._is_closed:
            return []
        effects: list[MembershipEffect]
        match event:
            case DeadlineReached():
                effects = self._tick(now)
            case MessageReceived(peer, message):
                effects = self._message_received(peer, message, now)
            case PeerConnected(peer):
                effects = [*self._overlay.connected(peer, now)]
            case PeerDisconnected(peer):
                effects = [*self._overlay.disconnected(peer, now)]
            case DialFailed(peer, _, problem):
                effects = self._dial_failed(peer, problem, now)
            case PeerHeard(peer):
                self._probing.heard(peer, now)
                effects = []
            case PeerFound(peer, addresses):
                self._overlay.add_seed(peer, addresses[0])
                effects = []
            case NeighborRejected(peer, until):
                effects = [*self._overlay.reject(peer, until, now)]
            case GuestsChanged(n_guests):
                self.view.n_guests = n_guests
                effects = []
            case LeaveRequested():
                effects = self._leave()
            case _:
                assert_never(event)
        return self._spend(effects)

    def _spend(self, effects: list[MembershipEffect]) -> list[MembershipEffect]:
        for effect in effects:
            if isinstance(effect, OpenLink | CloseLink):
                self._queue.follow(neighbor.peer for neighbor in self.view)
            elif isinstance(effect, Send):
                self._allowance.spend(len(encode(effect.message)[0]))
        return effects

    # Receiving.

    def _message_received(self, peer: PeerId, message: MembershipMessage, now: float) -> list[MembershipEffect]:
        self._probing.heard(peer, now)
        effects: list[MembershipEffect]
        match message:
            case Ping(sequence):
                effects = [*self._overlay.ping_received(peer, message, now)]
                effects.append(Send(peer, Pong(sequence)))
            case Pong():
                self._health.improve()
                effects = [*self._overlay.answer_received(peer, now)]
            case ProbeRequest():
                effects = [*self._overlay.probe(peer, message, now)]
            case Vouch(target):
                self._probing.vouched(target, now)
                effects = []
            case Gossip(records):
                effects = self._learn(records, peer, now)
            case NeighborRequest(me):
                effects = [*self._learn([me], peer, now), *self._overlay.request_received(peer, message, now)]
            case NeighborReply(me, _, records):
                effects = [*self._learn([me, *records], peer, now), *self._overlay.reply_received(peer, message, now)]
            case Disconnect():
                effects = [*self._overlay.disconnect_received(peer, now)]
            case Digest():
                effects = [*self._anti_entropy.digest_received(peer, message, self._allowance.n_bytes)]
            case MemberRecords(records):
                n_known = self._n_news
                effects = self._learn(records, peer, now)
                self._anti_entropy.records_received(message, self._n_news - n_known, now)
                effects += self._overlay.answer_received(peer, now)
            case _:
                assert_never(message)
        return effects + self._tell_of_itself(peer, now)

    def _dial_failed(self, peer: PeerId, problem: DialProblem, now: float) -> list[MembershipEffect]:
        """Suspect a contact that cannot be reached (neighbors are suspected in `probing.py`)."""
        is_evidence = self._overlay.is_contact(peer) and problem in (DialProblem.REFUSED, DialProblem.TIMED_OUT)
        effects: list[MembershipEffect] = [*self._overlay.dial_failed(peer, problem, now)]
        suspicion = self.members.miss(peer, now) if is_evidence else None
        return effects if suspicion is None else effects + self._learn([suspicion], "", now)

    def _learn(self, records: Iterable[Record], source: PeerId, now: float) -> list[MembershipEffect]:
        """Merge records into the table; queue those with news for the neighbors."""
        effects: list[MembershipEffect] = []
        for record in records:
            if not self.members.is_plausible(record, now):
                reason = f"Record.incarnation: {record.incarnation}, of {record.peer}, is far ahead of the time"
                effects.append(Notify(MessageDropped(source, reason)))
                continue
            if record.peer == self.members.me.peer:
                effects += self._refute(record, source, now)
                continue
            change = self.members.merge(record, now)
            if change is None:
                self._queue.heard(record, source)
                continue
            self._queue.put(record, source)
            if change is MemberChange.JOINED:
                self._overlay.forgive(record.peer)
            if change is MemberChange.REFUTED:
                self._probing.vouched(record.peer, now)
            if change not in (MemberChange.RENEWED, MemberChange.CONFIRMED):
                self._n_news += 1
                effects.append(Notify(self._changed(change, record)))
        return effects

    def _refute(self, record: Record, source: PeerId, now: float) -> list[MembershipEffect]:
        """Refute a record that holds this agent suspect or dead: first to its source, then to all by gossip."""
        if not self.members.refute(record):
            is_old_news = record.state is not MemberState.ALIVE and self.members.is_raised(now)
            return self._tell_again(source, self.members.me, now) if is_old_news and source else []
        if record.state in (MemberState.SUSPECT, MemberState.DEAD):
            self._health.worsen()
        self._queue.put(self.members.me)
        return [Send(source, Gossip((self.members.me,)))] if source else []

    def _tell_of_itself(self, peer: PeerId, now: float) -> list[MembershipEffect]:
        """Send a peer its own record if it is held suspect or dead, so that the peer refutes."""
        member = self.members.find(peer)
        if member is None or member.state is MemberState.ALIVE:
            return []
        return self._tell_again(peer, member.record, now)

    def _tell_again(self, peer: PeerId, record: Record, now: float) -> list[MembershipEffect]:
        if now < self._told_at.get(peer, 0.0) + TELL_AGAIN_S:
            return []
        self._told_at[peer] = now
        return [Send(peer, Gossip((record,)))]

    def _changed(self, change: MemberChange, record: Record) -> MemberChanged:
        member = self.members.find(record.peer)
        name = (member.name if member is not None else "") or record.name or record.peer
        accuser = self._name(record.accuser) if change is MemberChange.SUSPECTED and record.accuser else ""
        return MemberChanged(change, name, accuser, self.members.n_living, record.peer)

    def _name(self, peer: PeerId) -> str:
        member = self.members.find(peer)
        if peer == self.members.me.peer:
            return self.members.me.name or peer
        return (member.name if member is not None else "") or peer

    # Ticks.

    def _tick(self, now: float) -> list[MembershipEffect]:
        if self._next_tick is None or now < self._next_tick:
            return []
        late_s = now - self._next_tick
        if late_s > MAX_LATE_TICKS * self._timing.tick_s:
            self._health.worsen()
            self._probing.grant(late_s)
            self.members.grant(late_s)
        self._next_tick = now + self._timing.tick_s
        self._allowance.refill(now)
        effects = self._learn(self._probing.accusations(self._health, now), "", now)
        effects += self._learn(self.members.condemned(now), "", now)
        effects += self._probing.let_go(self._health, now)
        self.members.forget(now)
        self._told_at = {peer: at for peer, at in self._told_at.items() if now < at + TELL_AGAIN_S}
        effects += self._overlay.tick(now)
        effects += self._probing.ping_the_silent(self._health, self._rng, now)
        effects += self._anti_entropy.tick(now)
        return effects + self._gossip()

    def _gossip(self) -> list[MembershipEffect]:
        effects: list[MembershipEffect] = []
        neighbors = self.view.connected
        for peer in neighbors:
            room = min(self._allowance.n_bytes / len(neighbors), MAX_GOSSIP_BYTES)
            records = self._queue.take(peer, room)
            if records:
                effects.append(Send(peer, Gossip(records)))
        return effects

    def _leave(self) -> list[MembershipEffect]:
        """Announce the leave to the neighbors, which spread it by gossip."""
        self._is_closed = True
        self.members.me = replace(self.members.me, state=MemberState.LEFT)
        farewell = Record(self.members.me.peer, MemberState.LEFT, self.members.me.incarnation)
        return [Send(peer, Gossip((farewell,))) for peer in self.view.connected]
