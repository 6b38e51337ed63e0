"""Events: the inputs of a state machine, named by past participles.

The shell hands in those of the first group; the machines of one node hand the others to each other.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Generic, TypeAlias, TypeVar

import numpy as np

from p2pnet.protocol.core.reports import Observed
from p2pnet.protocol.core.types import Array, Message, PeerId

MessageT_co = TypeVar("MessageT_co", bound=Message, covariant=True)


class DialProblem(StrEnum):
    """Why a peer could not be reached at an address."""

    NAME_NOT_FOUND = "the host name does not resolve"
    REFUSED = "nothing listens there, or there is no way to that host"
    TIMED_OUT = "no answer in time"
    NOT_ALLOWED = "the peer does not have our key on its allow-list"
    OUT_OF_RESOURCES = "this machine has no descriptor left for it"
    NOT_THE_PEER = "the process that answers there does not hold the peer's key, or is no agent"


@dataclass(frozen=True, slots=True)
class PeerConnected:
    """A connection with the peer is open, whichever side dialed; messages can be sent."""

    peer: PeerId


@dataclass(frozen=True, slots=True)
class PeerDisconnected:
    """The connection with the peer has closed; messages in flight in either direction may be lost."""

    peer: PeerId


@dataclass(frozen=True, slots=True)
class DialFailed:
    """One dial attempt has failed; the transport retries by itself until HangUp."""

    peer: PeerId
    address: str
    problem: DialProblem


@dataclass(frozen=True, slots=True)
class PeerFound:
    """An allowed peer has announced its addresses on the local network (mDNS)."""

    peer: PeerId
    addresses: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Described:
    """The answer to Describe: what the shell alone knows of its agent."""

    observed: Observed


@dataclass(frozen=True, slots=True)
class RecordsSigned:
    """Records of the network have been signed on this machine, or read from its disk."""

    records: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class PeerRevoked:
    """The peer is allowed no more: it is disconnected for good."""

    peer: PeerId


@dataclass(frozen=True, slots=True)
class MessageReceived(Generic[MessageT_co]):
    """A connected peer has sent a well-formed message."""

    peer: PeerId
    message: MessageT_co


@dataclass(frozen=True, slots=True)
class ForeignVersionReceived:
    """A peer has sent a message of a protocol version that this program does not speak."""

    peer: PeerId
    version: int


@dataclass(frozen=True, slots=True)
class Prepared:
    """The result of Prepare: the fingerprint of the training problem, field by field, and the initial parameters."""

    fingerprint: Mapping[str, str]
    params: Array = field(repr=False)
    n_metric_sums: int = 0
    """The sums of held-out rows that are to be averaged after training; 0: none are."""
    n_candidates: int = 0
    """The sums by which the best of the parameters of late are chosen before; 0: the last ones are kept."""
    n_tracked: int = 0
    """The numbers that `Evaluated.gradient_sum` has after the gradient, and `RunLocalStep.direction` too."""
    has_curvature: bool = False
    """Whether curvature may be tracked beside (`Evaluated.curvature`)."""


@dataclass(frozen=True, slots=True)
class Evaluated:
    """The result of Evaluate: n_k ∇f_k(w), the gradient of the summed local loss, and the number of samples n_k."""

    round: int
    gradient_sum: Array = field(repr=False)
    n_samples: float
    curvature: Array = field(default_factory=lambda: np.zeros(0), repr=False)
    """What is tracked of curvature (`links/curvature.py`); empty as long as that is nothing."""
    is_typical: bool = False
    """Whether the agent knows that its targets look like the network's."""


@dataclass(frozen=True, slots=True)
class LocalStepDone:
    """The result of RunLocalStep: the proposal z, the residual of the present parameters, and the proximal weight τ."""

    round: int
    params: Array = field(repr=False)
    residual: float
    proximal_weight: float
    remaining: float = 0.0
    """what the network's objective may still decrease by, relative to the agent's own; 0 where nothing says so"""


@dataclass(frozen=True, slots=True)
class Audited:
    """The result of Audit: losses at the agent's own parameters of the round, and at those of each neighbor."""

    round: int
    first: float
    """the loss at the parameters that the agent began with"""
    own: float
    others: Mapping[PeerId, float]


@dataclass(frozen=True, slots=True)
class Measured:
    """The result of Measure: the sums of the agent's held-out rows."""

    stage: str
    round: int
    sums: Array = field(repr=False)


@dataclass(frozen=True, slots=True)
class Chosen:
    """The result of Choose: the best parameters, and the round that they are of."""

    round: int
    params: Array = field(repr=False)
    is_kept: bool = True
    """Whether they are this agent's of that round; else the nearest that it has."""


@dataclass(frozen=True, slots=True)
class SamplesChanged:
    """The agent's samples are others from now on: what is computed next is of these."""

    why: str = "the samples here have changed"


@dataclass(frozen=True, slots=True)
class DeadlineReached:
    """The time of `next_deadline` has come."""


@dataclass(frozen=True, slots=True)
class LeaveRequested:
    """A leave for good was requested: the agent and its data leave the network."""


@dataclass(frozen=True, slots=True)
class AwayRequested:
    """A temporary leave was requested: the neighbors are to expect the agent back."""


ComputedEvent: TypeAlias = Prepared | Evaluated | LocalStepDone | Audited | Measured | Chosen
"""What the learner, or the preparation of its problem, has come to."""


# Between the machines of one node.


@dataclass(frozen=True, slots=True)
class MembersCounted:
    """So many agents of the network are known to live, this one included."""

    n_members: int


@dataclass(frozen=True, slots=True)
class PeerParted:
    """The peer was removed from the neighbors and is not awaited; it may be added again."""

    peer: PeerId


@dataclass(frozen=True, slots=True)
class PeerHeard:
    """A session message, such as a share, has come from the peer: evidence that the peer is alive."""

    peer: PeerId


@dataclass(frozen=True, slots=True)
class PeerPutOff:
    """The session has put the peer off: the peer is not to be dialed before the time `until`."""

    peer: PeerId
    until: float
    is_distrusted: bool = False
    """whether it has sent what no honest peer sends"""


@dataclass(frozen=True, slots=True)
class NeighborRejected:
    """One side has refused the link with this member, which is no neighbor before the time `until`."""

    peer: PeerId
    until: float


@dataclass(frozen=True, slots=True)
class GuestsChanged:
    """The number of guests has changed: neighbors that do not gossip, and so are no members."""

    n_guests: int
