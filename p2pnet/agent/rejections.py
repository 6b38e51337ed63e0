"""Reports of rejected connections: each peer and cause once, although rejected peers redial for ever."""

from __future__ import annotations

import logging
from typing import final

from p2pnet.agent.names import PeerNames
from p2pnet.agent.transport.base import Refusal, Rejected
from p2pnet.errors import TransportError
from p2pnet.protocol.core.address import Address
from p2pnet.protocol.rounds.neighbor import Identity

MAX_REMEMBERED = 1000
"""The most entries kept, since any stranger can make up keys; beyond it the oldest is dropped."""

_BY_LISTS = "; to let it in, add it to security.allowed_peers"
_BY_RECORDS = "; to let it in, invite it: p2pnet invite"


@final
class Rejections:
    """The reported rejections, by peer and cause."""

    def __init__(self, me: Identity, names: PeerNames, log: logging.Logger) -> None:
        self._advice = {Refusal.KEY_NOT_ALLOWED: _BY_RECORDS if "network" in me.fingerprint else _BY_LISTS}
        self._own_key = me.peer
        self._names = names
        self._log = log
        self._told: dict[tuple[str, Refusal], None] = {}
        """reported peers and causes, oldest first"""

    def tell(self, rejected: Rejected) -> None:
        """Log a rejection: as a warning the first time, at debug level afterwards."""
        if rejected.peer == self._own_key:
            # No other has this agent's key, and none of its settings can be meant: this is how doctor finds it.
            self._log.info("asked with its own key whether it listens, as p2pnet doctor does")
            return
        whom = rejected.peer or rejected.address or "a stranger"
        # Each connection of a stranger comes from another port.
        cause = (rejected.peer or _host(whom), rejected.refusal)
        level = logging.DEBUG if cause in self._told else logging.WARNING
        self._told[cause] = None
        if len(self._told) > MAX_REMEMBERED:
            del self._told[next(iter(self._told))]
        more = f" (and {rejected.n_unreported} more)" if rejected.n_unreported else ""
        advice = self._advice.get(rejected.refusal, "") if level == logging.WARNING else ""
        called = self._names.call(whom)
        self._log.log(level, "rejected %s: %s%s%s", called, rejected.refusal, advice, more)


def _host(address: str) -> str:
    try:
        return Address.parse(address).host
    except TransportError:
        return address  # a host without a port
