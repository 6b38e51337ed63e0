"""The dialing side: tries one peer's addresses with growing pauses, with a fresh DEALER socket for each attempt.

A fresh socket for each attempt, instead of ZeroMQ's own reconnection, means that a refused handshake backs off like a
refused connection, and that no message queued for an ended connection is delivered by a later connection.
"""

import errno
import queue
import random
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import monotonic

import zmq

from p2pnet.agent.transport.base import Frame, Refusal, TransportLimits
from p2pnet.agent.transport.connection import (
    LAST_WORDS_S,
    OUT_OF_RESOURCES,
    Connection,
    ConnectionObserver,
    Context,
    MessageReader,
    Monitor,
    SocketSet,
    TcpStream,
    configure,
    send_message,
)
from p2pnet.agent.transport.hosts import is_numeric, resolve
from p2pnet.agent.transport.keys import KeyPair
from p2pnet.errors import TransportError
from p2pnet.protocol.core.address import Address
from p2pnet.protocol.core.events import DialProblem
from p2pnet.protocol.core.types import PeerId

_N_MONITOR_EVENTS = 16
_N_FRAMES = 256
_STEADY_S = 5.0  # a connection that lived this long was good: the pauses begin anew
_COME_LATER = {(zmq.EVENT_HANDSHAKE_FAILED_AUTH, 500), (zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL, errno.EAGAIN)}
"""Too many handshakes, says the peer, or nothing within the time."""
_NOT_ALLOWED_STATUS = 400
# One socket serves one connection. When it ends, ZeroMQ discards what has arrived unread if reconnection is forbidden
# (-1), and with IMMEDIATE as well, so reconnection is only put off, and the socket closed before.
_NEVER_MS = 24 * 3600 * 1000


class Resolver:
    """Resolves host names on threads of its own, so that the loop never waits for a name server."""

    def __init__(self, wake: Callable[[], None]) -> None:
        self._wake = wake

    def start(self, host: str, answers: "queue.SimpleQueue[list[str]]") -> None:
        """Start resolving a host; its numeric addresses are put into `answers`, none where it does not resolve."""
        if is_numeric(host):
            answers.put([host])
            return
        try:
            threading.Thread(target=self._resolve, args=(host, answers), name="resolve", daemon=True).start()
        except RuntimeError:  # no thread is left
            answers.put([])

    def _resolve(self, host: str, answers: "queue.SimpleQueue[list[str]]") -> None:
        try:
            hosts = resolve(host)
        except (OSError, UnicodeError):
            hosts = []
        answers.put(hosts)
        self._wake()


class DialedConnection(Connection):
    """One dial attempt, which becomes a connection once the peer has proved its key."""

    def __init__(
        self,
        context: Context,
        keys: KeyPair,
        limits: TransportLimits,
        peer: PeerId,
        address: Address,
        *,
        is_greeting: bool = True,
    ) -> None:
        """Without `is_greeting`, the caller must send a query as soon as the connection is open.

        Raises zmq.ZMQError where no descriptor is left for it.
        """
        super().__init__(peer, None)
        self.is_open = False
        self.opened_at = self.started_at = monotonic()
        self.problem: DialProblem | None = None
        self.refusal: Refusal | None = None
        self._limits = limits
        self.socket = context.socket(zmq.DEALER)
        try:
            configure(self.socket, keys, limits)
            self.socket.curve_serverkey = peer.encode("ascii")
            self.socket.reconnect_ivl = _NEVER_MS
            self.socket.connect_timeout = round(limits.connect_timeout_s * 1000)
            self.socket.ipv6 = ":" in address.host
            self.reader = MessageReader(self.socket, limits, is_router=False)
            self.monitor = Monitor(context, self.socket)
        except zmq.ZMQError:
            self.socket.close(0)
            raise
        self.socket.connect(str(address))
        if is_greeting:
            send_message(self.socket, [b""], 0)  # leaves first, as soon as the handshake is done

    def send(self, frames: Sequence[Frame], n_bytes: int) -> bool:
        is_usable = self.is_open and self.ended_at is None
        return is_usable and send_message(self.socket, frames, n_bytes, self.outgoing)

    def follow(self) -> None:
        """Process monitor events: connected, handshake, closed."""
        for event, value in self.monitor.read(_N_MONITOR_EVENTS):
            if event == zmq.EVENT_CONNECTED:
                self.stream = TcpStream.of(value)
            elif event == zmq.EVENT_HANDSHAKE_SUCCEEDED:
                self.is_open = True
                self.opened_at = monotonic()
                self.start_counting()
            elif event == zmq.EVENT_HANDSHAKE_FAILED_AUTH and value == _NOT_ALLOWED_STATUS:
                self.problem = DialProblem.NOT_ALLOWED
            elif (event, value) in _COME_LATER:
                self.problem = DialProblem.TIMED_OUT
            elif event in {zmq.EVENT_DISCONNECTED, zmq.EVENT_CLOSED}:
                self._end(is_refused=event == zmq.EVENT_CLOSED)
            elif event == zmq.EVENT_CONNECT_RETRIED and self.ended_at is None and self.stream is None:
                # ZeroMQ could not open a descriptor, of which it says nothing, and would try again in a day.
                self._end(is_refused=False)
                self.problem = DialProblem.OUT_OF_RESOURCES

    def close(self, linger_ms: int = 0) -> None:
        """Close the connection; queued messages have `linger_ms` to leave."""
        self.monitor.close()
        self.socket.close(linger_ms if self.is_open else 0)
        if self.stream:
            self.stream.close()

    def _end(self, is_refused: bool) -> None:
        self.ended_at = monotonic()
        if self.is_open:
            if self.stream and self.stream.is_open_at_peer():
                self.refusal = Refusal.BROKEN_FRAME
        elif is_refused:
            is_late = monotonic() - self.started_at >= self._limits.connect_timeout_s
            self.problem = DialProblem.TIMED_OUT if is_late else DialProblem.REFUSED
        else:
            self.problem = self.problem or DialProblem.NOT_THE_PEER


@dataclass(frozen=True, slots=True)
class DialingContext:
    """The parts shared by all dialers of one transport."""

    context: Context
    sockets: SocketSet
    keys: KeyPair
    limits: TransportLimits
    resolver: Resolver


class Dialer:
    """Keeps one peer connected: resolves, connects, and retries after a failure or a disconnect.

    While it is paused (the peer has dialed us) nothing new is tried.
    """

    def __init__(
        self, shared: DialingContext, observer: ConnectionObserver, peer: PeerId, addresses: Sequence[str]
    ) -> None:
        self.peer = peer
        self.is_paused = False
        self._places = _parse(addresses)
        self._shared = shared
        self._observer = observer
        self._connection: DialedConnection | None = None
        self._answers: queue.SimpleQueue[list[str]] | None = None
        self._n_attempts = 0
        self._n_failures = 0
        self._next_at = monotonic()
        self._random = random.SystemRandom()

    @property
    def connection(self) -> DialedConnection | None:
        """The connection, once it can be used; else None."""
        return self._connection if self._connection and self._connection.is_open else None

    @property
    def next_deadline(self) -> float | None:
        """The time at which `advance` is due; None for never."""
        if self._connection:
            ended_at = self._connection.ended_at
            return None if ended_at is None else ended_at + LAST_WORDS_S
        is_waiting = not self.is_paused and self._answers is None
        return self._next_at if is_waiting else None

    def redirect(self, addresses: Sequence[str]) -> None:
        """Replace the addresses; an open connection stays."""
        places = _parse(addresses)
        if places != self._places:
            self._places = places
            self._answers = None
            self._n_attempts = 0
            if self.connection is None:
                self.release(0)
            self._n_failures = 0
            self._next_at = monotonic()

    def resume(self) -> None:
        """Resume dialing at once, if paused."""
        if self.is_paused:
            self.is_paused = False
            self._next_at = monotonic()

    def release(self, linger_ms: int) -> None:
        """Close the connection or attempt without a report; the next attempt follows unless paused."""
        connection, self._connection = self._connection, None
        if connection:
            self._shared.sockets.remove(connection.socket)
            self._shared.sockets.remove(connection.monitor.socket)
            connection.close(linger_ms)

    def advance(self, now: float) -> None:
        """Finish an ended connection, or start the attempt that is due."""
        connection = self._connection
        if connection:
            if connection.ended_at is not None and now >= connection.ended_at + LAST_WORDS_S:
                self._receive()
                self._finish(connection)
            return
        if self.is_paused:
            return
        if self._answers is None and now >= self._next_at:
            self._answers = queue.SimpleQueue()
            self._shared.resolver.start(self._place.host, self._answers)
        if self._answers is not None and not self._answers.empty():
            hosts = self._answers.get()
            self._answers = None
            if hosts:
                self._attempt(hosts[self._n_attempts // len(self._places) % len(hosts)])
            else:
                self._fail(DialProblem.NAME_NOT_FOUND)

    def check(self) -> None:
        """Close the connection if an endless message arrives over it."""
        connection = self.connection
        if connection and connection.is_sending_without_end(self._shared.limits):
            connection.refusal = Refusal.ENDLESS_MESSAGE
            self._finish(connection)

    @property
    def _place(self) -> Address:
        """The address of the running attempt, or of the next attempt."""
        return self._places[self._n_attempts % len(self._places)]

    def _attempt(self, host: str) -> None:
        shared = self._shared
        where = Address(host, self._place.port)
        try:
            connection = DialedConnection(shared.context, shared.keys, shared.limits, self.peer, where)
        except zmq.ZMQError as error:
            if error.errno not in OUT_OF_RESOURCES:
                raise
            self._fail(DialProblem.OUT_OF_RESOURCES)
            return
        self._connection = connection
        shared.sockets.add(connection.socket, self._receive)
        shared.sockets.add(connection.monitor.socket, self._follow)

    def _receive(self) -> None:
        connection = self._connection
        if connection:
            for message in connection.reader.read(_N_FRAMES):
                connection.n_messages += 1
                self._observer.received(self.peer, connection, message)

    def _follow(self) -> None:
        connection = self._connection
        if connection is None:
            return
        was_open = connection.is_open
        connection.follow()
        if connection.is_open and not was_open:
            self._observer.opened(connection)

    def _finish(self, connection: DialedConnection) -> None:
        """Report a connection or attempt that has ended, and plan the next."""
        self.release(0)
        if not connection.is_open:
            self._fail(connection.problem or DialProblem.NOT_THE_PEER)
            return
        if monotonic() - connection.opened_at >= _STEADY_S:
            self._n_failures = 0
        self._plan()
        if connection.refusal:
            address = connection.stream.address if connection.stream else None
            self._observer.rejected(connection.refusal, self.peer, address)
        self._observer.closed(connection)

    def _fail(self, problem: DialProblem) -> None:
        address = str(self._place)
        self._n_attempts += 1
        self._plan()
        self._observer.dial_failed(self.peer, address, problem)

    def _plan(self) -> None:
        """Schedule the next attempt after a randomized pause that doubles with each failure."""
        limits = self._shared.limits
        pause_s = min(limits.retry_max_s, limits.retry_min_s * 2.0 ** min(self._n_failures, 30))
        self._n_failures += 1
        self._next_at = monotonic() + pause_s * self._random.uniform(0.5, 1.0)


def _parse(addresses: Sequence[str]) -> tuple[Address, ...]:
    if not addresses:
        raise TransportError("there is no address to dial: give at least one")
    return tuple(Address.parse(address) for address in addresses)
