"""The messages by which signed records spread. A record is a text of bytes here; `trust/records.py` reads it.

kind  message       says
104   TrustDigest   64 hashes of eight bytes of all records that I have of this network
105   TrustRecords  what you seem not to have
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

from p2pnet.errors import ProtocolError
from p2pnet.protocol.core.codec import MessageSet, read_bytes
from p2pnet.protocol.core.types import Message

N_BUCKETS: Final = 64
HASH_BYTES: Final = 8
MAX_BYTES: Final = 12_288
"""Of the records in one message."""
MAX_RECORDS_IN_A_MESSAGE: Final = 256
_NETWORK_BYTES: Final = 32


@dataclass(frozen=True, slots=True)
class TrustDigest(Message):
    network: bytes
    """the id of the network"""
    hashes: bytes
    """for each bucket the exclusive or of the first bytes of its records' digests"""


@dataclass(frozen=True, slots=True)
class TrustRecords(Message):
    network: bytes
    records: tuple[bytes, ...]


TrustMessage: TypeAlias = TrustDigest | TrustRecords
KINDS: Mapping[int, type[TrustMessage]] = {104: TrustDigest, 105: TrustRecords}


def _read_records(value: object) -> tuple[bytes, ...]:
    if not isinstance(value, list) or len(value) > MAX_RECORDS_IN_A_MESSAGE:
        raise ProtocolError(f"not a list of at most {MAX_RECORDS_IN_A_MESSAGE} records")
    if not all(isinstance(record, bytes) for record in value):
        raise ProtocolError("a record that is not bytes")
    return tuple(value)


TRUST_MESSAGES = MessageSet(
    kinds=KINDS,
    readers={
        "network": lambda value: read_bytes(value, _NETWORK_BYTES),
        "hashes": lambda value: read_bytes(value, N_BUCKETS * HASH_BYTES),
        "records": _read_records,
    },
    arrays={},
    plain=lambda value: list(value) if isinstance(value, tuple) else value,
)
