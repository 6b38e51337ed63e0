"""What the rounds are told of their neighbors, whether those are named or found by gossip."""

import logging
from collections.abc import Mapping, Sequence
from random import Random

import pytest

from p2pnet.agent.neighbors import GossipedNeighbors, NamedNeighbors, Neighbors, News
from p2pnet.agent.transport.base import DialFailed, DialProblem, Frame, PeerId, Refusal, Transport, TransportEvent
from p2pnet.agent.transport.discovery import LanAgent
from p2pnet.errors import ProtocolError
from p2pnet.protocol.membership.machine import MembershipMachine
from p2pnet.protocol.membership.timing import LAN
from p2pnet.protocol.messages import training as rounds
from p2pnet.protocol.messages.membership import (
    Disconnect,
    Gossip,
    MemberState,
    Message,
    NeighborReply,
    NeighborRequest,
    Record,
    decode,
    encode,
    is_membership,
)
from p2pnet.protocol.rounds.effects import PeerConnected, PeerDisconnected, PeerParted

SHARES = [bytes(frame) for frame in rounds.encode(rounds.Refuse("any message of the rounds"))]


class Wire(Transport):
    """Writes down what is asked of it."""

    def __init__(self) -> None:
        self.dialed: dict[PeerId, tuple[str, ...]] = {}
        self.sent: list[tuple[PeerId, Message]] = []
        self.refused: list[tuple[PeerId, str]] = []
        self.hung_up: list[PeerId] = []

    addresses = ("tcp://127.0.0.1:7070",)
    bytes_sent = bytes_received = 0
    n_rejected: Mapping[Refusal, int] = {}

    def dial(self, peer: PeerId, *addresses: str) -> None:
        self.dialed[peer] = addresses

    def hang_up(self, peer: PeerId) -> None:
        self.dialed.pop(peer, None)
        self.hung_up.append(peer)

    def send(self, peer: PeerId, frames: Sequence[Frame]) -> bool:
        if is_membership(frames[0]):
            self.sent.append((peer, decode(frames)))
        else:
            message = rounds.decode([memoryview(frame) for frame in frames])
            assert isinstance(message, rounds.Refuse)
            self.refused.append((peer, message.reason))
        return True

    def inquire(self, *arguments: object) -> None:
        raise NotImplementedError

    def reply(self, peer: PeerId, frames: Sequence[Frame]) -> None:
        raise NotImplementedError

    def poll(self, timeout_s: float | None) -> list[TransportEvent]:
        raise NotImplementedError

    def wake(self) -> None:
        raise NotImplementedError

    def close(self, linger_s: float) -> None:
        raise NotImplementedError


class Clock:
    """The time that passes in a test."""

    now = 0.0

    def __call__(self) -> float:
        return self.now

    def pass_time(self, neighbors: Neighbors, seconds: float) -> list[News]:
        news: list[News] = []
        until = self.now + seconds
        while (deadline := neighbors.next_deadline()) is not None and deadline <= until:
            self.now = deadline
            news += neighbors.deadline_reached()
        self.now = until
        return news


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def wire() -> Wire:
    return Wire()


@pytest.fixture
def gossiped(wire: Wire, clock: Clock) -> GossipedNeighbors:
    me = Record("me", MemberState.ALIVE, 1, "tcp://192.0.2.1:7070", "me")
    seeds = {"ann": "tcp://ann:7070"}
    machine = MembershipMachine(me, seeds, lambda peer: peer != "stranger", 4, LAN, Random(0))  # noqa: S311
    neighbors = GossipedNeighbors(machine, wire, seeds, logging.getLogger("test"), clock)
    neighbors.start()
    return neighbors


def request_of(peer: PeerId) -> list[bytes]:
    record = Record(peer, MemberState.ALIVE, 1, f"tcp://{peer}:7070", peer)
    return [encode(NeighborRequest(record, False))]


def accepted_by(peer: PeerId) -> list[bytes]:
    return [encode(NeighborReply(Record(peer, MemberState.ALIVE, 1, f"tcp://{peer}:7070", peer), True))]


def test_a_seed_is_a_neighbor_once_it_has_agreed(wire: Wire, gossiped: GossipedNeighbors) -> None:
    assert wire.dialed == {"ann": ("tcp://ann:7070",)}
    assert gossiped.connected("ann") == []
    assert [type(message) for _, message in wire.sent] == [NeighborRequest]
    assert gossiped.received("ann", accepted_by("ann")) == ([PeerConnected("ann")], False)
    assert gossiped.received("ann", SHARES) == ([], True)


def test_who_asks_is_answered_before_the_rounds_greet_it(wire: Wire, gossiped: GossipedNeighbors) -> None:
    gossiped.connected("bob")
    assert gossiped.received("bob", request_of("bob")) == ([PeerConnected("bob")], False)
    assert [message.is_accepted for peer, message in wire.sent if isinstance(message, NeighborReply)] == [True]


def test_a_neighbor_whose_connection_comes_back_is_the_same(gossiped: GossipedNeighbors, wire: Wire) -> None:
    gossiped.connected("bob")
    gossiped.received("bob", request_of("bob"))
    assert gossiped.disconnected("bob") == [PeerDisconnected("bob")]
    assert wire.dialed["bob"] == ("tcp://bob:7070",)
    assert gossiped.connected("bob") == [PeerConnected("bob")]


def test_one_that_is_let_go_is_no_neighbor(gossiped: GossipedNeighbors) -> None:
    gossiped.connected("bob")
    gossiped.received("bob", request_of("bob"))
    assert gossiped.received("bob", [encode(Disconnect())]) == ([PeerParted("bob")], False)
    assert gossiped.received("bob", SHARES) == ([], False)


def test_a_member_that_is_no_neighbor_has_no_word_in_the_rounds(gossiped: GossipedNeighbors) -> None:
    gossiped.connected("ann")
    gossiped.received("ann", [encode(Gossip((Record("cat", MemberState.ALIVE, 1, "tcp://cat:7070", "cat"),)))])
    gossiped.connected("cat")
    assert gossiped.received("cat", SHARES) == ([], False)


def test_whoever_has_named_this_agent_and_does_not_gossip_is_a_guest(wire: Wire, gossiped: GossipedNeighbors) -> None:
    gossiped.connected("eve")
    assert gossiped.received("eve", SHARES) == ([PeerConnected("eve")], True)
    assert gossiped.received("eve", SHARES) == ([], True)
    assert gossiped.disconnected("eve") == [PeerDisconnected("eve")]
    gossiped.connected("eve")
    gossiped.received("eve", SHARES)
    gossiped.put_off("eve", 0.0)
    assert wire.hung_up == ["eve"]
    assert gossiped.disconnected("eve") == [PeerDisconnected("eve")]


def test_one_that_trains_something_else_is_hung_up_on(wire: Wire, gossiped: GossipedNeighbors) -> None:
    gossiped.connected("bob")
    gossiped.received("bob", request_of("bob"))
    assert gossiped.put_off("bob", 0.0) == [PeerParted("bob")]
    assert wire.hung_up == ["bob"]
    gossiped.connected("bob")
    assert gossiped.received("bob", request_of("bob")) == ([], False)


def test_a_bad_address_is_not_dialed(wire: Wire, clock: Clock, gossiped: GossipedNeighbors) -> None:
    gossiped.connected("ann")
    gossiped.received("ann", accepted_by("ann"))
    gossiped.received("ann", [encode(Gossip((Record("cat", MemberState.ALIVE, 1, "no address", "cat"),)))])
    gossiped.received("ann", [encode(Gossip((Record("stranger", MemberState.ALIVE, 1, "tcp://b:1", "b"),)))])
    clock.pass_time(gossiped, 10.0)
    assert wire.dialed.keys() == {"ann"}


def test_whoever_is_found_on_the_lan_is_dialed_at_all_its_addresses(
    wire: Wire, clock: Clock, gossiped: GossipedNeighbors
) -> None:
    where = ("tcp://10.0.0.1:7070", "tcp://[fd00::1]:7070")
    gossiped.found(LanAgent("bob", "bob", "1", "", where))
    clock.pass_time(gossiped, 1.0)
    assert wire.dialed["bob"] == where


def test_one_that_is_dialed_already_is_dialed_where_it_is_found_as_well(
    wire: Wire, gossiped: GossipedNeighbors
) -> None:
    gossiped.found(LanAgent("ann", "ann", "1", "", ("tcp://10.0.0.1:7070",)))
    assert wire.dialed["ann"] == ("tcp://10.0.0.1:7070", "tcp://ann:7070")


def test_a_seed_is_missed_while_there_is_nobody_else_and_dialed_for_ever(
    wire: Wire, clock: Clock, gossiped: GossipedNeighbors
) -> None:
    gossiped.dial_failed(DialFailed("ann", "tcp://ann:7070", DialProblem.REFUSED))
    assert gossiped.is_missed("ann")
    clock.pass_time(gossiped, 100.0)
    assert wire.dialed == {"ann": ("tcp://ann:7070",)}
    gossiped.connected("ann")
    gossiped.received("ann", accepted_by("ann"))
    assert not gossiped.is_missed("ann")


def test_a_seed_that_refuses_is_dialed_again_when_it_is_no_longer_put_off(
    wire: Wire, clock: Clock, gossiped: GossipedNeighbors
) -> None:
    gossiped.connected("ann")
    assert gossiped.received("ann", SHARES) == ([PeerConnected("ann")], True)  # it does not gossip
    gossiped.put_off("ann", until=clock.now + 40.0)
    assert gossiped.disconnected("ann") == [PeerDisconnected("ann")]
    clock.pass_time(gossiped, 39.9)
    assert wire.dialed == {}
    clock.pass_time(gossiped, 10.0)
    assert wire.dialed == {"ann": ("tcp://ann:7070",)}


def test_the_death_of_a_neighbor_is_told_when_its_redial_is_refused(clock: Clock, gossiped: GossipedNeighbors) -> None:
    gossiped.connected("bob")
    gossiped.received("bob", request_of("bob"))
    assert gossiped.disconnected("bob") == [PeerDisconnected("bob")]
    gossiped.dial_failed(DialFailed("bob", "tcp://bob:7070", DialProblem.REFUSED))
    assert clock.pass_time(gossiped, 1.0) == []
    assert gossiped.received("bob", SHARES) == ([], False)


def test_named_neighbors_are_dialed_where_they_are_said_or_found_to_be(wire: Wire) -> None:
    named = NamedNeighbors(
        wire, {"ann": "tcp://ann:7070", "bob": None}, 2, logging.getLogger("test"), is_discovering=True
    )
    assert named.start() == []
    named.found(LanAgent("bob", "bob", "1", "", ("tcp://10.0.0.1:7070",)))
    named.found(LanAgent("ann", "ann", "1", "", ("tcp://10.0.0.2:7070",)))
    named.found(LanAgent("cat", "cat", "1", "", ("tcp://10.0.0.3:7070",)))
    assert wire.dialed == {"ann": ("tcp://ann:7070",), "bob": ("tcp://10.0.0.1:7070",)}
    assert named.connected("ann") == [PeerConnected("ann")]
    assert named.received("ann", SHARES) == ([], True)
    assert named.disconnected("ann") == [PeerDisconnected("ann")]
    with pytest.raises(ProtocolError, match="neighbors are named here"):
        named.received("ann", request_of("ann"))


def test_named_neighbors_that_are_put_off_are_dialed_again_then_and_not_before(wire: Wire, clock: Clock) -> None:
    addresses = {"ann": "tcp://ann:7070", "bob": None}
    named = NamedNeighbors(wire, addresses, 3, logging.getLogger("test"), clock, is_discovering=True)
    named.start()
    named.found(LanAgent("bob", "bob", "1", "", ("tcp://10.0.0.1:7070",)))
    dialed = dict(wire.dialed)
    for peer, until in (("ann", 5.0), ("bob", 8.0), ("cat", 1.0)):
        named.connected(peer)
        named.put_off(peer, until)
        assert named.disconnected(peer) == [PeerDisconnected(peer)]
    assert wire.hung_up == ["ann", "bob", "cat"]
    assert wire.dialed == {}
    clock.pass_time(named, 4.9)
    assert wire.dialed == {}
    clock.pass_time(named, 3.0)
    assert wire.dialed.keys() == {"ann"}
    clock.pass_time(named, 3.0)
    assert wire.dialed == dialed  # a guest has no address
    assert named.next_deadline() is None


def test_beyond_the_most_neighbors_whoever_dials_is_refused_but_never_one_that_is_named(
    wire: Wire, caplog: pytest.LogCaptureFixture
) -> None:
    addresses = {"ann": "tcp://ann:7070", "bob": None}
    named = NamedNeighbors(wire, addresses, 3, logging.getLogger("test"), is_discovering=False)
    assert named.connected("cat") == [PeerConnected("cat")]
    for _ in range(3):  # it comes again
        assert named.connected("dan") == []
        assert named.received("dan", SHARES) == ([], False)
        assert named.disconnected("dan") == []
    assert [peer for peer, _ in wire.refused] == wire.hung_up == ["dan"] * 3
    assert "network.max_neighbors = 3" in wire.refused[0][1]
    assert [record.message for record in caplog.records] == [
        "refused dan: there are as many neighbors as network.max_neighbors = 3 allows; raise it, or name this one"
    ]
    assert named.connected("bob") == [PeerConnected("bob")]
    assert named.disconnected("cat") == [PeerDisconnected("cat")]
    assert named.connected("dan") == [PeerConnected("dan")]
    assert named.received("dan", SHARES) == ([], True)


def test_guests_take_the_places_that_are_not_kept_for_members(wire: Wire, gossiped: GossipedNeighbors) -> None:
    for guest in ("eve", "fay"):
        gossiped.connected(guest)
    assert gossiped.received("eve", SHARES) == ([PeerConnected("eve")], True)
    assert gossiped.received("fay", SHARES) == ([], False)
    assert [peer for peer, _ in wire.refused] == wire.hung_up == ["fay"]
    for member in ("bob", "cat", "dan", "gil"):  # three places of four are kept
        gossiped.connected(member)
        gossiped.received(member, request_of(member))
    answers = {peer: message.is_accepted for peer, message in wire.sent if isinstance(message, NeighborReply)}
    assert answers == {"bob": True, "cat": True, "dan": True, "gil": False}
    gossiped.disconnected("eve")
    gossiped.received("gil", request_of("gil"))
    assert wire.sent[-1][0] == "gil"
    assert isinstance(wire.sent[-1][1], NeighborReply)
    assert wire.sent[-1][1].is_accepted
