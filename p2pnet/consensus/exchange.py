"""One exchange with the neighbors: what an agent gives in a round, and what it makes of what it is given.

With z the agent's parameters after its local step, y the tracker, c the mixing weights of the round:

    to each neighbor j:  z and s_j = (1 + β) c_j y + β s_j⁻        mass moves over the conserving link
    from each of them:   d_j = (1 + β) c_j (z_j − z) + β d_j⁻      own z stands in for a missing one
    w⁺ = z + Σ_j d_j
    y⁺ = y − Σ_j s_j + received + x⁺ − x                           x⁺ the agent's own vector at w⁺

s_j⁻ and d_j⁻ being those of the round before. Without the momentum β this is NEXT (Di Lorenzo and Scutari 2016,
algorithm 1) whenever nothing is lost. What flows over a link keeps some of its direction from round to round, as in
the second-order diffusion of Muthukrishnan, Ghosh and Schultz (1998): the mean of neither w nor y feels it, since what
leaves one end enters the other, and disagreement dies out in far fewer rounds. A link on which a share was missing
begins again without momentum.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import final

import numpy as np

from p2pnet.consensus.effects import Effect, PeerId, Send
from p2pnet.consensus.links import Tracker
from p2pnet.consensus.messages import Array, Share
from p2pnet.consensus.mixing import metropolis_weights
from p2pnet.consensus.neighborhood import Neighbor, Neighborhood
from p2pnet.consensus.stopping import QuietCount


@dataclass(frozen=True, slots=True)
class Mixture:
    """The outcome of a round's exchange."""

    params: Array = field(repr=False)
    disagreement: float
    """max_j ‖z_j − z‖ / (1 + ‖w⁺‖)"""
    is_complete: bool
    """Whether every neighbor in the round brought its share of this very round."""


@final
class Exchange:
    """The numbers of one agent's exchanges: its tracker, the weights of the round, and who is waited for."""

    def __init__(self, neighborhood: Neighborhood, n_params: int, max_diameter: int, momentum: float) -> None:
        self._neighborhood = neighborhood
        self._momentum = momentum
        self.tracker = Tracker(n_params)
        self.quiet = QuietCount(max_diameter)
        self.announced_degree = 0
        """The degree that neighbors were told to reckon with in the coming round."""
        self._proposal: Array = np.zeros(n_params)
        self._mixing_weights: Mapping[PeerId, float] = {}
        self._awaited: set[PeerId] = set()

    def mass(self) -> Array:
        """y, (n_params + 2,): the mass present at this agent."""
        return self.tracker.mass(self._neighborhood.links())

    def evaluated(self, gradient_sum: Array, n_samples: float) -> None:
        """Take in the agent's own gradient at its present parameters, and renew the estimate of the network's."""
        self.tracker.replace_own(gradient_sum, n_samples)
        self.tracker.update(self._neighborhood.links())

    def largest_proximal_weight(self) -> float:
        """Of those that neighbors announced; 0 where none did."""
        return max((neighbor.proximal_weight for neighbor, _ in self._neighborhood.open()), default=0.0)

    def give(self, round_: int, proposal: Array, proximal_weight: float, is_quiet: bool) -> list[Effect]:
        """Give every neighbor that takes part its share, all from the same y."""
        taking_part = [(n, link) for n, link in self._neighborhood.open() if n.is_ready and n.is_connected]
        # Who came after the last announcement is counted, lest the weights add up to more than one.
        degree = max(self.announced_degree, len(taking_part))
        self._mixing_weights = metropolis_weights(degree, {n.peer: n.degree for n, _ in taking_part})
        prompt = {n.peer for n, _ in taking_part if not n.is_lagging}
        # With nobody prompt around, waiting for the late still beats running ahead alone.
        self._awaited = prompt or {n.peer for n, _ in taking_part}
        self._proposal = proposal
        self.announced_degree = len(taking_part)
        self.quiet.begin_round(is_quiet)
        mass = self.mass()
        effects: list[Effect] = []
        for neighbor, link in taking_part:
            if not link.is_window_open:
                link.mass_flow = None
                if link.newest is not None and not neighbor.is_lagging:
                    effects.append(Send(neighbor.peer, link.newest))  # to be answered by an Ack
                continue
            flow = (1.0 + self._momentum) * self._mixing_weights[neighbor.peer] * mass
            if link.mass_flow is not None:
                flow += self._momentum * link.mass_flow
            link.mass_flow = flow
            total = link.give(flow)
            link.newest = Share(
                link_id=link.link_id,
                sequence=link.sequence,
                acknowledged=link.newest_received,
                round=round_,
                next_degree=self.announced_degree,
                proximal_weight=proximal_weight,
                quiet=self.quiet.count,
                stop_round=self.quiet.stop_round,
                total=total,
                params=proposal,
            )
            effects.append(Send(neighbor.peer, link.newest))
        return effects

    def missing(self, round_: int) -> list[Neighbor]:
        """Those whose share of this round, or a later one, is still to come."""
        return [
            neighbor
            for neighbor, link in self._neighborhood.open()
            if neighbor.peer in self._awaited
            and neighbor.is_connected
            and neighbor.is_ready
            and neighbor.finished_sequence is None
            and link.newest_round_received < round_
        ]

    def mix(self, round_: int) -> Mixture:
        """Apply the shares that are there, in the order of the neighbors' ids."""
        mixed = self._proposal.copy()
        disagreement = 0.0
        counts: list[int | None] = []
        for neighbor, link in self._neighborhood.open():
            share = link.apply(round_)
            if share is not None:
                neighbor.degree = share.next_degree
                neighbor.proximal_weight = share.proximal_weight
            if neighbor.peer not in self._mixing_weights:
                continue
            if share is None or share.round != round_:
                counts.append(None)
                link.mass_flow = link.params_flow = None
                continue
            counts.append(share.quiet)
            difference = share.params - self._proposal
            flow = (1.0 + self._momentum) * self._mixing_weights[neighbor.peer] * difference
            if link.params_flow is not None:
                flow += self._momentum * link.params_flow
            link.params_flow = flow
            mixed += flow
            disagreement = max(disagreement, float(np.linalg.norm(difference)))
        self.quiet.end_round(round_, counts)
        return Mixture(mixed, disagreement / (1.0 + float(np.linalg.norm(mixed))), None not in counts)
