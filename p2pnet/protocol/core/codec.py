"""The bounded codec: messages to frames and back.

A message is one multipart transmission: a small msgpack header, then raw array frames. The header is the array
`[protocol version, kind, field, field, …]` with the fields in the order of the dataclass; arrays never travel inside
it. Nothing received is trusted: sizes are checked before decoding, types and ranges while decoding, and whatever does
not fit is a ProtocolError that says what did not.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, TypeAlias, final

import msgpack
import numpy as np

from p2pnet.errors import ProtocolError
from p2pnet.protocol.core.types import Buffer, Frames, LinkId, Message, Nonce, WireArray

PROTOCOL_VERSION = 1
MAX_HEADER_BYTES = 16_384
MAX_COUNT = 2**62
WIRE_TYPES: Mapping[int, str] = {32: "<f4", 64: "<f8"}

Reader: TypeAlias = Callable[[object], Any]
"""The value of a field from its msgpack form; ProtocolError where it is of another type or out of range."""


class ForeignVersionError(ProtocolError):
    """The sender speaks another version of the protocol; nothing behind the version number can be read."""

    def __init__(self, version: int) -> None:
        super().__init__(f"protocol version: theirs is {version}, ours is {PROTOCOL_VERSION}")
        self.version = version


@dataclass(frozen=True, slots=True)
class MessageSet:
    """Messages that belong together: their kind numbers, the readers of their fields by name, their arrays."""

    kinds: Mapping[int, type[Message]]
    readers: Mapping[str, Reader]
    arrays: Mapping[type[Message], tuple[str, ...]]
    """Fields that travel as frames of their own, in this order."""
    plain: Callable[[Any], object]
    """The msgpack form of a field's value."""


@dataclass(frozen=True, slots=True)
class _Layout:
    """How the messages of one kind lie on the wire."""

    kind: int
    message_type: type[Message]
    header: tuple[tuple[str, Reader], ...]
    arrays: tuple[str, ...]
    plain: Callable[[Any], object]

    @classmethod
    def of(cls, kind: int, message_type: type[Message], messages: MessageSet) -> _Layout:
        arrays = messages.arrays.get(message_type, ())
        names = [field.name for field in fields(message_type) if field.name not in arrays]  # type: ignore[arg-type]
        return cls(kind, message_type, tuple((name, messages.readers[name]) for name in names), arrays, messages.plain)


@final
class Codec:
    """Encodes and decodes the messages of the given sets."""

    def __init__(self, *sets: MessageSet) -> None:
        layouts = [_Layout.of(kind, of, messages) for messages in sets for kind, of in messages.kinds.items()]
        self._by_kind = {layout.kind: layout for layout in layouts}
        self._by_type = {layout.message_type: layout for layout in layouts}

    def encode(self, message: Message) -> Frames:
        """The frames of a message: msgpack header, then one little-endian frame for each array, of float64, or of
        float32 where the message says so.
        """
        layout = self._by_type[type(message)]
        header: list[object] = [PROTOCOL_VERSION, layout.kind]
        header += [layout.plain(getattr(message, name)) for name, _ in layout.header]
        frames: Frames = [msgpack.packb(header)]
        if layout.arrays:
            wire_type = WIRE_TYPES[getattr(message, "precision", 64)]
            for name in layout.arrays:
                array = np.ascontiguousarray(getattr(message, name), dtype=wire_type)
                frames.append(memoryview(array.data).cast("B"))
        return frames

    def decode(self, frames: Sequence[Buffer]) -> Message:
        """The message in the frames.

        Raises ProtocolError where the frames are not exactly one well-formed message of this version. Arrays are
        read-only views of the frames; that their length is the model's is for the receiver to check.
        """
        header = _header(frames)
        layout = self._by_kind.get(header[1])
        if layout is None:
            raise ProtocolError(f"header: unknown message kind {header[1]}")
        called = layout.message_type.__name__
        if len(header) != 2 + len(layout.header):
            raise ProtocolError(f"{called}: {len(header) - 2} fields instead of {len(layout.header)}")
        if len(frames) != 1 + len(layout.arrays):
            raise ProtocolError(f"{called}: {len(frames) - 1} array frames instead of {len(layout.arrays)}")
        values: dict[str, Any] = {}
        try:
            for (name, read), value in zip(layout.header, header[2:], strict=True):
                values[name] = read(value)
            wire_type = WIRE_TYPES[values.get("precision", 64)]
            for name, frame in zip(layout.arrays, frames[1:], strict=True):
                values[name] = read_array(frame, wire_type)
        except ProtocolError as error:
            raise ProtocolError(f"{called}.{name}: {error}") from error
        return layout.message_type(**values)


def _header(frames: Sequence[Buffer]) -> list[Any]:
    if not frames:
        raise ProtocolError("message: no frames")
    if len(frames[0]) > MAX_HEADER_BYTES:
        raise ProtocolError(f"header: {len(frames[0])} bytes, at most {MAX_HEADER_BYTES} are read")
    try:
        header = msgpack.unpackb(frames[0])
    except (ValueError, msgpack.UnpackException) as error:
        raise ProtocolError(f"header: not msgpack ({type(error).__name__})") from error
    if not isinstance(header, list) or len(header) < 2 or not all(type(part) is int for part in header[:2]):
        raise ProtocolError("header: not an array that begins with protocol version and message kind")
    if header[0] != PROTOCOL_VERSION:
        raise ForeignVersionError(header[0])
    return header


# Readers of bounded values.


def read_count(value: object) -> int:
    """A whole number from 0 to MAX_COUNT − 1."""
    if type(value) is not int or not 0 <= value < MAX_COUNT:
        raise ProtocolError("not a count")
    return value


def read_optional_count(value: object) -> int | None:
    """A count, or None."""
    return None if value is None else read_count(value)


def read_round(value: object) -> int:
    """A count, or -1 for none."""
    return -1 if value == -1 else read_count(value)


def read_flag(value: object) -> bool:
    """True or false."""
    if not isinstance(value, bool):
        raise ProtocolError("neither true nor false")
    return value


def read_text(value: object, max_length: int) -> str:
    """Text of at most so many characters."""
    if not isinstance(value, str) or len(value) > max_length:
        raise ProtocolError(f"not a text of at most {max_length} characters")
    return value


def read_weight(value: object) -> float:
    """A finite float of at least 0."""
    if not isinstance(value, float) or not math.isfinite(value) or value < 0:
        raise ProtocolError("not a finite number of at least zero")
    return value


def read_nonce(value: object) -> Nonce:
    """A pair of incarnation and counter."""
    if not isinstance(value, list) or len(value) != 2:
        raise ProtocolError("not a pair of incarnation and counter")
    return Nonce(read_count(value[0]), read_count(value[1]))


def read_optional_nonce(value: object) -> Nonce | None:
    """A nonce, or None."""
    return None if value is None else read_nonce(value)


def read_link_id(value: object) -> LinkId:
    """A pair of nonces."""
    if not isinstance(value, list) or len(value) != 2:
        raise ProtocolError("not a pair of nonces")
    return LinkId(read_nonce(value[0]), read_nonce(value[1]))


def read_precision(value: object) -> int:
    """Bits of a number on the wire: 32 or 64."""
    if type(value) is not int or value not in WIRE_TYPES:
        raise ProtocolError("neither 32 nor 64")
    return value


def read_array(frame: Buffer, wire_type: str) -> WireArray:
    """The finite numbers in a frame, without a copy."""
    if len(frame) % np.dtype(wire_type).itemsize:
        raise ProtocolError(f"{len(frame)} bytes are not a whole number of {np.dtype(wire_type).name}")
    array: WireArray = np.frombuffer(frame, dtype=wire_type)
    if not np.isfinite(array).all():
        raise ProtocolError("holds a number that is not finite")
    return array
