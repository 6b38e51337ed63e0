"""Static peering: neighbors named in the settings, and guests, other allowed peers that dial."""

from __future__ import annotations

from collections.abc import Mapping
from typing import assert_never, final

from p2pnet.errors import ProtocolError
from p2pnet.protocol.core.effects import Dial, HangUp
from p2pnet.protocol.core.events import (
    DeadlineReached,
    DialFailed,
    LeaveRequested,
    MessageReceived,
    PeerConnected,
    PeerDisconnected,
    PeerFound,
    PeerPutOff,
)
from p2pnet.protocol.core.types import PeerId
from p2pnet.protocol.peering.admission import AdmissionControl
from p2pnet.protocol.peering.peering import Peering, PeeringEffect, PeeringEvent


@final
class StaticPeering(Peering):
    """Dials and keeps the named neighbors; admits guests while there is room, for as long as they are connected."""

    def __init__(
        self, addresses: Mapping[PeerId, str | None], max_neighbors: int, *, is_discovering: bool = False
    ) -> None:
        """Neighbors without an address are dialed where the local network finds them, if `is_discovering`."""
        self._addresses = addresses
        self._max_neighbors = max_neighbors
        self._is_discovering = is_discovering
        self._admission = AdmissionControl(max_neighbors)
        self._found: dict[PeerId, tuple[str, ...]] = {}
        """Addresses, found on the local network, of neighbors without an address."""
        self._guests: set[PeerId] = set()
        self._dial_at: dict[PeerId, float] = {}
        """When neighbors that were put off are redialed."""
        self._unexpected: set[PeerId] = set()
        """Neighbors that were put off and have not been back since: they may have gone for good."""

    def start(self, now: float) -> list[PeeringEffect]:
        return [effect for peer in self._addresses for effect in self._dial(peer)]

    def next_deadline(self) -> float | None:
        return min(self._dial_at.values(), default=None)

    def is_neighbor(self, peer: PeerId) -> bool:
        return peer in self._addresses or peer in self._guests

    def is_missed(self, peer: PeerId) -> bool:
        return peer not in self._unexpected

    def handle(self, event: PeeringEvent, now: float) -> list[PeeringEffect]:
        match event:
            case PeerConnected(peer):
                return self._connected(peer)
            case PeerDisconnected(peer):
                news: list[PeeringEffect] = [PeerDisconnected(peer)] if self.is_neighbor(peer) else []
                self._guests.discard(peer)
                return news
            case PeerFound(peer, addresses):
                if not self._is_discovering or self._addresses.get(peer, "") is not None:
                    return []
                self._found[peer] = addresses
                return self._dial(peer)
            case MessageReceived(peer, _):
                if self.is_neighbor(peer):
                    raise ProtocolError(
                        "it gossips, but neighbors are named here; name neighbors there too, or none here"
                    )
                return []
            case PeerPutOff(peer, until):
                if peer in self._addresses:
                    self._dial_at[peer] = until
                    self._unexpected.add(peer)
                return [HangUp(peer)]
            case DeadlineReached():
                due = [peer for peer, at in self._dial_at.items() if now >= at]
                return [effect for peer in due for effect in self._dial(peer)]
            case DialFailed() | LeaveRequested():
                return []
            case _:
                assert_never(event)

    def _connected(self, peer: PeerId) -> list[PeeringEffect]:
        if not self.is_neighbor(peer):
            if len(self._addresses) + len(self._guests) >= self._max_neighbors:
                return [*self._admission.turn_away(peer)]
            self._guests.add(peer)
        self._unexpected.discard(peer)
        return [PeerConnected(peer)]

    def _dial(self, peer: PeerId) -> list[PeeringEffect]:
        self._dial_at.pop(peer, None)
        address = self._addresses[peer]
        addresses = self._found.get(peer, ()) if address is None else (address,)
        return [Dial(peer, addresses)] if addresses else []
