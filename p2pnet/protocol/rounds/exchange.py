"""The exchange of one round: mass moves over the links, and parameters are mixed with momentum.

With z the agent's proposal (its parameters after the local step), y the tracker, c the mixing weights of the round:

    to each neighbor j:  z and s_j = (1 + β) c_jk y + β s_j⁻       mass moves over the conserving link
    from each of them:   d_j = (1 + β) c_kj (z_j − z) + β d_j⁻
    w⁺ = z + Σ_j d_j
    y⁺ = y − Σ_j s_j + received + x⁺ − x                           x⁺ the agent's own vector at w⁺

s_j⁻ and d_j⁻ being those of the round before. Without the momentum β this is NEXT (Di Lorenzo and Scutari 2016,
algorithm 1) whenever nothing is lost. What flows over a link keeps some of its direction from round to round, as in
the second-order diffusion of Muthukrishnan, Ghosh and Schultz (1998): the mean of neither w nor y feels it, since what
leaves one end enters the other, and disagreement dies out in far fewer rounds.

Where shares are bounded, z_j − z is clipped by the smaller radius of both ends (`clipping.py`).

Where neighbor j's share is missing its next one stands in if that is there already, else its last one while that is
recent, else the agent's own z; and the link restarts without momentum.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import final

import numpy as np

from p2pnet.protocol.core.effects import Audit, RunLocalStep, Send
from p2pnet.protocol.core.events import Audited, Evaluated
from p2pnet.protocol.core.notices import CloseReason
from p2pnet.protocol.core.types import Array, PeerId
from p2pnet.protocol.links.curvature import plus
from p2pnet.protocol.links.ledger import CHUNK, norm
from p2pnet.protocol.links.link import MAX_UNRETURNED, Link
from p2pnet.protocol.links.tracker import Tracker
from p2pnet.protocol.messages.training import Share
from p2pnet.protocol.rounds.barrier import Barrier
from p2pnet.protocol.rounds.lead import Lead
from p2pnet.protocol.rounds.liveness import acknowledgement
from p2pnet.protocol.rounds.mixing import Mixing, Weights
from p2pnet.protocol.rounds.neighbor import MAX_MISSED, Neighbor
from p2pnet.protocol.rounds.neighborhood import Neighborhood
from p2pnet.protocol.rounds.schedule import momentum_in
from p2pnet.protocol.rounds.suspicions import Suspicions
from p2pnet.protocol.rounds.termination import Stationarity, TerminationDetector

NEARLY_NOTHING = 1e-3
"""Relative to the largest parameter: a smaller parameter becomes 0 where the local step set it to 0."""

STEADY_WEIGHT = 0.01
"""By how much the tracked weight may change from one local step to the next for the direction to have changed by the
steps alone: agents that come or go anywhere, and shares that are lost, change both.
"""


@dataclass(frozen=True, slots=True)
class Mixture:
    """The result of mixing: parameters w⁺, disagreement, and completeness of the round."""

    params: Array = field(repr=False)
    disagreement: float
    """max_j ‖z_j − z‖ / (1 + ‖w⁺‖), of differences as they are clipped"""
    is_complete: bool
    """Whether every neighbor in the round was represented by a share of its own, of this round or a recent one."""
    given_up: tuple[Neighbor, ...] = field(repr=False)
    """Neighbors that are no longer awaited from now on, until they keep up again."""
    far_off: tuple[Neighbor, ...] = field(repr=False)
    """Neighbors whose parameters are far from all others, again and again: their links are to be closed."""


@final
class Exchange:
    """One agent's exchanges: owns the tracker, sends shares of mass and parameters, and mixes the shares received."""

    def __init__(
        self,
        neighborhood: Neighborhood,
        barrier: Barrier,
        mixing: Mixing,
        tracker: Tracker,
        stationarity: Stationarity,
        termination: TerminationDetector,
        *,
        n_params: int,
        momentum: float | None,
        max_ratio: float,
        suspicions: Suspicions,
        is_asynchronous: bool = False,
    ) -> None:
        self._lead = Lead(is_asynchronous=is_asynchronous)
        self._is_asynchronous = is_asynchronous
        self._neighborhood = neighborhood
        self._barrier = barrier
        self._mixing = mixing
        self._stationarity = stationarity
        self._termination = termination
        self._momentum = momentum
        self._max_ratio = max_ratio
        self._suspicions = suspicions
        self.tracker = tracker
        self.announced_degree = 0
        """The degree announced to the neighbors for the coming round."""
        self._proposal: Array = np.broadcast_to(np.zeros(1), n_params)
        self._radius = math.inf
        """The radius announced in the round's shares."""
        self._weights = Weights({}, {})
        self._links_before: list[Link] | None = None
        self._weight_before = 1.0

    def mass(self) -> Array:
        """y, (n_params + 2,): the mass present at this agent."""
        return self.tracker.mass(self._neighborhood.links())

    def evaluated(self, evaluated: Evaluated) -> None:
        """Replace the own vector by the gradient at the present parameters, and update the tracked estimate."""
        self.tracker.replace_own(evaluated.gradient_sum, evaluated.n_samples, evaluated.curvature)
        self._suspicions.know_own(is_typical=evaluated.is_typical)
        self.renew_estimate()

    def is_undisturbed(self) -> bool:
        """Whether the tracked mass has moved since the last call only as the agents' gradients have: over the same
        links, and with a steady weight, except in asynchronous mode, where weights are never steady.
        """
        links = self._neighborhood.links()
        weight = self.tracker.present_weight(links)
        is_same = self._links_before is None or links == self._links_before
        is_steady = self._is_asynchronous or abs(weight - self._weight_before) <= STEADY_WEIGHT
        self._links_before, self._weight_before = links, weight
        return is_same and is_steady

    def renew_estimate(self) -> None:
        self.tracker.update(self._neighborhood.links())
        self._suspicions.see_tracked(self.tracker, self._neighborhood.links())

    def begin_epoch(self) -> None:
        """Hold nothing against neighbors that move far now: something else is minimised."""
        self._suspicions.begin_epoch()

    def local_step(self, round_: int, params: Array, *, is_complete: bool) -> RunLocalStep:
        """The local step along what is tracked; `is_complete` where no share was missing since the last one."""
        tracker = self.tracker
        self._forget_proposal()
        self._suspicions.step_from(params)
        return RunLocalStep(
            round_,
            params,
            tracker.direction,
            tracker.mean_samples,
            self.largest_proximal_weight(),
            self.is_undisturbed() and is_complete,
            tracker.network_size,
            tracker.curvature,
        )

    def _forget_proposal(self) -> None:
        """Forget the proposal of the last round, which has been mixed."""
        self._proposal = np.broadcast_to(np.zeros(1, dtype=self._proposal.dtype), self._proposal.size)
        for link in self._neighborhood.links():
            link.proposal = None

    def largest_proximal_weight(self) -> float:
        """The largest proximal weight that a neighbor announced; 0 without any."""
        return max((neighbor.proximal_weight for neighbor, _ in self._neighborhood.open()), default=0.0)

    def _counts_of(self, neighbor: Neighbor, share: Share | None) -> list[int]:
        """The termination count of a neighbor that has not finished; nothing where it takes part in no exchange yet."""
        if share is not None:
            return [share.quiet if share.round >= self._termination.first_round else 0]
        return [0] if neighbor.peer in self._weights.taken or not neighbor.is_ready else []

    def next_round(self, round_: int, max_rounds: int) -> int:
        """The next round: round + 1, or a later one to which neighbors have gone on (`Lead`) although they were to
        exchange with this agent in between. Shares of rounds beyond `max_rounds` are ignored.
        """
        ahead = [
            link.newest_round
            for neighbor, link in self._neighborhood.open()
            if round_ + 1 < link.newest_round < max_rounds
            and self._were_to_meet(neighbor.peer, range(round_ + 1, link.newest_round))
        ]
        return self._lead.next_round(round_, ahead)

    def _were_to_meet(self, peer: PeerId, rounds: range) -> bool:
        return any(self._mixing.meets(peer, round_) for round_ in rounds)

    def objection(self, peer: PeerId, link: Link, share: Share, params: Array) -> CloseReason | None:
        """Why the link is to be closed over a received share; None where it is plausible."""
        if not self._is_in_measure(link, share, params):
            return CloseReason.OUT_OF_RANGE
        return self._suspicions.broken_by(peer, link)

    def _is_in_measure(self, link: Link, share: Share, params: Array) -> bool:
        """Whether a received share is within the range of what can be computed with:

            ‖received − sent‖ ≤ ϱ max(1, ‖x‖),    ‖z_j‖ ≤ ϱ max(1, ‖w‖)

        with ϱ = `RoundOptions.max_ratio`.
        Far larger numbers come of a fault, and their rounding would swamp the numbers of all other agents.
        """
        if link.imbalance() > self._max_ratio * max(1.0, self.tracker.largest_own):
            return False
        size = norm(share.params)
        return size <= self._max_ratio or size <= self._max_ratio * norm(params)

    def give(
        self, round_: int, proposal: Array, proximal_weight: float, is_quiet: bool, now: float, heard_since: float
    ) -> list[Send]:
        """Make and send the round's shares s_j = (1 + β) c_jk y + β s_j⁻, all from the same y, to the neighbors that
        take part. `heard_since` is the barrier's (`Barrier.raise_for`).

        A neighbor that returns no share for long gets parameters only, so that mass does not pile up there.
        """
        taking_part = [(n, link) for n, link in self._neighborhood.open() if n.is_ready and n.is_connected]
        # Neighbors that came after the last announcement count too, so that the weights add up to at most one.
        degree = max(self.announced_degree, len(taking_part))
        self._weights = self._mixing.weights(round_, degree, {n.peer: n.degree for n, _ in taking_part})
        self._barrier.raise_for(round_, [n for n, _ in taking_part], self._weights.taken, heard_since, now)
        self._radius = self._suspicions.radius(round_, proposal, self._neighborhood.links(), self.tracker)
        self._proposal = proposal
        self.announced_degree = len(taking_part)
        self._termination.begin_round(is_quiet)
        self._termination.watch_links(self._neighborhood.links())
        mass, curvature = self.mass(), self.tracker.curvature_mass(self._neighborhood.links())
        momentum = momentum_in(round_, self._momentum)
        effects: list[Send] = []
        for neighbor, link in taking_part:
            weight = self._weights.given.get(neighbor.peer)
            if weight is not None and link.is_window_open(now):
                is_returned = neighbor.peer not in self._weights.taken or link.n_unreturned < MAX_UNRETURNED
                is_given = is_returned and link.is_shared
                if curvature.size or link.curvature_flow.size:
                    before = np.zeros(0) if link.mass_flow is None else link.curvature_flow
                    flow = plus(((1.0 + momentum) * weight) * curvature, momentum * before)
                    link.curvature_flow = flow if is_given and link.has_curvature else np.zeros(0)
                link.mass_flow = _flow(weight, mass, link.mass_flow, momentum) if is_given else None
                given = np.zeros_like(mass) if link.mass_flow is None else link.mass_flow
                share = self._share(link, round_, given, curvature, proximal_weight)
                link.keep(share, now)
                effects.append(Send(neighbor.peer, share))
                continue
            link.mass_flow = link.proposal = None
            if link.owes_acknowledgement or self._termination.stop_round >= 0:
                effects.append(Send(neighbor.peer, acknowledgement(link, self._termination.stop_round)))
        return effects

    def _share(self, link: Link, round_: int, mass: Array, curvature: Array, proximal_weight: float) -> Share:
        base, total, params = link.give(mass, self._proposal, round_)
        return Share(
            link_id=link.link_id,
            sequence=link.sequence,
            acknowledged=link.tell_received(),
            base=base,
            precision=link.precision,
            round=round_,
            next_degree=self.announced_degree,
            proximal_weight=proximal_weight,
            first_residual=self._stationarity.first_residual,
            quiet=self._termination.count,
            stop_round=self._termination.stop_round,
            is_held=self._termination.is_held,
            total=total,
            params=params,
            account=link.account,
            radius=None if math.isinf(self._radius) else self._radius,
            curvature=link.give_curvature(link.curvature_flow, curvature),
        )

    def audit_before_mixing(self, round_: int) -> list[Audit]:
        """What is to be known of the shares of the round before they are mixed, if anything."""
        auditing = self._suspicions.auditing
        if auditing is None:
            return []
        shares = {n.peer: link.coming(round_) for n, link in self._neighborhood.open() if n.peer in self._weights.taken}
        coming = {peer: self._whole(share) for peer, share in shares.items() if share is not None}
        self._suspicions.see_coming(self.tracker, self._neighborhood.links())
        audit = auditing.before_mixing(round_, self._proposal, coming)
        return [] if audit is None else [audit]

    def audit_after_mixing(self, round_: int) -> list[Audit]:
        """What is to be known of the shares of the round that were mixed, if anything."""
        auditing = self._suspicions.auditing
        if auditing is None:
            return []
        shares = {n.peer: link.latest for n, link in self._neighborhood.open() if n.peer in self._weights.taken}
        latest = {
            peer: self._whole(share) for peer, share in shares.items() if share is not None and share.round >= round_
        }
        audit = auditing.after_mixing(round_, self._proposal, latest)
        return [] if audit is None else [audit]

    def judge(self, audited: Audited) -> list[PeerId]:
        """Those that are convicted by what was to be known, in the order of their ids."""
        return self._suspicions.judge(audited)

    def mix(self, round_: int) -> Mixture:
        """Mix the parameters, w⁺ = z + Σ_j d_j, from the shares that have come, in the order of the neighbors' ids."""
        mixed = self._proposal.copy()
        momentum = momentum_in(round_, self._momentum)
        farthest = 0.0
        distances: dict[PeerId, float] = {}
        is_complete = True
        counts: list[int] = []
        given_up: list[Neighbor] = []
        for neighbor, link in self._neighborhood.open():
            is_new = link.apply(round_)
            share = link.latest
            if share is not None:
                is_of_epoch = share.round >= self._termination.first_round
                self._termination.hear_of_hold(share.is_held and is_of_epoch)
                neighbor.degree = share.next_degree
                neighbor.proximal_weight = share.proximal_weight if is_of_epoch else 0.0
            if neighbor.finished_sequence is None:
                counts += self._counts_of(neighbor, share)
            if neighbor.peer not in self._weights.taken:
                link.params_flow = None
                continue
            if share is None or share.round != round_:
                link.mass_flow = link.params_flow = None
            was_lagging = neighbor.is_lagging
            self._barrier.count_missed(neighbor, link, round_)
            if neighbor.is_lagging and not was_lagging and neighbor.is_connected:
                given_up.append(neighbor)
            if share is None or (share.round < round_ - MAX_MISSED and not is_new):
                is_complete = False
                continue
            # Both as they are read over this link: so equal parameters have difference 0, and rounding moves no mean.
            mine = self._proposal if link.proposal is None else link.proposal
            difference = (share.params - mine).astype(self._proposal.dtype, copy=False)
            distances[neighbor.peer] = distance = norm(difference)
            radius = self._radius if share.radius is None else min(self._radius, share.radius)
            radius = radius if distance <= self._suspicions.reach else 0.0
            if distance > radius:
                difference *= radius / distance
            difference *= (1.0 + momentum) * self._weights.taken[neighbor.peer]
            if link.params_flow is not None:
                link.params_flow *= momentum
                difference += link.params_flow
            link.params_flow = difference
            mixed += difference
            farthest = max(farthest, min(distance, radius))
        self._termination.end_round(round_, counts)
        disagreement = farthest / (1.0 + norm(mixed))
        far_off = self._suspicions.far_off(distances)
        convicted = tuple(neighbor for neighbor in self._neighborhood if neighbor.peer in far_off)
        mixed = self._suspicions.restored(mixed)
        return Mixture(mixed, disagreement, is_complete, tuple(given_up), convicted)

    def _whole(self, share: Share) -> Array:
        return share.params.astype(self._proposal.dtype, copy=False)


def with_zeros_of(step: Array, params: Array) -> Array:
    """Set parameters to 0 where the last local step had 0 and |w_i| ≤ 1e-3 max |w|: momentum of flows brings back
    shrinking remainders of parameters that all agents set to 0.
    """
    is_nothing = np.abs(params) <= NEARLY_NOTHING * np.abs(params).max(initial=0.0)
    return np.where((step == 0.0) & is_nothing, 0.0, params)


def _flow(weight: float, difference: Array, previous: Array | None, momentum: float) -> Array:
    """The flow over a link, (1 + β) c · difference + β · previous flow; without momentum where there is no previous
    flow.
    """
    flow: Array = ((1.0 + momentum) * weight) * difference
    if previous is not None:
        # What was sent may be the previous flow itself, so that it is not written into.
        for start in range(0, flow.size, CHUNK):
            part = slice(start, start + CHUNK)
            flow[part] += momentum * previous[part]
    return flow
