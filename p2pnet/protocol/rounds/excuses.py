"""Excuses: that samples may have changed, where agents keep running, and nobody has said so.

Where an agent that keeps running is idle as its samples change, an epoch is announced, and bounds and audit begin anew
with it. A change in the middle of training is announced to nobody: gradient, samples and parameters of an honest agent
jump from one round to the next, and so does what its neighbors pass on. So the first offence is taken for such a
change, of gradient or curvature, and of parameters where samples or gradients that are tracked have turned all at once:
bounds and audit begin anew as with an epoch. What breaks even these bounds is not excused, nor is a peer that was
convicted before, nor another offence within some rounds, nor any in an agent's first ones. So a liar gains the rounds
in which an epoch is restless, and loses what it gave in them when its link closes.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final, final

from p2pnet.protocol.core.types import PeerId

HEARD_FROM: Final = 24
"""In an agent's first rounds none is heard: it is then that lies do most, and samples change least."""
EXCUSED_ROUNDS: Final = 96
"""After an excuse none is heard for so many rounds: four times as many as are restless."""


@final
class Excuses:
    """Counts an agent's rounds, and what it has excused in them."""

    def __init__(self, *, may_change: bool) -> None:
        """`may_change`: whether agents keep running, so that samples may change at any time."""
        self._may_change = may_change
        self._n_rounds = 0
        self._next_at = HEARD_FROM
        self._refused: set[PeerId] = set()

    def begin_anew(self) -> None:
        """Hear excuses from now on: an epoch has been announced."""
        self._next_at = self._n_rounds

    def see_round(self) -> None:
        self._n_rounds += 1

    def excused(self, peers: Collection[PeerId], *, may_have_changed: bool = True) -> set[PeerId]:
        """Those of the peers whose offence, found just now, may come of samples that have changed, as far as what is
        tracked allows for that; no offence of the others is excused from now on.
        """
        is_heard = self._may_change and may_have_changed and self._n_rounds >= self._next_at
        excused = set(peers) - self._refused if is_heard else set[PeerId]()
        self._refused |= set(peers) - excused
        if excused:
            self._next_at = self._n_rounds + EXCUSED_ROUNDS
        return excused
