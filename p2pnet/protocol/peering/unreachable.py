"""Which failures to reach a peer are news: each cause once, and not what waiting alone may mend."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import final

from p2pnet.protocol.core.events import DialFailed, DialProblem
from p2pnet.protocol.core.types import PeerId

STARTING_S = 5.0
"""Agents are not started all at once: for so long a peer that is not there yet is no news."""

_MAY_PASS = {DialProblem.REFUSED, DialProblem.TIMED_OUT}


@dataclass(slots=True)
class _Trouble:
    since: float
    told: set[DialProblem] = field(default_factory=set)


@final
class UnreachablePeers:
    """The peers that could not be reached since they were last connected."""

    def __init__(self) -> None:
        self._troubles: dict[PeerId, _Trouble] = {}

    def is_news(self, failed: DialFailed, now: float) -> bool:
        """Whether people have not been told of this failure yet, and should be."""
        trouble = self._troubles.setdefault(failed.peer, _Trouble(now))
        if failed.problem in trouble.told or (failed.problem in _MAY_PASS and now < trouble.since + STARTING_S):
            return False
        trouble.told.add(failed.problem)
        return True

    def reached(self, peer: PeerId) -> None:
        """From now on everything is news again."""
        self._troubles.pop(peer, None)
