"""The parts of one agent's rounds, as the round machine has them, and what its neighbors say."""

from __future__ import annotations

import numpy as np

from p2pnet.protocol.core.notices import CloseReason
from p2pnet.protocol.core.types import Array, Nonce, PeerId
from p2pnet.protocol.links.link import Link
from p2pnet.protocol.messages.training import Share
from p2pnet.protocol.rounds.mixing import MetropolisMixing, Mixing
from p2pnet.protocol.rounds.neighbor import Identity, Neighbor
from p2pnet.protocol.rounds.options import RoundOptions
from p2pnet.protocol.rounds.parts import assemble
from p2pnet.protocol.rounds.timing import Timing

N_PARAMS = 2
N_MASS = N_PARAMS + 2
MAX_ROUNDS = 1000


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
        settling_s: float = 0.0,
        is_bounded: bool = False,
        is_clipped: bool = False,
        is_audited: bool = False,
        keeps_running: bool = False,
    ) -> None:
        self.timing = timing or Timing()
        self.mixing = mixing or MetropolisMixing()
        options = RoundOptions(
            MAX_ROUNDS,
            momentum=momentum,
            expected_neighbors=expected_neighbors,
            settling_s=settling_s,
            max_diameter=2,
            tolerance=1e-3,
            mixing=self.mixing,
            is_bounded=is_bounded,
            is_clipped=is_clipped,
            is_audited=is_audited,
            keeps_running=keeps_running,
            timing=self.timing,
        )
        self.all = parts = assemble(Identity(me, me, 1, {}), options, np.zeros(N_PARAMS), N_PARAMS)
        self.state, self.neighborhood, self.barrier = parts.state, parts.neighborhood, parts.barrier
        self.exchange, self.tracker = parts.exchange, parts.exchange.tracker
        self.bootstrap, self.termination, self.handlers = parts.bootstrap, parts.termination, parts.handlers
        for peer in neighbors:
            self.join(peer)

    def join(self, peer: PeerId, *, degree: int = 1, is_ready: bool = True, now: float = 0.0) -> Neighbor:
        """A neighbor with which a confirmed link is open."""
        neighbor = self.neighborhood.connected(peer, now)
        self.neighborhood.open_link(neighbor, Nonce(1, 1))
        self.neighborhood.confirm(neighbor)
        neighbor.is_ready, neighbor.degree = is_ready, degree
        return neighbor

    def close(self, peer: PeerId) -> None:
        """The link with the peer has closed."""
        self.neighborhood.close(peer, CloseReason.DISCONNECTED, 0.0)

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
