"""Secrets of simulated agents: what a key exchange would have given them."""

from __future__ import annotations

import hashlib
from typing import final

from p2pnet.protocol.core.types import PeerId
from p2pnet.protocol.links.masks import LinkSecrets


@final
class SimulatedSecrets(LinkSecrets):
    """Secrets that follow from the names of both."""

    def __init__(self, me: PeerId) -> None:
        self._me = me

    def shared_with(self, peer: PeerId) -> bytes:
        return hashlib.blake2b(repr(sorted((self._me, peer))).encode(), digest_size=32).digest()
