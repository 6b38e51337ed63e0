"""When a peer is dialed again after one side has refused a link: after seconds, then ever more seldom.

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
"""Part of a pause that is waited at least: it differs between agents, lest two dial each other at one moment."""

MAX_TOLD = 8
"""Reasons of one peer that are news; each agent has its own words for what differs between both."""


@dataclass(slots=True)
class _Refusal:
    pause_s: float = FIRST_PAUSE_S
    until: float = 0.0
    told: set[str] = field(default_factory=set)


@final
class Backoff:
    """The peers with which there has been no link since one side refused it."""

    def __init__(self, uniform: Callable[[float, float], float]) -> None:
        """`uniform` draws a number between two."""
        self._uniform = uniform
        self._refusals: dict[PeerId, _Refusal] = {}

    def refused(self, peer: PeerId, reason: str, now: float) -> tuple[float, bool]:
        """Until when not to dial the peer, and whether the reason is news."""
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
        """Begin anew with a peer that was connected again without a refusal."""
        if peer in self._refusals and now >= self._refusals[peer].until:
            del self._refusals[peer]
