"""One peer of a round machine, and what an agent tells every peer about itself."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import final

from p2pnet.protocol.core.codec import LOWEST_VERSION
from p2pnet.protocol.core.types import Nonce, PeerId
from p2pnet.protocol.links.link import Link

HELLO_RESEND_S = 1.0
"""The first wait for the answer to a Hello."""

MAX_MISSED = 3
"""Rounds that a neighbor may miss in a row before it is no longer awaited: few are late that often by bad luck. A
neighbor that says nothing at all meanwhile is not awaited after the first."""


@dataclass(frozen=True, slots=True)
class Identity:
    """What an agent tells every peer about itself."""

    peer: PeerId
    name: str
    incarnation: int
    fingerprint: Mapping[str, str]
    """What must be equal for two agents to train together, field by field: model, loss, penalty, data."""
    address: str = ""
    """Where it can be dialed; empty for an agent that only dials out."""


@final
@dataclass(slots=True)
class Neighbor:
    """One peer, as this agent sees it."""

    peer: PeerId
    nonce: Nonce
    name: str = ""
    address: str = ""
    theirs: Nonce | None = None
    version: int = LOWEST_VERSION
    """Of the protocol, the latest that both speak; until it has said Hello, the lowest that this agent speaks."""
    capabilities: frozenset[str] = frozenset()
    """What both understand beyond that version."""
    link: Link | None = None
    is_confirmed: bool = False
    is_connected: bool = False
    is_parted: bool = False
    """Left, refused or hung up: not to be linked again unless it says Hello anew."""
    absent_until: float | None = None
    """Set for a peer that has vanished, or has gone for a while: until then training does not end without it."""
    opens_by: float = 0.0
    """Until then training does not end while the peer is connected and the link with it is not open yet."""
    is_ready: bool = False
    """Takes part in the rounds."""
    round: int = -1
    degree: int = 0
    proximal_weight: float = 0.0
    n_missed: int = 0
    """Rounds mixed without its share since the last that came in time."""
    state_told_at: float = -math.inf
    """When it last was told this agent's parameters."""
    last_heard_at: float = 0.0
    last_told_at: float = 0.0
    disconnected_at: float | None = None
    resend_at: float | None = None
    """When an unanswered Hello, Ready or Finished is to be said again."""
    hello_interval_s: float = HELLO_RESEND_S
    """How long to wait for the answer to the next Hello."""
    finished_sequence: int | None = None
    """Sequence number of its last share, once it has said that its training ended."""

    @property
    def is_open(self) -> bool:
        return self.link is not None and self.is_confirmed

    @property
    def is_lagging(self) -> bool:
        """Not awaited until it keeps up again."""
        return self.n_missed >= MAX_MISSED

    @property
    def awaits_hello(self) -> bool:
        """Connected, and to be linked, but not known to have opened the link."""
        return self.is_connected and not self.is_confirmed and not self.is_parted
