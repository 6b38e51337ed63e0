"""When to stop, without a coordinator."""

from __future__ import annotations

from collections.abc import Iterable
from typing import final


@final
class QuietCount:
    """q: everybody within q − 1 links of this agent has been quiet, as far as word has come.

    An agent is quiet in a round when its local step and its disagreement are below the tolerance. From round to round

        q⁺ = 1 + min(q, min_j q_j)  if quiet, else 0,

    over its neighbors j; a round in which a neighbor's count is missing does not raise it. Once q exceeds a bound D on
    the diameter of the graph, everybody is known to be quiet, and the run is set to end D + 1 rounds later: long
    enough for the word to reach everyone before that round.
    """

    def __init__(self, max_diameter: int) -> None:
        self._max_diameter = max_diameter
        self._around = 0
        self.count = 0
        """The count to announce with this round's shares."""
        self.stop_round = -1
        """The round everybody ends with; -1 while none is known."""

    def begin_round(self, is_quiet: bool) -> None:
        self.count = self._around + 1 if is_quiet else 0

    def end_round(self, round_: int, neighbor_counts: Iterable[int | None]) -> None:
        """Take in the counts announced with this round's shares, None for each one that is missing."""
        counts = list(neighbor_counts)
        known = [count for count in counts if count is not None]
        around = min([self.count, *known])
        self._around = around if len(known) == len(counts) else max(around - 1, 0)
        if around > self._max_diameter:
            self.learn(round_ + self._max_diameter + 1)

    def learn(self, stop_round: int) -> None:
        """Somebody knows the last round: the earliest ever named holds."""
        if stop_round >= 0 and (self.stop_round < 0 or stop_round < self.stop_round):
            self.stop_round = stop_round
