"""Whether an agent is led astray, by whom, and where it was at its best.

Where an agent's targets look like the network's (`training/typicality.py`), its own parameters fit its samples about as
well as any neighbor's. Such an agent is in distress where a neighbor's fit them better by 0.05 of the loss before
training, while those of another are worse than its own by a quarter of what there was to gain: mixing with that one has
spoiled its own, and not yet the better one's. Who is as bad in more than ten audits, net of a quarter of one for each
other, is convicted, and after a conviction in more than three. (Agents that see other samples than most came to 11 with
neighbors of many kinds: they blame nobody.)

When a liar is convicted its mass is taken back, but parameters that it has led astray are not: some cannot be trained
from there again. So an agent that has lost a quarter of what it had gained goes back to the best it has had.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from typing import Final, final

from p2pnet.protocol.core.events import Audited
from p2pnet.protocol.core.types import Array, PeerId

BETTER: Final = 0.05
"""Of the loss before training."""
WORSE: Final = 0.25
"""Of what there was to gain."""
MAX_DISTRESS: Final = 10.0
MAX_DISTRESS_AGAIN: Final = 3.0
"""After a conviction."""
FORGIVEN: Final = 0.25
LOST: Final = 0.25
"""Of what the agent had gained."""


@final
class Astray:
    """Follows what one agent's own parameters are worth, and who makes them worse."""

    def __init__(self) -> None:
        self._loss = self._first_loss = self._smallest_loss = math.inf
        self._best: Array | None = None
        """the own parameters of the smallest loss"""
        self._distress: dict[PeerId, float] = {}

    def see_own(self, audited: Audited, own: Array) -> None:
        """Take in what the agent's own parameters are worth."""
        self._loss, self._first_loss = audited.own, audited.first
        if audited.own < self._smallest_loss:
            self._smallest_loss, self._best = audited.own, own

    @property
    def rise(self) -> float:
        """By how much the own loss is above the smallest."""
        return self._loss - self._smallest_loss

    def is_led_by(
        self, peer: PeerId, loss: float, others: Collection[float], audited: Audited, *, is_apart: bool, is_known: bool
    ) -> bool:
        """Whether the neighbor is convicted of having led the agent astray, by its loss and those of others of late.

        `is_apart` where it is neither near the agent nor like most of the others, and the agent's targets look like the
        network's; `is_known` after a conviction.
        """
        better = min(others, default=math.inf)
        is_spoiled = better + BETTER * audited.first < audited.own < audited.first
        is_worse = loss - audited.own > WORSE * (audited.first - better)
        if is_apart and is_spoiled and is_worse:
            distress = self._distress.get(peer, 0.0) + 1.0
        else:
            distress = max(0.0, self._distress.get(peer, 0.0) - FORGIVEN)
        self._distress[peer] = distress
        return distress > (MAX_DISTRESS_AGAIN if is_known else MAX_DISTRESS)

    def forget(self, peer: PeerId) -> None:
        """Count anew for a neighbor that is convicted."""
        self._distress.pop(peer, None)

    def restored(self, params: Array) -> Array:
        """The parameters to go on from after a conviction."""
        if self._best is None or not self.rise > LOST * (self._first_loss - self._smallest_loss):
            return params
        return self._best.astype(params.dtype, copy=True)
