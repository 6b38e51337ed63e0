"""Which last round an agent believes that its neighbors name."""

from __future__ import annotations

from typing import final

from p2pnet.protocol.core.types import PeerId
from p2pnet.protocol.rounds.corroboration import Corroboration, left_by_two
from p2pnet.protocol.rounds.neighborhood import Neighborhood
from p2pnet.protocol.rounds.termination import TerminationDetector

LINKS_AROUND = 8
"""The most links around an agent within which it must know all to be stationary to believe one neighbor that says so of
all."""


def links_around(max_diameter: int) -> int:
    """How far around it an agent must know all to be stationary, to believe one neighbor: in links, counted from 1 for
    itself, a quarter of the bound D on the diameter, and at most `LINKS_AROUND`.

    The count of the agent that names the last round has exceeded D, so that of one d links away has been D + 1 − d at
    least: where D is a quarter more than the diameter, or below 8, every agent comes to know enough.
    """
    return max(1, min(LINKS_AROUND, max_diameter // 4))


def bound_for(diameter: int) -> int:
    """The least D for a graph of this diameter with which all agents come to believe one neighbor."""
    bound = max(diameter, 1)
    while bound + 1 - diameter < links_around(bound):
        bound += 1
    return bound


@final
class LastRound:
    """Hears the last rounds that neighbors name, and tells the detector of one that is to be believed.

    That is the one of two neighbors, of one that is the only one there is, and of any where this agent's own count
    says that the training around it is at its end: the count of the agent that named it first has reached the diameter,
    and counts of neighbors differ by little.
    """

    def __init__(self, neighborhood: Neighborhood, termination: TerminationDetector) -> None:
        self._neighborhood = neighborhood
        self._termination = termination
        self._named: Corroboration[int] = Corroboration()

    def named(self, peer: PeerId, stop_round: int, round_: int) -> None:
        """Hear what a neighbor names, −1 where it knows of none; this agent is in round `round_`."""
        if stop_round < 0:
            return
        self._named.hear(peer, stop_round)
        linked = {neighbor.peer for neighbor, _ in self._neighborhood.open()}
        self._named.keep(linked)
        named = [stop for stop in self._named.words.values() if stop > self._termination.first_round]
        is_near = self._termination.farthest >= links_around(self._termination.max_diameter)
        believed = min(named, default=None) if is_near or len(linked) <= 1 else left_by_two(named)
        if believed is not None:
            self._termination.learn(believed, round_)
