"""The transport over ZeroMQ: TCP, CURVE encryption, one thread.

One ROUTER accepts, one DEALER dials each peer, and one loop serves them together with their monitors and the
authenticator. A peer is identified by its verified key alone; routing ids, addresses and names decide nothing.
"""

import math
import socket
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from time import monotonic
from types import MappingProxyType

import zmq

from p2pnet.agent.transport.base import Frame, Refusal, Transport, TransportEvent, TransportLimits
from p2pnet.agent.transport.connection import Context, SocketSet
from p2pnet.agent.transport.dialer import Dialer, DialingContext, Resolver
from p2pnet.agent.transport.keys import KeyPair, parse_public_key
from p2pnet.agent.transport.listener import Authenticator, Listener
from p2pnet.agent.transport.peer_table import PeerTable
from p2pnet.errors import TransportError
from p2pnet.protocol.core.types import PeerId

_CHECK_INTERVAL_S = 0.25


class ZmqTransport(Transport):
    """A transport over ZeroMQ sockets; made by `open`."""

    def __init__(
        self,
        keys: KeyPair,
        is_allowed: Callable[[PeerId], bool],
        limits: TransportLimits,
        is_invited: Callable[[PeerId], bool],
    ) -> None:
        self._keys = keys
        self._context: Context = zmq.Context()
        self._sockets = SocketSet()
        self._peers = PeerTable(keys.public)
        self._addresses: tuple[str, ...] = ()
        self._n_bytes_sent: Counter[PeerId] = Counter()
        self._next_check = monotonic()
        self._is_woken = False
        self._is_closed = False
        self._woken, self._waker = socket.socketpair()
        self._woken.setblocking(False)
        self._waker.setblocking(False)
        self._sockets.add(self._woken.fileno(), self._note_wake)
        self._authenticator = Authenticator(
            self._context, lambda peer: peer != keys.public and (is_allowed(peer) or is_invited(peer)), self._peers
        )
        self._sockets.add(self._authenticator.socket, self._authenticator.answer)
        self._listener = Listener(self._context, self._sockets, keys, limits, self._peers, is_invited)
        self._dialing = DialingContext(self._context, self._sockets, keys, limits, Resolver(self.wake))

    @classmethod
    def open(
        cls,
        keys: KeyPair,
        bind: Sequence[str],
        is_allowed: Callable[[PeerId], bool],
        limits: TransportLimits | None = None,
        is_invited: Callable[[PeerId], bool] = lambda _: False,
    ) -> "ZmqTransport":
        """Open a transport that listens at the addresses of `bind`, or at none where it only dials out.

        An address is tcp://host:port or host:port, port 0 for any free one; `is_allowed` says of each verified key
        whether it may connect, `is_invited` whether it may at least send a query. TransportError when an
        address cannot be bound.
        """
        transport = cls(keys, is_allowed, limits or TransportLimits(), is_invited)
        try:
            transport._addresses = tuple(transport._listener.bind(address) for address in bind)
        except TransportError:
            transport.close(0.0)
            raise
        return transport

    @property
    def addresses(self) -> tuple[str, ...]:
        return self._addresses

    @property
    def bytes_sent(self) -> int:
        return self._n_bytes_sent.total()

    @property
    def bytes_received(self) -> int:
        return self._peers.n_bytes_received.total()

    def bytes_with(self, peer: PeerId) -> tuple[int, int]:
        return self._n_bytes_sent[peer], self._peers.n_bytes_received[peer]

    @property
    def n_rejected(self) -> Mapping[Refusal, int]:
        return MappingProxyType(self._peers.n_rejected)

    def dial(self, peer: PeerId, *addresses: str) -> None:
        if parse_public_key(peer) == self._keys.public:
            where = " or ".join(addresses)
            raise TransportError(f"the agent at {where} is given our own key {peer}: give the key of that agent")
        self._peers.dial(peer, addresses, lambda peer: Dialer(self._dialing, self._peers, peer, addresses))

    def hang_up(self, peer: PeerId) -> None:
        self._peers.hang_up(peer)

    def send(self, peer: PeerId, frames: Sequence[Frame]) -> bool:
        n_bytes = sum(memoryview(frame).nbytes for frame in frames)
        if n_bytes == 0 and len(frames) <= 1:
            raise ValueError("a message needs a frame that is not empty")
        connection = self._peers.route(peer)
        if connection is not None and connection.outgoing.has(frames):
            return True  # it is still on its way out
        if connection is None or not connection.send(frames, n_bytes):
            return False
        self._n_bytes_sent[peer] += n_bytes
        return True

    def reply(self, peer: PeerId, frames: Sequence[Frame]) -> None:
        n_bytes = sum(memoryview(frame).nbytes for frame in frames)
        if self._peers.reply(peer, frames, n_bytes):
            self._n_bytes_sent[peer] += n_bytes

    def poll(self, timeout_s: float | None) -> list[TransportEvent]:
        deadline = math.inf if timeout_s is None else monotonic() + timeout_s
        while True:
            now = monotonic()
            self._peers.advance(now)
            self._listener.advance(now)
            if now >= self._next_check:
                self._next_check = now + _CHECK_INTERVAL_S
                self._listener.check(now)
                self._peers.check()
            until = min(deadline, self._next_check, self._peers.next_deadline(), self._listener.next_deadline())
            self._sockets.wait(0.0 if self._peers.has_events else max(0.0, until - now))
            if self._peers.has_events or self._is_woken or monotonic() >= deadline:
                self._is_woken = False
                return self._peers.take_events()

    def wake(self) -> None:
        try:
            self._waker.send(b"\0")
        except OSError:
            return  # woken often enough already, or closed

    def close(self, linger_s: float) -> None:
        if self._is_closed:
            return
        self._is_closed = True
        linger_ms = round(linger_s * 1000)
        self._peers.close(linger_ms)
        self._listener.close(linger_ms)
        self._authenticator.socket.close()
        self._context.destroy(0)  # after an error a socket may be left, for which the mere end of the context waits
        self._listener.release()
        self._woken.close()
        self._waker.close()

    def _note_wake(self) -> None:
        self._is_woken = True
        try:
            self._woken.recv(4096)
        except BlockingIOError:
            return
