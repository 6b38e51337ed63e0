"""Ed25519 keys that sign records. A member's is derived from its agent's key, so that there is no second one to keep.

The two root keys of a network, the present one and the one that may replace it, are derived from the recovery line,
which is shown once. On disk is the present one alone: a thief cannot name the next.
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass, field
from typing import Final, final

from nacl.bindings import crypto_scalarmult
from nacl.exceptions import CryptoError
from nacl.signing import SigningKey, VerifyKey
from zmq.utils import z85

from p2pnet.agent.transport.keys import KeyPair
from p2pnet.agent.trust.lines import from_line, to_line
from p2pnet.errors import SecurityError
from p2pnet.protocol.core.types import PeerId
from p2pnet.protocol.trust.records import Fact, Genesis, SignedRecord, signed_bytes

RECOVERY_WORD: Final = "recovery"
_RECOVERY_BYTES: Final = 20
_SEED_BYTES: Final = 32


@final
@dataclass(frozen=True, slots=True)
class Signer:
    """A key that signs records; printing it never shows the secret."""

    seed: bytes = field(repr=False)

    @property
    def public(self) -> bytes:
        return bytes(SigningKey(self.seed).verify_key)

    def sign(self, network_id: bytes, fact: Fact) -> SignedRecord:
        message = signed_bytes(network_id, fact, self.public)
        return SignedRecord(fact, self.public, SigningKey(self.seed).sign(message).signature)


@final
@dataclass(frozen=True, slots=True)
class Recovery:
    """What the root keys of a network are derived from."""

    secret: bytes = field(repr=False)

    @classmethod
    def make(cls) -> Recovery:
        return cls(secrets.token_bytes(_RECOVERY_BYTES))

    @classmethod
    def from_line(cls, text: str) -> Recovery:
        """SecurityError where the line is none, or was altered."""
        return cls(from_line(RECOVERY_WORD, text))

    def to_line(self) -> str:
        return to_line(RECOVERY_WORD, self.secret)

    @property
    def root(self) -> Signer:
        return Signer(_derived(self.secret, "root-key-1"))

    def genesis(self, name: str) -> Genesis:
        """What a new network of this name begins with."""
        following = Signer(_derived(self.secret, "root-key-2")).public
        committed = hashlib.blake2b(following, digest_size=32).digest()
        return Genesis(name, self.root.public, committed, secrets.token_bytes(16))


def signer_of(keys: KeyPair) -> Signer:
    """The signing key of the agent with these keys."""
    return Signer(_derived(z85.decode(keys.secret), "signing-key"))


def verify(signer: bytes, message: bytes, signature: bytes) -> bool:
    """Whether the Ed25519 signature of the message is this signer's."""
    try:
        VerifyKey(signer).verify(message, signature)
    except CryptoError:
        return False
    return True


def proof(keys: KeyPair, other: PeerId, transcript: bytes) -> bytes:
    """32 bytes that only the holders of these keys and of the other ones can make for the transcript.

    SecurityError where the other key is no point of the curve that can be multiplied.
    """
    try:
        shared = crypto_scalarmult(z85.decode(keys.secret), z85.decode(other))
    except (CryptoError, ValueError) as error:
        raise SecurityError(f"{other}: not a key that can be answered") from error
    return hashlib.blake2b(b"p2pnet/join-proof/v1\0" + transcript, key=shared, digest_size=32).digest()


def _derived(secret: bytes, what: str) -> bytes:
    return hashlib.blake2b(f"p2pnet/{what}/v1\0".encode(), key=secret, digest_size=_SEED_BYTES).digest()
