"""The parts of one agent's membership, wired as its machine wires them."""

from __future__ import annotations

from random import Random

from p2pnet.protocol.membership.gossip import Allowance
from p2pnet.protocol.membership.local_health import LocalHealthMultiplier
from p2pnet.protocol.membership.members import Members
from p2pnet.protocol.membership.overlay import Overlay
from p2pnet.protocol.membership.probing import Probing
from p2pnet.protocol.membership.timing import LAN
from p2pnet.protocol.membership.views import ActiveView, OverlayNeighbor
from p2pnet.protocol.messages.membership import MemberState, Record


def alive(peer: str, incarnation: int = 1) -> Record:
    return Record(peer, MemberState.ALIVE, incarnation, f"tcp://{peer}:7070", peer)


class Parts:
    """One agent called `me` that knows some members, of whom it wants so many for neighbors and takes so many in."""

    def __init__(self, *known: str, n_wanted: int = 2, capacity: int = 3, seeds: tuple[str, ...] = ()) -> None:
        self.members = Members(alive("me"), lambda _: True, LAN)
        for peer in known:
            self.members.merge(alive(peer), 0.0)
        self.view = ActiveView(n_wanted, capacity)
        self.health = LocalHealthMultiplier()
        self.rng = Random(0)  # noqa: S311
        addresses = {peer: f"tcp://{peer}:7070" for peer in seeds}
        self.overlay = Overlay(self.members, self.view, addresses, Allowance(LAN.max_bytes_per_s), LAN, self.rng)
        self.probing = Probing(self.members, self.view, self.overlay, LAN)

    def join(self, *peers: str, now: float = 0.0) -> None:
        """Connected neighbors."""
        for peer in peers:
            self.overlay.connected(peer, now)
            self.view.add(peer, now)

    def neighbor(self, peer: str) -> OverlayNeighbor:
        found = self.view.find(peer)
        assert found is not None
        return found
