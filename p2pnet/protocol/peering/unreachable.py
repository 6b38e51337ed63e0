"""Filters failures to reach a peer: each cause is reported once, and causes that may pass only after a while."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import final

from p2pnet.protocol.core.events import DialFailed, DialProblem
from p2pnet.protocol.core.types import PeerId

STARTING_S = 5.0
"""Agents are not started all at once: for so long a refused or timed-out connection is not reported."""

_MAY_PASS = {DialProblem.REFUSED, DialProblem.TIMED_OUT}


@dataclass(slots=True)
class _Trouble:
    since: float
    told: set[DialProblem] = field(default_factory=set)


@final
class UnreachablePeers:
    """Tracks which causes were reported of each peer since it was last connected."""

    def __init__(self) -> None:
        self._troubles: dict[PeerId, _Trouble] = {}

    def is_news(self, failed: DialFailed, now: float) -> bool:
        """Record a failure; return whether it is to be reported."""
        trouble = self._troubles.setdefault(failed.peer, _Trouble(now))
        if failed.problem in trouble.told or (failed.problem in _MAY_PASS and now < trouble.since + STARTING_S):
            return False
        trouble.told.add(failed.problem)
        return True

    def reached(self, peer: PeerId) -> None:
        """Reset a peer that is connected: later failures are reported again."""
        self._troubles.pop(peer, None)
