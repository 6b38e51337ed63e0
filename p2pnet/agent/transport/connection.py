"""Common parts of dialed and accepted ZeroMQ connections: message reader, monitor, TCP stream underneath.

ZeroMQ hides three things that a daemon in an untrusted network must know: which of its connections has closed, which
peer sends a message without end, and whether a connection broke because the other side left or because it violated the
protocol. All three are read from the TCP stream underneath, by a duplicate of its descriptor.
"""

import contextlib
import errno
import math
import os
import secrets
import socket
import struct
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import zmq

from p2pnet.agent.transport.base import Frame, Refusal, TransportLimits
from p2pnet.agent.transport.keys import KeyPair
from p2pnet.agent.transport.outgoing import Outgoing
from p2pnet.protocol.core.address import Address
from p2pnet.protocol.core.events import DialProblem
from p2pnet.protocol.core.types import PeerId

_FRAME_OVERHEAD_BYTES = 64  # at most what CURVE and ZMTP add to a frame on the wire
_ZERO_COPY_BYTES = 64 * 1024  # below this a copy costs less than keeping track of the buffer
_TCP_INFO_BYTES_RECEIVED = 128  # offset of tcpi_bytes_received in Linux' struct tcp_info
_KEEPALIVE_IDLE_S = 30
_KEEPALIVE_INTERVAL_S = 10
# Linux' TCP waits ever longer before it sends again, up to two minutes: a network that was cut for ten seconds would
# stay so for ten more, and one that loses every fifth packet would fall silent for as long. The limit is of Linux 6.15;
# earlier ones can at least be told to wait equally long for the first six times.
_TCP_RTO_MAX_MS = 44
_TCP_THIN_LINEAR_TIMEOUTS = 16
_MAX_RETRANSMISSION_INTERVAL_S = 1
# The flags as plain numbers: combining ZeroMQ's enumerations takes longer than sending a small frame.
_DO_NOT_WAIT = int(zmq.DONTWAIT)
_SEND_MORE = int(zmq.DONTWAIT | zmq.SNDMORE)
_READABLE = int(zmq.POLLIN)
_WRITABLE = int(zmq.POLLOUT)
_MONITORED = (
    zmq.EVENT_ACCEPTED
    | zmq.EVENT_CONNECTED
    | zmq.EVENT_CLOSED
    | zmq.EVENT_CONNECT_RETRIED
    | zmq.EVENT_DISCONNECTED
    | zmq.EVENT_HANDSHAKE_SUCCEEDED
    | zmq.EVENT_HANDSHAKE_FAILED_AUTH
    | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL
    | zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL
)

# ZeroMQ announces the end of a connection just before it hands over the messages that came last.
LAST_WORDS_S = 0.02

OUT_OF_RESOURCES = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS})
"""Errors of a system that has no descriptor or memory left: what was tried may succeed a moment later."""

Socket = zmq.Socket[bytes]
Context = zmq.Context[Socket]


def configure(socket: Socket, keys: KeyPair, limits: TransportLimits) -> None:
    """Set the options that a listening and a dialing socket have in common."""
    milliseconds = 1000
    socket.curve_publickey = keys.public.encode("ascii")
    socket.curve_secretkey = keys.secret.encode("ascii")
    socket.linger = 0
    socket.sndhwm = limits.queue_messages
    socket.rcvhwm = limits.queue_messages
    socket.maxmsgsize = limits.max_message_bytes + _FRAME_OVERHEAD_BYTES
    socket.handshake_ivl = round(limits.handshake_timeout_s * milliseconds)
    # A large frame on a slow line holds up the heartbeats of ZeroMQ's own protocol and would look like death, so a
    # dead host is left to TCP to find: by keepalive while the line is idle, by the age of unacknowledged data else.
    socket.tcp_keepalive = 1
    socket.tcp_keepalive_idle = _KEEPALIVE_IDLE_S
    socket.tcp_keepalive_intvl = _KEEPALIVE_INTERVAL_S
    socket.tcp_maxrt = round(limits.dead_peer_timeout_s * milliseconds)


def send_message(socket: Socket, frames: Sequence[Frame], n_bytes: int, outgoing: Outgoing | None = None) -> bool:
    """Queue the frames as one message, which `outgoing` takes note of if it is large; False when the queue is full.

    What an I/O thread has freed in the queue shows only once the socket's events are asked for, hence the second try.
    zmq.ZMQError when a ROUTER has no such connection.
    """
    is_large = n_bytes >= _ZERO_COPY_BYTES
    buffers = [_fixed(frame) for frame in frames] if is_large else frames
    for _ in range(2):
        try:
            for buffer in buffers[:-1]:
                socket.send(buffer, _SEND_MORE, copy=not is_large)
            tracker = socket.send(buffers[-1], _DO_NOT_WAIT, copy=not is_large, track=is_large)
            if tracker is not None and outgoing is not None:
                outgoing.note(frames, tracker)
        except zmq.Again:
            if not events(socket) & _WRITABLE:
                return False
        else:
            return True
    return False


def events(socket: Socket) -> int:
    """The readiness of a socket (ZMQ_EVENTS), after processing the reports of its I/O thread."""
    return int(socket.getsockopt(zmq.EVENTS))


def _fixed(frame: Frame) -> Frame:
    """The frame as a read-only buffer, copied if it is not read-only already."""
    return frame if memoryview(frame).readonly else bytes(frame)


class TcpStream:
    """The TCP stream under one ZeroMQ connection, accessed by a duplicate of its descriptor."""

    def __init__(self, duplicate: socket.socket, host: str, address: str) -> None:
        self._socket = duplicate
        self.host = host
        self.address = address

    @classmethod
    def of(cls, descriptor: int, ports: frozenset[int] | None = None) -> "TcpStream | None":
        """Duplicate ZeroMQ's descriptor; None where the stream has closed meanwhile.

        Where no descriptor is left for that, a stream that was accepted is broken off: nothing could end it later.

        A closed descriptor's number soon serves another file, so a stream is believed only where it is connected and,
        for those accepted, ends at one of our `ports`.
        """
        try:
            copied = os.dup(descriptor)
        except OSError as error:
            if ports is not None and error.errno in OUT_OF_RESOURCES:
                _break_off(descriptor, ports)
            return None
        try:
            duplicate = socket.socket(fileno=copied)
        except OSError:  # no socket
            os.close(copied)
            return None
        try:
            host, port = duplicate.getpeername()[:2]
            if ports is not None and duplicate.getsockname()[1] not in ports:
                raise OSError
        except (OSError, ValueError):
            duplicate.close()
            return None
        stream = cls(duplicate, host, str(Address(host, port)))
        stream._retransmit_steadily()
        return stream

    def n_bytes_received(self) -> int | None:
        """The bytes received on the stream; None where the system does not tell (other than Linux)."""
        if sys.platform != "linux":
            return None
        try:
            info = self._socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 256)
            (n_bytes,) = struct.unpack_from("=Q", info, _TCP_INFO_BYTES_RECEIVED)
        except (OSError, struct.error):
            return None
        return int(n_bytes)

    def is_open_at_peer(self) -> bool:
        """Whether the other end has not closed the stream, so that this side did."""
        try:
            return self._socket.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) != b""
        except BlockingIOError:
            return True
        except OSError:
            return False

    def break_off(self) -> None:
        """Shut the stream down in both directions, which ZeroMQ handles like a disconnect by the peer."""
        try:
            self._socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            return  # it has ended already

    def close(self) -> None:
        """Close the duplicate descriptor."""
        self._socket.close()

    def _retransmit_steadily(self) -> None:
        """Limit TCP's retransmission timeout to about a second, where the system supports it."""
        if sys.platform != "linux":
            return
        for option, value in (
            (_TCP_THIN_LINEAR_TIMEOUTS, 1),
            (_TCP_RTO_MAX_MS, 1000 * _MAX_RETRANSMISSION_INTERVAL_S),
        ):
            with contextlib.suppress(OSError):  # an earlier Linux
                self._socket.setsockopt(socket.IPPROTO_TCP, option, value)


def _break_off(descriptor: int, ports: frozenset[int]) -> None:
    """Shut down the stream of a descriptor of ZeroMQ's, accepted at one of our `ports`, without a duplicate of it."""
    try:
        borrowed = socket.socket(fileno=descriptor)
    except OSError:
        return  # it has closed
    try:
        if borrowed.getsockname()[1] in ports:
            borrowed.shutdown(socket.SHUT_RDWR)
    except (OSError, IndexError, TypeError):
        return  # it serves another file now
    finally:
        borrowed.detach()


class Connection(ABC):
    """One live connection with a verified peer."""

    def __init__(self, peer: PeerId, stream: TcpStream | None) -> None:
        self.peer = peer
        self.stream = stream
        self.ended_at: float | None = None
        self.outgoing = Outgoing()
        self.n_messages = 0
        self._n_messages_seen = 0
        self._n_bytes_seen = 0

    @abstractmethod
    def send(self, frames: Sequence[Frame], n_bytes: int) -> bool:
        """Queue a message; False where the queue is full or the connection has closed."""

    @abstractmethod
    def close(self) -> None:
        """Close the connection; queued messages may still leave for a moment."""

    def start_counting(self) -> None:
        """Start counting received bytes, after handshake and greeting."""
        self._n_bytes_seen = (self.stream.n_bytes_received() if self.stream else None) or 0

    def is_sending_without_end(self, limits: TransportLimits) -> bool:
        """Whether more bytes than the largest message have come since the last complete message.

        ZeroMQ hands over a message when its last frame is there and keeps all others in memory until then, without
        a limit on their number. To be asked now and then, when all complete messages have been read.
        """
        n_bytes = self.stream.n_bytes_received() if self.stream else None
        if n_bytes is None:
            return False
        if self.n_messages != self._n_messages_seen:
            self._n_messages_seen = self.n_messages
            self._n_bytes_seen = n_bytes
        allowed = limits.max_message_bytes + (limits.max_frames + 1) * _FRAME_OVERHEAD_BYTES
        return n_bytes - self._n_bytes_seen > 2 * allowed  # the message before may have ended just after it was counted


@dataclass(frozen=True, slots=True)
class RawMessage:
    """One message as read: its routing id on a ROUTER, its frames, or the reason why they were not all kept."""

    routing_id: zmq.Frame | None
    frames: Sequence[zmq.Frame]
    n_bytes: int
    refusal: Refusal | None

    @property
    def is_greeting(self) -> bool:
        """Whether the message is the greeting: a dialer's first message, which tells the other side its routing id."""
        return len(self.frames) == 1 and self.n_bytes == 0

    @property
    def is_query(self) -> bool:
        """Whether the message is a query: sent first instead of the greeting, it wants an answer and no connection."""
        return len(self.frames) > 1 and len(self.frames[0]) == 0


class ConnectionObserver(ABC):
    """What is told of the openings, messages and closings of connections."""

    @abstractmethod
    def opened(self, connection: Connection) -> None:
        """Called when a connection with a verified peer can be used."""

    @abstractmethod
    def queried(self, connection: Connection, message: RawMessage) -> None:
        """A verified peer has sent a question over a connection that serves for nothing else."""

    @abstractmethod
    def closed(self, connection: Connection) -> None:
        """Called when an opened connection has ended."""

    @abstractmethod
    def received(self, peer: PeerId, connection: Connection | None, message: RawMessage) -> None:
        """A message has come; the connection is None when it had ended before its first message was read."""

    @abstractmethod
    def rejected(self, refusal: Refusal, peer: PeerId | None, address: str | None) -> None:
        """Called when a connection or message was refused."""

    @abstractmethod
    def dial_failed(self, peer: PeerId, address: str, problem: DialProblem) -> None:
        """Called when a dial attempt has failed."""


class MessageReader:
    """Reads whole messages from a socket, a bounded number of frames at a time.

    A message over a limit is read to its end without being kept, over several calls when it is long.
    """

    def __init__(self, socket: Socket, limits: TransportLimits, *, is_router: bool) -> None:
        self._socket = socket
        self._limits = limits
        self._is_router = is_router
        self._routing_id: zmq.Frame | None = None
        self._frames: list[zmq.Frame] = []
        self._n_bytes = 0
        self._refusal: Refusal | None = None
        self._is_between = True  # two messages; within one, the next frame is always there

    def read(self, max_reads: int) -> Iterator[RawMessage]:
        """Read the complete messages within the next `max_reads` frames."""
        receive = self._socket.recv
        for _ in range(max_reads):
            if self._is_between and not events(self._socket) & _READABLE:
                return
            frame = receive(_DO_NOT_WAIT, copy=False)
            self._is_between = not frame.more
            if self._is_router and self._routing_id is None:
                self._routing_id = frame
                continue
            self._n_bytes += len(frame)
            if self._refusal is None:
                self._keep(frame)
            if self._is_between:
                message = RawMessage(self._routing_id, self._frames, self._n_bytes, self._refusal)
                self._routing_id, self._frames, self._n_bytes, self._refusal = None, [], 0, None
                yield message

    def _keep(self, frame: zmq.Frame) -> None:
        if len(self._frames) == self._limits.max_frames:
            self._refusal = Refusal.TOO_MANY_FRAMES
        elif self._n_bytes > self._limits.max_message_bytes:
            self._refusal = Refusal.TOO_MANY_BYTES
        else:
            self._frames.append(frame)
            return
        self._frames.clear()


class SocketSet:
    """The sockets of the event loop, each with its handler for readability."""

    def __init__(self) -> None:
        self._poller = zmq.Poller()
        self._handlers: dict[Socket | int, Callable[[], None]] = {}

    def add(self, socket: Socket | int, handler: Callable[[], None]) -> None:
        """Call the handler whenever the socket, or file descriptor, is readable; those added first go first."""
        self._handlers[socket] = handler
        self._poller.register(socket, zmq.POLLIN)

    def remove(self, socket: Socket | int) -> None:
        """Remove a socket, before it is closed."""
        del self._handlers[socket]
        self._poller.unregister(socket)

    def wait(self, timeout_s: float) -> None:
        """Wait until a socket is readable, at most `timeout_s`, and call the handlers of those that are."""
        for readable, _ in self._poller.poll(math.ceil(timeout_s * 1000)):
            handler = self._handlers.get(readable)
            if handler:  # an earlier one may have removed it
                handler()


class Monitor:
    """The monitor of one socket: accepted, connected, handshake and closed events of its connections."""

    def __init__(self, context: Context, watched: Socket) -> None:
        self._watched = watched
        # Never used before: ZeroMQ lets go of the address of a closed monitor some time later, in a thread of its own.
        address = f"inproc://monitor-{secrets.token_hex(8)}"
        watched.monitor(address, _MONITORED)
        self.socket = context.socket(zmq.PAIR)
        self.socket.linger = 0
        self.socket.rcvhwm = 0  # ZeroMQ's I/O thread stands still when this queue is full
        self.socket.connect(address)

    def read(self, max_reads: int) -> Iterator[tuple[int, int]]:
        """Read pairs of event and value (descriptor, errno or status, depending on the event)."""
        for _ in range(max_reads):
            try:
                head, _endpoint = self.socket.recv_multipart(zmq.DONTWAIT)
            except zmq.Again:
                return
            event, value = struct.unpack("=Hi", head)
            yield event, value

    def close(self) -> None:
        """Stop watching; before the watched socket is closed."""
        self._watched.disable_monitor()
        self.socket.close()
