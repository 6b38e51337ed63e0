"""The table of neighbors and of the links with them.

Either side closes a link by forgetting it: it takes a fresh nonce, and the books of the old link, which no peer can
name any more, are as if they had never been. The other side learns of it by a Hello with a newer nonce, or by a Reset
in answer to its next share. A nonce begins with the incarnation of the process, so a restarted agent can never continue
an old link.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import final

from p2pnet.protocol.core.effects import Dismiss, Notify, PutOff
from p2pnet.protocol.core.notices import CloseReason, LinkClosed
from p2pnet.protocol.core.types import LinkId, Nonce, PeerId
from p2pnet.protocol.links.link import Link
from p2pnet.protocol.rounds.neighbor import HELLO_RESEND_S, Identity, Neighbor


@final
class Neighborhood:
    """The neighbors of one agent, and its links with them."""

    def __init__(
        self,
        identity: Identity,
        make_link: Callable[[LinkId], Link],
        suspect_limit_s: float,
        names: Mapping[PeerId, str] = MappingProxyType({}),
    ) -> None:
        """`names` are what peers are called until they have said a name themselves."""
        self.identity = identity
        self._make_link = make_link
        self._suspect_limit_s = suspect_limit_s
        self._names = names
        self._counter = 0
        self._neighbors: dict[PeerId, Neighbor] = {}
        self.n_opened = 0
        """Links that have been open so far."""
        self.n_refusals = 0
        """Answers that refused a link so far, of neighbors and of this agent."""

    def __iter__(self) -> Iterator[Neighbor]:
        """Neighbors in the order of their ids, so that sums over them are rounded the same way every time."""
        return iter(tuple(self._neighbors.values()))

    def open(self) -> list[tuple[Neighbor, Link]]:
        """The neighbors with which a confirmed link is open."""
        neighbors = self._neighbors.values()
        return [(neighbor, neighbor.link) for neighbor in neighbors if neighbor.link and neighbor.is_confirmed]

    def links(self) -> list[Link]:
        """All links with books, confirmed or not."""
        return [neighbor.link for neighbor in self._neighbors.values() if neighbor.link is not None]

    def find(self, peer: PeerId) -> Neighbor | None:
        return self._neighbors.get(peer)

    def find_link(self, peer: PeerId, link_id: LinkId) -> Link | None:
        """The link with the peer, if `link_id` (as the peer sees it) is the one now open."""
        neighbor = self.find(peer)
        if neighbor is None or neighbor.link is None or not neighbor.link.link_id.is_mirrored(link_id):
            return None
        # A peer that names this link has opened it.
        self.confirm(neighbor)
        return neighbor.link

    def enter(self, peer: PeerId) -> Neighbor:
        """The neighbor, entered into the table where it is not there."""
        if peer not in self._neighbors:
            newcomer = Neighbor(peer, self._fresh_nonce(), self._names.get(peer, ""))
            self._neighbors = dict(sorted([*self._neighbors.items(), (peer, newcomer)]))
        return self._neighbors[peer]

    def connected(self, peer: PeerId, now: float) -> Neighbor:
        """Enter a peer that is connected, again or for the first time."""
        neighbor = self.enter(peer)
        neighbor.is_connected = True
        neighbor.disconnected_at = None
        neighbor.last_heard_at = now
        neighbor.hello_interval_s = HELLO_RESEND_S
        if not neighbor.is_parted:
            neighbor.opens_by = now + self._suspect_limit_s
        return neighbor

    def disconnected(self, peer: PeerId, now: float) -> None:
        """Keep the link, if there is one, for the connection may come back."""
        neighbor = self.find(peer)
        if neighbor is None:
            return
        neighbor.is_connected = False
        neighbor.disconnected_at = now
        self.forget(now)

    def open_link(self, neighbor: Neighbor, theirs: Nonce) -> None:
        """Open this end of a link."""
        neighbor.link = self._make_link(LinkId(neighbor.nonce, theirs))

    def confirm(self, neighbor: Neighbor) -> None:
        """Note that the peer has opened its end of the link too."""
        self.n_opened += not neighbor.is_confirmed
        neighbor.is_confirmed = True
        neighbor.absent_until = None

    def close(self, peer: PeerId, reason: CloseReason, now: float) -> Notify:
        """Forget the link: all it ever did to the tracker is taken back. A peer that is still connected is soon offered
        another.
        """
        neighbor = self.enter(peer)
        if neighbor.is_confirmed:
            neighbor.nonce = self._fresh_nonce()
        neighbor.link = None
        neighbor.is_confirmed = neighbor.is_ready = False
        neighbor.finished_sequence = None
        neighbor.resend_at, neighbor.hello_interval_s = now + HELLO_RESEND_S, HELLO_RESEND_S
        neighbor.opens_by = now + self._suspect_limit_s
        neighbor.n_missed = 0
        neighbor.proximal_weight = 0.0
        return Notify(LinkClosed(neighbor.name or peer, reason))

    def part(self, peer: PeerId, reason: CloseReason, now: float) -> list[Notify | Dismiss]:
        """Close the link for good and end the connection."""
        closed = self.close(peer, reason, now)
        neighbor = self.enter(peer)
        neighbor.is_parted, neighbor.absent_until = True, None
        return [closed, Dismiss(peer, reason)]

    def put_off(self, peer: PeerId, reason: str, now: float) -> list[Notify | PutOff]:
        """Close the link with a peer that refuses it; once, whatever it has said besides before the connection ends."""
        neighbor = self.enter(peer)
        self.n_refusals += 1
        if neighbor.is_parted:
            return []
        closed = [] if neighbor.link is None else [self.close(peer, CloseReason.REFUSED, now)]
        neighbor.is_parted, neighbor.absent_until = True, None
        return [*closed, PutOff(peer, neighbor.name, reason, is_ours=False)]

    def let_go(self, peer: PeerId, now: float) -> list[Notify]:
        """Close the link with a peer that is a neighbor no longer, and wait neither for it nor for its return."""
        neighbor = self.find(peer)
        if neighbor is None:
            return []
        closed = [] if neighbor.link is None else [self.close(peer, CloseReason.NO_NEIGHBOR, now)]
        neighbor.is_connected, neighbor.absent_until, neighbor.disconnected_at = False, None, None
        self.forget(now)
        return closed

    def miss(self, peer: PeerId, until: float, reason: CloseReason, now: float) -> Notify:
        """Close the link of a peer that is gone; expect it back until then if it took part in the rounds, and has not
        ended.
        """
        neighbor = self.enter(peer)
        is_expected = neighbor.is_ready and neighbor.finished_sequence is None
        absent_until = until if is_expected else neighbor.absent_until
        closed = self.close(peer, reason, now)
        neighbor.absent_until = absent_until
        return closed

    def absent(self, now: float) -> tuple[str, ...]:
        """The names of the peers whose return, or whose link, is waited for; not of those that have ended."""
        return tuple(
            neighbor.name or neighbor.peer
            for neighbor in self
            if (neighbor.link is not None and not neighbor.is_connected and neighbor.finished_sequence is None)
            or (neighbor.absent_until is not None and now < neighbor.absent_until)
            or (neighbor.awaits_hello and now < neighbor.opens_by)
        )

    def ended_with(self) -> int | None:
        """The round that training has ended with for all peers that a link is open with; None where it goes on."""
        neighbors = [neighbor for neighbor, _ in self.open()]
        if not neighbors or any(neighbor.finished_sequence is None for neighbor in neighbors):
            return None
        return max(neighbor.round for neighbor in neighbors)

    def forget(self, now: float) -> None:
        """Keep nothing of peers that have no connection, no link, and are no longer expected."""
        for neighbor in self:
            if neighbor.absent_until is not None and now >= neighbor.absent_until:
                neighbor.absent_until = None
            if not neighbor.is_connected and neighbor.link is None and neighbor.absent_until is None:
                del self._neighbors[neighbor.peer]

    def _fresh_nonce(self) -> Nonce:
        self._counter += 1
        return Nonce(self.identity.incarnation, self._counter)
