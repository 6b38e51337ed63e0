"""When a neighbor is suspected: after long silence that no other neighbor can explain, never for its own sleep."""

from random import Random

import pytest

from p2pnet.protocol.core.effects import CloseLink, Dial, OpenLink, Send
from p2pnet.protocol.core.events import (
    DeadlineReached,
    DialFailed,
    DialProblem,
    MessageReceived,
    PeerConnected,
    PeerDisconnected,
    PeerHeard,
)
from p2pnet.protocol.membership.local_health import MAX_SCORE, LocalHealthMultiplier
from p2pnet.protocol.membership.machine import MembershipEffect, MembershipMachine
from p2pnet.protocol.membership.timing import LAN
from p2pnet.protocol.messages.membership import (
    Gossip,
    MemberState,
    NeighborRequest,
    Ping,
    Pong,
    ProbeRequest,
    Record,
    Vouch,
)

NEIGHBORS = ("ann", "bob", "cat")


class Agent:
    """One machine with three neighbors, and the time."""

    def __init__(self) -> None:
        me = Record("me", MemberState.ALIVE, 1, "tcp://192.0.2.1:7070", "me")
        self.machine = MembershipMachine(me, {}, lambda _: True, 4, LAN, Random(0))  # noqa: S311
        self.now = 0.0
        self.machine.start(0.0)
        for peer in NEIGHBORS:
            self.machine.handle(PeerConnected(peer), 0.0)
            record = Record(peer, MemberState.ALIVE, 1, f"tcp://{peer}:7070", peer)
            assert OpenLink(peer) in self.machine.handle(MessageReceived(peer, NeighborRequest(record, False)), 0.0)

    def pass_time(self, seconds: float, *heard: str) -> list[MembershipEffect]:
        """Let the time pass, tick by tick, while something comes from those neighbors now and then."""
        effects: list[MembershipEffect] = []
        until = self.now + seconds
        while (deadline := self.machine.next_deadline()) is not None and deadline <= until:
            self.now = deadline
            for peer in heard:
                effects += self.machine.handle(PeerHeard(peer), self.now)
            effects += self.machine.handle(DeadlineReached(), self.now)
        self.now = until
        return effects

    def state_of(self, peer: str) -> MemberState:
        return self.machine.members.states[peer]


@pytest.fixture
def agent() -> Agent:
    return Agent()


def pinged(effects: list[MembershipEffect]) -> list[str]:
    return [effect.peer for effect in effects if isinstance(effect, Send) and isinstance(effect.message, Ping)]


def test_who_is_heard_of_anyway_is_not_pinged(agent: Agent) -> None:
    assert pinged(agent.pass_time(4.0, *NEIGHBORS)) == []
    assert set(pinged(agent.pass_time(2.0, "bob", "cat"))) == {"ann"}


def test_others_are_asked_before_a_silent_neighbor_is_suspected(agent: Agent) -> None:
    effects = agent.pass_time(LAN.silence_s - 0.5, "bob", "cat")
    asked = {e.peer for e in effects if isinstance(e, Send) and e.message == ProbeRequest("ann")}
    assert asked == {"bob", "cat"}
    assert agent.state_of("ann") is MemberState.ALIVE
    effects = agent.pass_time(1.0, "bob", "cat")
    assert agent.state_of("ann") is MemberState.SUSPECT
    told = {e.peer for e in effects if isinstance(e, Send) and isinstance(e.message, Gossip)}
    assert told >= {"bob", "cat"}


def test_a_suspect_that_stays_silent_is_dead_in_the_end(agent: Agent) -> None:
    effects = agent.pass_time(LAN.silence_s + 3 * LAN.suspicion_s + 5.0, "bob", "cat")
    assert agent.state_of("ann") is MemberState.DEAD
    assert CloseLink("ann", True) in effects


def test_one_that_others_hear_is_not_suspected_but_let_go(agent: Agent) -> None:
    agent.pass_time(LAN.silence_s - 1.0, "bob", "cat")
    agent.machine.handle(MessageReceived("bob", Vouch("ann")), agent.now)
    effects = agent.pass_time(2.0, "bob", "cat")
    assert agent.state_of("ann") is MemberState.ALIVE
    assert CloseLink("ann", False) in effects


def test_a_closed_connection_and_a_refused_redial_are_death(agent: Agent) -> None:
    assert Dial("ann", ("tcp://ann:7070",)) in agent.machine.handle(PeerDisconnected("ann"), agent.now)
    agent.machine.handle(DialFailed("ann", "tcp://ann:7070", DialProblem.REFUSED), agent.now)
    effects = agent.pass_time(2 * LAN.tick_s)
    assert agent.state_of("ann") is MemberState.DEAD
    assert CloseLink("ann", True) in effects


def test_a_closed_connection_that_comes_back_is_nothing(agent: Agent) -> None:
    agent.machine.handle(PeerDisconnected("ann"), agent.now)
    agent.machine.handle(DialFailed("ann", "tcp://ann:7070", DialProblem.TIMED_OUT), agent.now)
    agent.pass_time(LAN.redial_grace_s - 0.5, "bob", "cat")
    agent.machine.handle(PeerConnected("ann"), agent.now)
    agent.pass_time(2.0, "bob", "cat")
    assert agent.state_of("ann") is MemberState.ALIVE


def test_a_closed_connection_that_does_not_come_back_is_suspect(agent: Agent) -> None:
    agent.machine.handle(PeerDisconnected("ann"), agent.now)
    agent.pass_time(LAN.redial_grace_s + 0.5, "bob", "cat")
    assert agent.state_of("ann") is MemberState.SUSPECT


def test_an_agent_that_was_asleep_suspects_nobody(agent: Agent) -> None:
    agent.pass_time(1.0, *NEIGHBORS)
    agent.now += 100.0
    agent.machine.handle(DeadlineReached(), agent.now)
    agent.pass_time(LAN.silence_s - 1.5)
    assert set(agent.machine.members.states.values()) == {MemberState.ALIVE}


def test_neighbors_heard_by_an_agent_in_doubt_of_itself_are_given_more_time(agent: Agent) -> None:
    accusation = Gossip((Record("me", MemberState.SUSPECT, 1, accuser="bob"),))
    answer = agent.machine.handle(MessageReceived("bob", accusation), agent.now)
    assert [e.message.records[0].incarnation for e in answer if isinstance(e, Send) and isinstance(e.message, Gossip)]
    assert agent.machine.members.me.incarnation == 2
    agent.pass_time(LAN.silence_s + 1.0, "bob", "cat")
    assert agent.state_of("ann") is MemberState.ALIVE
    agent.machine.handle(MessageReceived("bob", Pong(1)), agent.now)
    agent.pass_time(1.0, "bob", "cat")
    assert agent.state_of("ann") is MemberState.SUSPECT


def test_health_is_bounded() -> None:
    health = LocalHealthMultiplier()
    health.improve()
    assert health.factor == 1.0
    for _ in range(20):
        health.worsen()
    assert health.factor == 1.0 + MAX_SCORE
