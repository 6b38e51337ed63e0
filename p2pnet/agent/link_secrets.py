"""Secrets of pairs of agents, by key exchange: X25519 of the keys that their connections are made with.

Both ends compute the same from their own secret key and the other's public one, so that no message is needed. What is
derived is bound to its purpose: it is not what CURVE derives for the connection.
"""

from __future__ import annotations

import hashlib
from typing import Final, final

from zmq.utils import z85

from p2pnet.agent.transport.keys import KeyPair
from p2pnet.protocol.core.types import PeerId
from p2pnet.protocol.links.masks import LinkSecrets

_PURPOSE: Final = b"p2pnet link mask"


@final
class KeyExchange(LinkSecrets):
    """The secrets that the agent with these keys shares with others, computed when they are asked for, and not kept."""

    def __init__(self, keys: KeyPair) -> None:
        self._keys = keys

    def shared_with(self, peer: PeerId) -> bytes:
        """BLAKE2b of X25519(own secret key, the peer's public key), and of both public keys."""
        from nacl.bindings import crypto_scalarmult  # costs start time, and most commands need none
        from nacl.exceptions import CryptoError

        try:
            shared = crypto_scalarmult(z85.decode(self._keys.secret), z85.decode(peer))
        except CryptoError:
            shared = bytes(32)  # a key with which nothing can be kept secret: its owner has given that up
        both = "".join(sorted((self._keys.public, peer))).encode()
        return hashlib.blake2b(both, key=shared, digest_size=32, person=_PURPOSE).digest()
