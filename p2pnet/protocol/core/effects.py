"""Effects: what an agent wants done, named by imperatives.

The shell performs those of the first group; the others stay among the machines of one node.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

from p2pnet.protocol.core.notices import Notice
from p2pnet.protocol.core.types import Array, FeatureStatistics, Message, PeerId


@dataclass(frozen=True, slots=True)
class Send:
    """Send the message, or lose it where the peer is not connected."""

    peer: PeerId
    message: Message


@dataclass(frozen=True, slots=True)
class Dial:
    """Keep connecting to the peer until HangUp, at each of the addresses in turn."""

    peer: PeerId
    addresses: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class HangUp:
    """Dial no more and end the connection, if there is one; what has been sent still leaves."""

    peer: PeerId


@dataclass(frozen=True, slots=True)
class Prepare:
    """Make what is to be trained, by the network's feature statistics where there are any."""

    statistics: FeatureStatistics | None


@dataclass(frozen=True, slots=True)
class Evaluate:
    """Compute the local gradient at the parameters with which the round begins."""

    round: int
    params: Array = field(repr=False)
    disagreement: float
    """max over neighbors of ‖z_j − w‖ / (1 + ‖w‖) in the mixing that made these parameters."""


@dataclass(frozen=True, slots=True)
class RunLocalStep:
    """Compute the local step from these parameters along this direction."""

    round: int
    params: Array = field(repr=False)
    direction: Array = field(repr=False)
    mean_samples: float
    neighbor_proximal_weight: float
    """The largest that a neighbor announced since the last local step; 0 where none did."""
    is_complete: bool
    """Whether every neighbor was there in each round since the last local step, and no link opened or closed."""
    network_size: float = 1.0
    """The estimated number of agents, where it is asked for."""


@dataclass(frozen=True, slots=True)
class CutLocalStepShort:
    """Have the local step that is being computed end with what it has: neighbors wait for it."""

    round: int


@dataclass(frozen=True, slots=True)
class Finish:
    """Training has ended with these parameters; the agent goes on serving its neighbors until Close."""

    round: int
    params: Array = field(repr=False)
    reason: str


@dataclass(frozen=True, slots=True)
class Close:
    """Nothing is left to be done."""


@dataclass(frozen=True, slots=True)
class Notify:
    """Tell people; no decision depends on it."""

    notice: Notice


Effect: TypeAlias = (
    Send | Dial | HangUp | Prepare | Evaluate | RunLocalStep | CutLocalStepShort | Finish | Close | Notify
)
"""What a shell performs."""


# Between the machines of one node.


@dataclass(frozen=True, slots=True)
class Dismiss:
    """End the connection with a peer that has gone or gone wrong; the peer is dialed again after a while only."""

    peer: PeerId
    reason: str


@dataclass(frozen=True, slots=True)
class PutOff:
    """End the connection since one side has refused a link; the peer is dialed again after a while only."""

    peer: PeerId
    name: str
    reason: str
    is_ours: bool
    """Whether it is this agent that refuses."""


@dataclass(frozen=True, slots=True)
class OpenLink:
    """The peer is a neighbor from now on: exchange shares with it."""

    peer: PeerId


@dataclass(frozen=True, slots=True)
class CloseLink:
    """The peer is a neighbor no longer."""

    peer: PeerId
    is_gone: bool
    """Whether the peer counts as dead or has left, rather than having been let go."""
