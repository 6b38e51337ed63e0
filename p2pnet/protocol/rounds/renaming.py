"""How soon an agent in the statistics stage adopts a new name of the statistics, or a new reference."""

from __future__ import annotations

import math
from typing import final

from p2pnet.protocol.core.types import PeerId

N_FREE, PAUSE_S, MAX_PAUSES = 16, 0.1, 12
"""So many names of a neighbor are adopted at once; the next one waits so long, and each further one twice as long."""

N_RESTLESS = 18
"""A neighbor that has brought so many is not waited for."""

FORGIVEN_S = 30.0
"""Each time, one of a neighbor's names is forgiven."""


@final
class Renaming:
    """Delays the adoption of new names, the more the oftener a neighbor brings one.

    An honest neighbor brings one for each link that closes somewhere. One that makes them up would keep all agents from
    the end of the stage.
    """

    def __init__(self) -> None:
        self._brought: dict[PeerId, tuple[float, float]] = {}
        """How often each neighbor has brought one, less what is forgiven; and when last."""

    def is_restless(self, peer: PeerId, now: float) -> bool:
        """Whether the neighbor has brought so many names lately that the stage may end without its agreement."""
        return self._n_times(peer, now) >= N_RESTLESS

    def is_allowed(self, peer: PeerId, now: float) -> bool:
        """Whether a new name of the neighbor is adopted now; then it is counted."""
        _, last_at = self._brought.get(peer, (0.0, now))
        n_times = self._n_times(peer, now)
        n_pauses = min(math.ceil(n_times) - N_FREE, MAX_PAUSES)
        if n_pauses >= 0 and now < last_at + PAUSE_S * 2.0**n_pauses:
            return False
        self._brought[peer] = (n_times + 1, now)
        return True

    def _n_times(self, peer: PeerId, now: float) -> float:
        n_before, last_at = self._brought.get(peer, (0.0, now))
        return max(0.0, n_before - (now - last_at) / FORGIVEN_S)
