"""Bounds of the mass that a link has moved: what no honest neighbor gives, however its samples differ.

With x = (g, n, 1) the agent's own gradient sum, samples and weight, and I = received − sent of one link:

    weight      |I_1| ≤ 8
    samples     |I_n| ≤ 10⁷ max(n, 1)
                received_n ≥ (the most received so far) − 3 s
                received_n ≥ sent_n / 10 once sent_n > s / 2, where nobody has come or gone for 12 rounds
                received_n ≥ 0 from the start until something changes
    gradient    ‖I_g‖ ≤ 16 D² γ s
    curvature   ‖I_c‖ ≤ 16 D² κ s  κ being the largest that the agent has measured per sample of late, if it has any

where s = max(n, n̂, I_n of all links, of late) is what an agent may have of samples, n̂ being the estimated mean, and γ
the largest gradient per sample, ‖g‖/n: of the agent itself, in the first round or of late; and at least what a neighbor
that has kept the bounds has shown with the first share of its link, up to 20 times that, since samples may be unlike:
without that limit while an agent that was restarted is not steady yet, since where it has trained alone its own
gradient is nothing. D² is the mean square of scaled columns of late, of the agent itself or as a link has moved it,
where these are tracked (`rescaling.py`), and 1 else: rows that are D deviations away have gradients that are D² times
as large.

From the start until something changes, where agents have as many samples but for a factor of 4, mass has not come from
far in the first 12 rounds: 4 stands in place of 16 then, and

    γ = √(γ_0 max(γ_0, γ_1)) max(1, ‖g‖/n of late / γ_0)

γ_0 being the agent's own in the first round, and γ_1 what other neighbors than this one have shown: so a liar does not
set its own bound, and is convicted before those that pass on what it gives.
Where samples are known to be alike (`auditing.py`), 1 and 2 stand in place of 3 and 16 once all has been steady for 12
rounds, and for a neighbor that was convicted before; and ‖I_g‖ grows by no more at once than by γ_0 s / 2 or 8 times as
much as of late. Where agents have had unlike numbers of samples within 24 rounds 1000 stands in place of both until the
agent's links and weight have been steady for 24 rounds: where an agent comes or goes, or shares are lost, the mass of
many passes over few links, and s is not yet what the network's agents have. So it does for 36 rounds more wherever
samples have changed, with an epoch or by an excuse (`excuses.py`), but 8 instead where they were alike and no epoch was
announced.

Honest links keep the bounds because trackers contract to the network's mean (Xiao, Boyd and Lall 2005): over a link
between agents with as many samples moves little more than they differ by, and over one to an agent that has nearly all
samples no more than those, once. A broken bound closes the link, which takes back all that it has moved. A liar that
keeps the bounds B of its links turns the network's mean gradient by ΣB / Σn at most. How many samples it has is its own
word: it may claim more than it has, as a member that has them may.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, final

import numpy as np

from p2pnet.protocol.core.notices import CloseReason
from p2pnet.protocol.core.types import Array, LinkId, PeerId
from p2pnet.protocol.links.ledger import norm
from p2pnet.protocol.links.link import Link
from p2pnet.protocol.rounds.steadiness import RESTLESS_ROUNDS, STEADY_ROUNDS, Steadiness

MAX_WEIGHT: Final = 8.0
"""Agents' worth; 1.2 with 30 % loss, 3.4 with crashes."""
MAX_ROWS: Final = 1e7
"""Of one agent among agents with one row each."""
MAX_TAKEN_BACK: Final = 3.0
"""Of what an agent may have: one that loses its link with a large neighbor takes back what it had passed on."""
GIVEN_FIRST: Final = 0.5
"""Of what an agent may have: sent, before a neighbor is to give something back."""
MIN_GIVEN_BACK: Final = 0.1
"""Of what was sent; 0.17 where the neighbor had next to nothing itself."""
ROUNDING: Final = 0.01
"""Of what an agent may have: what samples received may be below zero."""
MAX_GRADIENT: Final = 16.0
"""9 where one agent of 24 on a full graph has nearly all samples."""
STEADY_ALIKE: Final = 12
"""Rounds without a change of links or weight after which bounds for samples that are alike hold."""
MAX_TAKEN_BACK_ALIKE: Final = 1.0
MAX_GRADIENT_ALIKE: Final = 2.0
"""0.5 with samples dealt at random."""
MAX_GRADIENT_FIRST: Final = 4.0
"""2.5 with samples sorted by what is to be predicted."""
FIRST_ROUNDS: Final = 12
EQUAL: Final = 4.0
"""As many samples, or as few, as the mean."""
MOST_GROWTH: Final = 10.0
"""Of the agent's own gradient since the first round."""
SUDDEN: Final = 8.0
SUDDEN_PART: Final = 0.5
"""Growth of ‖I_g‖ with one share, to that of late and to γ_0 s; 0.3 of γ_0 s where agents come back."""
GROWTH_FADING: Final = 0.9
MAX_GRADIENT_CHANGED: Final = 8.0
MAX_UNSTEADY: Final = 1000.0
"""In place of both while links or weight are not steady; 190 with crashes of agents with 1 to 10⁷ rows."""
MAX_DRIFT: Final = 1e6
"""Rows that are a thousand deviations away are no matter of drift."""
MOST_UNLIKE: Final = 20.0
"""Times as large as the agent's own may be the gradient per sample of another whose samples are unlike its own."""
TINY: Final = 1e-300
FADING: Final = 0.98
"""Of the largest of late, from round to round."""


@dataclass(slots=True)
class _Record:
    """What one link has shown."""

    link_id: LinkId
    per_sample: float
    """‖received_g‖ / received_n with its first share"""
    most_received: float = 0.0
    gradient: float = 0.0
    """‖I_g‖ with its last share"""


@final
class MassBounds:
    """Holds the links of one agent to the bounds of mass; the agent's own vectors are what it measures them by."""

    def __init__(self, n_params: int, *, is_resumed: bool = False) -> None:
        """`is_resumed`: whether the agent goes on from parameters that were trained, maybe by itself alone: there its
        own gradient tells nothing.
        """
        self._comes_from_elsewhere = is_resumed
        """so it is until all is steady"""
        self._n_params = n_params
        self._first = 0.0
        """‖g‖/n in the first round"""
        self._of_late = 0.0
        """the largest ‖g‖/n since, fading"""
        self._growth = 0.0
        """the largest change of ‖I_g‖ of late, of all links"""
        self._curvature = 0.0
        """the largest ‖curvature‖/n of the agent's own, fading; 0 where it has measured none"""
        self._drift = 1.0
        """D², the largest mean square of scaled columns of late, where these are tracked"""
        self._n_own = 0.0
        self._n_most = 0.0
        """s"""
        self._n_passed = 0.0
        """the largest |I_n| of late"""
        self._n_equal = 0
        """rounds in which agents have had about as many samples; from the start on they are taken to have had"""
        self._records: dict[PeerId, _Record] = {}
        self._n_excused = 0
        self._convicted: set[PeerId] = set()
        self._steadiness = Steadiness()

    def begin_together(self) -> None:
        """Know that all agents begin in this round, so that nothing has to become steady first."""
        self._steadiness.begin_together()
        self._n_equal = STEADY_ROUNDS if self._is_equal else 0

    def begin_anew(self) -> None:
        """Wait again until all is steady: what is minimised has changed, and with it samples and gradients. What links
        have moved of weight is held to the same bound as ever.
        """
        self._steadiness.begin_anew()

    def excuse(self, *, is_alike: bool) -> None:
        """Take for a while what gradients are for those of samples that have changed, by no more than is usual."""
        if is_alike:
            self._n_excused = RESTLESS_ROUNDS
        else:
            self.begin_anew()

    def see_own(
        self, own: Array, n_estimate: float, links: Sequence[Link], weight: float, curvature: Array | None = None
    ) -> None:
        """Take in the agent's own vector x of a round, n̂, its estimate of the samples per agent, its links, the weight
        that it has, and what it has measured of curvature.
        """
        self._steadiness.see(links, weight)
        self._comes_from_elsewhere = self._comes_from_elsewhere and not self._steadiness.is_steady
        self._n_excused = max(0, self._n_excused - 1)
        self._n_own = float(own[-2])
        self._drift = max(FADING * self._drift, 1.0)
        self._see_drift(own, self._n_own)
        per_sample = norm(own[: self._n_params]) / max(self._n_own, TINY)
        if np.isfinite(per_sample):
            self._first = self._first or per_sample
            self._of_late = max(FADING * self._of_late, per_sample)
        size = 0.0 if curvature is None else norm(curvature) / max(self._n_own, TINY)
        if np.isfinite(size):
            self._curvature = max(FADING * self._curvature, size)
        self._n_passed *= FADING
        self._n_most = max(FADING * self._n_most, self._n_own, n_estimate if np.isfinite(n_estimate) else 0.0)
        self._n_equal = self._n_equal + 1 if self._is_equal else 0

    def broken_by(self, peer: PeerId, link: Link, *, is_alike: bool = False) -> CloseReason | None:
        """The bound that the link breaks with its newest share; None where it keeps all. `is_alike` where all agents'
        samples are known to be (`auditing.py`).
        """
        return self._broken_by(peer, link, is_alike=is_alike) if self._n_most else None

    def convict(self, peer: PeerId) -> None:
        """Know that the peer has broken a bound without an excuse: what it shows of its gradient counts no more."""
        self._convicted.add(peer)
        self._records.pop(peer, None)

    def _broken_by(self, peer: PeerId, link: Link, *, is_alike: bool) -> CloseReason | None:
        moved, n_received = link.moved(), link.n_received()
        record = self._record(peer, link, n_received)
        if not abs(float(moved[-1])) <= MAX_WEIGHT:
            return CloseReason.TOO_MUCH_WEIGHT
        n_moved = float(moved[-2])
        if not abs(n_moved) <= MAX_ROWS * max(self._n_own, 1.0):
            return CloseReason.TOO_MANY_SAMPLES
        self._n_most = max(self._n_most, n_moved)
        self._n_passed = max(self._n_passed, abs(n_moved))
        max_taken_back, max_gradient = self._factors(peer, is_alike=is_alike)
        if not n_received >= record.most_received - max_taken_back * self._n_most:
            return CloseReason.TOO_MANY_SAMPLES
        if self._is_steady_with(peer) and self._are_kept(n_received, n_received - n_moved):
            return CloseReason.TOO_MANY_SAMPLES
        record.most_received = max(record.most_received, n_received)
        self._see_drift(moved, self._n_most)
        in_all, size = self._drift * self._n_most, norm(moved[: self._n_params])
        per_sample = self._per_sample(peer)
        if per_sample and not size <= max_gradient * per_sample * in_all:
            return CloseReason.TOO_MUCH_GRADIENT
        if self._is_sudden(record, size, SUDDEN_PART * self._first * in_all) and self._is_known_alike(is_alike):
            return CloseReason.TOO_MUCH_GRADIENT
        max_curvature = MAX_GRADIENT if self._steadiness.has_lasted(STEADY_ROUNDS) else MAX_UNSTEADY
        if self._curvature and not norm(link.curvature_moved()) <= max_curvature * self._curvature * in_all:
            return CloseReason.TOO_MUCH_CURVATURE
        return None

    def _are_kept(self, received: float, sent: float) -> bool:
        """Whether samples that were sent there do not come back, or less than none has come."""
        is_negative = self._steadiness.is_from_the_start and received < -ROUNDING * self._n_most
        return is_negative or (sent > GIVEN_FIRST * self._n_most and received < MIN_GIVEN_BACK * sent)

    def _is_steady_with(self, peer: PeerId) -> bool:
        """Whether nobody comes or goes, or the peer is known for its lies."""
        steadiness = self._steadiness
        return steadiness.is_from_the_start or steadiness.has_lasted(STEADY_ALIKE) or peer in self._convicted

    def _is_sudden(self, record: _Record, size: float, least: float) -> bool:
        """Whether ‖I_g‖ has grown far more at once than of late."""
        growth, record.gradient = size - record.gradient, size
        if growth > max(SUDDEN * self._growth, least):
            return True
        self._growth = max(GROWTH_FADING * self._growth, abs(growth))
        return False

    def _is_known_alike(self, is_alike: bool) -> bool:
        return is_alike and not self._n_excused and self._steadiness.has_lasted(STEADY_ALIKE)

    def _per_sample(self, peer: PeerId) -> float:
        """γ"""
        if self._first and self._is_equal and (self._steadiness.is_from_the_start or peer in self._convicted):
            shown = max((record.per_sample for other, record in self._records.items() if other != peer), default=0.0)
            growth = min(max(1.0, self._of_late / self._first), MOST_GROWTH)
            return growth * math.sqrt(self._first * max(self._first, min(shown, MOST_UNLIKE * self._first)))
        shown = max(record.per_sample for record in self._records.values())
        own = max(self._first, self._of_late)
        return max(own, shown if self._comes_from_elsewhere else min(shown, MOST_UNLIKE * own))

    @property
    def _is_equal(self) -> bool:
        """Whether the agents around have about as many samples as this one."""
        return max(self._n_most, self._n_passed) <= EQUAL * self._n_own

    def _see_drift(self, sums: Array, n_samples: float) -> None:
        squares = float(np.abs(sums[self._n_params : -2]).max(initial=0.0)) / max(n_samples, 1.0)
        if squares > self._drift:
            self._drift = min(squares, MAX_DRIFT)

    def _factors(self, peer: PeerId, *, is_alike: bool) -> tuple[float, float]:
        """How much of what an agent may have may be taken back of samples, and moved of gradient."""
        if self._n_excused:
            return MAX_TAKEN_BACK_ALIKE, MAX_GRADIENT_CHANGED
        if self._is_known_alike(is_alike) or (is_alike and peer in self._convicted):
            return MAX_TAKEN_BACK_ALIKE, MAX_GRADIENT_ALIKE
        steadiness = self._steadiness
        if self._is_equal and (peer in self._convicted or steadiness.is_from_the_start):
            is_early = peer in self._convicted or not steadiness.has_lasted(FIRST_ROUNDS)
            taken_back = MAX_TAKEN_BACK_ALIKE if peer in self._convicted else MAX_TAKEN_BACK
            return taken_back, MAX_GRADIENT_FIRST if is_early else MAX_GRADIENT
        if steadiness.has_lasted(STEADY_ROUNDS):
            return MAX_TAKEN_BACK, MAX_GRADIENT
        if self._n_equal >= STEADY_ROUNDS and not steadiness.is_restless and not self._comes_from_elsewhere:
            return MAX_TAKEN_BACK, MAX_GRADIENT_CHANGED if is_alike else MAX_GRADIENT
        return MAX_UNSTEADY, MAX_GRADIENT_CHANGED if is_alike else MAX_UNSTEADY

    def _record(self, peer: PeerId, link: Link, n_received: float) -> _Record:
        record = self._records.get(peer)
        if record is None or record.link_id != link.link_id:
            shown = (
                link.gradient_received(self._n_params) / n_received
                if n_received > 0.0 and peer not in self._convicted
                else 0.0
            )
            record = self._records[peer] = _Record(link.link_id, shown if np.isfinite(shown) else 0.0)
        return record
