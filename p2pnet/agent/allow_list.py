"""The keys that may connect, which may change while the agent runs.

allowed = (those that the settings name ∪ members of the network by its records) − those that the records revoke
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import final

from p2pnet.protocol.core.types import PeerId
from p2pnet.protocol.trust.roster import Roster


@final
class AllowList:
    """A set of public keys, asked at each handshake."""

    def __init__(self, peers: Iterable[PeerId], roster: Roster | None = None) -> None:
        """The roster, which grows by itself, is that of a network with records, if the agent belongs to one."""
        self._peers = frozenset(peers)
        self._roster = roster

    def __contains__(self, peer: PeerId) -> bool:
        if self._roster is None:
            return peer in self._peers
        return peer not in self._roster.revoked and (peer in self._peers or peer in self._roster.allowed)

    def replace(self, peers: Iterable[PeerId]) -> tuple[frozenset[PeerId], frozenset[PeerId]]:
        """Allow these keys and no others; returns the keys that were added, and those that were removed."""
        before, self._peers = self._peers, frozenset(peers)
        return self._peers - before, before - self._peers
