"""Notices: what people may want to know, as fields; the text is made at the edge (`p2pnet.agent.notice_text`).

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
    OUT_OF_RANGE = "its numbers are beyond all measure"
    REFUSED = "it refused"
    NO_NEIGHBOR = "it is a neighbor no longer"
    WE_GO = "we go"


class MemberChange(StrEnum):
    """What a record has changed in the table of members."""

    JOINED = "joined"
    RENEWED = "has a new address or incarnation"
    REFUTED = "is alive after all"
    SUSPECTED = "is suspected"
    CONFIRMED = "is suspected by another one"
    DIED = "died"
    LEFT = "left"


@dataclass(frozen=True, slots=True)
class LinkOpened:
    name: str


@dataclass(frozen=True, slots=True)
class LinkClosed:
    name: str
    reason: CloseReason


@dataclass(frozen=True, slots=True)
class NeighborLate:
    """A round went on without the share of a neighbor, which is not awaited until it keeps up again."""

    name: str
    waited_s: float


@dataclass(frozen=True, slots=True)
class NoNeighborAnswered:
    """No link has opened in the time that the start may take; the agent goes on waiting."""

    waited_s: float


@dataclass(frozen=True, slots=True)
class NoNeighborLeft:
    """From now on the agent learns from its own samples alone."""


@dataclass(frozen=True, slots=True)
class EndHeldUp:
    """The agent is stationary, but training does not end while these neighbors may come back."""

    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ServiceProlonged:
    """Training has ended; the agent stays since these neighbors may come back and have to be told."""

    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class KeyInUseTwice:
    """Two processes seem to use one key: their incarnations say Hello in turns."""

    peer: PeerId
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class StatisticsFound:
    n_columns: int
    n_labels: int
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
class MessageDropped:
    """A message of the peer breaks the protocol."""

    peer: PeerId
    reason: str


@dataclass(frozen=True, slots=True)
class PeerDismissed:
    peer: PeerId
    reason: str


@dataclass(frozen=True, slots=True)
class LinkRefused:
    """One side has refused a link for this reason; the peer is dialed again after a while."""

    peer: PeerId
    name: str
    reason: str
    is_ours: bool
    """Whether it is this agent that refuses."""
    is_news: bool


@dataclass(frozen=True, slots=True)
class ForeignVersion:
    """The peer speaks another version of the protocol."""

    peer: PeerId
    version: int
    is_news: bool


@dataclass(frozen=True, slots=True)
class AdmissionRefused:
    """The peer was turned away, since there are as many neighbors as may be."""

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
class MemberChanged:
    change: MemberChange
    name: str
    accuser: str
    n_living: int


PlainNotice: TypeAlias = (
    LinkOpened
    | LinkClosed
    | NeighborLate
    | NoNeighborAnswered
    | NoNeighborLeft
    | EndHeldUp
    | ServiceProlonged
    | KeyInUseTwice
    | StatisticsFound
    | StatisticsUnsettled
    | MessageDropped
    | PeerDismissed
    | LinkRefused
    | ForeignVersion
    | AdmissionRefused
    | PeerUnreachable
    | MemberChanged
)


@dataclass(frozen=True, slots=True)
class InStatistics:
    """The notice comes from the rounds that average the feature statistics, not from training."""

    notice: PlainNotice


Notice: TypeAlias = PlainNotice | InStatistics
