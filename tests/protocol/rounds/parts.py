"""The parts of one agent's rounds, wired as the round machine wires them, and what its neighbors say."""

from __future__ import annotations

import numpy as np

from p2pnet.protocol.core.timers import ResendTimer
from p2pnet.protocol.core.types import Array, LinkId, Nonce, PeerId
from p2pnet.protocol.links.link import Link
from p2pnet.protocol.links.tracker import Tracker
from p2pnet.protocol.messages.training import Share
from p2pnet.protocol.rounds.barrier import Barrier
from p2pnet.protocol.rounds.bootstrap import Bootstrap
from p2pnet.protocol.rounds.exchange import Exchange
from p2pnet.protocol.rounds.handlers import MessageHandlers
from p2pnet.protocol.rounds.handshake import Handshake
from p2pnet.protocol.rounds.mixing import MetropolisMixing, Mixing
from p2pnet.protocol.rounds.neighbor import Identity, Neighbor
from p2pnet.protocol.rounds.neighborhood import Neighborhood
from p2pnet.protocol.rounds.state import RoundState
from p2pnet.protocol.rounds.termination import Stationarity, TerminationDetector
from p2pnet.protocol.rounds.timing import Timing

N_PARAMS = 2
N_MASS = N_PARAMS + 2


class Parts:
    """One agent called `me`, about to train two parameters, without momentum unless it is given."""

    def __init__(
        self,
        *neighbors: PeerId,
        me: PeerId = "me",
        mixing: Mixing | None = None,
        timing: Timing | None = None,
        momentum: float | None = 0.0,
        expected_neighbors: int = 1,
    ) -> None:
        self.timing = timing or Timing()
        self.mixing = mixing or MetropolisMixing()
        self.state = RoundState(np.zeros(N_PARAMS))
        self.neighborhood = Neighborhood(Identity(me, me, 1, {}), make_link, self.timing.suspect_limit_s)
        self.tracker = Tracker(N_PARAMS)
        self.stationarity = Stationarity(tolerance=1e-3)
        self.termination = TerminationDetector(max_diameter=2)
        self.barrier = Barrier(self.neighborhood, self.mixing)
        self.exchange = Exchange(
            self.neighborhood,
            self.barrier,
            self.mixing,
            self.tracker,
            self.stationarity,
            self.termination,
            n_params=N_PARAMS,
            precision=64,
            momentum=momentum,
        )
        self.bootstrap = Bootstrap(self.state, self.neighborhood, self.exchange, self.timing, expected_neighbors)
        self.handlers = MessageHandlers(
            self.state,
            self.neighborhood,
            Handshake(self.state, self.neighborhood),
            self.exchange,
            self.bootstrap,
            self.stationarity,
            self.termination,
            self.timing,
        )
        for peer in neighbors:
            self.join(peer)

    def join(self, peer: PeerId, *, degree: int = 1, is_ready: bool = True, now: float = 0.0) -> Neighbor:
        """A neighbor with which a confirmed link is open."""
        neighbor = self.neighborhood.connected(peer, now)
        self.neighborhood.open_link(neighbor, Nonce(1, 1))
        self.neighborhood.confirm(neighbor)
        neighbor.is_ready, neighbor.degree = is_ready, degree
        return neighbor

    def neighbor(self, peer: PeerId) -> Neighbor:
        found = self.neighborhood.find(peer)
        assert found is not None
        return found

    def link(self, peer: PeerId) -> Link:
        found = self.neighbor(peer).link
        assert found is not None
        return found

    def share(
        self,
        peer: PeerId,
        round_: int,
        params: Array | None = None,
        total: Array | None = None,
        sequence: int | None = None,
        next_degree: int = 1,
        quiet: int = 0,
        stop_round: int = -1,
    ) -> Share:
        """The peer's next share."""
        link = self.link(peer)
        return Share(
            link_id=link.link_id.mirrored(),
            sequence=link.newest_received + 1 if sequence is None else sequence,
            acknowledged=0,
            base=0,
            precision=64,
            round=round_,
            next_degree=next_degree,
            proximal_weight=1.0,
            first_residual=1.0,
            quiet=quiet,
            stop_round=stop_round,
            is_held=False,
            total=np.zeros(N_MASS) if total is None else total,
            params=np.zeros(N_PARAMS) if params is None else params,
        )

    def hear(self, peer: PeerId, share: Share, now: float = 0.0) -> None:
        """The share has come."""
        self.link(peer).accept(share, self.state.round, now)
        self.neighbor(peer).last_heard_at = now


def make_link(link_id: LinkId) -> Link:
    return Link(link_id, size=N_MASS, precision=64, timer=ResendTimer(0.2, 1.0))
