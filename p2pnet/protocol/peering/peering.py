"""Peering: which peers the session exchanges shares with, and the connections for that."""

from __future__ import annotations

from abc import abstractmethod
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
    PeerHeard,
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
    | PeerHeard
    | PeerPutOff
    | DeadlineReached
    | LeaveRequested
)
NeighborNews: TypeAlias = PeerConnected | PeerDisconnected | PeerParted
"""What the session is to know of its neighbors, as events for it."""

PeeringEffect: TypeAlias = Send | Dial | HangUp | Notify | NeighborNews


class Peering(Machine[PeeringEvent, PeeringEffect]):
    """Keeps connections, and tells the session which peers are its neighbors."""

    @abstractmethod
    def is_neighbor(self, peer: PeerId) -> bool:
        """Whether messages of the peer are for the session. `PeerHeard` comes first, and may admit the peer."""

    @abstractmethod
    def is_missed(self, peer: PeerId) -> bool:
        """Whether people should hear of it that the peer cannot be reached."""
