"""The keys that may connect, which may change while the agent runs."""

from __future__ import annotations

from collections.abc import Iterable
from typing import final

from p2pnet.protocol.core.types import PeerId


@final
class AllowList:
    """A set of public keys, asked at each handshake."""

    def __init__(self, peers: Iterable[PeerId]) -> None:
        self._peers = frozenset(peers)

    def __contains__(self, peer: PeerId) -> bool:
        return peer in self._peers

    def replace(self, peers: Iterable[PeerId]) -> tuple[frozenset[PeerId], frozenset[PeerId]]:
        """Allow these keys and no others; returns the keys that were added, and those that were removed."""
        before, self._peers = self._peers, frozenset(peers)
        return self._peers - before, before - self._peers
