"""Backoff: growing pauses before a peer is redialed after one side has refused a link.

Time may mend every refusal: a place comes free there, or the agent is started again with other settings.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import final

from p2pnet.protocol.core.types import PeerId

FIRST_PAUSE_S = 5.0
MAX_PAUSE_S = 60.0
SHORTEST = 0.5
"""The least part of a pause: pauses are randomized, so that two agents do not dial each other at one moment."""

MAX_TOLD = 8
"""The most reasons of one peer that count as news; each side words a difference in its own way."""


@dataclass(slots=True)
class _Refusal:
    pause_s: float = FIRST_PAUSE_S
    until: float = 0.0
    told: set[str] = field(default_factory=set)


@final
class Backoff:
    """Tracks refused peers, and computes when each may be dialed again."""

    def __init__(self, uniform: Callable[[float, float], float]) -> None:
        """`uniform(a, b)` draws a uniform number between a and b."""
        self._uniform = uniform
        self._refusals: dict[PeerId, _Refusal] = {}

    def refused(self, peer: PeerId, reason: str, now: float) -> tuple[float, bool]:
        """Record a refusal; return the time before which not to dial, and whether the reason is news."""
        refusal = self._refusals.get(peer)
        if refusal is None:
            refusal = self._refusals[peer] = _Refusal()
        elif now >= refusal.until:  # else it is the peer that has dialed
            refusal.pause_s = min(2 * refusal.pause_s, MAX_PAUSE_S)
        refusal.until = now + refusal.pause_s * self._uniform(SHORTEST, 1.0)
        is_news = reason not in refusal.told and len(refusal.told) < MAX_TOLD
        if is_news:
            refusal.told.add(reason)
        return refusal.until, is_news

    def disconnected(self, peer: PeerId, now: float) -> None:
        """Reset the pause of a peer that was connected without a refusal."""
        if peer in self._refusals and now >= self._refusals[peer].until:
            del self._refusals[peer]
