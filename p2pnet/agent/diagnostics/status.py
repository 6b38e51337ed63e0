"""What an agent answers to whom it has let in: who it is, and what it trains. `p2pnet doctor` asks.

The answer is a msgpack map, to be read by other versions of the protocol as well: entries not known are passed over,
and an entry keeps its name and meaning for ever.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

import msgpack

from p2pnet.agent.transport.base import Frame
from p2pnet.errors import ProtocolError
from p2pnet.protocol.core.types import VersionRange

MAX_STATUS_BYTES = 65_536
_MAX_TEXTS = 64
_MAX_TEXT_LENGTH = 512


@dataclass(frozen=True, slots=True)
class NodeStatus:
    """What an agent answers."""

    protocol: int
    name: str
    software: str
    """the version of p2pnet"""
    fingerprint: Mapping[str, str]
    """what must be equal for two agents to train together, field by field"""
    round: int
    """the round it is in; -1 before its training has begun"""
    known_incarnation: int
    """the latest incarnation of the one who asks that it remembers; -1 for none"""
    time_s: float
    """what its clock shows, in seconds since the epoch"""
    lowest_protocol: int = 0
    """the earliest version of the protocol that it speaks as well; of an agent that does not say, its only one"""

    @property
    def versions(self) -> VersionRange:
        """The versions of the protocol that it speaks."""
        return VersionRange(self.lowest_protocol or self.protocol, self.protocol)


def encode_status(portrait: NodeStatus) -> list[bytes]:
    return [msgpack.packb({**asdict(portrait), "fingerprint": dict(portrait.fingerprint)})]


def decode_status(frames: Sequence[Frame]) -> NodeStatus:
    """ProtocolError where the frames are no portrait; what is too long in it is left out."""
    try:
        values: Any = msgpack.unpackb(b"".join(frames))
    except (ValueError, msgpack.UnpackException) as error:
        raise ProtocolError(f"portrait: not msgpack ({type(error).__name__})") from error
    if not isinstance(values, dict):
        raise ProtocolError("portrait: not a map")
    values = {"lowest_protocol": 0} | values
    read = {field.name: _read(field.name, values.get(field.name)) for field in fields(NodeStatus)}
    return NodeStatus(**read)


def _read(name: str, value: object) -> Any:
    kinds: Mapping[str, type] = {"name": str, "software": str, "fingerprint": dict, "time_s": float}
    kind = kinds.get(name, int)
    if not isinstance(value, kind) or (isinstance(value, float) and not math.isfinite(value)):
        raise ProtocolError(f"portrait: {name} is not of kind {kind.__name__}")
    if isinstance(value, str):
        return _printable(value)
    if isinstance(value, dict):
        return {_printable(str(key)): _printable(str(text)) for key, text in list(value.items())[:_MAX_TEXTS]}
    return value


def _printable(text: str) -> str:
    return "".join(sign for sign in text[:_MAX_TEXT_LENGTH] if sign.isprintable())
