"""Whom an agent is joined to: its neighbors (the active view), and those it is about to ask or look up (contacts)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import final

from p2pnet.protocol.core.types import PeerId


@final
@dataclass(slots=True)
class OverlayNeighbor:
    """One agent of the active view, as this one sees it."""

    peer: PeerId
    heard_at: float
    """When something came from it, last."""
    pinged_at: float
    vouched_at: float = float("-inf")
    """When somebody else said that it is alive, last."""
    disconnected_at: float | None = None
    """Since when its connection is closed."""
    is_refused: bool = False
    """Whether its connection closed and nothing listens where it was any more."""
    gone_at: float | None = None
    """Since when it counts as dead while it is still connected; a short time is left to it to refute."""


class Purpose(Enum):
    """Why a member that is no neighbor is dialed."""

    ASK = "to ask it to be a neighbor"
    RANDOM_PROBE = "to see whether it is there, and to compare what both know"
    PROBE = "to see whether it is there, at another agent's word"


@final
@dataclass(slots=True)
class Contact:
    """One member that is being dialed, or has been and is to answer."""

    peer: PeerId
    purpose: Purpose
    until: float
    is_urgent: bool = False
    asker: PeerId = ""
    """On whose behalf it is probed."""
    asked_at: float | None = None
    """When it was asked, last; None while it is being dialed."""


@final
class ActiveView:
    """The neighbors: a small part of the members, and each of them has this agent among its own.

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
        """Those of the neighbors to whom messages can be sent."""
        return [neighbor.peer for neighbor in self._neighbors.values() if neighbor.disconnected_at is None]

    def find(self, peer: PeerId) -> OverlayNeighbor | None:
        return self._neighbors.get(peer)

    def add(self, peer: PeerId, now: float) -> None:
        self._neighbors[peer] = OverlayNeighbor(peer, heard_at=now, pinged_at=now)

    def remove(self, peer: PeerId) -> None:
        del self._neighbors[peer]
