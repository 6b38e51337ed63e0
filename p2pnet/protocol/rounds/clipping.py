"""Clipping: how far a neighbor's parameters may be from the agent's own before they pull no harder.

With z_k the agent's proposal, z_j those of its neighbors, m_k the lower median of ‖z_j − z_k‖ over j, and w_k that from
which its last local step was taken, the radius is

    r_k = max (2 ‖z_k − w_k‖, 6 m_k)      over the last 5 rounds,

and at least what counts as agreement. Beyond a quarter of what it once was, or of ‖z_k‖, it grows by a twentieth at a
time: a liar that pulls its neighbors along makes their steps longer, and the distances between them. Each share tells
the radius of its sender: in the first ten rounds 0.9 ‖z_k‖ at least, since agents that see other classes go so far
apart at once, and ¼ ‖z_k‖ where links have changed of late, so that parts that were cut off come together. Both ends of
a link cut the difference that is mixed in to the smaller one (`exchange.py`), as in ClippedGossip (He, Karimireddy and
Jaggi 2022, arXiv 2202.01545):

    d_j = min(1, min(r_k, r_j) / ‖z_j − z_k‖) (z_j − z_k)

So what flows over a link leaves the mean of both ends' parameters as it is, clipped or not.

A neighbor that is farther than max(r_k, 2 m_k) + a_j again and again gets strikes, min(distance / that, 6) each time,
and loses a quarter of one otherwise; with more than 12 it is convicted. The allowance a_j is for what honest agents do
where others come, go or are cut off, where shares are lost (`steadiness.py`), while the samples per agent are still
being found out, and at the beginning of an epoch: the distance itself then, up to ten times ‖z_k‖; it fades by a
twentieth a round. What it allows is clipped all the same: parts of a network that was cut come together by the radius
in each round, at a pace at which those behind can follow.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Final, final

from p2pnet.protocol.core.types import Array, PeerId
from p2pnet.protocol.links.ledger import norm
from p2pnet.protocol.links.link import Link
from p2pnet.protocol.links.tracker import Tracker
from p2pnet.protocol.rounds.steadiness import Steadiness

REACH: Final = 6.0
"""Of the middle distance; where agents see other classes, one with a single link is 5 times as far off as others."""
REACH_OF_STEP: Final = 2.0
ROUNDS_REMEMBERED: Final = 5
FIRST_ROUNDS: Final = 10
FIRST_PART: Final = 0.9
GROWTH: Final = 1.05
"""Of the radius with each length that it is made of."""
PART_AT_ONCE: Final = 0.25
"""Of the largest that the radius has been, or of the parameters: up to that it grows at once. Agents that have
converged move by small steps, and by long ones again when others come or go.
"""
MAX_ALLOWANCE: Final = 10.0
"""In sizes of the agent's own parameters; 5 where one agent has nearly all samples, and tells it last."""
STEADY_SAMPLES: Final = 0.1
"""The part by which the estimate of the samples per agent may change in a round."""
FADING: Final = 0.95
"""Of an allowance, from round to round."""
MAX_STRIKES: Final = 12.0
"""5 where agents see other classes, in the first rounds."""
HEAVIEST: Final = 6.0
FORGIVEN: Final = 0.25


@final
class Clipping:
    """The radius of one agent, and what it holds against its neighbors."""

    def __init__(self, tolerance: float) -> None:
        self._tolerance = tolerance
        self._steadiness = Steadiness()
        self._has_begun_with_others = False
        self._mean_samples = 0.0
        self._start: Array | None = None
        """w_k of the coming round; None where it only mixes"""
        self._size = 0.0
        """‖z_k‖"""
        self._radii: deque[float] = deque(maxlen=2 * ROUNDS_REMEMBERED)
        """by steps and by distances, as far as they are believed"""
        self._largest = 0.0
        """that the radius has been"""
        self._radius = math.inf
        """r_k"""
        self._allowances: dict[PeerId, float] = {}
        self._strikes: dict[PeerId, float] = {}
        self._convicted: set[PeerId] = set()

    def begin_anew(self) -> None:
        """Forget radius and strikes: what is minimised has changed, and parameters may go far again."""
        self._radii.clear()
        self._largest = 0.0
        self._strikes.clear()
        self._steadiness, self._has_begun_with_others = Steadiness(), False

    def step_from(self, params: Array) -> None:
        """Take in w_k, from which the local step of the coming round is taken."""
        self._start = params

    def begin_round(self, round_: int, proposal: Array, links: Sequence[Link], tracker: Tracker) -> float:
        """The radius to tell in a round, from z_k, the agent's links and what it tracks; infinite while nothing has
        moved, and for an agent with a single neighbor, which can be compared with no other.
        """
        self._has_begun_with_others = self._has_begun_with_others or round_ == 0
        self._steadiness.see(links, tracker.weight)
        if round_ and abs(tracker.mean_samples - self._mean_samples) > STEADY_SAMPLES * self._mean_samples:
            self._steadiness.interrupt()
        self._mean_samples = tracker.mean_samples
        self._size = norm(proposal)
        self._believe(0.0 if self._start is None else REACH_OF_STEP * norm(proposal - self._start))
        self._start = None
        self._radius = max(self._remembered, self._tolerance * (1.0 + self._size))
        if len(links) < 2:
            return math.inf
        part_told = FIRST_PART if round_ < FIRST_ROUNDS else 0.0 if self._is_steady else PART_AT_ONCE
        return max(self._radius, part_told * self._size)

    def far_off(self, distances: Mapping[PeerId, float]) -> set[PeerId]:
        """Those that are convicted, by the distances ‖z_j − z_k‖ of the neighbors seen in this round."""
        if len(distances) < 2:
            return set()
        middle = sorted(distances.values())[(len(distances) - 1) // 2]
        reach = max(self._radius, 2.0 * middle)
        far_off = {peer for peer, distance in distances.items() if self._is_convicted(peer, distance, reach)}
        self._believe(REACH * middle)
        return far_off

    @property
    def _remembered(self) -> float:
        return max(self._radii, default=0.0) or math.inf

    def _believe(self, radius: float) -> None:
        """Remember a radius, as far as it may grow."""
        usual = PART_AT_ONCE * max(self._largest, self._size)
        self._radii.append(min(radius, max(GROWTH * self._remembered, usual)))
        if self._remembered < math.inf:
            self._largest = max(self._largest, self._remembered)

    def _is_convicted(self, peer: PeerId, distance: float, reach: float) -> bool:
        """Count the strikes of a neighbor; whether it has too many. Then they are counted anew, and from now on it has
        no allowance.
        """
        allowed = reach + self._allowance(peer, distance)
        strikes = self._strikes.get(peer, 0.0)
        if distance <= allowed:
            strikes = max(0.0, strikes - FORGIVEN)
        else:
            strikes += min(distance / allowed, HEAVIEST) if allowed else HEAVIEST
        is_convicted = strikes > MAX_STRIKES
        self._strikes[peer] = 0.0 if is_convicted else strikes
        if is_convicted:
            self._convicted.add(peer)
        return is_convicted

    def _allowance(self, peer: PeerId, distance: float) -> float:
        """a_j in this round."""
        if peer in self._convicted:
            return 0.0
        allowance = FADING * self._allowances.get(peer, 0.0)
        if not self._is_steady:
            allowance = max(allowance, min(distance, MAX_ALLOWANCE * self._size))
        self._allowances[peer] = allowance
        return allowance

    @property
    def _is_steady(self) -> bool:
        """Agents that begin together are steady from there."""
        is_from_the_start = self._has_begun_with_others and not self._steadiness.has_changed
        return is_from_the_start or self._steadiness.is_steady
