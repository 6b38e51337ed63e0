"""What happens to an agent (events, past participles) and what it wants done (effects, imperatives)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from p2pnet.protocol.messages.training import Array, FeatureStatistics, Message

PeerId: TypeAlias = str
"""PeerNames a peer for good: its public key on real networks."""


@dataclass(frozen=True, slots=True)
class PeerConnected:
    peer: PeerId


@dataclass(frozen=True, slots=True)
class PeerDisconnected:
    peer: PeerId


@dataclass(frozen=True, slots=True)
class PeerParted:
    """The peer is a neighbor no longer, and is not waited for; it may become one again."""

    peer: PeerId


@dataclass(frozen=True, slots=True)
class MessageReceived:
    peer: PeerId
    message: Message


@dataclass(frozen=True, slots=True)
class Evaluated:
    """Answers Evaluate: the gradient of the sum of the losses over the agent's samples, and their number."""

    round: int
    gradient_sum: Array = field(repr=False)
    n_samples: float


@dataclass(frozen=True, slots=True)
class LocalStepDone:
    """Answers RunLocalStep: the parameters to propose, how far from stationary the present ones are, and the proximal
    weight used.
    """

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


@dataclass(frozen=True, slots=True)
class Prepared:
    """Answers Prepare: what the agent trains, field by field, and the parameters that it begins with."""

    fingerprint: Mapping[str, str]
    params: Array = field(repr=False)


Event: TypeAlias = (
    PeerConnected
    | PeerDisconnected
    | MessageReceived
    | Evaluated
    | LocalStepDone
    | DeadlineReached
    | LeaveRequested
    | AwayRequested
    | PeerParted
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Send:
    peer: PeerId
    message: Message


@dataclass(frozen=True, slots=True)
class HangUp:
    """End the connection, and dial again only after a while, since one side has gone or gone wrong; `reason` is for
    people.
    """

    peer: PeerId
    reason: str


@dataclass(frozen=True, slots=True)
class PutOff:
    """End the connection, and dial again only after a while, since one side has refused; `reason` is for people."""

    peer: PeerId
    reason: str


@dataclass(frozen=True, slots=True)
class Evaluate:
    """Compute the local gradient at the parameters with which the round begins."""

    round: int
    params: Array = field(repr=False)
    disagreement: float
    """max over neighbors of ‖z_j − w‖ / (1 + ‖w‖) in the mixing that made these parameters."""


@dataclass(frozen=True, slots=True)
class RunLocalStep:
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
class Prepare:
    """Make what is to be trained, by what the survey has found if there was one."""

    survey: FeatureStatistics | None


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
class Log:
    is_warning: bool
    text: str


Effect: TypeAlias = (
    Send | HangUp | PutOff | Prepare | Evaluate | RunLocalStep | CutLocalStepShort | Finish | Close | Log
)
