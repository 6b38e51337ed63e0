"""The barrier of a round: which neighbors' shares are awaited before mixing."""

from __future__ import annotations

from collections.abc import Collection
from typing import final

from p2pnet.protocol.core.effects import Notify
from p2pnet.protocol.core.notices import NoNeighborLeft
from p2pnet.protocol.core.types import PeerId
from p2pnet.protocol.links.link import Link
from p2pnet.protocol.rounds.mixing import Mixing
from p2pnet.protocol.rounds.neighbor import MAX_MISSED, Neighbor
from p2pnet.protocol.rounds.neighborhood import Neighborhood

ROUNDS_TO_A_TURN = 2
"""A neighbor's turn comes within this many rounds for each neighbor that takes part, or is not counted on."""


@final
class Barrier:
    """Decides which neighbors an agent awaits in a round, and counts the rounds that each neighbor misses."""

    def __init__(self, neighborhood: Neighborhood, mixing: Mixing) -> None:
        self._neighborhood = neighborhood
        self._mixing = mixing
        self._awaited: set[PeerId] = set()
        self._raised_at = 0.0
        self._was_alone = False

    def raise_for(
        self, round_: int, taking_part: Collection[Neighbor], taken: Collection[PeerId], heard_since: float, now: float
    ) -> None:
        """Await the neighbors that take part, have a weight in this round, and keep up.

        Where no neighbor that keeps up, and that this agent takes from soon, has said anything since the time given,
        the late ones are awaited too.
        """
        awaited = [n for n in taking_part if n.peer in taken]
        self._awaited = {n.peer for n in awaited if not n.is_lagging}
        # A neighbor whose turn never comes, as most in a schedule of partners, holds this agent back in no round.
        soon = range(round_, round_ + ROUNDS_TO_A_TURN * len(taking_part))
        prompt = (n.peer for n in taking_part if n.last_heard_at >= heard_since and not n.is_lagging)
        if not any(self._mixing.meets(peer, turn) for peer in prompt for turn in soon):
            # With no prompt neighbor around, waiting for the late still beats running ahead alone.
            self._awaited = {n.peer for n in awaited}
        self._raised_at = now

    def is_waiting(self, round_: int) -> bool:
        """Whether an awaited neighbor's share of this round, or of a later round, has not come yet."""
        for neighbor, link in self._neighborhood.open():
            last = neighbor.finished_sequence
            is_awaited = neighbor.peer in self._awaited and (last is None or not link.has_all(last))
            if is_awaited and neighbor.is_connected and neighbor.is_ready and not link.has_come(round_):
                return True
        return False

    def is_mixing_due(self, round_: int, *, is_asynchronous: bool) -> bool:
        """Whether a round may be mixed before its deadline; an agent without neighbors would run ahead."""
        return self.has_news if is_asynchronous else not (self.is_waiting(round_) or self.is_alone)

    @property
    def has_news(self) -> bool:
        """Whether a share of any neighbor has come since the last mixing (asynchronous mode)."""
        return any(link.has_news for _, link in self._neighborhood.open())

    @property
    def is_alone(self) -> bool:
        """Whether no connected neighbor takes part in the rounds."""
        return not any(neighbor.is_connected and neighbor.is_ready for neighbor, _ in self._neighborhood.open())

    def notify_of_loneliness(self) -> list[Notify]:
        """Report once that no neighbor is left: from then on the agent trains on its own samples alone."""
        was_alone, self._was_alone = self._was_alone, self.is_alone
        return [Notify(NoNeighborLeft())] if self._was_alone and not was_alone else []

    @property
    def is_served(self) -> bool:
        """Whether, on each link, both agents have ended and both ends have all shares of the other."""
        for neighbor, link in self._neighborhood.open():
            has_all = neighbor.finished_sequence is not None and link.has_all(neighbor.finished_sequence)
            if neighbor.is_connected and not (has_all and link.is_settled):
                return False
        return True

    def is_waited_for(self, round_: int) -> bool:
        """Whether a neighbor that exchanges with this agent in this round has sent its share already, and so waits."""
        return any(
            link.newest_round >= round_ and self._mixing.meets(neighbor.peer, round_)
            for neighbor, link in self._neighborhood.open()
            if neighbor.is_connected
        )

    def count_missed(self, neighbor: Neighbor, link: Link, round_: int) -> None:
        """Count the rounds that a neighbor has missed. A neighbor that was silent since the shares went out is stopped
        or cut off, and not late by chance: one missed deadline is enough.
        """
        if link.newest_round < round_ and neighbor.last_heard_at <= self._raised_at:
            neighbor.n_missed = MAX_MISSED
        elif link.newest_round >= round_ - 1:
            neighbor.n_missed = 0
        else:
            neighbor.n_missed += 1
