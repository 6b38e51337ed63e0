"""The listening side: one ROUTER socket for all dialing peers, its authenticator, and the accepted connections.

A connection has three identifiers. The descriptor: the monitor tells when it is accepted and when it closes. The
routing id: the ROUTER makes it up, and an answer needs it. The public key: verified in the handshake. Each message
bears all three, so the dialer's greeting ties them together.
"""

import errno
import math
import socket
from collections import deque
from collections.abc import Callable, Sequence
from random import SystemRandom
from time import monotonic

import zmq
from zmq.utils import z85

from p2pnet.agent.transport.base import Frame, Refusal, TransportLimits
from p2pnet.agent.transport.connection import (
    LAST_WORDS_S,
    Connection,
    ConnectionObserver,
    Context,
    MessageReader,
    Monitor,
    RawMessage,
    Socket,
    SocketSet,
    TcpStream,
    configure,
    send_message,
)
from p2pnet.agent.transport.hosts import resolve
from p2pnet.agent.transport.keys import KeyPair
from p2pnet.agent.transport.strangers import OF_A_HOST, OF_A_KEY, HandshakeBudget, Strangers
from p2pnet.errors import TransportError
from p2pnet.protocol.core.address import Address
from p2pnet.protocol.core.types import PeerId

_ZAP_DOMAIN = b"p2pnet"
_ZAP_ADDRESS = "inproc://zeromq.zap.01"  # fixed by ZeroMQ RFC 27
_N_ZAP_REQUESTS = 16  # per turn, so that strangers cannot keep the loop to themselves
_N_MONITOR_EVENTS = 256
_N_FRAMES = 256
_MAX_QUERY_BYTES = 4096
_N_ROUTING_ID_BYTES = 5  # of an id that the ROUTER made: a zero and four bytes
_BIND_REASONS = {
    errno.EADDRINUSE: "port {port} is in use: stop the program that holds it, or choose another port",
    errno.EADDRNOTAVAIL: "this machine does not have the address {host}: use one of its own, or 0.0.0.0 for all",
    errno.ENODEV: "this machine does not have the address {host}: use one of its own, or 0.0.0.0 for all",
    errno.EACCES: "port {port} is for the system's own services: choose one from 1024 on",
}


class AcceptedConnection(Connection):
    """An accepted connection; its peer is unknown until the greeting has come."""

    def __init__(self, router: Socket, stream: TcpStream | None) -> None:
        super().__init__("", stream)
        self._router = router
        self.routing_id = b""
        self.accepted_at = monotonic()
        self.failure: Refusal | None = None
        self.is_closed_here = False

    @property
    def is_stranger(self) -> bool:
        return not self.peer

    @property
    def host(self) -> str:
        return "" if self.stream is None else self.stream.host

    def send(self, frames: Sequence[Frame], n_bytes: int) -> bool:
        if self.ended_at is not None:
            return False
        try:
            return send_message(self._router, [self.routing_id, *frames], n_bytes, self.outgoing)
        except zmq.ZMQError as error:
            if error.errno != errno.EHOSTUNREACH:
                raise
            return False

    def close(self) -> None:
        self.is_closed_here = True
        if self.stream:
            self.stream.break_off()

    def turn_away(self) -> None:
        """Close the connection of a stranger that has not said who it is."""
        self.failure = self.failure or Refusal.NO_HANDSHAKE
        self.close()


class Authenticator:
    """Answers ZeroMQ's authentication requests: whether a key may connect (ZAP, RFC 27)."""

    def __init__(self, context: Context, is_allowed: Callable[[PeerId], bool], observer: ConnectionObserver) -> None:
        self._is_allowed = is_allowed
        self._observer = observer
        self._of_keys = HandshakeBudget(OF_A_KEY)
        self._of_hosts = HandshakeBudget(OF_A_HOST)
        self.socket = context.socket(zmq.REP)
        self.socket.linger = 0
        self.socket.bind(_ZAP_ADDRESS)

    def answer(self) -> None:
        """Answer all pending requests."""
        for _ in range(_N_ZAP_REQUESTS):
            try:
                request = self.socket.recv_multipart(zmq.DONTWAIT)
            except zmq.Again:
                return
            self.socket.send_multipart(self._reply(request))

    def _reply(self, request: list[bytes]) -> list[bytes]:
        version, request_id, domain, address, _routing_id, mechanism, *credentials = request
        peer = None
        if domain == _ZAP_DOMAIN and mechanism == b"CURVE" and len(credentials) == 1:
            key = z85.encode(credentials[0])
            peer = key.decode("ascii")
            if self._is_allowed(peer):
                now = monotonic()
                if self._of_hosts.admits(address.decode("ascii", "replace"), now) and self._of_keys.admits(peer, now):
                    return [version, request_id, b"200", b"OK", key, b""]
                self._observer.rejected(Refusal.TOO_MANY_HANDSHAKES, peer, address.decode("ascii", "replace"))
                return [version, request_id, b"500", b"too many handshakes", b"", b""]
        self._observer.rejected(Refusal.KEY_NOT_ALLOWED, peer, address.decode("ascii", "replace"))
        return [version, request_id, b"400", b"key not allowed", b"", b""]


class Listener:
    """A ROUTER socket bound to addresses, and the connections that it has accepted."""

    def __init__(
        self,
        context: Context,
        sockets: SocketSet,
        keys: KeyPair,
        limits: TransportLimits,
        observer: ConnectionObserver,
        is_invited: Callable[[PeerId], bool],
    ) -> None:
        """Who `is_invited` may send a query, and nothing else."""
        self._is_invited = is_invited
        self._limits = limits
        self._observer = observer
        self._by_descriptor: dict[int, AcceptedConnection] = {}
        self._by_routing_id: dict[bytes, AcceptedConnection] = {}
        self._strangers: Strangers[AcceptedConnection] = Strangers(limits.max_strangers, SystemRandom())
        self._ended: deque[tuple[float, AcceptedConnection]] = deque()
        self._failure: Refusal | None = None
        self._ports: frozenset[int] = frozenset()
        self.router = context.socket(zmq.ROUTER)
        configure(self.router, keys, limits)
        self.router.curve_server = True
        self.router.zap_domain = _ZAP_DOMAIN
        self.router.setsockopt(zmq.ZAP_ENFORCE_DOMAIN, 1)
        self.router.router_mandatory = True
        self._reader = MessageReader(self.router, limits, is_router=True)
        self._monitor = Monitor(context, self.router)
        self._sockets = sockets
        sockets.add(self.router, self.receive)
        sockets.add(self._monitor.socket, self._follow)

    def bind(self, text: str) -> str:
        """Listen at an address and return it with its port; TransportError with address and reason where that fails."""
        address = Address.parse(text)
        place = _numeric(address)
        self.router.ipv6 = ":" in place.host
        try:
            self.router.bind(str(place))
        except zmq.ZMQError as error:
            reason = _BIND_REASONS.get(error.errno or 0, error.strerror or "unknown reason")
            raise TransportError(
                f"cannot listen on {address}: {reason.format(port=address.port, host=address.host)}"
            ) from error
        bound = Address.parse(self.router.get_string(zmq.LAST_ENDPOINT).rstrip("\0"))
        self._ports |= {bound.port}
        return str(bound)

    def receive(self) -> None:
        """Read and report received messages."""
        for message in self._reader.read(_N_FRAMES):
            self._take(message)

    def next_deadline(self) -> float:
        """The time at which `advance` is due; None for never."""
        return self._ended[0][0] if self._ended else math.inf

    def advance(self, now: float) -> None:
        """Report ended connections, once their last messages have been read."""
        if now < self.next_deadline():
            return
        self.receive()
        while now >= self.next_deadline():
            _, connection = self._ended.popleft()
            self._finish(connection)

    def check(self, now: float) -> None:
        """Close connections without a greeting in time, and connections with an endless message."""
        for connection in self._strangers:
            # ZeroMQ ends handshakes that take too long; twice that is for peers that never greet after the handshake.
            if now - connection.accepted_at > 2 * self._limits.handshake_timeout_s:
                connection.turn_away()
        for connection in self._by_routing_id.values():
            if connection.failure is None and connection.is_sending_without_end(self._limits):
                connection.failure = Refusal.ENDLESS_MESSAGE
                connection.close()

    def close(self, linger_ms: int) -> None:
        """Stop listening; queued messages have `linger_ms` while the context ends."""
        self._sockets.remove(self.router)
        self._sockets.remove(self._monitor.socket)
        self._monitor.close()
        self.router.close(linger_ms)

    def release(self) -> None:
        """Close the duplicate descriptors, once the context has ended."""
        for connection in [*self._by_descriptor.values(), *(connection for _, connection in self._ended)]:
            if connection.stream:
                connection.stream.close()

    def _take(self, message: RawMessage) -> None:
        head = message.routing_id
        if head is None:
            return
        routing_id = head.bytes
        connection = self._by_routing_id.get(routing_id)
        if connection is None:
            peer = str(head.get("User-Id"))
            if len(routing_id) != _N_ROUTING_ID_BYTES or routing_id[0] != 0:
                self._observer.rejected(Refusal.CHOSEN_ROUTING_ID, peer, None)
                return
            connection = self._introduce(routing_id, head, peer)
            if connection and (message.is_query or self._is_invited(peer)):
                self._take_query(connection, message)
                return
            if connection:
                self._observer.opened(connection)
        else:
            peer = connection.peer
        if connection and not message.is_greeting:
            connection.n_messages += 1
        self._observer.received(peer, connection, message)

    def _take_query(self, connection: AcceptedConnection, message: RawMessage) -> None:
        if not message.is_query or message.n_bytes > _MAX_QUERY_BYTES:
            connection.failure = Refusal.TOO_MANY_BYTES if message.is_query else Refusal.ONLY_A_QUERY
            connection.close()
            return
        self._observer.queried(connection, message)

    def _introduce(self, routing_id: bytes, head: zmq.Frame, peer: PeerId) -> AcceptedConnection | None:
        """Map a routing id to its accepted connection; None where the connection has closed already."""
        self._follow()
        descriptor = int(head.get(zmq.SRCFD))
        connection = self._by_descriptor.get(descriptor)
        if connection is None:
            return None
        if not connection.is_stranger:  # a late message of the descriptor's former owner was taken for the new one's
            self._by_routing_id.pop(connection.routing_id, None)
            self._observer.closed(connection)
            connection = AcceptedConnection(self.router, connection.stream)
            self._by_descriptor[descriptor] = connection
        self._strangers.remove(connection)
        connection.peer, connection.routing_id = peer, routing_id
        self._by_routing_id[routing_id] = connection
        connection.start_counting()
        return connection

    def _follow(self) -> None:
        for event, value in self._monitor.read(_N_MONITOR_EVENTS):
            if event == zmq.EVENT_ACCEPTED:
                self._accept(value)
            elif event == zmq.EVENT_DISCONNECTED:
                self._end(value)
            elif event == zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL:
                self._failure = Refusal.BROKEN_HANDSHAKE
            elif event == zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL:
                self._failure = Refusal.NO_HANDSHAKE
            elif event == zmq.EVENT_HANDSHAKE_FAILED_AUTH:
                self._failure = Refusal.KEY_NOT_ALLOWED

    def _accept(self, descriptor: int) -> None:
        """Record a connection; where there are too many strangers, one of them goes."""
        connection = AcceptedConnection(self.router, TcpStream.of(descriptor, self._ports))
        self._by_descriptor[descriptor] = connection
        if (surplus := self._strangers.add(connection)) is not None:
            surplus.turn_away()

    def _end(self, descriptor: int) -> None:
        """Record the end of a connection and its reason."""
        failure, self._failure = self._failure, None  # a failed handshake is followed at once by the disconnection
        connection = self._by_descriptor.pop(descriptor, None)
        if connection is None:
            return
        self._strangers.remove(connection)
        if failure:
            connection.failure = connection.failure or failure
        elif not connection.is_closed_here:
            # When neither side meant to close, ZeroMQ did, over something that it could not accept.
            is_ours = connection.stream is not None and connection.stream.is_open_at_peer()
            if connection.is_stranger:
                connection.failure = Refusal.BROKEN_HANDSHAKE if is_ours else Refusal.NO_HANDSHAKE
            elif is_ours:
                connection.failure = Refusal.BROKEN_FRAME
        if connection.is_stranger and connection.stream:
            connection.stream.close()  # no message of it is waiting
        connection.ended_at = monotonic()
        self._ended.append((connection.ended_at + LAST_WORDS_S, connection))

    def _finish(self, connection: AcceptedConnection) -> None:
        address = connection.stream.address if connection.stream else None
        if connection.stream:
            connection.stream.close()
        # A key that is not allowed, or shakes hands too often, was reported with its handshake.
        if connection.failure and connection.failure is not Refusal.KEY_NOT_ALLOWED:
            self._observer.rejected(connection.failure, connection.peer or None, address)
        if not connection.is_stranger:
            self._by_routing_id.pop(connection.routing_id, None)
            self._observer.closed(connection)


def _numeric(address: Address) -> Address:
    """The address with a numeric host, IPv4 if available; unchanged where the host does not resolve."""
    if address.host in {"*", *(name for _, name in socket.if_nameindex())}:
        return address
    try:
        hosts = resolve(address.host)
    except (OSError, UnicodeError):
        return address
    return Address(min(hosts, key=lambda host: ":" in host), address.port)
