"""Convictions: which peers get no link for now, since what they have sent cannot be honest.

A conviction expires. An agent whose neighbor lies passes on what it took for true, and may be convicted for it; once
that neighbor has lost its links, the victim recovers. A liar that comes back is found out again, and waits eight times
as long.
"""

from __future__ import annotations

from typing import Final, final

from p2pnet.protocol.core.types import PeerId

FIRST_ROUNDS: Final = 24
"""Rounds of its own in which an agent refuses one that it has convicted for the first time."""
GROWTH: Final = 8


@final
class Convictions:
    """The peers that this agent has convicted by its own judgement."""

    def __init__(self) -> None:
        self._n_times: dict[PeerId, int] = {}
        self._until: dict[PeerId, int] = {}

    def convict(self, peer: PeerId, round_: int) -> None:
        """Refuse the peer from this round of the agent's own on, for a while."""
        n_times = self._n_times.get(peer, 0)
        self._n_times[peer] = n_times + 1
        self._until[peer] = round_ + FIRST_ROUNDS * GROWTH ** min(n_times, 16)

    def is_refused(self, peer: PeerId, round_: int) -> bool:
        return round_ < self._until.get(peer, round_)
