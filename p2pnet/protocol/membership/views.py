"""The active view, an agent's neighbors, and its contacts, members that it dials for a request or a probe."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import final

from p2pnet.protocol.core.types import PeerId


@final
@dataclass(slots=True)
class OverlayNeighbor:
    """The state of one neighbor in the active view."""

    peer: PeerId
    heard_at: float
    """When a message of the neighbor last came."""
    pinged_at: float
    vouched_at: float = float("-inf")
    """When another agent last vouched for the neighbor."""
    disconnected_at: float | None = None
    """When the neighbor's connection closed; None while connected."""
    is_refused: bool = False
    """Whether the neighbor's connection closed and its port refuses connections."""
    gone_at: float | None = None
    """When the neighbor was declared dead while still connected; it has a short time to refute."""


class Purpose(Enum):
    """The purpose of a contact."""

    ASK = "to ask it to be a neighbor"
    RANDOM_PROBE = "to see whether it is there, and to compare what both know"
    PROBE = "to see whether it is there, at another agent's word"


@final
@dataclass(slots=True)
class Contact:
    """A member that is dialed, or that has been asked and is to answer."""

    peer: PeerId
    purpose: Purpose
    until: float
    is_urgent: bool = False
    asker: PeerId = ""
    """The agent on whose behalf the member is probed."""
    asked_at: float | None = None
    """When the member was last asked; None while it is dialed."""


@final
class ActiveView:
    """The active view: a few members that are this agent's neighbors; symmetric between agents.

    It seeks more below `n_wanted`, and takes in others up to `capacity`. Guests, who are no members, may have places
    too, but for `n_wanted`.
    """

    def __init__(self, n_wanted: int, capacity: int) -> None:
        self.n_wanted = n_wanted
        self.capacity = capacity
        self.n_guests = 0
        self._neighbors: dict[PeerId, OverlayNeighbor] = {}

    def __len__(self) -> int:
        return len(self._neighbors)

    def __iter__(self) -> Iterator[OverlayNeighbor]:
        return iter(tuple(self._neighbors.values()))

    def __contains__(self, peer: PeerId) -> bool:
        return peer in self._neighbors

    @property
    def is_full(self) -> bool:
        return len(self._neighbors) + self.n_guests >= self.capacity

    @property
    def has_room_for_guest(self) -> bool:
        return not self.is_full and self.n_guests < self.capacity - self.n_wanted

    @property
    def connected(self) -> list[PeerId]:
        """The connected neighbors."""
        return [neighbor.peer for neighbor in self._neighbors.values() if neighbor.disconnected_at is None]

    def find(self, peer: PeerId) -> OverlayNeighbor | None:
        return self._neighbors.get(peer)

    def add(self, peer: PeerId, now: float) -> None:
        self._neighbors[peer] = OverlayNeighbor(peer, heard_at=now, pinged_at=now)

    def remove(self, peer: PeerId) -> None:
        del self._neighbors[peer]
