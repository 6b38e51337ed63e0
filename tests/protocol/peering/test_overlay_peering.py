"""What the session is told of neighbors that gossip chooses."""

from random import Random

import pytest

from p2pnet.protocol.core.events import PeerConnected, PeerDisconnected, PeerParted, PeerPutOff
from p2pnet.protocol.core.types import PeerId
from p2pnet.protocol.membership.machine import MembershipMachine
from p2pnet.protocol.membership.timing import LAN
from p2pnet.protocol.messages.membership import Disconnect, Gossip, MemberState, NeighborReply, NeighborRequest, Record
from p2pnet.protocol.messages.training import Refuse
from p2pnet.protocol.peering.overlay_peering import OverlayPeering
from tests.protocol.peering.shell import Shell

SHARES = Refuse("any message of the session")


@pytest.fixture
def shell() -> Shell:
    me = Record("me", MemberState.ALIVE, 1, "tcp://192.0.2.1:7070", "me")
    seeds = {"ann": "tcp://ann:7070"}
    machine = MembershipMachine(me, seeds, lambda peer: peer != "stranger", 4, LAN, Random(0))  # noqa: S311
    return Shell(OverlayPeering(machine, seeds))


def request_of(peer: PeerId) -> NeighborRequest:
    return NeighborRequest(Record(peer, MemberState.ALIVE, 1, f"tcp://{peer}:7070", peer), False)


def accepted_by(peer: PeerId) -> NeighborReply:
    return NeighborReply(Record(peer, MemberState.ALIVE, 1, f"tcp://{peer}:7070", peer), True)


def test_a_seed_is_a_neighbor_once_it_has_agreed(shell: Shell) -> None:
    assert shell.dialed == {"ann": ("tcp://ann:7070",)}
    assert shell.connected("ann") == []
    assert [type(message) for _, message in shell.sent] == [NeighborRequest]
    assert shell.received("ann", accepted_by("ann")) == ([PeerConnected("ann")], False)
    assert shell.received("ann", SHARES) == ([], True)


def test_who_asks_is_answered_before_the_rounds_greet_it(shell: Shell) -> None:
    shell.connected("bob")
    assert shell.received("bob", request_of("bob")) == ([PeerConnected("bob")], False)
    assert [message.is_accepted for peer, message in shell.sent if isinstance(message, NeighborReply)] == [True]


def test_a_neighbor_whose_connection_comes_back_is_the_same(shell: Shell) -> None:
    shell.connected("bob")
    shell.received("bob", request_of("bob"))
    assert shell.disconnected("bob") == [PeerDisconnected("bob")]
    assert shell.dialed["bob"] == ("tcp://bob:7070",)
    assert shell.connected("bob") == [PeerConnected("bob")]


def test_one_that_is_let_go_is_no_neighbor(shell: Shell) -> None:
    shell.connected("bob")
    shell.received("bob", request_of("bob"))
    assert shell.received("bob", Disconnect()) == ([PeerParted("bob")], False)
    assert shell.received("bob", SHARES) == ([], False)


def test_a_member_that_is_no_neighbor_has_no_word_in_the_rounds(shell: Shell) -> None:
    shell.connected("ann")
    shell.received("ann", Gossip((Record("cat", MemberState.ALIVE, 1, "tcp://cat:7070", "cat"),)))
    shell.connected("cat")
    assert shell.received("cat", SHARES) == ([], False)


def test_whoever_has_named_this_agent_and_does_not_gossip_is_a_guest(shell: Shell) -> None:
    shell.connected("eve")
    assert shell.received("eve", SHARES) == ([PeerConnected("eve")], True)
    assert shell.received("eve", SHARES) == ([], True)
    assert shell.disconnected("eve") == [PeerDisconnected("eve")]
    shell.connected("eve")
    shell.received("eve", SHARES)
    shell.put_off("eve", 0.0)
    assert shell.hung_up == ["eve"]
    assert shell.disconnected("eve") == [PeerDisconnected("eve")]


def test_one_that_trains_something_else_is_hung_up_on(shell: Shell) -> None:
    shell.connected("bob")
    shell.received("bob", request_of("bob"))
    assert shell.put_off("bob", 5.0) == [PeerParted("bob")]
    assert shell.hung_up == ["bob"]
    shell.connected("bob")
    assert shell.received("bob", request_of("bob")) == ([], False)


def test_a_bad_address_is_not_dialed(shell: Shell) -> None:
    shell.connected("ann")
    shell.received("ann", accepted_by("ann"))
    shell.received("ann", Gossip((Record("cat", MemberState.ALIVE, 1, "no address", "cat"),)))
    shell.received("ann", Gossip((Record("stranger", MemberState.ALIVE, 1, "tcp://b:1", "b"),)))
    shell.pass_time(10.0)
    assert shell.dialed.keys() == {"ann"}


def test_whoever_is_found_on_the_lan_is_dialed_at_all_its_addresses(shell: Shell) -> None:
    where = ("tcp://10.0.0.1:7070", "tcp://[fd00::1]:7070")
    shell.found("bob", *where)
    shell.pass_time(1.0)
    assert shell.dialed["bob"] == where


def test_one_that_is_dialed_already_is_dialed_where_it_is_found_as_well(shell: Shell) -> None:
    shell.found("ann", "tcp://10.0.0.1:7070")
    assert shell.dialed["ann"] == ("tcp://10.0.0.1:7070", "tcp://ann:7070")


def test_a_seed_is_missed_while_there_is_nobody_else_and_dialed_for_ever(shell: Shell) -> None:
    shell.dial_refused("ann")
    assert shell.peering.is_missed("ann")
    shell.pass_time(100.0)
    assert shell.dialed == {"ann": ("tcp://ann:7070",)}
    shell.connected("ann")
    shell.received("ann", accepted_by("ann"))
    assert not shell.peering.is_missed("ann")


def test_a_seed_that_refuses_is_dialed_again_when_it_is_no_longer_put_off(shell: Shell) -> None:
    shell.connected("ann")
    assert shell.received("ann", SHARES) == ([PeerConnected("ann")], True)  # it does not gossip
    shell.put_off("ann", until=shell.now + 40.0)
    assert shell.disconnected("ann") == [PeerDisconnected("ann")]
    shell.pass_time(39.9)
    assert shell.dialed == {}
    shell.pass_time(10.0)
    assert shell.dialed == {"ann": ("tcp://ann:7070",)}


def test_the_death_of_a_neighbor_is_told_when_its_redial_is_refused(shell: Shell) -> None:
    shell.connected("bob")
    shell.received("bob", request_of("bob"))
    assert shell.disconnected("bob") == [PeerDisconnected("bob")]
    shell.dial_refused("bob")
    assert shell.pass_time(1.0) == []
    assert shell.received("bob", SHARES) == ([], False)


def test_guests_take_the_places_that_are_not_kept_for_members(shell: Shell) -> None:
    for guest in ("eve", "fay"):
        shell.connected(guest)
    assert shell.received("eve", SHARES) == ([PeerConnected("eve")], True)
    assert shell.received("fay", SHARES) == ([], False)
    assert [peer for peer, _ in shell.refused] == shell.hung_up == ["fay"]
    for member in ("bob", "cat", "dan", "gil"):  # three places of four are kept
        shell.connected(member)
        shell.received(member, request_of(member))
    answers = {peer: message.is_accepted for peer, message in shell.sent if isinstance(message, NeighborReply)}
    assert answers == {"bob": True, "cat": True, "dan": True, "gil": False}
    shell.disconnected("eve")
    shell.received("gil", request_of("gil"))
    assert shell.sent[-1][0] == "gil"
    assert isinstance(shell.sent[-1][1], NeighborReply)
    assert shell.sent[-1][1].is_accepted


def test_one_that_no_honest_one_is_like_is_no_neighbor_for_ten_minutes(shell: Shell) -> None:
    shell.connected("bob")
    shell.received("bob", request_of("bob"))
    assert shell.feed(PeerPutOff("bob", until=5.0, is_distrusted=True)) == [PeerParted("bob")]
    for now, news in ((599.0, []), (601.0, [PeerConnected("bob")])):
        shell.pass_time(now - shell.now)
        shell.connected("bob")
        assert shell.received("bob", request_of("bob")) == (news, False)
        shell.disconnected("bob")


def test_a_seed_without_an_address_is_dialed_where_it_is_found() -> None:
    me = Record("me", MemberState.ALIVE, 1, "tcp://192.0.2.1:7070", "me")
    seeds = {"ann": "nowhere"}
    machine = MembershipMachine(me, seeds, lambda _: True, 4, LAN, Random(0))  # noqa: S311
    shell = Shell(OverlayPeering(machine, seeds))
    assert shell.dialed == {}
    shell.found("ann", "tcp://10.0.0.1:7070")
    shell.pass_time(10.0)
    assert shell.dialed == {"ann": ("tcp://10.0.0.1:7070",)}


def test_members_are_counted_and_their_addresses_known_while_they_live(shell: Shell) -> None:
    assert (shell.peering.n_members, shell.peering.addresses) == (1, {})
    shell.connected("ann")
    shell.received("ann", accepted_by("ann"))
    shell.received("ann", Gossip((Record("cat", MemberState.ALIVE, 1, "", "cat"),)))  # it dials out only
    assert (shell.peering.n_members, shell.peering.addresses) == (3, {"ann": "tcp://ann:7070"})
    shell.received("ann", Gossip((Record("cat", MemberState.LEFT, 2, "", "cat"),)))
    shell.received("ann", Gossip((Record("ann", MemberState.LEFT, 2, "tcp://ann:7070", "ann"),)))
    assert (shell.peering.n_members, shell.peering.addresses) == (1, {})
