"""The bounded codec: encodes messages to frames, and decodes and checks received frames.

A message is one multipart transmission: a small msgpack header, then raw array frames. The header is the array
`[layout, kind, field, field, …]` with the fields in the order of the dataclass; arrays never travel inside it. The
layout is the version of the protocol in which the kind got its present fields: a kind that has not changed since is
read by every version. A field that was added later says so in its metadata (`since`) and has a default; towards an
agent that does not know it, it is left out.

Nothing received is trusted: sizes are checked before decoding, types and ranges while decoding, and whatever does not
fit is a ProtocolError that says what did not.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, TypeAlias, final

import msgpack
import numpy as np

from p2pnet.errors import ProtocolError
from p2pnet.protocol.core.counts import MAX_COUNT
from p2pnet.protocol.core.types import Buffer, Frames, LinkId, Message, Nonce, VersionRange, WireArray

FIRST_VERSION = 2
"""The first version of this wire format: of version 1 only the version number is read."""
PROTOCOL_VERSION = 2
"""The latest protocol version that this program speaks."""
LOWEST_VERSION = 2
"""The earliest protocol version that this program speaks: from version 3 on, the version before the latest."""
SPOKEN_VERSIONS = VersionRange(LOWEST_VERSION, PROTOCOL_VERSION)
MAX_HEADER_BYTES = 16_384
WIRE_TYPES: Mapping[int, np.dtype[Any]] = {8: np.dtype("|u1"), 32: np.dtype("<f4"), 64: np.dtype("<f8")}

Reader: TypeAlias = Callable[[object], Any]
"""Reads a field from its msgpack form; ProtocolError where the value is of another type or out of range."""


class ForeignVersionError(ProtocolError):
    """A message of another protocol version: nothing behind the version number can be read."""

    def __init__(self, version: int) -> None:
        super().__init__(f"protocol version: theirs is {version}, ours are {SPOKEN_VERSIONS}")
        self.version = version


@dataclass(frozen=True, slots=True)
class MessageSet:
    """Describes the messages of one sub-protocol: kind numbers, readers of their fields by name, arrays."""

    kinds: Mapping[int, type[Message]]
    readers: Mapping[str, Reader]
    arrays: Mapping[type[Message], tuple[str, ...]]
    """Fields that travel as frames of their own, in this order."""
    codes: Mapping[type[Message], str] = field(default_factory=dict)
    """A field of bytes that is the last frame, which is left out where it is empty."""
    plain: Callable[[Any], object] | None = None
    """The msgpack form of a field's value; None where values are plain themselves."""
    since: Mapping[type[Message], int] = field(default_factory=dict)
    """The version that a kind was added in, where it was not the first."""
    open_ended: frozenset[type[Message]] = frozenset()
    """Messages to which later versions append fields that earlier ones pass over."""


@dataclass(frozen=True, slots=True)
class _Layout:
    """The wire layout of one message kind, valid from one protocol version on."""

    version: int
    kind: int
    message_type: type[Message]
    names: tuple[str, ...]
    """of the fields in the header, then of the arrays, then that of the code"""
    readers: tuple[Reader, ...]
    """of the fields in the header"""
    n_arrays: int
    code: str | None
    precision_at: int | None
    """where the header has the precision of the arrays; None for doubles"""
    plain: Callable[[Any], object] | None
    is_open: bool
    """Whether fields behind those of the layout are passed over instead of refused."""

    @classmethod
    def all_of(cls, kind: int, message_type: type[Message], messages: MessageSet) -> list[_Layout]:
        """All layouts that the kind has had, the latest first."""
        arrays, code = messages.arrays.get(message_type, ()), messages.codes.get(message_type)
        since = {f.name: f.metadata.get("since", FIRST_VERSION) for f in fields(message_type)}  # type: ignore[arg-type]
        layouts = []
        for version in sorted({messages.since.get(message_type, FIRST_VERSION), *since.values()}, reverse=True):
            names = [name for name in since if since[name] <= version and name not in (*arrays, code)]
            layout = cls(
                version,
                kind,
                message_type,
                names=(*names, *arrays, *([] if code is None else [code])),
                readers=tuple(messages.readers[name] for name in names),
                n_arrays=len(arrays),
                code=code,
                precision_at=names.index("precision") if "precision" in names else None,
                plain=messages.plain,
                is_open=message_type in messages.open_ended,
            )
            layouts.append(layout)
        return layouts

    def header_of(self, message: Message) -> list[object]:
        """The header of a message, of plain values."""
        values = [getattr(message, name) for name in self.names[: len(self.readers)]]
        return [self.version, self.kind, *(values if self.plain is None else map(self.plain, values))]

    def wire_type(self, values: Sequence[Any]) -> np.dtype[Any]:
        """The type of the arrays, by the values of the header's fields."""
        return WIRE_TYPES[64 if self.precision_at is None else values[self.precision_at]]


@final
class Codec:
    """Encodes messages to frames, and decodes frames to messages, for the given message sets."""

    def __init__(self, *sets: MessageSet) -> None:
        kinds = [(kind, of, messages) for messages in sets for kind, of in messages.kinds.items()]
        self._by_type = {of: _Layout.all_of(kind, of, messages) for kind, of, messages in kinds}
        layouts = [layout for several in self._by_type.values() for layout in several]
        self._by_header = {(layout.version, layout.kind): layout for layout in layouts}
        self._versions = {layout.version for layout in layouts}

    def encode(self, message: Message, version: int = PROTOCOL_VERSION) -> Frames:
        """Encode a message for a peer that speaks this version: a msgpack header, then one little-endian frame for each
        array (float64, or float32 or bytes where the message says so).
        """
        layout = next(layout for layout in self._by_type[type(message)] if layout.version <= version)
        header = layout.header_of(message)
        frames: Frames = [msgpack.packb(header)]
        if layout.n_arrays:
            wire_type = layout.wire_type(header[2:])
            for name in layout.names[len(layout.readers) : len(layout.readers) + layout.n_arrays]:
                array = np.ascontiguousarray(getattr(message, name), dtype=wire_type)
                frames.append(array.data.cast("B").toreadonly() if array.size else b"")
        if layout.code is not None and (code := getattr(message, layout.code)).size:
            frames.append(code.data.toreadonly())
        return frames

    def decode(self, frames: Sequence[Buffer]) -> Message:
        """Decode and check one message.

        Raises ProtocolError where the frames are not exactly one well-formed message of a layout known here. Arrays are
        read-only views of the frames; that their length is the model's is for the receiver to check.
        """
        header = _header(frames)
        layout = self._by_header.get((header[0], header[1]))
        if layout is None:
            if header[0] not in self._versions:
                raise ForeignVersionError(header[0])
            raise ProtocolError(f"header: unknown message kind {header[1]} of version {header[0]}")
        called = layout.message_type.__name__
        n_fields, n_given = len(layout.readers), len(header) - 2
        if n_given < n_fields or (n_given > n_fields and not layout.is_open):
            raise ProtocolError(f"{called}: {n_given} fields instead of {n_fields}")
        n_arrays = 1 + layout.n_arrays
        # An empty code is not sent: so each message has one form.
        has_code = layout.code is not None and len(frames) == n_arrays + 1 and len(frames[-1]) > 0
        if len(frames) != n_arrays + has_code:
            raise ProtocolError(f"{called}: {len(frames) - 1} array frames instead of {layout.n_arrays}")
        values: list[Any] = []
        try:
            for read, value in zip(layout.readers, header[2 : 2 + n_fields], strict=True):
                values.append(read(value))
            if layout.n_arrays:
                wire_type = layout.wire_type(values)
                values.extend(read_array(frame, wire_type) for frame in frames[1:n_arrays])
            if has_code:
                values.append(read_array(frames[-1], WIRE_TYPES[8]))
        except ProtocolError as error:
            raise ProtocolError(f"{called}.{layout.names[len(values)]}: {error}") from error
        return layout.message_type(**dict(zip(layout.names, values, strict=False)))


def _header(frames: Sequence[Buffer]) -> list[Any]:
    if not frames:
        raise ProtocolError("message: no frames")
    if len(frames[0]) > MAX_HEADER_BYTES:
        raise ProtocolError(f"header: {len(frames[0])} bytes, at most {MAX_HEADER_BYTES} are read")
    try:
        header = msgpack.unpackb(frames[0])
    except (ValueError, msgpack.UnpackException) as error:
        raise ProtocolError(f"header: not msgpack ({type(error).__name__})") from error
    if not isinstance(header, list) or len(header) < 2 or type(header[0]) is not int or type(header[1]) is not int:
        raise ProtocolError("header: not an array that begins with protocol version and message kind")
    return header


# Readers of bounded values.


def read_count(value: object) -> int:
    """Read a whole number from 0 to MAX_COUNT − 1."""
    if type(value) is not int or not 0 <= value < MAX_COUNT:
        raise ProtocolError("not a count")
    return value


def read_optional_count(value: object) -> int | None:
    """Read a count, or None."""
    return None if value is None else read_count(value)


def read_round(value: object) -> int:
    """Read a round number: a count, or -1 for none."""
    return -1 if value == -1 else read_count(value)


def read_flag(value: object) -> bool:
    """Read a Boolean."""
    if not isinstance(value, bool):
        raise ProtocolError("neither true nor false")
    return value


def read_text(value: object, max_length: int) -> str:
    """Read text of at most `max_length` characters."""
    if not isinstance(value, str) or len(value) > max_length:
        raise ProtocolError(f"not a text of at most {max_length} characters")
    return value


def read_bytes(value: object, n_bytes: int) -> bytes:
    """Read exactly `n_bytes` bytes."""
    if not isinstance(value, bytes) or len(value) != n_bytes:
        raise ProtocolError(f"not {n_bytes} bytes")
    return value


def read_weight(value: object) -> float:
    """Read a finite float of at least 0."""
    if not isinstance(value, float) or not math.isfinite(value) or value < 0:
        raise ProtocolError("not a finite number of at least zero")
    return value


def read_optional_weight(value: object) -> float | None:
    """Read a finite float of at least 0, or None."""
    return None if value is None else read_weight(value)


def read_nonce(value: object) -> Nonce:
    """Read a nonce: a pair of incarnation and counter."""
    if not isinstance(value, list) or len(value) != 2:
        raise ProtocolError("not a pair of incarnation and counter")
    return Nonce(read_count(value[0]), read_count(value[1]))


def read_version_range(value: object) -> VersionRange:
    """Read a version range: a pair of the lowest and the highest version."""
    if not isinstance(value, list) or len(value) != 2:
        raise ProtocolError("not a pair of versions")
    versions = VersionRange(read_count(value[0]), read_count(value[1]))
    if versions.lowest > versions.highest:
        raise ProtocolError("a lowest version above the highest")
    return versions


def read_optional_nonce(value: object) -> Nonce | None:
    """Read a nonce, or None."""
    return None if value is None else read_nonce(value)


def read_link_id(value: object) -> LinkId:
    """Read a link id: a pair of nonces."""
    if not isinstance(value, list) or len(value) != 2:
        raise ProtocolError("not a pair of nonces")
    return LinkId(read_nonce(value[0]), read_nonce(value[1]))


def read_precision(value: object) -> int:
    """Read the precision of a message's arrays: 32 or 64 bits, or 8 for the bytes of a code."""
    if type(value) is not int or value not in WIRE_TYPES:
        raise ProtocolError("neither 8, 32 nor 64")
    return value


def read_array(frame: Buffer, wire_type: np.dtype[Any]) -> WireArray:
    """View a frame as an array of finite numbers, without a copy."""
    if len(frame) % wire_type.itemsize:
        raise ProtocolError(f"{len(frame)} bytes are not a whole number of {wire_type.name}")
    array: WireArray = np.frombuffer(frame, dtype=wire_type) if len(frame) else np.empty(0, dtype=wire_type)
    # Of a number that is not finite the sum of squares is not either, and it takes a third of the time.
    if not (math.isfinite(np.vdot(array, array)) or np.isfinite(array).all()):
        raise ProtocolError("holds a number that is not finite")
    return array
