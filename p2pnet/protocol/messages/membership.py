"""What agents tell each other of who is there, and its form on the wire.

A message is one msgpack frame, `[protocol version, kind, field, field, …]`, with the fields in the order of the
dataclass. The kinds begin at 64, so that the second number tells these messages from those of the rounds. Nothing
received is trusted: sizes before decoding, types and ranges while decoding; what does not fit is a ProtocolError.

    kind  message          says
    64    Ping             are you there? (to a neighbor, or at another agent's word)
    65    Pong              I am
    66    ProbeRequest     I hear nothing from this agent: do you?
    67    Vouch            I do
    68    Gossip           news of members
    69    NeighborRequest  will you be my neighbor?
    70    NeighborReply    whether I will; if not, who else might
    71    Disconnect       we are not neighbors, or no longer
    72    Digest           hashes of all that I know of who is there
    73    MemberRecords          what you seem not to know
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from enum import IntEnum
from typing import Any, TypeAlias

import msgpack

from p2pnet.errors import ProtocolError

PROTOCOL_VERSION = 1
FIRST_KIND = 64
MAX_MESSAGE_BYTES = 16_384
MAX_RECORDS = 256
MAX_PEER_LENGTH = 64
MAX_ADDRESS_LENGTH = 256
MAX_NAME_LENGTH = 64
MAX_INCARNATION = 2**62
N_BUCKETS = 64
BUCKET_BYTES = 4

Buffer: TypeAlias = bytes | bytearray | memoryview
PeerId: TypeAlias = str


class MemberState(IntEnum):
    """What is held of a member; of two records of one incarnation the greater state is the later."""

    ALIVE = 0
    SUSPECT = 1
    DEAD = 2
    LEFT = 3


@dataclass(frozen=True, slots=True)
class Record:
    """What is said of one member. Only the member itself takes a new incarnation, to say that it is alive."""

    peer: PeerId
    state: MemberState
    incarnation: int
    address: str = ""
    """Where it can be dialed; empty for one that only dials out, and where nothing is said of it."""
    name: str = ""
    accuser: PeerId = ""
    """Who suspects it; empty where it merely could not be reached."""

    @property
    def precedence(self) -> tuple[int, MemberState]:
        """Of two records the one with the greater holds, whichever came first."""
        return (self.incarnation, self.state)


@dataclass(frozen=True, slots=True)
class Ping:
    sequence: int
    is_neighbor: bool
    """Whether the sender takes the receiver for a neighbor."""


@dataclass(frozen=True, slots=True)
class Pong:
    sequence: int


@dataclass(frozen=True, slots=True)
class ProbeRequest:
    target: PeerId


@dataclass(frozen=True, slots=True)
class Vouch:
    target: PeerId


@dataclass(frozen=True, slots=True)
class Gossip:
    records: tuple[Record, ...]


@dataclass(frozen=True, slots=True)
class NeighborRequest:
    me: Record
    is_urgent: bool
    """Whether the sender has no neighbor at all; it is then not turned away."""


@dataclass(frozen=True, slots=True)
class NeighborReply:
    me: Record
    is_accepted: bool
    records: tuple[Record, ...] = ()
    """A few members that might, if the sender will not."""


@dataclass(frozen=True, slots=True)
class Disconnect:
    pass


@dataclass(frozen=True, slots=True)
class Digest:
    hashes: bytes
    """One hash of BUCKET_BYTES for each of N_BUCKETS parts of the members."""


@dataclass(frozen=True, slots=True)
class MemberRecords:
    records: tuple[Record, ...]
    is_complete: bool
    """Whether this is all in which the digest differed."""


Message: TypeAlias = (
    Ping | Pong | ProbeRequest | Vouch | Gossip | NeighborRequest | NeighborReply | Disconnect | Digest | MemberRecords
)  # fmt: skip

KINDS: Mapping[int, type[Message]] = {
    FIRST_KIND + place: message_type
    for place, message_type in enumerate(
        (Ping, Pong, ProbeRequest, Vouch, Gossip, NeighborRequest, NeighborReply, Disconnect, Digest, MemberRecords)
    )
}
_STATES = frozenset(int(state) for state in MemberState)
_KIND_OF = {message_type: kind for kind, message_type in KINDS.items()}
_NAMES_OF = {message_type: tuple(field.name for field in fields(message_type)) for message_type in _KIND_OF}


def is_membership(frame: Buffer) -> bool:
    """Whether a header is that of a message of this module: a short array whose second number is of its kinds."""
    return len(frame) > 2 and frame[0] & 0xF0 == 0x90 and frame[2] in KINDS


def encode(message: Message) -> bytes:
    """The frame of a message."""
    message_type = type(message)
    parts = [_plain(getattr(message, name)) for name in _NAMES_OF[message_type]]
    frame: bytes = msgpack.packb([PROTOCOL_VERSION, _KIND_OF[message_type], *parts])
    return frame


def decode(frames: Sequence[Buffer]) -> Message:
    """The message in the frames; ProtocolError where they are not exactly one well-formed message."""
    if len(frames) != 1:
        raise ProtocolError(f"membership: {len(frames)} frames instead of 1")
    if len(frames[0]) > MAX_MESSAGE_BYTES:
        raise ProtocolError(f"membership: {len(frames[0])} bytes, at most {MAX_MESSAGE_BYTES} are read")
    try:
        header = msgpack.unpackb(frames[0])
    except (ValueError, msgpack.UnpackException) as error:
        raise ProtocolError(f"membership: not msgpack ({type(error).__name__})") from error
    if not isinstance(header, list) or len(header) < 2 or header[0] != PROTOCOL_VERSION:
        raise ProtocolError("membership: not an array that begins with our protocol version and a kind")
    message_type = KINDS.get(header[1]) if type(header[1]) is int else None
    if message_type is None:
        raise ProtocolError("membership: unknown message kind")
    names = _NAMES_OF[message_type]
    if len(header) != 2 + len(names):
        raise ProtocolError(f"{message_type.__name__}: {len(header) - 2} fields instead of {len(names)}")
    values = {
        name: _READERS[name](f"{message_type.__name__}.{name}", value)
        for name, value in zip(names, header[2:], strict=True)
    }
    return message_type(**values)


def n_bytes(record: Record) -> int:
    """What a record adds to a message."""
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


def _read_count(where: str, value: object) -> int:
    if type(value) is not int or not 0 <= value <= MAX_INCARNATION:
        raise ProtocolError(f"{where}: not a count")
    return value


def _read_flag(where: str, value: object) -> bool:
    if not isinstance(value, bool):
        raise ProtocolError(f"{where}: neither true nor false")
    return value


def _read_text(where: str, value: object, max_length: int) -> str:
    if not isinstance(value, str) or len(value) > max_length:
        raise ProtocolError(f"{where}: not a text of at most {max_length} characters")
    return value


def _read_peer(where: str, value: object) -> PeerId:
    peer = _read_text(where, value, MAX_PEER_LENGTH)
    if not peer:
        raise ProtocolError(f"{where}: names nobody")
    return peer


def _read_record(where: str, value: object) -> Record:
    if not isinstance(value, list) or not 3 <= len(value) <= 6:
        raise ProtocolError(f"{where}: not a record of 3 to 6 parts")
    peer, state, incarnation, *texts = value
    if type(state) is not int or state not in _STATES:
        raise ProtocolError(f"{where}: no such state")
    limits = (MAX_ADDRESS_LENGTH, MAX_NAME_LENGTH, MAX_PEER_LENGTH)
    return Record(
        _read_peer(where, peer),
        MemberState(state),
        _read_count(where, incarnation),
        *(_read_text(where, text, limit) for text, limit in zip(texts, limits, strict=False)),
    )


def _read_records(where: str, value: object) -> tuple[Record, ...]:
    if not isinstance(value, list) or len(value) > MAX_RECORDS:
        raise ProtocolError(f"{where}: not a list of at most {MAX_RECORDS} records")
    return tuple(_read_record(where, record) for record in value)


def _read_hashes(where: str, value: object) -> bytes:
    if not isinstance(value, bytes) or len(value) != N_BUCKETS * BUCKET_BYTES:
        raise ProtocolError(f"{where}: not {N_BUCKETS} hashes of {BUCKET_BYTES} bytes")
    return value


_READERS: Mapping[str, Any] = {
    "sequence": _read_count,
    "is_neighbor": _read_flag,
    "is_urgent": _read_flag,
    "is_accepted": _read_flag,
    "is_complete": _read_flag,
    "target": _read_peer,
    "me": _read_record,
    "records": _read_records,
    "hashes": _read_hashes,
}
