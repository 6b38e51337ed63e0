"""Steadiness: whether what an agent tracks is that of a network in which nobody comes or goes, and no share is lost."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final, final

from p2pnet.protocol.links.link import Link

STEADY_ROUNDS: Final = 24
STEADY_WEIGHT: Final = 0.01


@final
class Steadiness:
    """Counts the rounds since the agent's links or its weight have changed."""

    def __init__(self) -> None:
        self._n_rounds = 0.0
        self._links: Sequence[Link] | None = None
        self._weight = 1.0

    def see(self, round_: int, links: Sequence[Link], weight: float) -> None:
        """Take in the links and the weight of a round. Agents that begin together, in round 0, are steady from there."""
        if self._links is None:
            self._n_rounds = 0.0 if round_ else math.inf
        elif links == self._links and abs(weight - self._weight) <= STEADY_WEIGHT:
            self._n_rounds += 1
        else:
            self._n_rounds = 0
        self._links, self._weight = links, weight

    @property
    def is_steady(self) -> bool:
        return self._n_rounds >= STEADY_ROUNDS
