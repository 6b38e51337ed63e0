"""Names of peers in the log."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import final

from p2pnet.config import NetworkSettings
from p2pnet.protocol.core.types import PeerId


@final
@dataclass(frozen=True, slots=True)
class PeerNames:
    """The names that the settings give to keys; for people only, since names prove nothing."""

    given: Mapping[PeerId, str]

    @classmethod
    def of(cls, network: NetworkSettings) -> PeerNames:
        return cls({neighbor.public_key: neighbor.name for neighbor in network.neighbors if neighbor.name})

    def call(self, peer: PeerId) -> str:
        """The name, if any, followed by the key."""
        return f"{self.given[peer]} ({peer})" if peer in self.given else peer
