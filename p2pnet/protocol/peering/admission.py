"""Admission control: an allowed peer that dials is refused while the limit on neighbors is reached.

(A peer whose key is not allowed never gets this far: the transport ends its handshake.)
"""

from __future__ import annotations

from typing import final

from p2pnet.protocol.core.effects import HangUp, Notify, Send
from p2pnet.protocol.core.notices import AdmissionRefused
from p2pnet.protocol.core.types import PeerId
from p2pnet.protocol.messages.training import Refuse


@final
class AdmissionControl:
    """Refuses peers beyond the limit on neighbors; each side gets the reason, once."""

    def __init__(self, max_neighbors: int) -> None:
        self._max_neighbors = max_neighbors
        self._told: set[PeerId] = set()

    def turn_away(self, peer: PeerId) -> list[Send | HangUp | Notify]:
        """Send Refuse with the reason, and disconnect the peer."""
        is_news = peer not in self._told
        self._told.add(peer)
        reason = (
            f"the agent has as many neighbors as network.max_neighbors = {self._max_neighbors} allows: raise it there, "
            "or name this one there, or another here"
        )
        notice = AdmissionRefused(peer, self._max_neighbors, is_news)
        return [Send(peer, Refuse(reason)), HangUp(peer), Notify(notice)]
