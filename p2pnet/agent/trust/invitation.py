"""Invitations: one line that lets one machine ask one member to be admitted.

The line holds a secret, from which both make the key pair of a single connection. The inviter needs its public half
alone, and so does its disk: who reads the file of invitations cannot use them. The secret is worthless once the
invitation is spent, which is when the roster holds an admission with its id.
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass, field
from typing import Any, Final, final

import msgpack
import zmq
from zmq.utils import z85

from p2pnet.agent.transport.keys import KeyPair, parse_public_key
from p2pnet.agent.trust.lines import from_line, to_line
from p2pnet.errors import P2pnetError, SecurityError
from p2pnet.protocol.core.address import Address
from p2pnet.protocol.core.codec import read_bytes, read_count, read_text
from p2pnet.protocol.core.types import PeerId

WORD: Final = "invite"
VERSION: Final = 1
MAX_ADDRESSES: Final = 8
_SECRET_BYTES: Final = 16
_MAX_BYTES: Final = 1024


@final
@dataclass(frozen=True, slots=True)
class Invitation:
    """What the line of an invitation says."""

    network_id: bytes
    inviter: PeerId
    expires_s: int
    """by the inviter's clock, seconds since the epoch; a hint, since the inviter decides"""
    addresses: tuple[str, ...]
    secret: bytes = field(repr=False)

    @classmethod
    def make(cls, network_id: bytes, inviter: PeerId, expires_s: int, addresses: tuple[str, ...]) -> Invitation:
        return cls(network_id, inviter, expires_s, addresses, secrets.token_bytes(_SECRET_BYTES))

    def to_line(self) -> str:
        values = [VERSION, self.network_id, z85.decode(self.inviter), self.expires_s, self.secret, *self.addresses]
        return to_line(WORD, msgpack.packb(values))

    @classmethod
    def from_line(cls, text: str) -> Invitation:
        """SecurityError where the line is none, was altered, or is of a later release."""
        values = _unpacked(from_line(WORD, text))
        try:
            _, network_id, inviter, expires_s, secret, *addresses = values
            return cls(
                read_bytes(network_id, 32),
                parse_public_key(z85.encode(read_bytes(inviter, 32)).decode("ascii")),
                read_count(expires_s),
                tuple(str(Address.parse(read_text(address, 256))) for address in addresses[:MAX_ADDRESSES]),
                read_bytes(secret, _SECRET_BYTES),
            )
        except (P2pnetError, ValueError) as error:
            raise SecurityError(f"the invitation says what none says: {error}; ask for another") from error

    @property
    def id(self) -> bytes:
        """16 bytes by which it is known without its secret."""
        return _derived(self.secret, "invite-id")[:16]

    @property
    def keys(self) -> KeyPair:
        """The keys of the connection by which its holder asks."""
        secret = z85.encode(_derived(self.secret, "invite-key"))
        return KeyPair(zmq.curve_public(secret).decode("ascii"), secret.decode("ascii"))

    def issued(self, name: str) -> IssuedInvitation:
        """What the inviter keeps of it; the member is to be called `name`, empty for as it likes."""
        return IssuedInvitation(self.id, self.keys.public, name, self.expires_s)


@final
@dataclass(frozen=True, slots=True)
class IssuedInvitation:
    """What an inviter keeps of an invitation."""

    id: bytes
    key: PeerId
    """public half of the keys of the connection by which its holder asks"""
    name: str
    """that the member is to have; empty for as it likes"""
    expires_s: int

    @property
    def data(self) -> bytes:
        packed: bytes = msgpack.packb([VERSION, self.id, self.key, self.name, self.expires_s])
        return packed

    @classmethod
    def read(cls, data: bytes) -> IssuedInvitation:
        """SecurityError where the bytes are none."""
        values = _unpacked(data)
        try:
            _, invitation_id, key, name, expires_s = values
            return cls(read_bytes(invitation_id, 16), parse_public_key(key), read_text(name, 64), read_count(expires_s))
        except (P2pnetError, ValueError, AttributeError) as error:
            raise SecurityError(f"no invitation: {error}") from error


def _unpacked(data: bytes) -> list[Any]:
    try:
        values = msgpack.unpackb(data) if len(data) <= _MAX_BYTES else None
    except (ValueError, msgpack.UnpackException):
        values = None
    if not isinstance(values, list) or not values:
        raise SecurityError("this is no invitation")
    if values[0] != VERSION:
        raise SecurityError(f"the invitation is of version {values[0]!r:.20}; install the inviter's release of p2pnet")
    return values


def _derived(secret: bytes, what: str) -> bytes:
    return hashlib.blake2b(f"p2pnet/{what}/v1\0".encode(), key=secret, digest_size=32).digest()
