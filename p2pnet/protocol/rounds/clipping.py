"""Clipping: how far a neighbor's parameters may be from the agent's own before they pull no harder.

With z_k the agent's proposal, z_j those of its neighbors, and s_k = ‖z_k − w_k‖ its own last step, the radius is

    r_k = 5 max (s_k, lower median over j of ‖z_j − z_k‖)      over the last 5 rounds,

and at least what counts as agreement. Beyond a tenth of what it once was it grows by a tenth at a time, because one
that pulls its neighbors along makes their steps longer, and the distances between them. Each share tells the radius of
its sender, and both ends of a link cut the difference that is mixed in to the smaller one (`exchange.py`), as in
ClippedGossip (He, Karimireddy and Jaggi 2022, arXiv 2202.01545):

    d_j = min(1, min(r_k, r_j) / ‖z_j − z_k‖) (z_j − z_k)

So what flows over a link leaves the mean of both parameters as it is, clipped or not.

One that is farther than max(r_k, 2 m_k) + a_j again and again, m_k being the lower median of this round, gets strikes,
min(distance / that, 6) each time, and loses a quarter of one otherwise; with more than 15 it is convicted. So it is far
from others, and not the agent itself. The allowance a_j is for one that was not seen for a while, whatever became of
its link meanwhile: twice the way that the agent itself has gone since, because the other may have gone as far, and
apart; for an agent that goes on from an earlier process, which does not know how far others have gone, its first
distance, up to four times the size of the own parameters. It fades once shares come again. What it allows is cut all
the same: parts of a network that was cut come together by the radius in each round, at a pace at which those behind can
follow.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping
from typing import Final, final

from p2pnet.protocol.core.types import PeerId

REACH: Final = 5.0
ROUNDS_REMEMBERED: Final = 5
ROUNDS_UNSEEN: Final = 24
"""For so long a neighbor counts as unseen that has not been seen before."""
GROWTH: Final = 1.1
"""Of the radius with each length that it is made of."""
PART_AT_ONCE: Final = 0.1
"""Of the largest that the radius has been, or of the parameters: up to that it grows at once. Agents at rest move by
small steps, and by long ones again when others come or go.
"""
FADING: Final = 0.95
"""Of an allowance, from round to round."""
MAX_ALLOWANCE: Final = 4.0
"""Of the first distance to a neighbor, in sizes of the agent's own parameters, after an earlier process."""
MAX_STRIKES: Final = 15.0
HEAVIEST: Final = 6.0
FORGIVEN: Final = 0.25


@final
class Clipping:
    """The radius of one agent, and what it holds against its neighbors."""

    def __init__(self) -> None:
        self._is_steady = True
        self._lengths: deque[float] = deque(maxlen=2 * ROUNDS_REMEMBERED)
        """of the own steps, and of the distances to the middle neighbors, as far as they are believed"""
        self._ways: deque[float] = deque([0.0, 0.0], maxlen=ROUNDS_UNSEEN)
        """the lengths of the way that the agent had gone in the last rounds"""
        self._seen_at: dict[PeerId, float] = {}
        """the length of the agent's own way when a neighbor was last seen"""
        self._allowances: dict[PeerId, float] = {}
        self._largest = 0.0
        """that the radius has been"""
        self._size = 0.0
        """of the agent's parameters"""
        self._radius = math.inf
        """that of the round"""
        self._strikes: dict[PeerId, float] = {}
        self._without_allowance: set[PeerId] = set()

    def begin_anew(self) -> None:
        """Forget radius and strikes: what is minimised has changed, and parameters may go far again."""
        self._lengths.clear()
        self._strikes.clear()
        self._largest = 0.0

    def begin_round(self, step_length: float, size: float, least: float, *, is_steady: bool) -> float:
        """The radius of a round; infinite while nothing has moved. `step_length` is s_k, 0 where the agent only mixes,
        `size` is ‖z_k‖, and `least` the distance that counts as agreement.
        """
        self._size, self._is_steady = size, is_steady
        self._believe(step_length)
        self._ways.append(self._ways[-1] + step_length)
        self._radius = max(self._remembered, least)
        return self._radius

    def far_off(self, distances: Mapping[PeerId, float]) -> set[PeerId]:
        """Those that are convicted, by the distances ‖z_j − z_k‖ of the neighbors seen in this round."""
        allowances = {peer: self._allowance(peer, distance) for peer, distance in distances.items()}
        middle = sorted(distances.values())[(len(distances) - 1) // 2] if distances else 0.0
        if len(distances) < 2:  # a single neighbor can be compared with no other
            self._lengths.append(middle)
            return set()
        reach = max(self._radius, 2.0 * middle)
        far_off = {
            peer for peer, distance in distances.items() if self._is_convicted(peer, distance, reach + allowances[peer])
        }
        self._believe(middle)
        return far_off

    @property
    def _remembered(self) -> float:
        return REACH * max(self._lengths, default=0.0) or math.inf

    def _believe(self, length: float) -> None:
        """Remember a length, as far as the radius may grow for it."""
        usual = PART_AT_ONCE * max(self._largest, self._size)
        self._lengths.append(min(length, max(GROWTH * self._remembered, usual) / REACH))
        if self._remembered < math.inf:
            self._largest = max(self._largest, self._remembered)

    def _is_convicted(self, peer: PeerId, distance: float, allowed: float) -> bool:
        """Count the strikes of a neighbor; whether it has too many. Then they are counted anew, and from now on it has
        no allowance.
        """
        strikes = self._strikes.get(peer, 0.0)
        if distance <= allowed:
            strikes = max(0.0, strikes - FORGIVEN)
        else:
            strikes += min(distance / allowed, HEAVIEST)
        is_convicted = strikes > MAX_STRIKES
        self._strikes[peer] = 0.0 if is_convicted else strikes
        if is_convicted:
            self._without_allowance.add(peer)
        return is_convicted

    def _allowance(self, peer: PeerId, distance: float) -> float:
        """a_j of a neighbor that is seen now."""
        if peer in self._without_allowance:
            return 0.0
        # The way of this round is within the radius.
        allowance = 2.0 * (self._ways[-2] - self._seen_at.get(peer, self._ways[0]))
        if not self._is_steady:
            allowance = max(allowance, min(distance, MAX_ALLOWANCE * self._size))
        self._allowances[peer] = max(FADING * self._allowances.get(peer, 0.0), allowance)
        self._seen_at[peer] = self._ways[-1]
        return self._allowances[peer]
