"""Bootstrap: an agent waits for its neighbors, or takes over the parameters of a neighbor that trains already."""

from __future__ import annotations

from typing import TypeAlias, final

from p2pnet.protocol.core.effects import Notify, Send
from p2pnet.protocol.core.notices import NoNeighborAnswered
from p2pnet.protocol.core.types import PeerId
from p2pnet.protocol.links.link import Link
from p2pnet.protocol.messages.training import Ready, StateReply, StateRequest
from p2pnet.protocol.rounds.exchange import Exchange
from p2pnet.protocol.rounds.neighbor import Neighbor
from p2pnet.protocol.rounds.neighborhood import Neighborhood
from p2pnet.protocol.rounds.state import RoundState
from p2pnet.protocol.rounds.timing import Timing

BootstrapEffect: TypeAlias = Send | Notify

FIRST_PATIENCE = 2
"""How long the first neighbor asked for its parameters may take, in shortest resend timeouts."""


@final
class Bootstrap:
    """Brings an agent to its first round.

    The agent announces itself once as many links are open as expected, or the start timeout is over, and begins once
    all neighbors have announced themselves too, and no connected peer's link is about to open: the peer may have
    trained already. Where a neighbor has, the agent requests its parameters instead; a neighbor that does not answer in
    time is asked again after all others.

    An agent that goes on from an earlier process has parameters of its own, and requests none, unless all its neighbors
    have ended. It begins at once where a neighbor is in its rounds.
    """

    def __init__(
        self,
        state: RoundState,
        neighborhood: Neighborhood,
        exchange: Exchange,
        timing: Timing,
        expected_neighbors: int,
    ) -> None:
        self._at = state
        self._neighborhood = neighborhood
        self._exchange = exchange
        self._timing = timing
        self._expected_neighbors = expected_neighbors
        self._start_by = float("inf")
        self._asked: list[PeerId] = []
        """The neighbors that were asked for their parameters, the latest last."""
        self._is_asking = False
        """Whether the neighbor asked last may still answer."""
        self._patience_s = 0.0
        """How long the neighbor asked last may take before another is asked."""
        self.state: StateReply | None = None
        """The answer of a neighbor that was asked, once it has come."""
        self.has_announced = False
        self.deadline: float | None = None
        self._has_complained = False

    def begin(self, now: float) -> None:
        """Start the clock of the start timeout: the agent has its first gradient, and may announce itself."""
        self.deadline = self._start_by = now + self._timing.start_timeout_s
        self.state, self._is_asking = None, False

    def advance(self, now: float) -> tuple[list[BootstrapEffect], bool]:
        """Return the messages to send now, and whether to begin the first round."""
        is_late = self.deadline is not None and now >= self.deadline
        neighbors = self._neighborhood.open()
        running = [(neighbor, link) for neighbor, link in neighbors if neighbor.round >= 0]
        if running and (not self._at.has_trained or self._neighborhood.ended_with() is not None):
            return self._ask(running, is_late, now), False
        # The link with the neighbor that was asked has closed, so no answer comes.
        self._is_asking = False
        self.deadline = self._start_by
        is_late = now >= self._start_by or (self._at.has_trained and any(n.has_begun for n, _ in neighbors))
        effects: list[BootstrapEffect] = []
        if not self.has_announced and (len(neighbors) >= self._expected_neighbors or (is_late and neighbors)):
            effects += self.announce(now)
        if self.has_announced and neighbors and (is_late or self._are_all_ready(now)):
            return effects, True
        if is_late:
            self.deadline = self._start_by = now + self._timing.start_timeout_s
            effects += self._notify_once()
        return effects, False

    def _are_all_ready(self, now: float) -> bool:
        return all(
            neighbor.is_ready if neighbor.is_open else not (neighbor.awaits_hello and now < neighbor.opens_by)
            for neighbor in self._neighborhood
        )

    def _notify_once(self) -> list[BootstrapEffect]:
        """Report once that no neighbor answers. The agent goes on waiting: agents that have finished may be started
        again.
        """
        if self._has_complained or self._neighborhood.n_refusals:
            return []
        self._has_complained = True
        return [Notify(NoNeighborAnswered(self._timing.start_timeout_s))]

    def _ask(self, running: list[tuple[Neighbor, Link]], is_late: bool, now: float) -> list[BootstrapEffect]:
        if self._is_asking and not is_late and any(neighbor.peer == self._asked[-1] for neighbor, _ in running):
            return []
        # The first request is most likely lost, the later ones late: parameters may be large.
        first_s = min(FIRST_PATIENCE * self._timing.resend_floor_s, self._timing.state_timeout_s)
        self._patience_s = min(2 * self._patience_s, self._timing.state_timeout_s) if self._is_asking else first_s
        self._is_asking = True
        rank = {peer: place for place, peer in enumerate(self._asked)}
        neighbor, link = min(running, key=lambda pair: rank.get(pair[0].peer, -1))
        self._asked = [peer for peer in self._asked if peer != neighbor.peer] + [neighbor.peer]
        self.deadline = now + self._patience_s
        return [Send(neighbor.peer, StateRequest(link.link_id))]

    def state_received(self, peer: PeerId, state: StateReply) -> None:
        """Keep the parameters if the peer was asked; ignore replies unasked for."""
        if peer in self._asked:
            self.state = state

    def announce(self, now: float) -> list[Send]:
        """Announce to the neighbors that this agent takes part in the rounds from now on."""
        self.has_announced = True
        neighbors = self._neighborhood.open()
        self._exchange.announced_degree = len(neighbors)
        return [self.ready(neighbor, link, now) for neighbor, link in neighbors]

    def ready(self, neighbor: Neighbor, link: Link, now: float) -> Send:
        """The Ready for a neighbor; it is resent until the neighbor's first share comes."""
        neighbor.resend_at = now + self._timing.resend_s
        degree = max(self._exchange.announced_degree, 1)
        return Send(neighbor.peer, Ready(link.link_id, degree, max(self._at.announced_round, self._at.trained_round)))
