"""What happens to an agent's membership (events, past participles) and what it wants done (effects, imperatives)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Protocol, TypeAlias, TypeVar

from p2pnet.protocol.messages.membership import Message, PeerId

T = TypeVar("T")


class Randomness(Protocol):
    """The chance that decisions are taken by; a random.Random is one."""

    def random(self) -> float:
        """A number in [0, 1)."""
        ...

    def sample(self, population: Sequence[T], k: int) -> list[T]:
        """As many different members of the population as k says."""
        ...


class DialProblem(Enum):
    """Why a peer could not be reached, as far as it tells whether the peer is alive."""

    REFUSED = "nothing listens there"
    SILENT = "no answer"
    UNFIT = "someone else answers, or our key is not allowed"


@dataclass(frozen=True, slots=True)
class PeerConnected:
    """From now on messages to the peer can be sent, whoever dialed."""

    peer: PeerId


@dataclass(frozen=True, slots=True)
class PeerDisconnected:
    peer: PeerId


@dataclass(frozen=True, slots=True)
class DialFailed:
    """One attempt of those that a Dial asked for; the next follows by itself until HangUp."""

    peer: PeerId
    problem: DialProblem


@dataclass(frozen=True, slots=True)
class MessageReceived:
    peer: PeerId
    message: Message


@dataclass(frozen=True, slots=True)
class PeerHeard:
    """Something else has come from the peer, such as a share: it is alive."""

    peer: PeerId


@dataclass(frozen=True, slots=True)
class SeedFound:
    """Somebody to begin with has been found at this address."""

    peer: PeerId
    address: str


@dataclass(frozen=True, slots=True)
class NeighborRejected:
    """The rounds will have nothing to do with this neighbor: it trains something else."""

    peer: PeerId


@dataclass(frozen=True, slots=True)
class GuestsChanged:
    """So many have places of neighbors without being members: they do not gossip."""

    n_guests: int


@dataclass(frozen=True, slots=True)
class DeadlineReached:
    """The time that `next_deadline` named has come."""


@dataclass(frozen=True, slots=True)
class LeaveRequested:
    """The agent goes, on purpose."""


Event: TypeAlias = (
    PeerConnected
    | PeerDisconnected
    | DialFailed
    | MessageReceived
    | PeerHeard
    | SeedFound
    | NeighborRejected
    | GuestsChanged
    | DeadlineReached
    | LeaveRequested
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Send:
    peer: PeerId
    message: Message


@dataclass(frozen=True, slots=True)
class Dial:
    """Keep dialing until HangUp."""

    peer: PeerId
    address: str


@dataclass(frozen=True, slots=True)
class HangUp:
    """Dial no more and end the connection, if there is one; what has been sent still leaves."""

    peer: PeerId


@dataclass(frozen=True, slots=True)
class OpenLink:
    """The peer is a neighbor from now on: exchange shares with it."""

    peer: PeerId


@dataclass(frozen=True, slots=True)
class CloseLink:
    """The peer is a neighbor no longer."""

    peer: PeerId
    is_gone: bool
    """Whether it counts as dead or has left, rather than having been let go."""


@dataclass(frozen=True, slots=True)
class Log:
    text: str


Effect: TypeAlias = Send | Dial | HangUp | OpenLink | CloseLink | Log
