"""Strangers: accepted connections whose peer is not known yet. They have a few places, which hosts share.

And how often one key may shake hands: a peer dials anew when its connection has closed, and asks for the status.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Generic, Protocol, TypeVar, final

from p2pnet.protocol.core.types import PeerId, Randomness


class FromHost(Protocol):
    """A connection that knows where it comes from."""

    @property
    def host(self) -> str:
        """The numeric address at its other end; empty where that is not known."""
        ...


ConnectionT = TypeVar("ConnectionT", bound=FromHost)


@final
class Strangers(Generic[ConnectionT]):
    """The connections of strangers, by host.

    Where there are too many, the host with most of them loses one, by chance: who floods an agent from one address
    competes with itself, and an honest peer that dials from the same one still gets through now and then.
    """

    def __init__(self, most: int, rng: Randomness) -> None:
        self._most = most
        self._rng = rng
        self._by_host: dict[str, list[ConnectionT]] = {}
        self._n = 0

    def __iter__(self) -> Iterator[ConnectionT]:
        return iter([connection for several in self._by_host.values() for connection in several])

    def __len__(self) -> int:
        return self._n

    def add(self, connection: ConnectionT) -> ConnectionT | None:
        """Add a connection; return the one that has to go for it, which is removed, if any."""
        self._by_host.setdefault(connection.host, []).append(connection)
        self._n += 1
        if self._n <= self._most:
            return None
        several = max(self._by_host.values(), key=len)
        chosen = several[int(self._rng.random() * len(several))]
        self.remove(chosen)
        return chosen

    def remove(self, connection: ConnectionT) -> None:
        """Remove a connection that is known now, or has ended, if it is there."""
        several = self._by_host.get(connection.host, [])
        if connection in several:
            several.remove(connection)
            self._n -= 1
            if not several:
                del self._by_host[connection.host]


HANDSHAKES_AT_ONCE, HANDSHAKES_PER_S = 30.0, 1.0
"""Of one key: in the long run no honest peer comes more often than once a second."""


@final
class HandshakeBudget:
    """A token bucket of handshakes for each allowed key."""

    def __init__(self) -> None:
        self._left: dict[PeerId, tuple[float, float]] = {}
        """What is left of each key's handshakes, and when that was."""

    def admits(self, peer: PeerId, now: float) -> bool:
        """Count a handshake; False where it is one too many."""
        left, since = self._left.get(peer, (HANDSHAKES_AT_ONCE, now))
        left = min(left + (now - since) * HANDSHAKES_PER_S, HANDSHAKES_AT_ONCE)
        is_admitted = left >= 1.0
        self._left[peer] = (left - is_admitted, now)
        return is_admitted
