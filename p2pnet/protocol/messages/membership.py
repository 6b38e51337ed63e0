"""The messages of the membership protocol.

The kinds begin at 64. Each message is one frame.

    kind  message          says
    64    Ping             are you there? (to a neighbor, or at another agent's word)
    65    Pong             I am
    66    ProbeRequest     I hear nothing from this agent: do you?
    67    Vouch            I do
    68    Gossip           news of members
    69    NeighborRequest  will you be my neighbor?
    70    NeighborReply    whether I will; if not, which others might
    71    Disconnect       we are not neighbors, or no longer
    72    Digest           hashes of all that I know of the members
    73    MemberRecords    what you seem not to know
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import TypeAlias

import msgpack

from p2pnet.errors import ProtocolError
from p2pnet.protocol.core.codec import MessageSet, Reader, read_count, read_flag, read_text
from p2pnet.protocol.core.types import Message, PeerId

MAX_RECORDS = 256
MAX_PEER_LENGTH = 64
MAX_ADDRESS_LENGTH = 256
MAX_NAME_LENGTH = 64
N_BUCKETS = 64
BUCKET_BYTES = 4


class MemberState(IntEnum):
    """The state of a member; of two records of one incarnation the greater state is the later."""

    ALIVE = 0
    SUSPECT = 1
    DEAD = 2
    LEFT = 3


@dataclass(frozen=True, slots=True)
class Record:
    """One member's state, as gossip spreads it. Only the member itself raises its incarnation, to refute."""

    peer: PeerId
    state: MemberState
    incarnation: int
    address: str = ""
    """The member's address; empty for a member that only dials out, and where the record does not tell."""
    name: str = ""
    accuser: PeerId = ""
    """The agent that suspects the member; empty where the member merely could not be reached."""

    @property
    def precedence(self) -> tuple[int, MemberState]:
        """The rank of a record: of two records of a member the greater rank holds, whichever came first."""
        return (self.incarnation, self.state)


@dataclass(frozen=True, slots=True)
class Ping(Message):
    sequence: int
    is_neighbor: bool
    """Whether the receiver is in the sender's active view."""


@dataclass(frozen=True, slots=True)
class Pong(Message):
    sequence: int


@dataclass(frozen=True, slots=True)
class ProbeRequest(Message):
    target: PeerId


@dataclass(frozen=True, slots=True)
class Vouch(Message):
    target: PeerId


@dataclass(frozen=True, slots=True)
class Gossip(Message):
    records: tuple[Record, ...]


@dataclass(frozen=True, slots=True)
class NeighborRequest(Message):
    me: Record
    is_urgent: bool
    """Whether the sender has no neighbor; the receiver then must not decline."""


@dataclass(frozen=True, slots=True)
class NeighborReply(Message):
    me: Record
    is_accepted: bool
    records: tuple[Record, ...] = ()
    """Other candidates, where the sender declines."""


@dataclass(frozen=True, slots=True)
class Disconnect(Message):
    pass


@dataclass(frozen=True, slots=True)
class Digest(Message):
    hashes: bytes
    """One hash of BUCKET_BYTES for each of N_BUCKETS buckets of members."""


@dataclass(frozen=True, slots=True)
class MemberRecords(Message):
    records: tuple[Record, ...]
    is_complete: bool
    """Whether the records cover all differing buckets."""


MembershipMessage: TypeAlias = (
    Ping | Pong | ProbeRequest | Vouch | Gossip | NeighborRequest | NeighborReply | Disconnect | Digest | MemberRecords
)  # fmt: skip

KINDS: Mapping[int, type[MembershipMessage]] = {
    64: Ping,
    65: Pong,
    66: ProbeRequest,
    67: Vouch,
    68: Gossip,
    69: NeighborRequest,
    70: NeighborReply,
    71: Disconnect,
    72: Digest,
    73: MemberRecords,
}
_STATES = frozenset(int(state) for state in MemberState)


def n_bytes(record: Record) -> int:
    """The size of a record in a message, in bytes."""
    return len(msgpack.packb(_plain_record(record)))


def _plain(value: object) -> object:
    if isinstance(value, Record):
        return _plain_record(value)
    if isinstance(value, tuple):
        return [_plain_record(record) for record in value]
    return value


def _plain_record(record: Record) -> list[object]:
    """Empty fields at the end are left out."""
    parts: list[object] = [record.peer, int(record.state), record.incarnation]
    texts = [record.address, record.name, record.accuser]
    while texts and not texts[-1]:
        texts.pop()
    return parts + texts


def _read_peer(value: object) -> PeerId:
    peer = read_text(value, MAX_PEER_LENGTH)
    if not peer:
        raise ProtocolError("empty; it must name a peer")
    return peer


def _read_record(value: object) -> Record:
    if not isinstance(value, list) or not 3 <= len(value) <= 6:
        raise ProtocolError("not a record of 3 to 6 parts")
    peer, state, incarnation, *texts = value
    if type(state) is not int or state not in _STATES:
        raise ProtocolError("no such state")
    limits = (MAX_ADDRESS_LENGTH, MAX_NAME_LENGTH, MAX_PEER_LENGTH)
    return Record(
        _read_peer(peer),
        MemberState(state),
        read_count(incarnation),
        *(read_text(text, limit) for text, limit in zip(texts, limits, strict=False)),
    )


def _read_records(value: object) -> tuple[Record, ...]:
    if not isinstance(value, list) or len(value) > MAX_RECORDS:
        raise ProtocolError(f"not a list of at most {MAX_RECORDS} records")
    return tuple(_read_record(record) for record in value)


def _read_hashes(value: object) -> bytes:
    if not isinstance(value, bytes) or len(value) != N_BUCKETS * BUCKET_BYTES:
        raise ProtocolError(f"not {N_BUCKETS} hashes of {BUCKET_BYTES} bytes")
    return value


_READERS: Mapping[str, Reader] = {
    "sequence": read_count,
    "is_neighbor": read_flag,
    "is_urgent": read_flag,
    "is_accepted": read_flag,
    "is_complete": read_flag,
    "target": _read_peer,
    "me": _read_record,
    "records": _read_records,
    "hashes": _read_hashes,
}

MEMBERSHIP_MESSAGES = MessageSet(kinds=KINDS, readers=_READERS, arrays={}, plain=_plain)
