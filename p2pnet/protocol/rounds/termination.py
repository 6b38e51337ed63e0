"""Distributed termination: agents agree on a last round without a coordinator.

The wire field `quiet` of a share carries the termination count q; *quiet* stands for stationary in a round.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import final

from p2pnet.protocol.links.link import Link

MAX_RATIO = 16.0
"""Of another agent's residual in the first round to the agent's own. Where an honest one is larger, this agent is
stationary somewhat later."""

MAX_REMAINING = 5.0
"""Times the tolerance: 2 % of the objective at the default tolerance of 0.004."""

SLACK_ROUNDS = 8
"""Rounds added to the diameter bound before the last round, to allow for lost shares."""


@final
class Stationarity:
    """The stopping criterion: an agent is stationary when

        residual ≤ tolerance · the largest residual of any agent in the first round,   disagreement ≤ tolerance,
        remaining decrease of the objective ≤ 5 · tolerance · objective;

    with tolerance 0 never, though all may be exactly 0 for a while. A small residual alone may be that of a flat
    valley. The first residual spreads with the shares, so that all agents use one scale, even agents that join at the
    end. An agent that has one of its own believes others up to `MAX_RATIO` times that: with a larger scale all would
    count as stationary at once.
    """

    def __init__(self, tolerance: float) -> None:
        self._tolerance = tolerance
        self._limit = math.inf
        self.first_residual = 0.0

    def measured(self, residual: float) -> None:
        """Update the scale by the agent's own residual of the first round."""
        if math.isfinite(residual) and residual > 0.0:
            self._limit = MAX_RATIO * residual
            self.first_residual = min(max(self.first_residual, residual), self._limit)

    def hear(self, first_residual: float) -> None:
        """Update the scale by the largest residual of the first round that a neighbor, or an earlier run, knows of."""
        if math.isfinite(first_residual):
            self.first_residual = max(self.first_residual, min(first_residual, self._limit))

    def is_reached(self, residual: float, disagreement: float, remaining: float = 0.0) -> bool:
        """Of a round; `remaining` is the decrease that may be left, relative to the objective."""
        is_near = residual <= self._tolerance * self.first_residual and disagreement <= self._tolerance
        return is_near and remaining <= MAX_REMAINING * self._tolerance and self._tolerance > 0


@final
class TerminationDetector:
    """The termination count q: all agents within q − 1 links of this agent have been stationary.

    From round to round

        q⁺ = 1 + min(q, min_j q_j)  if stationary, else 0,

    over its neighbors j, with the last count that each has announced, however old: q_j = c says that agents d links
    beyond j had been stationary for c − d rounds of their own when it was sent. Once q exceeds a bound D on the
    diameter of the graph, all agents are known to be stationary, and the run is set to end some D rounds later: long
    enough for the last round to reach all agents before it comes.
    """

    def __init__(self, max_diameter: int) -> None:
        self.max_diameter = max_diameter
        self._around = 0
        self._was_stationary = False
        self.count = 0
        """The count to announce with this round's shares."""
        self.farthest = 0
        """The largest count so far."""
        self.stop_round = -1
        """The round that all agents end with; -1 while none is known."""
        self.first_round = -1
        """The round in which the epoch has begun; last rounds up to it are those of epochs before."""
        self.is_held = False
        """Whether no agent takes local steps any more, since a link has opened or closed after the last round was
        named: converged parameters are to be kept. The flag spreads with the shares whose mass would disturb the
        others' directions.
        """
        self._links_before: Sequence[Link] | None = None

    def begin_anew(self, first_round: int) -> None:
        """Forget all that was known of the epoch before this one."""
        self._around = self.count = self.farthest = 0
        self._was_stationary = self.is_held = False
        self.stop_round, self.first_round, self._links_before = -1, first_round, None

    def watch_links(self, links: Sequence[Link]) -> None:
        """Hold if the links differ from those of the last call and the last round is known."""
        before, self._links_before = self._links_before, links
        self.is_held |= self.stop_round >= 0 and before is not None and links != before

    def hear_of_hold(self, is_held: bool) -> None:
        """Hold if a neighbor holds and the last round is known here too."""
        self.is_held |= is_held and self.stop_round >= 0

    def begin_round(self, is_quiet: bool) -> None:
        self.count = self._around + 1 if is_quiet else 0
        self.farthest = max(self.farthest, self.count)
        self._was_stationary |= is_quiet

    def end_round(self, round_: int, neighbor_counts: Iterable[int]) -> None:
        """Update the count by those that the neighbors announced last; 0 stands for a neighbor without any."""
        self._around = min([self.count, *neighbor_counts])
        if self._around > self.max_diameter:
            self.trust(round_ + self.max_diameter + SLACK_ROUNDS)

    def learn(self, stop_round: int, round_: int) -> None:
        """Take over the last round that a neighbor names, if it is plausible; this agent is in round `round_`.

        A named last round says that all agents have been stationary: an agent that never was ignores it. So does an
        agent that is long past that round, since the last round spreads before it comes: others have ended without this
        agent.
        """
        if self._was_stationary and stop_round >= round_ - SLACK_ROUNDS and stop_round > self.first_round:
            self.trust(stop_round)

    def trust(self, stop_round: int) -> None:
        """Take over a last round unless an earlier last round is known; -1 stands for none."""
        if stop_round >= 0 and (self.stop_round < 0 or stop_round < self.stop_round):
            self.stop_round = stop_round
