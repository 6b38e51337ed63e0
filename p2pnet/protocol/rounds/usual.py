"""What is usual: by how much neighbors' parameters are worse on an agent's own samples than the best ones.

With e_j = loss_j − F* the excess of a neighbor's loss over the best, u is the usual one: the upper middle neighbor's
largest of the first audits, and what the lower middle one's and the rise of the agent's own loss came to since; all of
it fades. Who is convicted, or was beyond reach (`reach.py`), counts no more: so a liar is not what is usual.

Samples are alike as far as an agent can tell if u was never above a fifth of the loss before training, and its own
targets look like the network's (`training/typicality.py`). An agent that sees others than most cannot tell an honest
one from a liar by its own samples.
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from typing import Final, final

from p2pnet.protocol.core.events import Audited
from p2pnet.protocol.core.types import PeerId

FADING: Final = 0.993
"""From audit to audit."""
ALIKE: Final = 0.2
"""Of the loss before training: 0.14 with samples dealt at random, 0.8 and more where agents see other classes."""


@final
class Usual:
    """Learns what is usual for one agent."""

    def __init__(self) -> None:
        self._of: dict[PeerId, float] = {}
        """the largest excess of each neighbor in the first audits"""
        self._since = 0.0
        self._unusual: Set[PeerId] = frozenset()
        self._first_loss = 0.0
        self._was_unlike = False
        self.middle = 0.0
        """the lower middle neighbor's excess in the last audit"""

    def leave_out(self, peers: Set[PeerId]) -> None:
        """Learn nothing from these neighbors."""
        self._unusual = peers

    def forget(self, peer: PeerId) -> None:
        """Leave out what was learned of a neighbor that is convicted, and of the agent that it may have led astray."""
        self._of.pop(peer, None)
        self._since = 0.0
        self._was_unlike = self.excess >= ALIKE * self._first_loss

    def learn(self, audited: Audited, rise: float, losses: Mapping[PeerId, float], *, is_first: bool) -> None:
        """Learn from neighbors' losses of late; `rise` is that of the agent's own loss above its smallest, `is_first`
        in the first audits.
        """
        self._first_loss = audited.first
        self._since *= FADING
        self._of = {peer: FADING * excess for peer, excess in self._of.items()}
        usual = sorted(loss for peer, loss in losses.items() if peer not in self._unusual)
        if not usual or len(losses) < 2:
            return
        best = min(audited.own, usual[0])
        self.middle = usual[(len(usual) - 1) // 2] - best
        if is_first:
            excesses = {peer: min(loss - best, audited.first) for peer, loss in losses.items()}
            self._of |= {peer: max(excess, self._of.get(peer, 0.0)) for peer, excess in excesses.items()}
        self._since = max(self._since, min(rise if is_first else max(rise, self.middle), audited.first))
        self._was_unlike = self._was_unlike or self.excess >= ALIKE * audited.first

    @property
    def excess(self) -> float:
        """The usual excess, u."""
        known = sorted(excess for peer, excess in self._of.items() if peer not in self._unusual)
        return max(self._since, known[len(known) // 2] if known else 0.0)

    @property
    def is_alike(self) -> bool:
        """Whether the samples of the agents around are alike, by what is known so far."""
        return not self._was_unlike
