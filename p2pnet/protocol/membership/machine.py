"""The membership machine: who is there, and who is whose neighbor; one agent's part, without sockets, clock or threads.

    members.py     what is known of every member: alive, suspect, dead, left
    gossip.py      news on its way to everybody
    comparing.py   what gossip missed is found by comparing
    views.py, overlay.py    the neighbors, and how there come to be enough of them
    probing.py, health.py   whether they are still there, and whether it is this agent that is slow

It works by a tick: a few times a second it looks whether anything is due, and sends what news there is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import assert_never, final

from p2pnet.protocol.membership.anti_entropy import AntiEntropy
from p2pnet.protocol.membership.effects import (
    CloseLink,
    DeadlineReached,
    DialFailed,
    DialProblem,
    Effect,
    Event,
    GuestsChanged,
    LeaveRequested,
    Log,
    MessageReceived,
    NeighborRejected,
    OpenLink,
    PeerConnected,
    PeerDisconnected,
    PeerHeard,
    Randomness,
    SeedFound,
    Send,
)
from p2pnet.protocol.membership.gossip import Allowance, GossipQueue
from p2pnet.protocol.membership.local_health import LocalHealthMultiplier
from p2pnet.protocol.membership.members import Change, Members
from p2pnet.protocol.membership.overlay import Overlay
from p2pnet.protocol.membership.probing import Probing
from p2pnet.protocol.membership.timing import MembershipTiming
from p2pnet.protocol.membership.views import ActiveView
from p2pnet.protocol.messages.membership import (
    Digest,
    Disconnect,
    Gossip,
    MemberRecords,
    MemberState,
    Message,
    NeighborReply,
    NeighborRequest,
    PeerId,
    Ping,
    Pong,
    ProbeRequest,
    Record,
    Vouch,
    encode,
)

MAX_GOSSIP_BYTES = 800
MIN_WANTED = 3
TELL_AGAIN_S = 1.0
"""How often one is told that others think it is not alive."""
MAX_LATE_TICKS = 4
"""A tick that comes later than this many is a sign that this agent itself was asleep."""


@final
class MembershipMachine:
    """One agent's side of the membership. Feed it events with the time; perform the effects it returns, in order."""

    def __init__(
        self,
        me: Record,
        seeds: Mapping[PeerId, str],
        is_allowed: Callable[[PeerId], bool],
        max_neighbors: int,
        timing: MembershipTiming,
        rng: Randomness,
    ) -> None:
        """`seeds` are keys and addresses of members to begin with; `is_allowed` says of whom news is taken in.

        Half of `max_neighbors` are sought, but three where so many may be: with fewer the graph can fall into pieces
        that are all content.
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
        self._comparing = AntiEntropy(self.members, self.view, timing, rng)
        self._told_at: dict[PeerId, float] = {}
        """When those who are not held alive have last been told so."""
        self._next_tick: float | None = None
        self._is_closed = False

    def start(self, now: float) -> list[Effect]:
        self._next_tick = now + self._rng.random() * self._timing.tick_s
        self._allowance.refill(now)
        return self._spend(self._overlay.tick(now))

    def next_deadline(self) -> float | None:
        """When `DeadlineReached` is to be handed in; None before the start and after leaving."""
        return None if self._is_closed else self._next_tick

    def handle(self, event: Event, now: float) -> list[Effect]:
        """What is to be done about the event."""
        if self._is_closed:
            return []
        match event:
            case DeadlineReached():
                effects = self._tick(now)
            case MessageReceived(peer, message):
                effects = self._message_received(peer, message, now)
            case PeerConnected(peer):
                effects = self._overlay.connected(peer, now)
            case PeerDisconnected(peer):
                effects = self._overlay.disconnected(peer, now)
            case DialFailed(peer, problem):
                effects = self._dial_failed(peer, problem, now)
            case PeerHeard(peer):
                self._probing.heard(peer, now)
                effects = []
            case SeedFound(peer, address):
                self._overlay.add_seed(peer, address)
                effects = []
            case NeighborRejected(peer):
                effects = self._overlay.reject(peer, now)
            case GuestsChanged(n_guests):
                self.view.n_guests = n_guests
                effects = []
            case LeaveRequested():
                effects = self._leave()
            case _:
                assert_never(event)
        return self._spend(effects)

    def _spend(self, effects: list[Effect]) -> list[Effect]:
        for effect in effects:
            if isinstance(effect, OpenLink | CloseLink):
                self._queue.follow(neighbor.peer for neighbor in self.view)
            elif isinstance(effect, Send):
                self._allowance.spend(len(encode(effect.message)))
        return effects

    # What comes in.

    def _message_received(self, peer: PeerId, message: Message, now: float) -> list[Effect]:
        self._probing.heard(peer, now)
        effects: list[Effect]
        match message:
            case Ping(sequence):
                effects = self._overlay.ping_received(peer, message, now)
                effects.append(Send(peer, Pong(sequence)))
            case Pong():
                self._health.improve()
                effects = self._overlay.answer_received(peer, now)
            case ProbeRequest():
                effects = self._overlay.probe(peer, message, now)
            case Vouch(target):
                self._probing.vouched(target, now)
                effects = []
            case Gossip(records):
                effects = self._learn(records, peer, now)
            case NeighborRequest(me):
                effects = self._learn([me], peer, now) + self._overlay.request_received(peer, message, now)
            case NeighborReply(me, _, records):
                effects = self._learn([me, *records], peer, now) + self._overlay.reply_received(peer, message, now)
            case Disconnect():
                effects = self._overlay.disconnect_received(peer, now)
            case Digest():
                effects = self._comparing.digest_received(peer, message, self._allowance.n_bytes)
            case MemberRecords(records):
                learnt = self._learn(records, peer, now)
                n_news = sum(isinstance(effect, Log) for effect in learnt)
                self._comparing.records_received(message, n_news, now)
                effects = learnt + self._overlay.answer_received(peer, now)
            case _:
                assert_never(message)
        return effects + self._tell_of_itself(peer, now)

    def _dial_failed(self, peer: PeerId, problem: DialProblem, now: float) -> list[Effect]:
        """A member that is no neighbor and cannot be reached is suspected. (Of neighbors, see probing.)"""
        is_evidence = self._overlay.is_contact(peer) and problem is not DialProblem.UNFIT
        effects = self._overlay.dial_failed(peer, problem, now)
        suspicion = self.members.miss(peer, now) if is_evidence else None
        return effects if suspicion is None else effects + self._learn([suspicion], "", now)

    def _learn(self, records: Iterable[Record], source: PeerId, now: float) -> list[Effect]:
        """Take in what is said of members; what is new goes on to others."""
        effects: list[Effect] = []
        for record in records:
            if record.peer == self.members.me.peer:
                effects += self._refute(record, source)
                continue
            change = self.members.merge(record, now)
            if change is None:
                self._queue.heard(record, source)
                continue
            self._queue.put(record, source)
            if change is Change.JOINED:
                self._overlay.forgive(record.peer)
            if change is Change.REFUTED:
                self._probing.vouched(record.peer, now)
            if change not in (Change.RENEWED, Change.CONFIRMED):
                effects.append(Log(self._in_words(change, record)))
        return effects

    def _refute(self, record: Record, source: PeerId) -> list[Effect]:
        """Say that this agent is alive, to everybody and first to the one it was heard from."""
        if not self.members.refute(record):
            return []
        if record.state in (MemberState.SUSPECT, MemberState.DEAD):
            self._health.worsen()
        self._queue.put(self.members.me)
        return [Send(source, Gossip((self.members.me,)))] if source else []

    def _tell_of_itself(self, peer: PeerId, now: float) -> list[Effect]:
        """Whoever speaks is alive; if others think otherwise, it is told, so that it refutes."""
        member = self.members.find(peer)
        if member is None or member.state is MemberState.ALIVE or now < self._told_at.get(peer, 0.0) + TELL_AGAIN_S:
            return []
        self._told_at[peer] = now
        return [Send(peer, Gossip((member.record,)))]

    def _in_words(self, change: Change, record: Record) -> str:
        member = self.members.find(record.peer)
        name = (member.name if member is not None else "") or record.name or record.peer
        by = f" by {self._name(record.accuser)}" if change is Change.SUSPECTED and record.accuser else ""
        return f"{name} {change.value}{by} ({self.members.n_living} living)"

    def _name(self, peer: PeerId) -> str:
        member = self.members.find(peer)
        if peer == self.members.me.peer:
            return self.members.me.name or peer
        return (member.name if member is not None else "") or peer

    # What is due.

    def _tick(self, now: float) -> list[Effect]:
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
        effects += self._comparing.tick(now)
        return effects + self._gossip()

    def _gossip(self) -> list[Effect]:
        effects: list[Effect] = []
        neighbors = self.view.connected
        for peer in neighbors:
            room = min(self._allowance.n_bytes / len(neighbors), MAX_GOSSIP_BYTES)
            records = self._queue.take(peer, room)
            if records:
                effects.append(Send(peer, Gossip(records)))
        return effects

    def _leave(self) -> list[Effect]:
        """Say so to the neighbors, who tell the others."""
        self._is_closed = True
        self.members.me = replace(self.members.me, state=MemberState.LEFT)
        farewell = Record(self.members.me.peer, MemberState.LEFT, self.members.me.incarnation)
        return [Send(peer, Gossip((farewell,))) for peer in self.view.connected]
