"""Messages as plain JSON and as bytes on the wire.

A message is the list of its fields in their order. A field that JSON does not have stands as an object with one entry,
whose name says what it is: `{"nonce": [1, 2]}`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from p2pnet.agent.diagnostics.status import NodeStatus, decode_status, encode_status
from p2pnet.protocol.core.reports import AgentReport
from p2pnet.protocol.core.types import FeatureStatistics, LinkId, Nonce, VersionRange
from p2pnet.protocol.messages import joining, membership, reports, trust, wire
from p2pnet.protocol.messages import training as rounds
from p2pnet.protocol.messages.membership import MemberState, Record


@dataclass(frozen=True, slots=True)
class Language:
    """Messages that are encoded and decoded by the same functions; their classes by the kind's number."""

    encode: Callable[[Any], Sequence[Any]]
    decode: Callable[[Sequence[bytes]], Any]
    classes: Mapping[str, type]


LANGUAGES = (
    Language(
        wire.encode,
        wire.decode,
        {
            "1": rounds.Hello,
            "2": rounds.Refuse,
            "3": rounds.Ready,
            "4": rounds.Share,
            "5": rounds.Ack,
            "6": rounds.Reset,
            "7": rounds.Finished,
            "8": rounds.Left,
            "9": rounds.StateRequest,
            "10": rounds.StateReply,
            "12": rounds.Away,
            "13": rounds.Witness,
            "20": rounds.LabelSet,
            "21": FeatureStatistics,
            "22": rounds.Epoch,
        },
    ),
    Language(
        wire.encode,
        wire.decode,
        {
            "64": membership.Ping,
            "65": membership.Pong,
            "66": membership.ProbeRequest,
            "67": membership.Vouch,
            "68": membership.Gossip,
            "69": membership.NeighborRequest,
            "70": membership.NeighborReply,
            "71": membership.Disconnect,
            "72": membership.Digest,
            "73": membership.MemberRecords,
        },
    ),
    Language(wire.encode, wire.decode, {"96": reports.Reports}),
    Language(wire.encode, wire.decode, {"104": trust.TrustDigest, "105": trust.TrustRecords}),
    Language(
        joining.encode_joining,
        joining.decode_joining,
        {"join": joining.Join, "joined": joining.Joined, "join-refused": joining.JoinRefused},
    ),
    Language(encode_status, decode_status, {"portrait": NodeStatus}),
)
KINDS_IN_USE = {*rounds.KINDS, *membership.KINDS, *reports.KINDS, *trust.KINDS}
"""All that the protocols know."""

# Nothing below names a class of messages.

LANGUAGE_OF = {kind: language for language in LANGUAGES for kind in language.classes}


def message_of(kind: str, values: Sequence[Any]) -> Any:
    return LANGUAGE_OF[kind].classes[kind](*map(_built, values))


def values_of(message: Any) -> list[Any]:
    return [_plain(getattr(message, field.name)) for field in fields(message)]


def encode(kind: str, message: Any) -> list[str]:
    """The frames on the wire in hexadecimal digits."""
    return [bytes(frame).hex() for frame in LANGUAGE_OF[kind].encode(message)]


def decode(kind: str, frames: Sequence[str]) -> Any:
    return LANGUAGE_OF[kind].decode([bytes.fromhex(frame) for frame in frames])


def record(stored: Mapping[str, Sequence[Mapping[str, Any]]]) -> dict[str, Any]:
    """The same messages with the frames of the present code: who adds one writes its fields into the file."""
    return {
        kind: [
            {"fields": values_of(message), "frames": encode(kind, message)}
            for message in (message_of(kind, each["fields"]) for each in messages)
        ]
        for kind, messages in stored.items()
    }


def _built(value: Any) -> Any:
    match value:
        case {"nonce": numbers}:
            return Nonce(*numbers)
        case {"versions": numbers}:
            return VersionRange(*numbers)
        case {"link": [mine, theirs]}:
            return LinkId(Nonce(*mine), Nonce(*theirs))
        case {"record": [peer, state, *others]}:
            return Record(peer, MemberState(state), *others)
        case {"report": values}:
            return AgentReport(*map(_built, values))
        case {"tuple": items}:
            return tuple(map(_built, items))
        case {"map": texts}:
            return texts
        case {"bytes": digits}:
            return bytes.fromhex(digits)
        case {"uint8": numbers}:
            return np.array(numbers, dtype=np.uint8)
        case {"float64": numbers}:
            return np.array(numbers, dtype=np.float64)
        case {"float32": numbers}:
            return np.array(numbers, dtype=np.float32)
        case _:
            return value


def _plain(value: Any) -> Any:
    match value:
        case Nonce():
            return {"nonce": list(value)}
        case VersionRange():
            return {"versions": list(value)}
        case LinkId():
            return {"link": [list(nonce) for nonce in value]}
        case Record():
            peer, state, *others = (getattr(value, field.name) for field in fields(value))
            return {"record": [peer, int(state), *others]}
        case AgentReport():
            return {"report": [_plain(getattr(value, field.name)) for field in fields(value)]}
        case tuple():
            return {"tuple": [_plain(item) for item in value]}
        case dict():
            return {"map": value}
        case bytes():
            return {"bytes": value.hex()}
        case np.ndarray():
            return {value.dtype.name: value.tolist()}
        case _:
            return value
