"""Notices: reports to people as typed fields; `p2pnet.agent.notice_text` turns them into text.

No decision depends on a notice.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

from p2pnet.protocol.core.events import DialProblem
from p2pnet.protocol.core.types import PeerId


class CloseReason(StrEnum):
    """Why a link was closed."""

    OPENED_ANEW = "it opened the link anew"
    FORGOTTEN = "it has forgotten the link"
    SILENT = "it has fallen silent"
    DISCONNECTED = "its connection closed"
    AWAY = "it is away for a while"
    LEFT = "it left"
    OUT_OF_RANGE = "its numbers are out of range"
    OTHER_BASE = "its share was made from another one than we have"
    TOO_MUCH_WEIGHT = "it has moved more weight than several agents have"
    TOO_MANY_SAMPLES = "it has given more samples than there can be, or taken some back"
    TOO_MUCH_GRADIENT = "it has moved more gradient than there can be"
    TOO_MUCH_CURVATURE = "it has moved more curvature than there can be"
    FAR_OFF = "its parameters stay far from all others"
    OF_NO_USE = "its parameters are of no use for the samples here"
    RESTLESS = "it opens the link anew all the time"
    REFUSED = "it refused"
    NO_NEIGHBOR = "it is a neighbor no longer"
    WE_GO = "we go"


class MemberChange(StrEnum):
    """The change that a record has made to the table of members."""

    JOINED = "joined"
    RENEWED = "has a new address or incarnation"
    REFUTED = "is alive after all"
    SUSPECTED = "is suspected"
    CONFIRMED = "is suspected by another member"
    DIED = "died"
    WENT = "is away, and expected back"
    LEFT = "left"


@dataclass(frozen=True, slots=True)
class AgentsAwaited:
    """The session has not begun, since fewer agents are known to live than are to be there."""

    n_agents: int
    min_agents: int


@dataclass(frozen=True, slots=True)
class LinkOpened:
    name: str


@dataclass(frozen=True, slots=True)
class LinkClosed:
    name: str
    reason: CloseReason


@dataclass(frozen=True, slots=True)
class NeighborLate:
    """A round was mixed without a neighbor's share; the neighbor is not awaited until it keeps up again."""

    name: str
    waited_s: float


@dataclass(frozen=True, slots=True)
class NoNeighborAnswered:
    """No link has opened within the start timeout; the agent goes on waiting."""

    waited_s: float


@dataclass(frozen=True, slots=True)
class NoNeighborLeft:
    """The last neighbor has gone; the agent trains on its own samples alone."""


@dataclass(frozen=True, slots=True)
class EndHeldUp:
    """The agent is stationary, but training does not end while these neighbors may come back."""

    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ServiceProlonged:
    """Training has ended; the agent keeps serving, since these neighbors may come back and need the last round."""

    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class EpochBegun:
    """The network trains on, from where it was idle."""

    number: int
    why: str


@dataclass(frozen=True, slots=True)
class Rescaled:
    """Other scales are in force, since the network's samples have drifted from those before."""

    drift: float
    """in deviations, or the part by which a deviation has changed; 0 where this agent has not measured it"""


@dataclass(frozen=True, slots=True)
class KeyInUseTwice:
    """Two processes seem to use one key: their incarnations say Hello in turns."""

    peer: PeerId
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TakenForPast:
    """A peer remembers this agent from a later time than its process began with, and takes it for its own past."""

    name: str
    remembered: int
    """Incarnation, in seconds since the epoch."""
    own: int


@dataclass(frozen=True, slots=True)
class StatisticsFound:
    n_columns: int
    labels: tuple[str, ...]
    n_levels: int
    """of all categories"""
    n_rounds: int


@dataclass(frozen=True, slots=True)
class StatisticsUnsettled:
    """The averaging has not become stationary; the agent does not train."""

    n_rounds: int
    column: int
    """The one that changes most, from 0."""
    change: float
    """Of its mean or deviation, in its deviation."""


@dataclass(frozen=True, slots=True)
class ParametersChosen:
    """The parameters of this round are the best of late, by the validation rows of all agents."""

    round: int


@dataclass(frozen=True, slots=True)
class MetricsUnsettled:
    """The metrics of the network have not become stationary; the model is saved without them."""

    n_rounds: int


@dataclass(frozen=True, slots=True)
class MessageDropped:
    """A message of the peer broke the protocol and was dropped."""

    peer: PeerId
    reason: str


@dataclass(frozen=True, slots=True)
class PeerDismissed:
    peer: PeerId
    reason: str


@dataclass(frozen=True, slots=True)
class LinkRefused:
    """One side has refused a link for this reason; the peer is redialed after a backoff."""

    peer: PeerId
    name: str
    reason: str
    is_ours: bool
    """Whether this agent refused, and not the peer."""
    is_news: bool


@dataclass(frozen=True, slots=True)
class ForeignVersion:
    """The peer speaks a protocol version that this program does not."""

    peer: PeerId
    version: int
    is_news: bool


@dataclass(frozen=True, slots=True)
class AdmissionRefused:
    """The peer was refused, since the limit on neighbors is reached."""

    peer: PeerId
    max_neighbors: int
    is_news: bool


@dataclass(frozen=True, slots=True)
class PeerUnreachable:
    peer: PeerId
    address: str
    problem: DialProblem
    is_news: bool


@dataclass(frozen=True, slots=True)
class MemberAdmitted:
    """A key belongs to a member from now on."""

    peer: PeerId
    name: str


@dataclass(frozen=True, slots=True)
class RosterGrown:
    """Many keys belong to members from now on, as when a newcomer hears of all others."""

    n_admitted: int
    n_members: int


@dataclass(frozen=True, slots=True)
class RevokedHere:
    """The key of this very agent has been revoked."""


@dataclass(frozen=True, slots=True)
class MemberChanged:
    change: MemberChange
    name: str
    accuser: str
    n_living: int
    peer: PeerId = ""


PlainNotice: TypeAlias = (
    AgentsAwaited
    | LinkOpened
    | LinkClosed
    | NeighborLate
    | NoNeighborAnswered
    | NoNeighborLeft
    | EndHeldUp
    | ServiceProlonged
    | EpochBegun
    | Rescaled
    | KeyInUseTwice
    | TakenForPast
    | StatisticsFound
    | StatisticsUnsettled
    | ParametersChosen
    | MetricsUnsettled
    | MessageDropped
    | PeerDismissed
    | LinkRefused
    | ForeignVersion
    | AdmissionRefused
    | PeerUnreachable
    | MemberAdmitted
    | MemberChanged
    | RevokedHere
    | RosterGrown
)


@dataclass(frozen=True, slots=True)
class InStatistics:
    """A notice of the statistics stage, not of training."""

    notice: PlainNotice


@dataclass(frozen=True, slots=True)
class InMeasurement:
    """A notice of the measurement after training."""

    notice: PlainNotice


Notice: TypeAlias = PlainNotice | InStatistics | InMeasurement
