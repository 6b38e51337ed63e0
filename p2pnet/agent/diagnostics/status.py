"""The node status: the answer to a status query of an allowed peer, as `p2pnet doctor` sends it.

The answer is a msgpack map, which other protocol versions must be able to read: unknown entries are ignored, and an
entry keeps its name and meaning for ever.
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

QUESTION = (b"p2pnet?",)
MAX_STATUS_BYTES = 65_536
_MAX_TEXTS = 64
_MAX_TEXT_LENGTH = 512


@dataclass(frozen=True, slots=True)
class NodeStatus:
    """An agent's versions, name, fingerprint, round and clock."""

    protocol: int
    name: str
    software: str
    """the version of p2pnet"""
    fingerprint: Mapping[str, str]
    """what must be equal for two agents to train together, field by field"""
    round: int
    """the present round; -1 before training has begun"""
    known_incarnation: int
    """the latest known incarnation of the querying agent; -1 for none"""
    time_s: float
    """the agent's clock, in seconds since the epoch"""
    lowest_protocol: int = 0
    """the earliest protocol version that the agent speaks; 0 where it is the same as `protocol`"""

    @property
    def versions(self) -> VersionRange:
        """The protocol versions that the agent speaks."""
        return VersionRange(self.lowest_protocol or self.protocol, self.protocol)


def encode_status(status: NodeStatus) -> list[bytes]:
    return [msgpack.packb({**asdict(status), "fingerprint": dict(status.fingerprint)})]


def decode_status(frames: Sequence[Frame]) -> NodeStatus:
    """Decode a status; ProtocolError where the frames are none; texts beyond their limits are cut off."""
    try:
        values: Any = msgpack.unpackb(b"".join(frames))
    except (ValueError, msgpack.UnpackException) as error:
        raise ProtocolError(f"status: not msgpack ({type(error).__name__})") from error
    if not isinstance(values, dict):
        raise ProtocolError("status: not a map")
    values = {"lowest_protocol": 0} | values
    read = {field.name: _read(field.name, values.get(field.name)) for field in fields(NodeStatus)}
    return NodeStatus(**read)


def _read(name: str, value: object) -> Any:
    kinds: Mapping[str, type] = {"name": str, "software": str, "fingerprint": dict, "time_s": float}
    kind = kinds.get(name, int)
    if not isinstance(value, kind) or (isinstance(value, float) and not math.isfinite(value)):
        raise ProtocolError(f"status: {name} is not of kind {kind.__name__}")
    if isinstance(value, str):
        return _printable(value)
    if isinstance(value, dict):
        return {_printable(str(key)): _printable(str(text)) for key, text in list(value.items())[:_MAX_TEXTS]}
    return value


def _printable(text: str) -> str:
    return "".join(sign for sign in text[:_MAX_TEXT_LENGTH] if sign.isprintable())
