"""What the session is told of neighbors that the settings name, and of guests."""

import pytest

from p2pnet.errors import ProtocolError
from p2pnet.protocol.core.events import PeerConnected, PeerDisconnected
from p2pnet.protocol.core.notices import AdmissionRefused
from p2pnet.protocol.messages.membership import Disconnect
from p2pnet.protocol.messages.training import Refuse
from p2pnet.protocol.peering.static_peering import StaticPeering
from tests.protocol.peering.shell import Shell

SHARES = Refuse("any message of the session")


def test_named_neighbors_are_dialed_where_they_are_said_or_found_to_be() -> None:
    shell = Shell(StaticPeering({"ann": "tcp://ann:7070", "bob": None}, 2, is_discovering=True))
    assert shell.news_at_start == []
    assert shell.peering.addresses == {}, "neighbors that are named need not be remembered"
    shell.found("bob", "tcp://10.0.0.1:7070")
    shell.found("ann", "tcp://10.0.0.2:7070")
    shell.found("cat", "tcp://10.0.0.3:7070")
    assert shell.dialed == {"ann": ("tcp://ann:7070",), "bob": ("tcp://10.0.0.1:7070",)}
    assert shell.connected("ann") == [PeerConnected("ann")]
    assert shell.received("ann", SHARES) == ([], True)
    assert shell.disconnected("ann") == [PeerDisconnected("ann")]
    with pytest.raises(ProtocolError, match="neighbors are named here"):
        shell.received("ann", Disconnect())


def test_named_neighbors_that_are_put_off_are_dialed_again_then_and_not_before() -> None:
    addresses = {"ann": "tcp://ann:7070", "bob": None}
    shell = Shell(StaticPeering(addresses, 3, is_discovering=True))
    shell.found("bob", "tcp://10.0.0.1:7070")
    dialed = dict(shell.dialed)
    for peer, until in (("ann", 5.0), ("bob", 8.0), ("cat", 1.0)):
        shell.connected(peer)
        shell.put_off(peer, until)
        assert shell.disconnected(peer) == [PeerDisconnected(peer)]
    assert shell.hung_up == ["ann", "bob", "cat"]
    assert shell.dialed == {}
    shell.pass_time(4.9)
    assert shell.dialed == {}
    shell.pass_time(3.0)
    assert shell.dialed.keys() == {"ann"}
    shell.pass_time(3.0)
    assert shell.dialed == dialed  # a guest has no address
    assert shell.peering.next_deadline() is None


def test_beyond_the_most_neighbors_whoever_dials_is_refused_but_never_one_that_is_named() -> None:
    addresses = {"ann": "tcp://ann:7070", "bob": None}
    shell = Shell(StaticPeering(addresses, 3))
    assert shell.connected("cat") == [PeerConnected("cat")]
    for _ in range(3):  # it comes again
        assert shell.connected("dan") == []
        assert shell.received("dan", SHARES) == ([], False)
        assert shell.disconnected("dan") == []
    assert [peer for peer, _ in shell.refused] == shell.hung_up == ["dan"] * 3
    assert "network.max_neighbors = 3" in shell.refused[0][1]
    assert shell.notices == [AdmissionRefused("dan", 3, is_news) for is_news in (True, False, False)]
    assert shell.connected("bob") == [PeerConnected("bob")]
    assert shell.disconnected("cat") == [PeerDisconnected("cat")]
    assert shell.connected("dan") == [PeerConnected("dan")]
    assert shell.received("dan", SHARES) == ([], True)


def test_neighbors_are_looked_for_on_the_local_network_only_where_that_is_asked_for() -> None:
    shell = Shell(StaticPeering({"bob": None}, 2))
    assert shell.found("bob", "tcp://10.0.0.1:7070") == []
    assert shell.dialed == {}


def test_a_named_neighbor_is_missed_unless_it_was_put_off_and_has_not_been_back() -> None:
    shell = Shell(StaticPeering({"ann": "tcp://ann:7070"}, 2))
    assert shell.peering.is_missed("ann")
    shell.connected("ann")
    shell.put_off("ann", until=5.0)
    shell.disconnected("ann")
    assert not shell.peering.is_missed("ann")
    shell.connected("ann")
    assert shell.peering.is_missed("ann")


def test_gossip_of_one_that_is_no_neighbor_is_no_news() -> None:
    shell = Shell(StaticPeering({"ann": "tcp://ann:7070"}, 1))
    assert shell.received("dan", Disconnect()) == ([], False)
