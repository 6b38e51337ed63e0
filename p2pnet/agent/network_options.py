"""Where an agent listens, and which other agents it knows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from p2pnet.protocol.core.types import PeerId


@final
@dataclass(frozen=True, slots=True)
class NamedPeer:
    """Another agent that this one is told of."""

    key: PeerId
    address: str | None
    """to dial; None for an agent that dials this one"""
    name: str | None = None


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkOptions:
    """Where an agent listens, and which other agents it knows."""

    bind: str
    """address to listen on, or `none`"""
    advertise: str | None
    """address that others are to dial, where it is given"""
    advertised_address: str | None
    """address that others dial, given or made from `bind`; None for an agent that only dials out"""
    is_discovering: bool
    """whether agents on the local network are found, and find this one"""
    neighbors: tuple[NamedPeer, ...]
    seeds: tuple[NamedPeer, ...]
    allowed: frozenset[PeerId]
    """all agents that may connect"""

    @property
    def named(self) -> tuple[NamedPeer, ...]:
        """The agents to begin with: the neighbors, or the seeds where no neighbors are named."""
        return self.neighbors or self.seeds

    @property
    def addresses(self) -> dict[PeerId, str | None]:
        """Where to dial the agents to begin with."""
        return {peer.key: peer.address for peer in self.named}
