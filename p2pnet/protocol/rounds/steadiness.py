"""Steadiness: for how many rounds no agent has come or gone, as far as an agent can tell by its links and its weight.

Agents that come or go anywhere, and shares that are lost, change the weight that is tracked.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, final

from p2pnet.protocol.links.link import Link

STEADY_ROUNDS: Final = 24
STEADY_WEIGHT: Final = 0.01
RESTLESS_ROUNDS: Final = 36
"""Rounds after samples have changed in which gradients and parameters may go far: a dozen rounds later the curvature of
the network is measured anew, and steps overshoot; 32 rounds later gradients are within bounds again.
"""


@final
class Steadiness:
    """Counts the rounds since the agent's links or its weight have changed, or since it began."""

    def __init__(self) -> None:
        self._n_rounds = -1
        self._links: Sequence[Link] = ()
        self._weight = 1.0
        self._n_restless = 0
        self.is_from_the_start = False
        """Whether the agent has begun with the others, and nothing has changed since."""
        self.has_changed = False
        """Whether they have changed since the first links opened."""

    def begin_together(self) -> None:
        """Know that all agents begin in this round: nobody has come late."""
        self.is_from_the_start = not self.has_changed

    def see(self, links: Sequence[Link], weight: float) -> None:
        """Take in the links and the weight of a round; that the first links open is no change."""
        is_first = self._n_rounds < 0
        has_other_links = links != self._links and (bool(self._links) or self.has_changed)
        self._n_rounds += 1
        if has_other_links or (not is_first and abs(weight - self._weight) > STEADY_WEIGHT):
            self.interrupt()
        if self._n_restless:
            self._n_restless -= 1
            self.interrupt()
        self._links, self._weight = links, weight

    def interrupt(self) -> None:
        """Count anew, for another reason."""
        self._n_rounds, self.has_changed, self.is_from_the_start = 0, True, False

    def begin_anew(self) -> None:
        """Be restless for a while, and count anew from then: samples have changed."""
        self._n_restless = RESTLESS_ROUNDS
        self.interrupt()

    @property
    def is_restless(self) -> bool:
        """Whether samples have changed of late."""
        return self._n_restless > 0

    @property
    def is_steady(self) -> bool:
        return self.is_from_the_start or self.has_lasted(STEADY_ROUNDS)

    def has_lasted(self, n_rounds: int) -> bool:
        """Whether there were so many rounds."""
        return self._n_rounds >= n_rounds
