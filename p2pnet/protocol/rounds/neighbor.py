"""The state of one neighbor, and the identity that an agent announces."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import final

from p2pnet.protocol.core.codec import LOWEST_VERSION
from p2pnet.protocol.core.types import Nonce, PeerId
from p2pnet.protocol.links.link import Link
from p2pnet.protocol.messages.training import CAPABILITIES

HELLO_RESEND_S = 0.25
"""The first interval between unanswered Hellos."""

MAX_MISSED = 3
"""Rounds that a neighbor may miss in a row before it is no longer awaited: few are late that often by chance. A
neighbor that is silent meanwhile is not awaited after the first missed round.
"""


@dataclass(frozen=True, slots=True)
class Identity:
    """What an agent announces of itself in Hello: id, name, incarnation, fingerprint, address."""

    peer: PeerId
    name: str
    incarnation: int
    fingerprint: Mapping[str, str]
    """What must be equal for two agents to train together, field by field: model, loss, penalty, data."""
    address: str = ""
    """The address at which the agent can be dialed; empty for an agent that only dials out."""
    n_nonces: int = 0
    """The nonces of this incarnation that links have had before."""
    capabilities: tuple[str, ...] = CAPABILITIES
    """What the agent can do beyond its protocol version, by name."""


@final
@dataclass(slots=True)
class Neighbor:
    """The state of one neighbor: connection, link, handshake, and progress in the rounds."""

    peer: PeerId
    nonce: Nonce
    name: str = ""
    address: str = ""
    theirs: Nonce | None = None
    version: int = LOWEST_VERSION
    """The latest protocol version that both speak; before the peer's Hello, the lowest that this agent speaks."""
    capabilities: frozenset[str] = frozenset()
    """The capabilities that both have beyond that version."""
    past_since: float | None = None
    """Since when Hellos of an earlier incarnation than the one remembered have come, and none of that."""
    past_told_at: float = -math.inf
    """When the peer was last told which incarnation of it is remembered."""
    n_reopened: float = 0.0
    """How often the peer has opened its open link anew, less what is forgiven with time."""
    reopened_at: float = 0.0
    link: Link | None = None
    is_confirmed: bool = False
    is_connected: bool = False
    is_parted: bool = False
    """Whether the peer has left, refused or was disconnected: no new link unless it says Hello again."""
    absent_until: float | None = None
    """For an absent peer that is expected back: until then training does not end."""
    opens_by: float = 0.0
    """Until then training does not end while the peer is connected and its link is not open yet."""
    is_ready: bool = False
    """Whether the peer takes part in the rounds."""
    round: int = -1
    """The latest round that the peer is known to have behind it; -1 before its training has begun."""
    has_begun: bool = False
    """Whether the peer is in its rounds, and does not only wait to go on from those of an earlier process."""
    epoch: int = 0
    """The number of the epoch that the peer is known to be in."""
    first_round: int = 0
    """The round in which that has begun."""
    is_idle: bool = False
    """Whether that is over, as far as known."""
    degree: int = 0
    proximal_weight: float = 0.0
    n_missed: int = 0
    """Rounds mixed without the peer's share since a share last came in time."""
    state_told_at: float = -math.inf
    """When the peer was last sent this agent's parameters."""
    last_heard_at: float = 0.0
    last_told_at: float = 0.0
    disconnected_at: float | None = None
    resend_at: float | None = None
    """When an unanswered Hello, Ready or Finished is to be resent."""
    hello_interval_s: float = HELLO_RESEND_S
    """The next interval between unanswered Hellos."""
    finished_sequence: int | None = None
    """The sequence number of the peer's last share, once the peer has sent Finished."""

    @property
    def is_open(self) -> bool:
        return self.link is not None and self.is_confirmed

    @property
    def is_lagging(self) -> bool:
        """Whether the neighbor has missed too many rounds, and is not awaited until it keeps up again."""
        return self.n_missed >= MAX_MISSED

    @property
    def awaits_hello(self) -> bool:
        """Whether the peer is connected and to be linked, but has not confirmed the link."""
        return self.is_connected and not self.is_confirmed and not self.is_parted
