"""The table of connections: one connection in use per peer, whichever side dialed.

Both sides follow the same rule without negotiation. When each has dialed the other, the connection dialed by the lower
key stays; the dialer of the other connection closes it, but only after a grace in which both are read, so that no
message in flight is lost. An agent that has been dialed does not dial.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import monotonic

from p2pnet.agent.transport.base import Frame, Queried, Received, Refusal, Rejected, TransportEvent
from p2pnet.agent.transport.connection import Connection, ConnectionObserver, RawMessage
from p2pnet.agent.transport.dialer import Dialer
from p2pnet.protocol.core.events import DialFailed, DialProblem, PeerConnected, PeerDisconnected
from p2pnet.protocol.core.types import PeerId

_GRACE_S = 1.0
_REPORT_INTERVAL_S = 1.0


@dataclass(slots=True)
class _Peer:
    dialer: Dialer | None = None
    accepted: Connection | None = None
    is_connected: bool = False
    retire_at: float | None = None  # when the connection that we have dialed gives way to the accepted one


class PeerTable(ConnectionObserver):
    """Chooses the connection in use for each peer, and derives connection events for the daemon."""

    def __init__(self, key: PeerId) -> None:
        self._key = key
        self._peers: dict[PeerId, _Peer] = {}
        self._queriers: dict[PeerId, Connection] = {}
        """connections of queries that wait for a reply"""
        self._leaving: list[tuple[float, Connection]] = []
        self._events: list[TransportEvent] = []
        self._n_unreported: Counter[Refusal] = Counter()
        self._reported_at: dict[Refusal, float] = {}
        self.n_rejected: Counter[Refusal] = Counter()
        self.n_bytes_received: Counter[PeerId] = Counter()

    def route(self, peer: PeerId) -> Connection | None:
        """The connection to send over; None where the peer is not connected."""
        entry = self._peers.get(peer)
        return self._route(peer, entry) if entry else None

    def take_events(self) -> list[TransportEvent]:
        """Remove and return the events since the last call."""
        events, self._events = self._events, []
        return events

    @property
    def has_events(self) -> bool:
        return bool(self._events)

    def dial(self, peer: PeerId, addresses: Sequence[str], make_dialer: Callable[[PeerId], Dialer]) -> None:
        """Keep the peer connected by dialing its addresses."""
        entry = self._peers.get(peer)
        if entry and entry.dialer:
            entry.dialer.redirect(addresses)
        else:
            dialer = make_dialer(peer)
            entry = self._peers.setdefault(peer, _Peer())
            entry.dialer = dialer
        self._settle(peer, entry)

    def hang_up(self, peer: PeerId) -> None:
        """Stop dialing, and close the connections after the grace."""
        entry = self._peers.get(peer)
        if entry is None:
            return
        if entry.dialer:
            entry.dialer.release(round(_GRACE_S * 1000))
        if entry.accepted:
            self._leave(entry.accepted)
        entry.dialer = entry.accepted = None
        self._settle(peer, entry)

    def reply(self, peer: PeerId, frames: Sequence[Frame], n_bytes: int) -> bool:
        """Answer the peer's last query; False where its connection has closed, or it was answered."""
        connection = self._queriers.pop(peer, None)
        return connection is not None and connection.send(frames, n_bytes)

    def advance(self, now: float) -> None:
        """Do what is due: dial, close duplicates, close stalled connections."""
        for entry in list(self._peers.values()):
            if entry.dialer:
                if entry.retire_at is not None and now >= entry.retire_at:
                    entry.retire_at = None
                    entry.dialer.release(round(_GRACE_S * 1000))
                entry.dialer.advance(now)
        while self._leaving and now >= self._leaving[0][0]:
            self._leaving.pop(0)[1].close()

    def next_deadline(self) -> float:
        """The time at which `advance` is due; None for never."""
        deadlines = [deadline for deadline, _ in self._leaving[:1]]
        for entry in self._peers.values():
            if entry.dialer:
                deadlines += [at for at in (entry.dialer.next_deadline, entry.retire_at) if at is not None]
        return min(deadlines, default=float("inf"))

    def check(self) -> None:
        """Close dialed connections over which an endless message arrives; called periodically."""
        for entry in list(self._peers.values()):
            if entry.dialer:
                entry.dialer.check()

    def close(self, linger_ms: int) -> None:
        """Close the dialed connections; queued messages have `linger_ms` to leave."""
        for entry in self._peers.values():
            if entry.dialer:
                entry.dialer.release(linger_ms)
        self._peers.clear()

    def opened(self, connection: Connection) -> None:
        entry = self._peers.setdefault(connection.peer, _Peer())
        if not self._is_dialed(connection, entry):
            if entry.accepted:  # the peer has come again before its old connection was seen to end
                self._leave(entry.accepted)
                entry.accepted = None
                self._announce(connection.peer, entry)
            entry.accepted = connection
        self._settle(connection.peer, entry)

    def queried(self, connection: Connection, message: RawMessage) -> None:
        self.n_bytes_received[connection.peer] += message.n_bytes
        self._leave(connection)
        self._queriers[connection.peer] = connection
        self._events.append(Queried(connection.peer, tuple([frame.buffer for frame in message.frames[1:]])))

    def closed(self, connection: Connection) -> None:
        if self._queriers.get(connection.peer) is connection:
            del self._queriers[connection.peer]
        entry = self._peers.get(connection.peer)
        if entry is None:
            return
        if entry.accepted is connection:
            entry.accepted = None
        self._settle(connection.peer, entry)

    def received(self, peer: PeerId, connection: Connection | None, message: RawMessage) -> None:
        self.n_bytes_received[peer] += message.n_bytes
        if connection and not self._is_ours(connection):
            return
        if message.refusal:
            address = connection.stream.address if connection and connection.stream else None
            self.rejected(message.refusal, peer, address)
        elif not message.is_greeting:
            self._events.append(Received(peer, tuple([frame.buffer for frame in message.frames])))

    def rejected(self, refusal: Refusal, peer: PeerId | None, address: str | None) -> None:
        """Count a refusal, and report one of a kind per second, since strangers can cause any number."""
        self.n_rejected[refusal] += 1
        now = monotonic()
        if now - self._reported_at.get(refusal, float("-inf")) < _REPORT_INTERVAL_S:
            self._n_unreported[refusal] += 1
            return
        self._reported_at[refusal] = now
        self._events.append(Rejected(refusal, peer, address, self._n_unreported.pop(refusal, 0)))

    def dial_failed(self, peer: PeerId, address: str, problem: DialProblem) -> None:
        self._events.append(DialFailed(peer, address, problem))

    def _route(self, peer: PeerId, entry: _Peer) -> Connection | None:
        dialed = entry.dialer.connection if entry.dialer else None
        if dialed and entry.accepted:
            return dialed if self._key < peer else entry.accepted
        return dialed or entry.accepted

    def _is_dialed(self, connection: Connection, entry: _Peer) -> bool:
        return entry.dialer is not None and entry.dialer.connection is connection

    def _is_ours(self, connection: Connection) -> bool:
        entry = self._peers.get(connection.peer)
        return entry is not None and (entry.accepted is connection or self._is_dialed(connection, entry))

    def _leave(self, connection: Connection) -> None:
        self._leaving.append((monotonic() + _GRACE_S, connection))

    def _settle(self, peer: PeerId, entry: _Peer) -> None:
        """Pause or resume the dialer by the connections present, and report changes."""
        if entry.dialer is None or entry.accepted is None:
            entry.retire_at = None
            if entry.dialer:
                entry.dialer.resume()
        else:
            entry.dialer.is_paused = True
            if self._key > peer and entry.dialer.connection and entry.retire_at is None:
                entry.retire_at = monotonic() + _GRACE_S
        self._announce(peer, entry)
        if not (entry.dialer or entry.accepted):
            del self._peers[peer]

    def _announce(self, peer: PeerId, entry: _Peer) -> None:
        is_connected = self._route(peer, entry) is not None
        if is_connected != entry.is_connected:
            entry.is_connected = is_connected
            self._events.append(PeerConnected(peer) if is_connected else PeerDisconnected(peer))
