r"""Signed records: who belongs to a network, and who may say so, as values and as bytes.

    Genesis      what a network begins with; its hash is the network's id
    Grant        the holder of this key may invite, or revoke, or both     signed by the root key
    Admission    this key belongs to a member                              signed by the root key or by a holder
    Revocation   this key belongs to the network no more                   the same

A record is the msgpack array `[version, kind, fields …, signer, signature]`. What is signed (Ed25519) is
`"p2pnet/<kind>/v1\0" ‖ network id ‖ msgpack [fields …, signer]`: a signature of one network, or of one kind, is none
of another. Equal records have equal bytes, whoever has written them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias, final

import msgpack

from p2pnet.errors import ProtocolError
from p2pnet.protocol.core.codec import read_bytes, read_count, read_flag, read_text
from p2pnet.protocol.core.types import PeerId

VERSION: Final = 1
KEY_BYTES: Final = 32
SIGNATURE_BYTES: Final = 64
DIGEST_BYTES: Final = 16
MAX_KEPT: Final = 384
"""The most records that one revocation lists."""
MAX_QUOTA: Final = 256
"""The most members that one grant lets stand admitted: so a revocation of its holder can list them all."""
MAX_RECORD_BYTES: Final = 8192
MAX_NAME_LENGTH: Final = 64
_MAX_PEER_LENGTH: Final = 64

Verify: TypeAlias = Callable[[bytes, bytes, bytes], bool]
"""Whether (public key, message, signature) fit together."""


@final
@dataclass(frozen=True, slots=True)
class Genesis:
    """What a network begins with."""

    name: str
    root: bytes
    """the public key that signs grants"""
    next_root: bytes
    """the hash of the key that may replace it: a thief of the root key cannot name another"""
    salt: bytes
    """16 random bytes: two networks of one name and key are two"""

    @property
    def data(self) -> bytes:
        return _packed([VERSION, self.name, self.root, self.next_root, self.salt])

    @property
    def network_id(self) -> bytes:
        """32 bytes that stand for the network."""
        return hashlib.blake2b(b"p2pnet/genesis/v1\0" + self.data, digest_size=KEY_BYTES).digest()

    @property
    def short_id(self) -> str:
        """The first 8 bytes of the network's id as text, for people and fingerprints."""
        return self.network_id[:8].hex()

    @classmethod
    def read(cls, data: bytes) -> Genesis:
        """ProtocolError where the bytes are no genesis."""
        values = _unpacked(data, 5)
        return cls(
            read_text(values[1], MAX_NAME_LENGTH),
            read_bytes(values[2], KEY_BYTES),
            read_bytes(values[3], KEY_BYTES),
            read_bytes(values[4], DIGEST_BYTES),
        )


@final
@dataclass(frozen=True, slots=True)
class Grant:
    """What is signed with a member's signing key counts from now on, within its rights."""

    key: PeerId
    signing_key: bytes
    may_invite: bool
    may_revoke: bool
    quota: int
    """The most members that stand admitted by it at a time."""


@final
@dataclass(frozen=True, slots=True)
class Admission:
    """A key belongs to a member."""

    key: PeerId
    signing_key: bytes
    """what the member would sign with, should it be granted that"""
    name: str
    """a label for people; several members may have one"""
    invitation: bytes = b""
    """the id of the invitation that is spent by it; empty without one"""
    replaces: PeerId = ""
    """the member's key until now, which is revoked by this; empty for a new member"""


@final
@dataclass(frozen=True, slots=True)
class Revocation:
    """A key belongs to the network no more, for good."""

    key: PeerId
    kept: tuple[bytes, ...] = ()
    """Of what its holder has signed, the digests of what still counts: nothing that it signs later does."""


Fact: TypeAlias = Grant | Admission | Revocation
_KINDS: Final[dict[int, type[Fact]]] = {1: Grant, 2: Admission, 3: Revocation}
_NUMBERS: Final = {kind: number for number, kind in _KINDS.items()}


@final
@dataclass(frozen=True, slots=True)
class SignedRecord:
    """A fact, the public key of who says so, and the signature."""

    fact: Fact
    signer: bytes
    signature: bytes = field(repr=False)
    data: bytes = field(init=False, repr=False, compare=False)
    """the record as bytes"""
    digest: bytes = field(init=False, repr=False, compare=False)
    """16 bytes that stand for the record"""

    def __post_init__(self) -> None:
        data = _packed([VERSION, _NUMBERS[type(self.fact)], *_fields(self.fact), self.signer, self.signature])
        object.__setattr__(self, "data", data)
        object.__setattr__(self, "digest", hashlib.blake2b(data, digest_size=DIGEST_BYTES).digest())

    def is_signed(self, network_id: bytes, verify: Verify) -> bool:
        return verify(self.signer, signed_bytes(network_id, self.fact, self.signer), self.signature)

    @classmethod
    def read(cls, data: bytes) -> SignedRecord:
        """ProtocolError where the bytes are no record; the signature is not looked at."""
        values = _unpacked(data, None)
        kind = _KINDS.get(values[1]) if type(values[1]) is int else None
        if kind is None:
            raise ProtocolError(f"record: of a kind that this release does not know: {values[1]!r:.20}")
        *fields, signer, signature = values[2:]
        return cls(_read_fact(kind, fields), read_bytes(signer, KEY_BYTES), read_bytes(signature, SIGNATURE_BYTES))


def signed_bytes(network_id: bytes, fact: Fact, signer: bytes) -> bytes:
    """The bytes that the signer of a fact signs."""
    domain = f"p2pnet/{type(fact).__name__.lower()}/v1\0".encode()
    return domain + network_id + _packed([*_fields(fact), signer])


def _fields(fact: Fact) -> list[object]:
    values = [getattr(fact, name) for name in type(fact).__slots__]
    return [list(value) if isinstance(value, tuple) else value for value in values]


def _read_fact(kind: type[Fact], fields: list[Any]) -> Fact:
    if len(fields) != len(kind.__slots__):
        raise ProtocolError(f"record: {len(fields)} fields of {kind.__name__} instead of {len(kind.__slots__)}")
    if kind is Grant:
        key, signing_key, may_invite, may_revoke, quota = fields
        return Grant(
            _read_peer(key),
            read_bytes(signing_key, KEY_BYTES),
            read_flag(may_invite),
            read_flag(may_revoke),
            read_count(quota),
        )
    if kind is Admission:
        key, signing_key, name, invitation, replaces = fields
        spent = b"" if invitation == b"" else read_bytes(invitation, DIGEST_BYTES)
        replaced = "" if replaces == "" else _read_peer(replaces)
        return Admission(
            _read_peer(key), read_bytes(signing_key, KEY_BYTES), read_text(name, MAX_NAME_LENGTH), spent, replaced
        )
    key, kept = fields
    if not isinstance(kept, list) or len(kept) > MAX_KEPT:
        raise ProtocolError(f"record: not a list of at most {MAX_KEPT} digests")
    return Revocation(_read_peer(key), tuple(read_bytes(digest, DIGEST_BYTES) for digest in kept))


def _read_peer(value: object) -> PeerId:
    peer = read_text(value, _MAX_PEER_LENGTH)
    if not peer:
        raise ProtocolError("record: an empty key")
    return peer


def _packed(values: list[object]) -> bytes:
    packed: bytes = msgpack.packb(values)
    return packed


def _unpacked(data: bytes, n_values: int | None) -> list[Any]:
    if len(data) > MAX_RECORD_BYTES:
        raise ProtocolError(f"record: {len(data)} bytes, at most {MAX_RECORD_BYTES} are read")
    try:
        values = msgpack.unpackb(data)
    except (ValueError, msgpack.UnpackException) as error:
        raise ProtocolError(f"record: not msgpack ({type(error).__name__})") from error
    if not isinstance(values, list) or len(values) < 5 or (n_values is not None and len(values) != n_values):
        raise ProtocolError("record: not an array of as many values as it must have")
    if values[0] != VERSION:
        raise ProtocolError(f"record: of version {values[0]!r:.20}, this release reads version {VERSION}")
    return values
