"""The interface of peering: decides which peers are neighbors, and keeps their connections."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import TypeAlias

from p2pnet.protocol.core.effects import Dial, HangUp, Notify, Send
from p2pnet.protocol.core.events import (
    DeadlineReached,
    DialFailed,
    LeaveRequested,
    MessageReceived,
    PeerConnected,
    PeerDisconnected,
    PeerFound,
    PeerParted,
    PeerPutOff,
)
from p2pnet.protocol.core.machine import Machine
from p2pnet.protocol.core.types import PeerId
from p2pnet.protocol.messages.membership import MembershipMessage

PeeringEvent: TypeAlias = (
    PeerConnected
    | PeerDisconnected
    | DialFailed
    | PeerFound
    | MessageReceived[MembershipMessage]
    | PeerPutOff
    | DeadlineReached
    | LeaveRequested
)
NeighborNews: TypeAlias = PeerConnected | PeerDisconnected | PeerParted
"""Events for the session: a neighbor was connected, disconnected or removed."""

PeeringEffect: TypeAlias = Send | Dial | HangUp | Notify | NeighborNews


class Peering(Machine[PeeringEvent, PeeringEffect]):
    """Decides which peers are neighbors, dials them, and reports neighbors to the session."""

    @abstractmethod
    def is_neighbor(self, peer: PeerId) -> bool:
        """Whether the peer is a neighbor, so that its messages go to the session. `heard` comes first, and may admit
        the peer.
        """

    def heard(self, peer: PeerId, now: float) -> list[PeeringEffect]:
        """Note that a message of the peer has come that is for the session; nothing by default."""
        return []

    @property
    def n_members(self) -> int | None:
        """The agents of the network that are known to live, this one included; None where agents do not gossip."""
        return None

    @property
    def addresses(self) -> Mapping[PeerId, str]:
        """Where living members of the network can be dialed; empty where agents do not gossip."""
        return {}

    @abstractmethod
    def is_missed(self, peer: PeerId) -> bool:
        """Whether a failure to reach the peer is worth a warning."""
