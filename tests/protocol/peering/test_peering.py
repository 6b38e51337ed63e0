"""What every peering owes its session: news of each peer in turns, and of neighbors only."""

from collections.abc import Callable
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pnet.protocol.core.events import MessageReceived, PeerConnected, PeerParted
from p2pnet.protocol.core.types import PeerId
from p2pnet.protocol.membership.machine import MembershipMachine
from p2pnet.protocol.membership.timing import LAN
from p2pnet.protocol.messages.membership import Disconnect, MemberState, NeighborRequest, Record
from p2pnet.protocol.peering.overlay_peering import OverlayPeering
from p2pnet.protocol.peering.peering import NeighborNews, Peering
from p2pnet.protocol.peering.static_peering import StaticPeering
from tests.protocol.peering.shell import Shell

PEERS = ("ann", "bob", "cy", "dan", "eve")


def alive(peer: PeerId) -> Record:
    return Record(peer, MemberState.ALIVE, 1, f"tcp://{peer}:7070", peer)


def static() -> Peering:
    return StaticPeering({peer: f"tcp://{peer}:7070" for peer in PEERS[:2]}, max_neighbors=3)


def overlay() -> Peering:
    seeds = {"ann": "tcp://ann:7070"}
    membership = MembershipMachine(alive("me"), seeds, lambda _: True, 3, LAN, Random(0))  # noqa: S311
    return OverlayPeering(membership, seeds)


class Session:
    """What a session makes of the news, behind a transport that tells the truth."""

    def __init__(self, peering: Peering) -> None:
        self.shell = Shell(peering)
        self.open: set[PeerId] = set()
        """the connections"""
        self.neighbors: set[PeerId] = set()
        """as the news has them"""
        self.hear(self.shell.news_at_start)

    def hear(self, news: list[NeighborNews]) -> None:
        for one in news:
            if isinstance(one, PeerConnected):
                assert one.peer not in self.neighbors, "it is connected already"
                assert one.peer in self.open
                self.neighbors.add(one.peer)
            else:
                assert one.peer in self.neighbors or isinstance(one, PeerParted)
                self.neighbors.discard(one.peer)
        while self.shell.hung_up:
            self.disconnect(self.shell.hung_up.pop())

    def disconnect(self, peer: PeerId) -> None:
        if peer in self.open:
            self.open.discard(peer)
            self.hear(self.shell.disconnected(peer))

    def act(self, what: str, peer: PeerId) -> None:
        match what:
            case "connect" if peer not in self.open:
                self.open.add(peer)
                self.hear(self.shell.connected(peer))
            case "disconnect":
                self.disconnect(peer)
            case "ask" if peer in self.open and isinstance(self.shell.peering, OverlayPeering):
                request = NeighborRequest(alive(peer), is_urgent=False)
                self.hear(self.shell.feed(MessageReceived(peer, request)))
            case "dismiss" if peer in self.open and isinstance(self.shell.peering, OverlayPeering):
                self.hear(self.shell.feed(MessageReceived(peer, Disconnect())))
            case "train" if peer in self.open:
                self.hear(self.shell.heard(peer))
            case "put off" if peer in self.neighbors:
                self.hear(self.shell.put_off(peer, self.shell.now + 30.0))
            case "wait":
                self.hear(self.shell.pass_time(1.0))


WHAT = ("connect", "disconnect", "ask", "dismiss", "train", "put off", "wait")
steps = st.lists(st.tuples(st.sampled_from(WHAT), st.sampled_from(PEERS)), max_size=40)


@pytest.mark.parametrize("make_peering", [static, overlay])
@given(steps=steps)
def test_a_peer_becomes_a_neighbor_once_and_its_messages_are_for_the_session_as_long_as_it_is(
    make_peering: Callable[[], Peering], steps: list[tuple[str, PeerId]]
) -> None:
    session = Session(make_peering())
    for what, peer in steps:
        session.act(what, peer)
        assert session.neighbors <= session.open
        assert all(session.shell.peering.is_neighbor(neighbor) for neighbor in session.neighbors)
        assert len(session.neighbors) <= 3
