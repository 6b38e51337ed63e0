"""Strangers: accepted connections whose peer is not known yet. They have a few places, which hosts share.

And how often a key, or a host, may shake hands: a peer dials anew when its connection has closed, and asks for the
status.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar, final

from p2pnet.protocol.core.types import Randomness


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


@dataclass(frozen=True, slots=True)
class HandshakeRate:
    """How often one may shake hands: so often at once, and in the long run a second."""

    at_once: float
    per_s: float


OF_A_KEY = HandshakeRate(30.0, 1.0)
"""In the long run no honest peer comes more often than once a second."""
OF_A_HOST = HandshakeRate(300.0, 10.0)
"""Many agents may share a machine, or a router."""

FIRST_PAUSE_S, MAX_PAUSE_S = 1.0, 60.0
MAX_ORIGINS = 4096
"""Of which handshakes are counted; beyond that, those that have not come for longest are forgotten."""


@dataclass(slots=True)
class _Origin:
    """What is left to one key or host."""

    left: float
    since: float
    pause_s: float = FIRST_PAUSE_S
    shut_until: float = -math.inf


@final
class HandshakeBudget:
    """A token bucket of handshakes for each key, or host. Who empties it is shut out for a pause, after which one
    handshake is left; the pause doubles each time, until the bucket has been full again.
    """

    def __init__(self, rate: HandshakeRate) -> None:
        self._rate = rate
        self._origins: dict[str, _Origin] = {}

    def admits(self, name: str, now: float) -> bool:
        """Count a handshake; False where it is one too many."""
        rate = self._rate
        origin = self._origins.pop(name, None) or _Origin(rate.at_once, now)
        self._origins[name] = origin
        if len(self._origins) > MAX_ORIGINS:
            del self._origins[next(iter(self._origins))]
        if now < origin.shut_until:
            return False
        origin.left = min(origin.left + (now - origin.since) * rate.per_s, rate.at_once)
        origin.since = now
        if origin.left == rate.at_once:
            origin.pause_s = FIRST_PAUSE_S
        if origin.left < 1.0:
            origin.left, origin.since = 1.0, now + origin.pause_s
            origin.shut_until = origin.since
            origin.pause_s = min(2.0 * origin.pause_s, MAX_PAUSE_S)
            return False
        origin.left -= 1.0
        return True
