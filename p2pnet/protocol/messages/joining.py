"""The messages by which a machine asks to be admitted, over a connection of its own; no other connection reads them.

kind  message      says
1     Join         admit this key
2     Joined       it is admitted: what is needed to begin with
3     JoinRefused  it is not, and why
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from p2pnet.errors import ProtocolError
from p2pnet.protocol.core.codec import Codec, MessageSet, read_bytes, read_flag, read_text
from p2pnet.protocol.core.types import Message, PeerId

MAX_RECORDS: Final = 32
MAX_SEEDS: Final = 8
MAX_SETTINGS_LENGTH: Final = 8192
_MAX_BLOB_BYTES: Final = 8192


@dataclass(frozen=True, slots=True)
class Join(Message):
    network: bytes
    key: PeerId
    """that is to be admitted"""
    signing_key: bytes
    name: str
    proof: bytes
    """that the sender holds the key: a hash of the other fields under a secret that it shares with the inviter"""

    def transcript(self, connection: PeerId) -> bytes:
        """What is proved, over the connection with this key."""
        parts = [self.network, self.key.encode(), self.signing_key, self.name.encode(), connection.encode()]
        return b"".join(hashlib.blake2b(part, digest_size=32).digest() for part in parts)


@dataclass(frozen=True, slots=True)
class Joined(Message):
    genesis: bytes
    records: tuple[bytes, ...]
    """the admissions of the sender and of the receiver, and the grants by which they count"""
    settings: str
    """what must be set alike, as JSON by `section.key`"""
    seeds: tuple[tuple[PeerId, str], ...]
    """other agents to begin with, with their addresses"""
    is_static: bool
    """whether agents name their neighbors here"""


@dataclass(frozen=True, slots=True)
class JoinRefused(Message):
    reason: str


KINDS: Mapping[int, type[Message]] = {1: Join, 2: Joined, 3: JoinRefused}


def _read_blob(value: object) -> bytes:
    if not isinstance(value, bytes) or len(value) > _MAX_BLOB_BYTES:
        raise ProtocolError(f"not at most {_MAX_BLOB_BYTES} bytes")
    return value


def _read_records(value: object) -> tuple[bytes, ...]:
    if not isinstance(value, list) or len(value) > MAX_RECORDS:
        raise ProtocolError(f"not a list of at most {MAX_RECORDS} records")
    return tuple(map(_read_blob, value))


def _read_seeds(value: object) -> tuple[tuple[PeerId, str], ...]:
    if not isinstance(value, list) or len(value) > MAX_SEEDS:
        raise ProtocolError(f"not a list of at most {MAX_SEEDS} seeds")
    seeds = []
    for seed in value:
        if not isinstance(seed, list) or len(seed) != 2:
            raise ProtocolError("not a pair of key and address")
        seeds.append((read_text(seed[0], 64), read_text(seed[1], 256)))
    return tuple(seeds)


def _plain(value: object) -> object:
    return [_plain(item) for item in value] if isinstance(value, tuple) else value


_CODEC = Codec(
    MessageSet(
        kinds=KINDS,
        readers={
            "network": lambda value: read_bytes(value, 32),
            "key": lambda value: read_text(value, 64),
            "signing_key": lambda value: read_bytes(value, 32),
            "name": lambda value: read_text(value, 64),
            "proof": lambda value: read_bytes(value, 32),
            "genesis": _read_blob,
            "records": _read_records,
            "settings": lambda value: read_text(value, MAX_SETTINGS_LENGTH),
            "seeds": _read_seeds,
            "is_static": read_flag,
            "reason": lambda value: read_text(value, 512),
        },
        arrays={},
        plain=_plain,
    )
)
encode_joining = _CODEC.encode
decode_joining = _CODEC.decode
