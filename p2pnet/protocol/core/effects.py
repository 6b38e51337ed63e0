"""Effects: the outputs of a state machine, named by imperatives; the shell performs them.

The shell performs those of the first group; the others stay among the machines of one node.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np

from p2pnet.protocol.core.notices import Notice
from p2pnet.protocol.core.types import Array, FeatureStatistics, Message, PeerId


@dataclass(frozen=True, slots=True)
class Send:
    """Send a message to a peer; the message is lost where the peer is not connected."""

    peer: PeerId
    message: Message


@dataclass(frozen=True, slots=True)
class Dial:
    """Keep trying to connect to the peer until HangUp, at each of the addresses in turn."""

    peer: PeerId
    addresses: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class HangUp:
    """Stop dialing the peer and close its connection; messages sent before still leave."""

    peer: PeerId


@dataclass(frozen=True, slots=True)
class Prepare:
    """Build the training problem, scaled by the network's feature statistics where there are any."""

    statistics: FeatureStatistics | None


@dataclass(frozen=True, slots=True)
class Rescale:
    """Build the training problem anew, scaled by these statistics, with the parameters that give the same function of
    unscaled samples as those given now; `Prepared` answers.
    """

    statistics: FeatureStatistics
    params: Array = field(repr=False)


@dataclass(frozen=True, slots=True)
class Evaluate:
    """Compute n_k ∇f_k(w), the gradient of the summed local loss, at the round's first parameters w."""

    round: int
    params: Array = field(repr=False)
    disagreement: float
    """max over neighbors of ‖z_j − w‖ / (1 + ‖w‖) in the mixing that made these parameters."""
    epoch: int = 0
    """The number of the epoch that the round is of."""


@dataclass(frozen=True, slots=True)
class RunLocalStep:
    """Compute a local step: solve the surrogate problem at these parameters with this tracked gradient."""

    round: int
    params: Array = field(repr=False)
    direction: Array = field(repr=False)
    mean_samples: float
    neighbor_proximal_weight: float
    """The largest proximal weight that a neighbor announced since the last local step; 0 without any."""
    is_complete: bool
    """Whether the direction has changed since the last local step by the steps alone: every neighbor was there in each
    round, no link opened or closed, and no disturbance elsewhere has come here.
    """
    network_size: float = 1.0
    """The estimated number of agents, where the estimate is configured; else 1."""
    curvature: Array = field(default_factory=lambda: np.zeros(0), repr=False)
    """The tracked mean of curvature, for each sample; empty where there is none."""


@dataclass(frozen=True, slots=True)
class Audit:
    """Compute the mean loss of some of the agent's own samples at its own parameters of a round, and at neighbors'."""

    round: int
    own: Array = field(repr=False)
    others: Mapping[PeerId, Array] = field(repr=False)
    is_way_too: bool = False
    """Whether a neighbor's loss is the larger one of that at its parameters and of that halfway there."""


@dataclass(frozen=True, slots=True)
class Measure:
    """Compute the sums of the agent's held-out rows: of the measurement at these parameters, from which metrics follow;
    of the choice at all parameters that are to be chosen from.
    """

    stage: str
    """`CHOICE` or `MEASUREMENT`"""
    round: int
    params: Array = field(repr=False)


@dataclass(frozen=True, slots=True)
class CutLocalStepShort:
    """Stop the solver of the running local step at its present iterate, since neighbors wait for the step."""

    round: int


@dataclass(frozen=True, slots=True)
class Finish:
    """Save the result: training has ended with these parameters; the agent serves its neighbors until Close."""

    round: int
    params: Array = field(repr=False)
    reason: str


@dataclass(frozen=True, slots=True)
class Choose:
    """Choose the best of the parameters of late by the network's mean of the sums of the choice."""

    sums: Array = field(repr=False)


@dataclass(frozen=True, slots=True)
class Conclude:
    """Save the result anew: all agents have these parameters, and the mean of their sums of held-out rows is this."""

    round: int
    """Of the measurement."""
    params: Array = field(repr=False)
    sums: Array = field(repr=False)


@dataclass(frozen=True, slots=True)
class Close:
    """End the agent: no work and no obligation to a neighbor is left."""


@dataclass(frozen=True, slots=True)
class KeepRecords:
    """Put these signed records on disk, where they are not yet."""

    records: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Describe:
    """Describe this agent for people elsewhere to see; `Described` answers."""


@dataclass(frozen=True, slots=True)
class Notify:
    """Report a notice to people; no decision depends on it."""

    notice: Notice


Effect: TypeAlias = (
    Send | Dial | HangUp | Prepare | Rescale | Evaluate | RunLocalStep | Audit | Measure | CutLocalStepShort | Finish
    | Choose | Conclude | Close | KeepRecords | Describe | Notify
)  # fmt: skip
"""The effects that a shell performs."""


# Between the machines of one node.


@dataclass(frozen=True, slots=True)
class Dismiss:
    """Disconnect a peer that has left or broken the protocol, and redial it after a backoff only."""

    peer: PeerId
    reason: str


@dataclass(frozen=True, slots=True)
class PutOff:
    """Disconnect a peer because one side has refused a link, and redial it after a backoff only."""

    peer: PeerId
    name: str
    reason: str
    is_ours: bool
    """Whether this agent refused, and not the peer."""


@dataclass(frozen=True, slots=True)
class OpenLink:
    """Add the peer to the neighbors, and exchange shares with it."""

    peer: PeerId


@dataclass(frozen=True, slots=True)
class CloseLink:
    """Remove the peer from the neighbors."""

    peer: PeerId
    is_gone: bool
    """Whether the peer is dead or has left; false where it was only dropped from the active view."""
