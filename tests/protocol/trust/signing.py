"""A network for tests, with signatures that are quick to make: a hash that anyone can compute."""

import hashlib

from p2pnet.protocol.trust.records import Admission, Fact, Genesis, Grant, SignedRecord, signed_bytes

ROOT = b"root".ljust(32, b".")
GENESIS = Genesis("ward", ROOT, b"next".ljust(32, b"."), bytes(16))


def key(name: str) -> bytes:
    """The signing key of a member."""
    return name.encode().ljust(32, b".")


def verify(signer: bytes, message: bytes, signature: bytes) -> bool:
    return signature == _signature(signer, message)


def signed(fact: Fact, signer: bytes = ROOT, genesis: Genesis = GENESIS) -> SignedRecord:
    return SignedRecord(fact, signer, _signature(signer, signed_bytes(genesis.network_id, fact, signer)))


def admitted(name: str, signer: bytes = ROOT, *, invitation: bytes = b"", replaces: str = "") -> SignedRecord:
    return signed(Admission(name, key(name), name, invitation, replaces), signer)


def granted(name: str, *, may_invite: bool = True, may_revoke: bool = True, quota: int = 9) -> SignedRecord:
    return signed(Grant(name, key(name), may_invite, may_revoke, quota))


def _signature(signer: bytes, message: bytes) -> bytes:
    return hashlib.blake2b(message, key=signer).digest()
