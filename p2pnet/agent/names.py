"""Names of peers in the log."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import final

from p2pnet.agent.network_options import NetworkOptions
from p2pnet.protocol.core.types import PeerId


@final
@dataclass(frozen=True, slots=True)
class PeerNames:
    """The names that a person has given, which say more to a person than keys, but prove nothing."""

    given: Mapping[PeerId, str]

    @classmethod
    def of(cls, network: NetworkOptions) -> PeerNames:
        return cls({neighbor.key: neighbor.name for neighbor in network.neighbors if neighbor.name})

    def call(self, peer: PeerId) -> str:
        """The name, if any, followed by the key."""
        return f"{self.given[peer]} ({peer})" if peer in self.given else peer
