"""What agents say to each other, and its form on the wire.

A message is one multipart transmission: a small msgpack header, then raw array frames. The header is the array
`[protocol version, kind, field, field, …]` with the fields in the order of the dataclass; arrays never travel inside
it. Nothing received is trusted: sizes are checked before decoding, types and ranges while decoding, and whatever does
not fit is a ProtocolError that says what did not.

    kind  message    says
    1     Hello      who I am, what I train, which side of our link is mine
    2     Refuse     why there will be no link between us
    3     Ready      I have my neighbors; my degree in the coming round
    4     Share      one round's parameters and the running total of mass sent over the link
    5     Ack        I have your share of this sequence number, and miss the one before
    6     Reset      I know nothing of the link you used
    7     Finished   my training has ended with this round; I go on serving
    8     Left       I leave on purpose, and my data with me
    9     StateRequest  where are you, and with which parameters?
    10    StateReply      the answer: round and parameters
    12    Away       I go, and expect to be back soon
    20    LabelSet     the labels that I have heard of, and whose survey this is
    21    FeatureStatistics     what the survey before the training has found
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, NamedTuple, TypeAlias

import msgpack
import numpy as np
from numpy.typing import NDArray

from p2pnet.errors import ProtocolError

PROTOCOL_VERSION = 1
MAX_HEADER_BYTES = 16_384
MAX_FIELDS = 64
MAX_TEXT_LENGTH = 512
MAX_LABELS = 1024
MAX_BYTES_OF_LABELS = 12_288

Array: TypeAlias = NDArray[np.float64]
WireArray: TypeAlias = NDArray[np.float64] | NDArray[np.float32]
Buffer: TypeAlias = bytes | bytearray | memoryview
Frames: TypeAlias = list[Buffer]


class Nonce(NamedTuple):
    """One side's half of a link id. Later incarnations, then later counters, are newer."""

    incarnation: int
    counter: int


class LinkId(NamedTuple):
    """PeerNames one life of one link, as seen from one side."""

    mine: Nonce
    theirs: Nonce

    def mirrored(self) -> LinkId:
        return LinkId(self.theirs, self.mine)

    def is_mirrored(self, other: LinkId) -> bool:
        """Whether `other` names the same link, seen from the other side."""
        return self.mine == other.theirs and self.theirs == other.mine


@dataclass(frozen=True, slots=True)
class Hello:
    """Opens a link or confirms it; `echo` is the receiver's nonce where the sender knows it."""

    nonce: Nonce
    echo: Nonce | None
    fingerprint: Mapping[str, str]
    name: str
    address: str
    round: int
    """The round the sender is in; -1 before its training has begun."""
    is_confirmed: bool
    """Whether the sender knows that the receiver has opened the link too; if not, it waits for an answer."""


@dataclass(frozen=True, slots=True)
class Refuse:
    reason: str


@dataclass(frozen=True, slots=True)
class Ready:
    link_id: LinkId
    degree: int
    round: int
    """The round the sender is in; -1 before its training has begun."""


@dataclass(frozen=True, slots=True)
class Share:
    """What one agent gives one neighbor in one round.

    `total` is everything the sender ever gave over this link, as (gradient sum, samples, weight), less what it had
    given by the share number `base`: a lost share is made good by the next one, and a repeated one changes nothing.
    `params` are the sender's parameters after its local step.
    """

    link_id: LinkId
    sequence: int
    acknowledged: int
    base: int
    """A share that the receiver has acknowledged; 0, from which totals are whole, where nothing is rounded."""
    precision: int
    """Bits of the numbers on the wire: 64 or 32."""
    round: int
    next_degree: int
    proximal_weight: float
    first_residual: float
    """The largest of the first round that the sender knows of: the scale by which all tell that they are at rest."""
    quiet: int
    stop_round: int
    """The round everybody ends with; -1 while none is known."""
    is_held: bool
    """Whether somebody has gone or come since that round was named: then nobody steps any more."""
    total: WireArray = field(repr=False)
    params: WireArray = field(repr=False)


@dataclass(frozen=True, slots=True)
class Ack:
    link_id: LinkId
    sequence: int
    stop_round: int = -1
    """As in a share: word of the end goes round also where no share may be sent for want of acknowledgements."""
    missing: int | None = None
    """The share before that one, where it has not come: to be sent again."""


@dataclass(frozen=True, slots=True)
class Reset:
    link_id: LinkId


@dataclass(frozen=True, slots=True)
class Finished:
    link_id: LinkId
    round: int
    sequence: int
    """Of the last share sent over the link, so that the receiver knows when it has them all."""
    acknowledged: int


@dataclass(frozen=True, slots=True)
class Left:
    link_id: LinkId


@dataclass(frozen=True, slots=True)
class Away:
    link_id: LinkId


@dataclass(frozen=True, slots=True)
class StateRequest:
    link_id: LinkId


@dataclass(frozen=True, slots=True)
class StateReply:
    link_id: LinkId
    round: int
    stop_round: int
    params: Array = field(repr=False)


@dataclass(frozen=True, slots=True)
class LabelSet:
    """What grows during a survey until all who take part say the same."""

    epoch: int
    """How often, one after the other, a link was closed: names of later epochs hold."""
    survey: str
    """PeerNames the survey: the least id, incarnation and epoch of those who have named it in this epoch."""
    labels: tuple[str, ...]
    """Of a classification, each once, in the order of text."""
    is_confirmed: bool
    """Whether the sender has heard the same from the receiver; if not, it waits for an answer."""


@dataclass(frozen=True, slots=True)
class FeatureStatistics:
    """What the agents found out together before they trained, by column: features, then targets."""

    survey: str
    labels: tuple[str, ...]
    mean: Array = field(repr=False)
    variance: Array = field(repr=False)
    """Both over the training samples of all agents."""


Message: TypeAlias = (
    Hello | Refuse | Ready | Share | Ack | Reset | Finished | Left | StateRequest | StateReply | Away
    | LabelSet | FeatureStatistics
)  # fmt: skip

KINDS: Mapping[int, type[Message]] = {
    1: Hello,
    2: Refuse,
    3: Ready,
    4: Share,
    5: Ack,
    6: Reset,
    7: Finished,
    8: Left,
    9: StateRequest,
    10: StateReply,
    12: Away,
    20: LabelSet,
    21: FeatureStatistics,
}
_KIND_OF = {message_type: kind for kind, message_type in KINDS.items()}
_WIRE_TYPES: Mapping[int, str] = {32: "<f4", 64: "<f8"}
_ARRAY_FIELDS: Mapping[type[Message], tuple[str, ...]] = {
    Share: ("total", "params"),
    StateReply: ("params",),
    FeatureStatistics: ("mean", "variance"),
}
_HEADER_FIELDS: Mapping[type[Message], tuple[str, ...]] = {
    message_type: tuple(f.name for f in fields(message_type) if f.name not in _ARRAY_FIELDS.get(message_type, ()))
    for message_type in KINDS.values()
}


class ForeignVersionError(ProtocolError):
    """The sender speaks another version of the protocol; nothing behind the version number can be read."""

    def __init__(self, version: int) -> None:
        super().__init__(f"protocol version: theirs is {version}, ours is {PROTOCOL_VERSION}")
        self.version = version


def encode(message: Message) -> Frames:
    """The frames of a message: msgpack header, then one little-endian frame of float64 for each array, or of float32
    where the message says so.
    """
    message_type = type(message)
    header: list[Any] = [PROTOCOL_VERSION, _KIND_OF[message_type]]
    header += [getattr(message, name) for name in _HEADER_FIELDS[message_type]]
    frames: Frames = [msgpack.packb(header)]
    for name in _ARRAY_FIELDS.get(message_type, ()):
        array = np.ascontiguousarray(getattr(message, name), dtype=_wire_type(message))
        frames.append(memoryview(array.data).cast("B"))
    return frames


def _wire_type(message: Message) -> str:
    return _WIRE_TYPES[message.precision] if isinstance(message, Share) else "<f8"


def decode(frames: Sequence[Buffer]) -> Message:
    """The message in the frames.

    Raises ProtocolError where the frames are not exactly one well-formed message of this version. Arrays are read-only
    views of the frames; that their length is the model's is for the receiver to check.
    """
    if not frames:
        raise ProtocolError("message: no frames")
    if len(frames[0]) > MAX_HEADER_BYTES:
        raise ProtocolError(f"header: {len(frames[0])} bytes, at most {MAX_HEADER_BYTES} are read")
    header = _unpack(frames[0])
    if header[0] != PROTOCOL_VERSION:
        raise ForeignVersionError(header[0])
    message_type = KINDS.get(header[1])
    if message_type is None:
        raise ProtocolError(f"header: unknown message kind {header[1]}")
    array_names = _ARRAY_FIELDS.get(message_type, ())
    names = _HEADER_FIELDS[message_type]
    if len(header) != 2 + len(names):
        raise ProtocolError(f"{message_type.__name__}: {len(header) - 2} fields instead of {len(names)}")
    if len(frames) != 1 + len(array_names):
        raise ProtocolError(f"{message_type.__name__}: {len(frames) - 1} array frames instead of {len(array_names)}")
    values: dict[str, Any] = {}
    try:
        for name, value in zip(names, header[2:], strict=True):
            values[name] = _READERS[name](value)
        wire_type = _WIRE_TYPES[values.get("precision", 64)]
        for name, frame in zip(array_names, frames[1:], strict=True):
            values[name] = _read_array(frame, wire_type)
    except ProtocolError as error:
        raise ProtocolError(f"{message_type.__name__}.{name}: {error}") from error
    return message_type(**values)


def _unpack(frame: Buffer) -> list[Any]:
    try:
        header = msgpack.unpackb(frame)
    except (ValueError, msgpack.UnpackException) as error:
        raise ProtocolError(f"header: not msgpack ({type(error).__name__})") from error
    if not isinstance(header, list) or len(header) < 2 or not all(type(part) is int for part in header[:2]):
        raise ProtocolError("header: not an array that begins with protocol version and message kind")
    return header


def _read_count(value: object) -> int:
    if type(value) is not int or not 0 <= value < 2**62:
        raise ProtocolError("not a count")
    return value


def _read_optional_count(value: object) -> int | None:
    return None if value is None else _read_count(value)


def _read_flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise ProtocolError("neither true nor false")
    return value


def _read_round(value: object) -> int:
    return -1 if value == -1 else _read_count(value)


def _read_text(value: object) -> str:
    if not isinstance(value, str) or len(value) > MAX_TEXT_LENGTH:
        raise ProtocolError(f"not a text of at most {MAX_TEXT_LENGTH} characters")
    return value


def _read_weight(value: object) -> float:
    if not isinstance(value, float) or not math.isfinite(value) or value < 0:
        raise ProtocolError("not a finite number of at least zero")
    return value


def _read_nonce(value: object) -> Nonce:
    if not isinstance(value, list) or len(value) != 2:
        raise ProtocolError("not a pair of incarnation and counter")
    return Nonce(_read_count(value[0]), _read_count(value[1]))


def _read_optional_nonce(value: object) -> Nonce | None:
    return None if value is None else _read_nonce(value)


def _read_link_id(value: object) -> LinkId:
    if not isinstance(value, list) or len(value) != 2:
        raise ProtocolError("not a pair of nonces")
    return LinkId(_read_nonce(value[0]), _read_nonce(value[1]))


def _read_texts(value: object) -> dict[str, str]:
    if not isinstance(value, dict) or len(value) > MAX_FIELDS:
        raise ProtocolError(f"not a map of at most {MAX_FIELDS} texts")
    return {_read_text(name): _read_text(text) for name, text in value.items()}


def _read_labels(value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or len(value) > MAX_LABELS:
        raise ProtocolError(f"not a list of at most {MAX_LABELS} texts")
    return check_labels(tuple(_read_text(label) for label in value))


def check_labels(labels: tuple[str, ...]) -> tuple[str, ...]:
    """The same, or ProtocolError: they must be distinct and fit into one message."""
    if len(set(labels)) < len(labels):
        raise ProtocolError("a label stands there twice")
    if len(labels) > MAX_LABELS or sum(len(label.encode()) + 3 for label in labels) > MAX_BYTES_OF_LABELS:
        raise ProtocolError(
            f"more than {MAX_LABELS} labels or {MAX_BYTES_OF_LABELS} bytes of them; name them in data.classes"
        )
    return labels


def _read_precision(value: object) -> int:
    if type(value) is not int or value not in _WIRE_TYPES:
        raise ProtocolError("neither 32 nor 64")
    return value


def _read_array(frame: Buffer, wire_type: str) -> WireArray:
    if len(frame) % np.dtype(wire_type).itemsize:
        raise ProtocolError(f"{len(frame)} bytes are not a whole number of {np.dtype(wire_type).name}")
    array: WireArray = np.frombuffer(frame, dtype=wire_type)
    if not np.isfinite(array).all():
        raise ProtocolError("holds a number that is not finite")
    return array


_READERS: Mapping[str, Any] = {
    "nonce": _read_nonce,
    "echo": _read_optional_nonce,
    "fingerprint": _read_texts,
    "is_confirmed": _read_flag,
    "is_held": _read_flag,
    "name": _read_text,
    "address": _read_text,
    "reason": _read_text,
    "round": _read_round,
    "stop_round": _read_round,
    "link_id": _read_link_id,
    "degree": _read_count,
    "epoch": _read_count,
    "next_degree": _read_count,
    "sequence": _read_count,
    "missing": _read_optional_count,
    "acknowledged": _read_count,
    "base": _read_count,
    "precision": _read_precision,
    "quiet": _read_count,
    "proximal_weight": _read_weight,
    "first_residual": _read_weight,
    "survey": _read_text,
    "labels": _read_labels,
}
