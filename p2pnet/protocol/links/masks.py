"""Masks: what both ends of a link count as moved over it from the beginning, without a message.

Both ends derive one pseudo-random vector m from a secret that they alone share, from the nonces of the link, and from
what is tracked over it. The one whose id is less enters it as sent, the other as received:

    y_k = x_k + Σ_links (received − sent ± m)

so the sum over the network is what it was, and a mask goes with its link; but what an agent gives its neighbors says
nothing of x_k to a neighbor that does not know the masks of all its links.

Pairwise masks that cancel in the sum are those of Bonawitz et al. (2017), here between neighbors only, and once an
account instead of once a message. The numbers are made of bytes of SHAKE-256, so they depend on no library's version.
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import final

import numpy as np

from p2pnet.protocol.core.types import Array, LinkId, PeerId

_OF_A_LINK, _OF_ONE_AGENT = b"p2pnet mask of a link 1", b"p2pnet number of one agent 1"


class LinkSecrets(ABC):
    """What pairs of agents know and no other does."""

    @abstractmethod
    def shared_with(self, peer: PeerId) -> bytes:
        """32 bytes that this agent and the peer alone can compute; with its own id, that this agent alone can."""


@final
@dataclass(frozen=True, slots=True)
class Masking:
    """What the links of one account are masked for."""

    subject: bytes
    """What is tracked, in bytes: for the same subject a link has the same mask, so that no second one can be told from
    the first."""
    sizes: Array = field(repr=False)
    """The largest that a mask is, by what is tracked; the weight, which hides nothing, has none."""
    is_needed: bool
    """Whether agents without masks take no part in the account."""
    expected: float
    """How large what is tracked may be, ‖·‖, at an agent that has not tracked it before."""


@final
class Masks:
    """Derives the masks of one agent's links, and numbers that it alone knows."""

    def __init__(self, me: PeerId, secrets: LinkSecrets) -> None:
        self._me = me
        self._secrets = secrets

    def of_link(self, peer: PeerId, link_id: LinkId, masking: Masking) -> Array:
        """What this end of the link adds to its mass, uniform within ± `masking.sizes`."""
        is_first = self._me < peer
        nonces = (*link_id.mine, *link_id.theirs) if is_first else (*link_id.theirs, *link_id.mine)
        names = repr(nonces).encode() + masking.subject
        mask: Array = masking.sizes * _uniform(_OF_A_LINK, self._secrets.shared_with(peer), names, len(masking.sizes))
        return -mask if is_first else mask

    def own_numbers(self, purpose: str, n: int) -> Array:
        """(n,): numbers in [−1, 1) that only this agent can know, the same each time: told again they say no more."""
        return _uniform(_OF_ONE_AGENT, self._secrets.shared_with(self._me), purpose.encode(), n)


def _uniform(domain: bytes, secret: bytes, names: bytes, n: int) -> Array:
    """Numbers in [−1, 1), 64 bits each, from a keyed stream."""
    key = hashlib.blake2b(names, key=secret, digest_size=64).digest()
    integers = np.frombuffer(hashlib.shake_256(domain + key).digest(8 * n), dtype="<i8")
    return integers * 2.0**-63
