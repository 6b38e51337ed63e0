"""Reach: how far neighbors may be from an agent in the first rounds, where it does not know yet what is usual.

All agents begin a training with the same parameters, so that round after round they are about as far apart as their
steps have led them. With z_k the agent's proposal, w_k that from which it was stepped to, and

    s_k = max ‖z_k − w_k‖      over the rounds so far,

the parameters of a neighbor that is farther than 5 s_k, or 3 s_k after four rounds, are not mixed: so no lie of the
first rounds leads an agent farther than its own steps lead back. Who was as far in six rounds is convicted, while
another neighbor is nearer. Honest agents are up to 3 s_k apart where samples are alike, and up to 7 in one round, or
4 in two, where they are not.

An agent that comes later, or back, has no such measure, nor has one that trains on with other samples. Nor are steps
alike where agents have unlike numbers of samples, or see others than most.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence, Set
from typing import Final, final

import numpy as np

from p2pnet.protocol.core.types import Array, PeerId
from p2pnet.protocol.links.ledger import norm
from p2pnet.protocol.links.link import Link
from p2pnet.protocol.rounds.steadiness import Steadiness

NOTHING: Final[Array] = np.zeros(0)
MEASURED_ROUNDS: Final = 24
"""By then audits know what is usual."""
FIRST_ROUNDS: Final = 4
FAR_AT_FIRST: Final = 5.0
"""Of the longest step, in the first rounds; 3 with samples dealt at random, 7 in one round with others."""
FAR: Final = 3.0
"""The same later; 1.7 with samples dealt at random, 4 in two rounds with others."""
MAX_FAR_ROUNDS: Final = 5
EQUAL: Final = 4.0
"""As many samples, or as few, as the agent's own."""


def have_as_many_samples(links: Sequence[Link]) -> bool:
    """Whether neighbors have about as many samples as the agent: both ends of a link give the same part of theirs, so
    that what the first shares have carried tells. Later all has been mixed.
    """
    for link in links:
        received = link.n_received()
        sent = received - float(link.moved()[-2])
        if received > 0.0 and not received <= EQUAL * sent <= EQUAL * EQUAL * received:
            return False
    return True


@final
class Reach:
    """Measures one agent's first steps, and by them how far its neighbors are."""

    def __init__(self) -> None:
        self._from = NOTHING
        """w_k, that of the last step; kept while steps are measured"""
        self._longest = 0.0
        """s_k"""
        self._round = MEASURED_ROUNDS
        self._n_far: dict[PeerId, int] = {}
        self._steadiness = Steadiness()

    def begin_anew(self) -> None:
        """Measure nothing: something else is minimised, from other parameters than all begin with."""
        self._round = MEASURED_ROUNDS

    def see_tracked(self, links: Sequence[Link], weight: float) -> None:
        """Take in the agent's links and its weight: nobody is convicted where others come or go."""
        self._steadiness.see(links, weight)

    def step_from(self, params: Array) -> None:
        """Take in w_k, from which the step of the coming round is taken."""
        self._from = params

    def see_step(self, round_: int, proposal: Array) -> None:
        """Measure the step to the proposal of a round."""
        if round_ == 0:
            self._steadiness.begin_together()
        elif self._round == MEASURED_ROUNDS:
            self._from = NOTHING
            return
        self._round = min(round_, MEASURED_ROUNDS)
        if self._from.size:
            self._longest = max(self._longest, norm(proposal - self._from))

    @property
    def reach(self) -> float:
        """How far a neighbor's parameters may be to be mixed."""
        if self._round == MEASURED_ROUNDS:
            return math.inf
        return (FAR_AT_FIRST if self._round < FIRST_ROUNDS else FAR) * self._longest

    @property
    def unusual(self) -> Set[PeerId]:
        """Those that were farther than that."""
        return self._n_far.keys()

    def far_off(self, distances: Mapping[PeerId, float]) -> set[PeerId]:
        """Those that are convicted, by the distances of this round."""
        far = {peer for peer, distance in distances.items() if not distance <= self.reach}
        for peer in far:
            self._n_far[peer] = self._n_far.get(peer, 0) + 1
        if not self._steadiness.is_steady or len(far) == len(distances):
            return set()
        return {peer for peer in far if self._n_far[peer] > MAX_FAR_ROUNDS}
