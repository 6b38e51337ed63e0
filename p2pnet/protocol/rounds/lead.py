"""How far an agent follows neighbors whose rounds are ahead of its own."""

from __future__ import annotations

from collections.abc import Collection
from typing import final

from p2pnet.protocol.rounds.corroboration import reached_by_two

AT_ONCE = 40
"""Rounds that an agent skips on the word of one neighbor alone; honest ones were 21 ahead at most, in all of a run."""

GAINED_IN_STEP, GAINED_ASYNCHRONOUS = 1, 16
"""Rounds of the same kind that it may skip besides for each of its own: an agent that is behind alone with its only
neighbor catches up all the same. Where no agent waits, a slow one is behind all the time."""


@final
class Lead:
    """Computes the next round: that which two neighbors have got to, and on the word of one only some rounds more."""

    def __init__(self, *, is_asynchronous: bool) -> None:
        self._gained = GAINED_ASYNCHRONOUS if is_asynchronous else GAINED_IN_STEP
        self._allowance = AT_ONCE

    def next_round(self, round_: int, ahead: Collection[int]) -> int:
        """The round after `round_`, where neighbors have got to the rounds `ahead`."""
        self._allowance = min(self._allowance + self._gained, AT_ONCE)
        following = max(round_ + 1, reached_by_two(ahead) or 0)
        skipped = min(max(0, max(ahead, default=0) - following), self._allowance)
        self._allowance -= skipped
        return following + skipped
