"""When to stop, without a coordinator."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import final

from p2pnet.protocol.links.link import Link

SLACK_ROUNDS = 8
"""Rounds added to those that word takes over the longest way: none of them is likely to be lost so often."""


@final
class Stationarity:
    """Whether an agent has come to rest:

        residual ≤ tolerance · the largest residual of any agent in the first round,   disagreement ≤ tolerance;

    with tolerance 0 never, though both may be exactly 0 for a while. The first residual spreads with the shares, so
    that all measure by one scale, those too that join at the end.
    """

    def __init__(self, tolerance: float) -> None:
        self._tolerance = tolerance
        self.first_residual = 0.0

    def hear(self, first_residual: float) -> None:
        """Take in a residual of the first round, one's own or the largest that a neighbor knows of."""
        if math.isfinite(first_residual):
            self.first_residual = max(self.first_residual, first_residual)

    def is_reached(self, residual: float, disagreement: float) -> bool:
        is_near = residual <= self._tolerance * self.first_residual and disagreement <= self._tolerance
        return is_near and self._tolerance > 0


@final
class TerminationDetector:
    """q: everybody within q − 1 links of this agent has been quiet, as far as word has come.

    An agent is quiet in a round when it is stationary there. From round to round

        q⁺ = 1 + min(q, min_j q_j)  if quiet, else 0,

    over its neighbors j, with the last count that each has announced, however old: q_j = c says that agents d links
    beyond j have been quiet for c − d rounds of their own, which stays true of the time it was said. Once q exceeds a
    bound D on the diameter of the graph, everybody is known to be quiet, and the run is set to end some D rounds later:
    long enough for the word to reach everyone before that round.
    """

    def __init__(self, max_diameter: int) -> None:
        self._max_diameter = max_diameter
        self._around = 0
        self._has_rested = False
        self.count = 0
        """The count to announce with this round's shares."""
        self.stop_round = -1
        """The round that all agents end with; -1 while none is known."""
        self.is_held = False
        """Whether no agent steps any more, since a link has opened or closed after the last round was named: what has
        converged is to end as it is. Word of it goes with the shares whose mass would disturb the others' directions.
        """
        self._links_before: Sequence[Link] | None = None

    def watch_links(self, links: Sequence[Link]) -> None:
        """Hold where the links are not those of the call before, and the last round has been named."""
        before, self._links_before = self._links_before, links
        self.is_held |= self.stop_round >= 0 and before is not None and links != before

    def hear_of_hold(self, is_held: bool) -> None:
        """Hold where a neighbor holds, once the last round is known here too."""
        self.is_held |= is_held and self.stop_round >= 0

    def begin_round(self, is_quiet: bool) -> None:
        self.count = self._around + 1 if is_quiet else 0
        self._has_rested |= is_quiet

    def end_round(self, round_: int, neighbor_counts: Iterable[int]) -> None:
        """Take in the counts that the neighbors announced last; 0 for one that has said nothing yet."""
        self._around = min([self.count, *neighbor_counts])
        if self._around > self._max_diameter:
            self.trust(round_ + self._max_diameter + SLACK_ROUNDS)

    def learn(self, stop_round: int, round_: int) -> None:
        """A neighbor names the last round; this agent is in round `round_`.

        Who names it says that everybody has been quiet: who never was does not believe it. Nor does who has passed
        that round for long, since word of it goes round before it comes: others have ended, without this agent.
        """
        if self._has_rested and stop_round >= round_ - SLACK_ROUNDS:
            self.trust(stop_round)

    def trust(self, stop_round: int) -> None:
        """The earliest last round ever named holds; -1 names none."""
        if stop_round >= 0 and (self.stop_round < 0 or stop_round < self.stop_round):
            self.stop_round = stop_round
