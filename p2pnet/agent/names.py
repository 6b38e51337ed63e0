"""Names of peers in the log."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import final

from p2pnet.agent.network_options import NetworkOptions
from p2pnet.protocol.core.types import PeerId
from p2pnet.protocol.trust.roster import Roster


@final
@dataclass(frozen=True, slots=True)
class PeerNames:
    """The names that a person has given, which say more to a person than keys, but prove nothing: those of the
    settings, and of the members of a network with records.
    """

    given: Mapping[PeerId, str]
    roster: Roster | None = None

    @classmethod
    def of(cls, network: NetworkOptions, roster: Roster | None = None) -> PeerNames:
        return cls({neighbor.key: neighbor.name for neighbor in network.neighbors if neighbor.name}, roster)

    def call(self, peer: PeerId) -> str:
        """The name, if any, followed by the key."""
        name = self.given.get(peer)
        if name is None and self.roster is not None:
            name = self.roster.name_of(peer)
        return f"{name} ({peer})" if name else peer
