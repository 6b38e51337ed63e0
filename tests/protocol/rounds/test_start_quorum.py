"""The session is held back until enough agents are there."""

from typing import final

from p2pnet.protocol.core.effects import Close, Notify, Prepare
from p2pnet.protocol.core.events import (
    AwayRequested,
    LeaveRequested,
    MembersCounted,
    PeerConnected,
    PeerDisconnected,
)
from p2pnet.protocol.core.notices import AgentsAwaited
from p2pnet.protocol.core.types import PeerId
from p2pnet.protocol.rounds.machine import RoundMachine
from p2pnet.protocol.rounds.neighbor import Identity
from p2pnet.protocol.rounds.session import SessionEffect, SessionEvent, SessionMachine
from p2pnet.protocol.rounds.start_quorum import StartQuorum


@final
class Recorded(SessionMachine):
    """A session that records what it is told."""

    def __init__(self) -> None:
        self.events: list[SessionEvent] = []
        self.starts: list[float] = []

    @property
    def identity(self) -> Identity:
        return Identity("me", "me", 1, {})

    @property
    def rounds(self) -> RoundMachine | None:
        return None

    def version_with(self, peer: PeerId) -> int:
        return 2

    def start(self, now: float) -> list[SessionEffect]:
        self.starts.append(now)
        return [Prepare(None)]

    def handle(self, event: SessionEvent, now: float) -> list[SessionEffect]:
        self.events.append(event)
        return []

    def next_deadline(self) -> float | None:
        return 5.0


def awaited(n_agents: int, min_agents: int) -> list[SessionEffect]:
    return [Notify(AgentsAwaited(n_agents, min_agents))]


def test_members_that_gossip_are_counted_and_those_connected_meanwhile_are_told_of_at_the_beginning() -> None:
    session = Recorded()
    quorum = StartQuorum(session, 4)
    assert quorum.start(0.0) == awaited(1, 4)
    assert quorum.handle(PeerConnected("a"), 1.0) == awaited(2, 4)
    assert quorum.handle(MembersCounted(2), 1.0) == []
    assert quorum.handle(PeerConnected("b"), 1.0) == awaited(3, 4)
    assert quorum.handle(PeerDisconnected("a"), 2.0) == awaited(2, 4)
    assert quorum.next_deadline() is None
    assert session.starts == []

    assert quorum.handle(MembersCounted(4), 3.0) == [Prepare(None)]
    assert session.starts == [3.0]
    assert session.events == [PeerConnected("b")]
    assert quorum.next_deadline() == 5.0

    quorum.handle(MembersCounted(1), 4.0)  # what follows is for the session to see to
    quorum.handle(PeerDisconnected("b"), 4.0)
    assert session.events == [PeerConnected("b"), PeerDisconnected("b")]


def test_named_neighbors_that_are_connected_are_counted_where_no_member_gossips() -> None:
    session = Recorded()
    quorum = StartQuorum(session, 2)
    quorum.start(0.0)
    assert quorum.handle(PeerConnected("a"), 1.0) == [Prepare(None)]
    assert session.events == [PeerConnected("a")]


def test_one_that_waits_may_be_told_to_leave() -> None:
    for event in (LeaveRequested(), AwayRequested()):
        quorum = StartQuorum(Recorded(), 2)
        quorum.start(0.0)
        assert quorum.handle(event, 1.0) == [Close()]
