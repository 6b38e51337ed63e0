"""Events: what happens to an agent, named by past participles.

The shell hands in those of the first group; the machines of one node hand the others to each other.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Generic, TypeVar

from p2pnet.protocol.core.types import Array, Message, PeerId

MessageT_co = TypeVar("MessageT_co", bound=Message, covariant=True)


class DialProblem(StrEnum):
    """Why a peer could not be reached at an address."""

    NAME_NOT_FOUND = "the host name does not resolve"
    REFUSED = "nothing listens there, or there is no way to that host"
    TIMED_OUT = "no answer in time"
    NOT_ALLOWED = "the peer does not have our key on its allow-list"
    NOT_THE_PEER = "the process that answers there does not hold the peer's key, or is no agent"


@dataclass(frozen=True, slots=True)
class PeerConnected:
    """From now on messages to the peer can be sent, whichever side dialed."""

    peer: PeerId


@dataclass(frozen=True, slots=True)
class PeerDisconnected:
    """The connection has closed; what was under way in either direction may be lost."""

    peer: PeerId


@dataclass(frozen=True, slots=True)
class DialFailed:
    """One attempt of those that a Dial asked for has failed; the next follows by itself until HangUp."""

    peer: PeerId
    address: str
    problem: DialProblem


@dataclass(frozen=True, slots=True)
class PeerFound:
    """An allowed peer has announced on the local network where it listens."""

    peer: PeerId
    addresses: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class MessageReceived(Generic[MessageT_co]):
    """A well-formed message of a connected peer."""

    peer: PeerId
    message: MessageT_co


@dataclass(frozen=True, slots=True)
class ForeignVersionReceived:
    """A peer speaks another version of the protocol, of which nothing but the version can be read."""

    peer: PeerId
    version: int


@dataclass(frozen=True, slots=True)
class Prepared:
    """Answers Prepare: the fingerprint of what the agent trains, field by field, and its first parameters."""

    fingerprint: Mapping[str, str]
    params: Array = field(repr=False)


@dataclass(frozen=True, slots=True)
class Evaluated:
    """Answers Evaluate: the gradient of the sum of the losses over the agent's samples, and their number."""

    round: int
    gradient_sum: Array = field(repr=False)
    n_samples: float


@dataclass(frozen=True, slots=True)
class LocalStepDone:
    """Answers RunLocalStep: the parameters to propose, the residual of the present ones, the proximal weight used."""

    round: int
    params: Array = field(repr=False)
    residual: float
    proximal_weight: float


@dataclass(frozen=True, slots=True)
class DeadlineReached:
    """The time that `next_deadline` named has come."""


@dataclass(frozen=True, slots=True)
class LeaveRequested:
    """The agent is asked to take leave of the network for good, and its data with it."""


@dataclass(frozen=True, slots=True)
class AwayRequested:
    """The agent is asked to go, and will be back: its neighbors are to expect it."""


# Between the machines of one node.


@dataclass(frozen=True, slots=True)
class PeerParted:
    """The peer is a neighbor no longer, and is not waited for; it may become one again."""

    peer: PeerId


@dataclass(frozen=True, slots=True)
class PeerHeard:
    """A message of the session, such as a share, has come from the peer: the peer is alive."""

    peer: PeerId


@dataclass(frozen=True, slots=True)
class PeerPutOff:
    """The session has nothing to do with the peer for now: it is to be dialed again at `until`, not before."""

    peer: PeerId
    until: float


@dataclass(frozen=True, slots=True)
class NeighborRejected:
    """The session will have nothing to do with this member for a while."""

    peer: PeerId


@dataclass(frozen=True, slots=True)
class GuestsChanged:
    """The number of neighbors that are no members, since they do not gossip."""

    n_guests: int
