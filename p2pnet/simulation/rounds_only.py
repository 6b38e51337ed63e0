"""Nodes on fixed connections: training rounds without discovery, or feature statistics only."""

from __future__ import annotations

from random import Random
from typing import assert_never, final

from p2pnet.protocol.core.codec import LOWEST_VERSION
from p2pnet.protocol.core.effects import HangUp
from p2pnet.protocol.core.events import (
    Chosen,
    DeadlineReached,
    DialFailed,
    LeaveRequested,
    Measured,
    MembersCounted,
    MessageReceived,
    PeerConnected,
    PeerDisconnected,
    PeerFound,
    PeerPutOff,
    Prepared,
)
from p2pnet.protocol.core.types import Array, FeatureStatistics, PeerId
from p2pnet.protocol.node import Node
from p2pnet.protocol.peering.peering import Peering, PeeringEffect, PeeringEvent
from p2pnet.protocol.rounds.moments import LocalStatistics
from p2pnet.protocol.rounds.neighbor import Identity
from p2pnet.protocol.rounds.options import RoundOptions
from p2pnet.protocol.rounds.session import Session, SessionEffect, SessionEvent, SessionMachine
from p2pnet.protocol.rounds.snapshot import RoundSnapshot
from p2pnet.protocol.rounds.statistics import StatisticsMachine
from p2pnet.simulation.link_secrets import SimulatedSecrets
from p2pnet.simulation.simulator import Preparation
from p2pnet.training.learner import Learner


@final
class WiredPeering(Peering):
    """Peering in which each connected peer is a neighbor: the connections are the graph."""

    def start(self, now: float) -> list[PeeringEffect]:
        return []

    def next_deadline(self) -> float | None:
        return None

    def is_neighbor(self, peer: PeerId) -> bool:
        return True

    def is_missed(self, peer: PeerId) -> bool:
        return True

    def handle(self, event: PeeringEvent, now: float) -> list[PeeringEffect]:
        match event:
            case PeerConnected() | PeerDisconnected():
                return [event]
            case PeerPutOff(peer):
                return [HangUp(peer)]
            case DialFailed() | PeerFound() | MessageReceived() | DeadlineReached() | LeaveRequested():
                return []
            case _:
                assert_never(event)


@final
class StatisticsOnly(SessionMachine):
    """A session of the statistics stage only."""

    def __init__(
        self,
        identity: Identity,
        options: RoundOptions,
        own: LocalStatistics,
        settling_s: float = 0.0,
        *,
        has_masks: bool = True,
    ) -> None:
        secrets = SimulatedSecrets(identity.peer) if has_masks else None
        self.machine = StatisticsMachine(identity, options, own, settling_s, secrets)
        self._identity = identity

    @property
    def identity(self) -> Identity:
        return self._identity

    @property
    def rounds(self) -> None:
        return None

    def version_with(self, peer: PeerId) -> int:
        return LOWEST_VERSION

    def start(self, now: float) -> list[SessionEffect]:
        return [*self.machine.start(now)]

    def handle(self, event: SessionEvent, now: float) -> list[SessionEffect]:
        return (
            []
            if isinstance(event, Prepared | Measured | Chosen | MembersCounted)
            else [*self.machine.handle(event, now)]
        )

    def next_deadline(self) -> float | None:
        return self.machine.next_deadline()


def nothing_to_train(statistics: FeatureStatistics | None) -> tuple[Prepared, Learner]:
    """A preparation that raises, for agents that never train."""
    raise AssertionError(f"nothing is trained, whatever was found: {statistics}")


def wired_agent(
    identity: Identity,
    options: RoundOptions,
    params: Array,
    learner: Learner,
    resumed: RoundSnapshot | None = None,
) -> tuple[Node, Preparation]:
    """Build a node that trains with connected agents from these initial parameters, or goes on from the snapshot, and
    its preparation.
    """

    def prepare(statistics: FeatureStatistics | None) -> tuple[Prepared, Learner]:  # noqa: ARG001
        return Prepared({}, params, n_tracked=learner.n_tracked, has_curvature=learner.has_curvature), learner

    # Chance has nothing to decide where no neighbor is dialed.
    return Node(Session(identity, options, own=None, resumed=resumed), WiredPeering(), Random(0)), prepare  # noqa: S311
