"""The table of neighbors and links.

Either side closes a link by dropping its ledger and taking a fresh nonce, so that no message can name the old link any
more. The other side learns of it by a Hello with a newer nonce, or by a Reset in answer to its next share. A nonce
begins with the incarnation of the process, so a restarted agent can never continue an old link.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple, final

from p2pnet.protocol.core.effects import Dismiss, Notify, PutOff, Send
from p2pnet.protocol.core.notices import CloseReason, LinkClosed
from p2pnet.protocol.core.types import LinkId, Nonce, PeerId
from p2pnet.protocol.links.link import Link
from p2pnet.protocol.rounds.neighbor import HELLO_RESEND_S, Identity, Neighbor

UNOPENED_FORGOTTEN_AFTER = 9
"""A peer that connects again and again and opens no link is waited for again after so many times as long: a tenth of
the time, in which training ends all the same.
"""


class Absence(NamedTuple):
    """The absence of a peer that was linked."""

    name: str
    since: float
    is_announced: bool
    """whether it has said Away"""
    has_finished: bool
    """whether it had finished by then"""


@final
class Neighborhood:
    """The table of one agent's neighbors with their links, sorted by id."""

    def __init__(
        self,
        identity: Identity,
        make_link: Callable[[Neighbor, LinkId], Link],
        suspect_limit_s: float,
        names: Mapping[PeerId, str] = MappingProxyType({}),
    ) -> None:
        """Create an empty table; `names` are used for peers until their Hello has come."""
        self.identity = identity
        self._make_link = make_link
        self._suspect_limit_s = suspect_limit_s
        self._names = names
        self.n_nonces = identity.n_nonces
        """The nonces of this incarnation so far."""
        self._neighbors: dict[PeerId, Neighbor] = {}
        self._open: Sequence[tuple[Neighbor, Link]] | None = None
        """What `open` has last returned; None since a link has opened or closed."""
        self._awaited_until: dict[PeerId, float] = {}
        """Until when the links are waited for of peers that have connected and opened none since."""
        self.absences: dict[PeerId, Absence] = {}
        """Of peers that were linked, and have not left."""
        self.n_opened = 0
        """The number of links opened so far."""
        self.n_refusals = 0
        """The number of refusals so far, by neighbors and by this agent."""

    def __iter__(self) -> Iterator[Neighbor]:
        """Iterate over neighbors in the order of their ids, so that sums round the same way every time."""
        return iter(tuple(self._neighbors.values()))

    def open(self) -> Sequence[tuple[Neighbor, Link]]:
        """The neighbors with a confirmed link, and the links."""
        if self._open is None:
            confirmed = (neighbor for neighbor in self._neighbors.values() if neighbor.is_confirmed)
            self._open = [(neighbor, neighbor.link) for neighbor in confirmed if neighbor.link]
        return self._open

    @property
    def has_heard(self) -> bool:
        """Whether a connected neighbor has said Hello."""
        return any(neighbor.is_connected and neighbor.theirs is not None for neighbor in self)

    def links(self) -> list[Link]:
        """All links, confirmed or not."""
        return [neighbor.link for neighbor in self._neighbors.values() if neighbor.link is not None]

    def find(self, peer: PeerId) -> Neighbor | None:
        return self._neighbors.get(peer)

    def find_link(self, peer: PeerId, link_id: LinkId) -> Link | None:
        """The present link with the peer if `link_id` (as the peer sees it) is its id; else None."""
        neighbor = self.find(peer)
        if neighbor is None or neighbor.link is None or not neighbor.link.link_id.is_mirrored(link_id):
            return None
        # A peer that names this link has opened it.
        self.confirm(neighbor)
        return neighbor.link

    def enter(self, peer: PeerId) -> Neighbor:
        """Return the neighbor of this id, after adding it to the table if needed."""
        if peer not in self._neighbors:
            newcomer = Neighbor(peer, self._fresh_nonce(), self._names.get(peer, ""))
            self._neighbors = dict(sorted([*self._neighbors.items(), (peer, newcomer)]))
        return self._neighbors[peer]

    def connected(self, peer: PeerId, now: float) -> Neighbor:
        """Record that a peer is connected, and add it to the table if needed."""
        neighbor = self.enter(peer)
        neighbor.is_connected = True
        neighbor.disconnected_at = None
        neighbor.last_heard_at = now
        neighbor.hello_interval_s = HELLO_RESEND_S
        if not neighbor.is_parted:
            neighbor.opens_by = self._opens_by(peer, now)
        return neighbor

    def _opens_by(self, peer: PeerId, now: float) -> float:
        """Until when the link of a peer that connects is waited for: not anew each time where none has opened since."""
        opens_by = self._awaited_until.get(peer, -math.inf)
        if now > opens_by + UNOPENED_FORGOTTEN_AFTER * self._suspect_limit_s:
            opens_by = self._awaited_until[peer] = now + self._suspect_limit_s
        return opens_by

    def disconnected(self, peer: PeerId, now: float) -> None:
        """Record that a peer is disconnected; its link stays open for the time of a redial."""
        neighbor = self.find(peer)
        if neighbor is None:
            return
        neighbor.is_connected = False
        neighbor.disconnected_at = now
        self.forget(now)

    def told(self, effects: Iterable[object], now: float) -> None:
        """Record to which neighbors something is sent now."""
        for effect in effects:
            if isinstance(effect, Send) and (neighbor := self._neighbors.get(effect.peer)) is not None:
                neighbor.last_told_at = now

    def open_link(self, neighbor: Neighbor, theirs: Nonce) -> None:
        """Open this end of a link."""
        neighbor.link = self._make_link(neighbor, LinkId(neighbor.nonce, theirs))
        self._open = None

    def confirm(self, neighbor: Neighbor) -> None:
        """Record that the peer has opened its end of the link too."""
        if not neighbor.is_confirmed:
            self.n_opened += 1
            neighbor.is_confirmed, self._open = True, None
            if neighbor.link is not None:
                neighbor.link.confirm()
        self._awaited_until.pop(neighbor.peer, None)
        self.absences.pop(neighbor.peer, None)
        neighbor.absent_until = None

    def close(self, peer: PeerId, reason: CloseReason, now: float) -> Notify:
        """Close the link, which undoes all its transfers; a connected peer is soon offered a new link."""
        neighbor = self.enter(peer)
        if neighbor.is_confirmed:
            neighbor.nonce = self._fresh_nonce()
        if neighbor.link is None or neighbor.link.newest_round >= 0:
            # One that has sent no share over its link is not awaited anew over the next.
            neighbor.n_missed = 0
        neighbor.link = self._open = None
        neighbor.is_confirmed = neighbor.is_ready = False
        neighbor.finished_sequence = None
        neighbor.resend_at, neighbor.hello_interval_s = now + HELLO_RESEND_S, HELLO_RESEND_S
        neighbor.opens_by = now + self._suspect_limit_s
        neighbor.epoch = 0
        neighbor.proximal_weight = 0.0
        return Notify(LinkClosed(neighbor.name or peer, reason))

    def forget_past(self, neighbor: Neighbor) -> None:
        """Forget the incarnation of a peer without an open link: an earlier one is its present."""
        neighbor.theirs = neighbor.link = self._open = None

    def part(self, peer: PeerId, reason: CloseReason, now: float) -> list[Notify | Dismiss]:
        """Close the link for good and disconnect the peer."""
        closed = self.close(peer, reason, now)
        neighbor = self.enter(peer)
        self.absences.pop(peer, None)
        neighbor.is_parted, neighbor.absent_until = True, None
        return [closed, Dismiss(peer, reason)]

    def put_off(self, peer: PeerId, reason: str, now: float) -> list[Notify | PutOff]:
        """Close the link with a peer that refuses it, and put the peer off; further refusals have no effect."""
        neighbor = self.enter(peer)
        self.n_refusals += 1
        if neighbor.is_parted:
            return []
        closed = [] if neighbor.link is None else [self.close(peer, CloseReason.REFUSED, now)]
        neighbor.is_parted, neighbor.absent_until = True, None
        return [*closed, PutOff(peer, neighbor.name, reason, is_ours=False)]

    def let_go(self, peer: PeerId, now: float) -> list[Notify]:
        """Close the link with a peer that was removed from the neighbors, without expecting the peer back."""
        neighbor = self.find(peer)
        if neighbor is None:
            return []
        closed = [] if neighbor.link is None else [self.close(peer, CloseReason.NO_NEIGHBOR, now)]
        neighbor.is_connected, neighbor.absent_until, neighbor.disconnected_at = False, None, None
        self.forget(now)
        return closed

    def miss(self, peer: PeerId, until: float, reason: CloseReason, now: float) -> Notify:
        """Close the link of an absent peer; expect the peer back until `until` if it took part in the rounds and has
        not ended.
        """
        neighbor = self.enter(peer)
        is_expected = neighbor.is_ready and neighbor.finished_sequence is None
        absent_until = until if is_expected else neighbor.absent_until
        if neighbor.is_confirmed:
            has_finished = neighbor.finished_sequence is not None
            self.absences[peer] = Absence(neighbor.name or peer, now, reason is CloseReason.AWAY, has_finished)
        closed = self.close(peer, reason, now)
        neighbor.absent_until = absent_until
        return closed

    def absent(self, now: float) -> tuple[str, ...]:
        """The names of the peers whose return or link training waits for, without peers that have ended."""
        return tuple(
            neighbor.name or neighbor.peer
            for neighbor in self
            if (neighbor.is_open and not neighbor.is_connected and neighbor.finished_sequence is None)
            or (neighbor.absent_until is not None and now < neighbor.absent_until)
            or (neighbor.awaits_hello and now < neighbor.opens_by)
        )

    def ended_with(self, now: float) -> int | None:
        """The last round of all linked peers if each has ended; None where a peer still trains, or where only one is
        linked while others are expected back.
        """
        neighbors = [neighbor for neighbor, _ in self.open()]
        if not neighbors or any(neighbor.finished_sequence is None for neighbor in neighbors):
            return None
        if len(neighbors) == 1 and self.absent(now):
            return None
        return min(neighbor.round for neighbor in neighbors)

    def forget(self, now: float) -> None:
        """Remove peers without connection and link that are no longer expected."""
        for neighbor in self:
            if neighbor.absent_until is not None and now >= neighbor.absent_until:
                neighbor.absent_until = None
            if not neighbor.is_connected and neighbor.link is None and neighbor.absent_until is None:
                del self._neighbors[neighbor.peer]

    def _fresh_nonce(self) -> Nonce:
        self.n_nonces += 1
        return Nonce(self.identity.incarnation, self.n_nonces)
