"""The start quorum: the session begins once enough agents are there.

A site that loads for a minute, or has a label that no other has, must not come too late for the statistics stage. So
where `min_agents` is set, an agent first waits until it knows so many living ones, itself included: the members that
gossip, or else the neighbors that are connected. Messages of peers that begin earlier are repeated until they are
answered.
"""

from __future__ import annotations

from typing import final

from p2pnet.protocol.core.effects import Close, Notify
from p2pnet.protocol.core.events import (
    AwayRequested,
    LeaveRequested,
    MembersCounted,
    PeerConnected,
    PeerDisconnected,
    PeerParted,
)
from p2pnet.protocol.core.notices import AgentsAwaited
from p2pnet.protocol.core.types import PeerId
from p2pnet.protocol.rounds.machine import RoundMachine
from p2pnet.protocol.rounds.neighbor import Identity
from p2pnet.protocol.rounds.neighborhood import Neighborhood
from p2pnet.protocol.rounds.session import SessionEffect, SessionEvent, SessionMachine
from p2pnet.protocol.rounds.snapshot import RoundSnapshot


@final
class StartQuorum(SessionMachine):
    """Holds a session back until `min_agents` are known to live."""

    def __init__(self, session: SessionMachine, min_agents: int) -> None:
        self._session = session
        self._min_agents = min_agents
        self._n_members = 1
        self._connected: dict[PeerId, None] = {}
        self._has_begun = False

    @property
    def identity(self) -> Identity:
        return self._session.identity

    @property
    def rounds(self) -> RoundMachine | None:
        return self._session.rounds

    @property
    def neighborhood(self) -> Neighborhood | None:
        return self._session.neighborhood

    def snapshot(self) -> RoundSnapshot | None:
        return self._session.snapshot()

    def version_with(self, peer: PeerId) -> int:
        return self._session.version_with(peer)

    def start(self, now: float) -> list[SessionEffect]:
        return [*self._begin_if_enough(now), *self._tell()]

    def handle(self, event: SessionEvent, now: float) -> list[SessionEffect]:
        if self._has_begun:
            return [] if isinstance(event, MembersCounted) else self._session.handle(event, now)
        n_before = self._n_agents
        match event:
            case MembersCounted(n_members):
                self._n_members = n_members
            case PeerConnected(peer):
                self._connected[peer] = None
            case PeerDisconnected(peer) | PeerParted(peer):
                self._connected.pop(peer, None)
            case LeaveRequested() | AwayRequested():
                return [Close()]
        return [] if self._n_agents == n_before else [*self._begin_if_enough(now), *self._tell()]

    def next_deadline(self) -> float | None:
        return self._session.next_deadline() if self._has_begun else None

    @property
    def _n_agents(self) -> int:
        """The agents that are known to live, this one included."""
        return max(self._n_members, 1 + len(self._connected))

    def _begin_if_enough(self, now: float) -> list[SessionEffect]:
        if self._n_agents < self._min_agents:
            return []
        self._has_begun = True
        effects = [*self._session.start(now)]
        for peer in self._connected:
            effects += self._session.handle(PeerConnected(peer), now)
        return effects

    def _tell(self) -> list[Notify]:
        return [] if self._has_begun else [Notify(AgentsAwaited(self._n_agents, self._min_agents))]
