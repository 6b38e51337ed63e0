"""Who the neighbors are: opening, confirming and closing links.

Both sides of a link open it alike, with Hellos; whoever speaks first makes no difference:

    A → B   Hello(nonce a, echo –)
    B → A   Hello(nonce b, echo a)               B has opened (b, a)
    A → B   Hello(nonce a, echo b, confirmed)    A has opened (a, b) and knows that B has
                                                 B knows that A has

A link carries mass only once its end knows that the other has opened it too (*confirmed*). Either side closes a link
by forgetting it: it takes a fresh nonce, and the books of the old link, which nobody can name any more, are as if they
had never been. The other side learns of it by a Hello with a newer nonce, or by a Reset in answer to its next share.
A nonce begins with the incarnation of the process, so a restarted agent can never continue an old link.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import final

from p2pnet.protocol.links.link import Link
from p2pnet.protocol.messages.training import MAX_TEXT_LENGTH, Hello, LinkId, Nonce, Refuse, Reset
from p2pnet.protocol.rounds.duplicate_keys import DuplicateKeyDetector
from p2pnet.protocol.rounds.effects import Effect, HangUp, Log, PeerId, PutOff, Send

HELLO_RESEND_S = 1.0
MAX_HELLO_INTERVAL_S = 8.0
"""An unanswered Hello is said again ever more seldom, down to this."""

MAX_MISSED = 3
"""Rounds that a neighbor may miss in a row before nobody waits for it: few are late that often by bad luck. One that
says nothing at all meanwhile is not waited for after the first."""

SURVEY_FIELD = "survey"
"""The field of the fingerprint that names the survey by which samples are scaled."""

SURVEYED_APART = (
    "survey: made apart, so that the two parts scale differently; stop all agents of one part, then start them again"
)

_SAME_AT_BOTH: Mapping[str, str] = {
    "classes": "data.classes",
    "data": "kind of target, and feature columns of the same names in the same order",
    "exchanges": "algorithm.exchanges",
    "gradient order": "algorithm.gradient_order",
    "loss": "objective.loss",
    "model": "settings in section [model]",
    "penalty": "objective.penalty",
    "scaling": "data.standardize",
    "schedule": "network.schedule, and all the same neighbors",
    "weighting": "algorithm.weighting",
}
"""What to see to where a field of the fingerprint differs."""


@dataclass(frozen=True, slots=True)
class Identity:
    """What an agent tells everyone about itself."""

    peer: PeerId
    name: str
    incarnation: int
    fingerprint: Mapping[str, str]
    """What must be equal for two agents to train together, field by field: model, loss, penalty, data."""
    address: str = ""
    """Where it can be dialed; empty for one that only dials out."""


@final
@dataclass(slots=True)
class Neighbor:
    """One peer, as this agent sees it."""

    peer: PeerId
    nonce: Nonce
    name: str = ""
    address: str = ""
    theirs: Nonce | None = None
    link: Link | None = None
    is_confirmed: bool = False
    is_connected: bool = False
    is_parted: bool = False
    """Left, refused or hung up: not to be linked again unless it says Hello anew."""
    absent_until: float | None = None
    """Set for one that has vanished, or has gone for a while: until then its return is waited for before training ends.
    """
    opens_by: float = 0.0
    """Until then training does not end while the link with one that is connected is not open yet."""
    is_ready: bool = False
    """Takes part in the rounds."""
    round: int = -1
    degree: int = 0
    proximal_weight: float = 0.0
    n_missed: int = 0
    """Rounds mixed without its share since the last that came in time."""
    state_told_at: float = -math.inf
    """When it last was told this agent's parameters."""
    last_heard_at: float = 0.0
    last_told_at: float = 0.0
    disconnected_at: float | None = None
    resend_at: float | None = None
    """When an unanswered Hello, Ready or Finished is to be said again."""
    hello_interval_s: float = HELLO_RESEND_S
    """How long to wait for the answer to the next Hello."""
    finished_sequence: int | None = None
    """Sequence number of its last share, once it has said that its training ended."""

    @property
    def is_open(self) -> bool:
        return self.link is not None and self.is_confirmed

    @property
    def is_lagging(self) -> bool:
        """Not waited for until it keeps up again."""
        return self.n_missed >= MAX_MISSED


@final
class Neighborhood:
    """The table of neighbors and the handshake with each of them."""

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
        self._doubles = DuplicateKeyDetector()
        self.round = -1
        """The round told in Hellos; -1 before training has begun."""
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
        # Whoever names this link has opened it.
        self._confirm(neighbor)
        return neighbor.link

    def _confirm(self, neighbor: Neighbor) -> None:
        self.n_opened += not neighbor.is_confirmed
        neighbor.is_confirmed = True
        neighbor.absent_until = None

    def connected(self, peer: PeerId, now: float) -> list[Effect]:
        neighbor = self._enter(peer)
        neighbor.is_connected = True
        neighbor.disconnected_at = None
        neighbor.last_heard_at = now
        neighbor.hello_interval_s = HELLO_RESEND_S
        if neighbor.is_parted:
            return []
        neighbor.opens_by = now + self._suspect_limit_s
        return [self._hello(neighbor, now)]

    def disconnected(self, peer: PeerId, now: float) -> None:
        """Keep the link, if there is one, for the connection may come back."""
        neighbor = self.find(peer)
        if neighbor is None:
            return
        neighbor.is_connected = False
        neighbor.disconnected_at = now
        self.forget(now)

    def hello_received(self, peer: PeerId, hello: Hello, now: float) -> list[Effect]:
        """The handshake. A link confirmed by this Hello is open afterwards."""
        if refused := refusal(peer, self.identity.fingerprint, hello):
            self._enter(peer).is_parted = True
            self.n_refusals += 1
            return refused
        neighbor = self._enter(peer)
        effects = self._doubles.hello_received(peer, hello, now)
        if neighbor.theirs is not None and hello.nonce < neighbor.theirs:
            return effects
        neighbor.name, neighbor.address, neighbor.round = hello.name, hello.address, hello.round
        neighbor.is_connected, neighbor.is_parted, neighbor.disconnected_at = True, False, None
        is_news = neighbor.link is None or neighbor.link.link_id.theirs != hello.nonce
        if is_news:
            is_stale = hello.nonce == neighbor.theirs and hello.echo not in (None, neighbor.nonce)
            if neighbor.link is not None:
                effects.append(self.close(peer, "it opened the link anew", now))
            neighbor.theirs = hello.nonce
            if not is_stale:
                neighbor.link = self._make_link(LinkId(neighbor.nonce, hello.nonce))
        if neighbor.link is not None and hello.echo == neighbor.nonce:
            self._confirm(neighbor)
            neighbor.hello_interval_s = HELLO_RESEND_S
        if is_news or hello.echo != neighbor.nonce or not hello.is_confirmed:
            effects.append(self._hello(neighbor, now))
        return effects

    def reset_received(self, peer: PeerId, reset: Reset, now: float) -> list[Effect]:
        """Close the link that the peer knows nothing of, and offer another."""
        neighbor = self.find(peer)
        if neighbor is None or self.find_link(peer, reset.link_id) is None:
            return []
        return [self.close(peer, "it has forgotten the link", now), self._hello(neighbor, now)]

    def close(self, peer: PeerId, reason: str, now: float) -> Log:
        """Forget the link: all it ever did to the tracker is taken back. Whoever is still connected is soon offered
        another.
        """
        neighbor = self._enter(peer)
        if neighbor.is_confirmed:
            neighbor.nonce = self._fresh_nonce()
        neighbor.link = None
        neighbor.is_confirmed = neighbor.is_ready = False
        neighbor.finished_sequence = None
        neighbor.resend_at, neighbor.hello_interval_s = now + HELLO_RESEND_S, HELLO_RESEND_S
        neighbor.opens_by = now + self._suspect_limit_s
        neighbor.n_missed = 0
        neighbor.proximal_weight = 0.0
        return Log(False, f"closed the link with {neighbor.name or peer}: {reason}")

    def part(self, peer: PeerId, reason: str, now: float) -> list[Effect]:
        """Close the link for good and end the connection."""
        log = self.close(peer, reason, now)
        neighbor = self._enter(peer)
        neighbor.is_parted, neighbor.absent_until = True, None
        return [log, HangUp(peer, reason)]

    def put_off(self, peer: PeerId, reason: str, now: float) -> list[Effect]:
        """Close the link with one that refuses it; once, whatever else it has said before the connection ends."""
        neighbor = self._enter(peer)
        self.n_refusals += 1
        if neighbor.is_parted:
            return []
        logs: list[Effect] = [] if neighbor.link is None else [self.close(peer, "it refused", now)]
        neighbor.is_parted, neighbor.absent_until = True, None
        return [*logs, PutOff(peer, f"{neighbor.name or peer} refused: {reason}; trying again")]

    def let_go(self, peer: PeerId, reason: str, now: float) -> list[Effect]:
        """Close the link with one that is a neighbor no longer, and wait neither for it nor for its return."""
        neighbor = self.find(peer)
        if neighbor is None:
            return []
        logs: list[Effect] = [] if neighbor.link is None else [self.close(peer, reason, now)]
        neighbor.is_connected, neighbor.absent_until, neighbor.disconnected_at = False, None, None
        self.forget(now)
        return logs

    def miss(self, peer: PeerId, until: float, reason: str, now: float) -> Log:
        """Close the link of one that is gone; expect it back until then if it took part in the rounds, and has not
        ended.
        """
        neighbor = self._enter(peer)
        is_expected = neighbor.is_ready and neighbor.finished_sequence is None
        absent_until = until if is_expected else neighbor.absent_until
        log = self.close(peer, reason, now)
        neighbor.absent_until = absent_until
        return log

    def absent(self, now: float) -> list[str]:
        """The names of those whose return, or the opening of whose link, is waited for; not of those who have ended."""
        return [
            neighbor.name or neighbor.peer
            for neighbor in self
            if (neighbor.link is not None and not neighbor.is_connected and neighbor.finished_sequence is None)
            or (neighbor.absent_until is not None and now < neighbor.absent_until)
            or (self._awaits_hello(neighbor) and now < neighbor.opens_by)
        ]

    def ended_with(self) -> int | None:
        """The round that training has ended with for all those that a link is open with; None where it goes on."""
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

    def hellos_due(self, now: float) -> list[Effect]:
        """Hellos again to those that have not answered."""
        return [
            self._hello(neighbor, now)
            for neighbor in self
            if self._awaits_hello(neighbor) and neighbor.resend_at is not None and now >= neighbor.resend_at
        ]

    @staticmethod
    def _awaits_hello(neighbor: Neighbor) -> bool:
        return neighbor.is_connected and not neighbor.is_confirmed and not neighbor.is_parted

    def _hello(self, neighbor: Neighbor, now: float) -> Effect:
        neighbor.resend_at = now + neighbor.hello_interval_s
        neighbor.hello_interval_s = min(2 * neighbor.hello_interval_s, MAX_HELLO_INTERVAL_S)
        identity = self.identity
        echo = neighbor.link.link_id.theirs if neighbor.link is not None else None
        return Send(
            neighbor.peer,
            Hello(
                neighbor.nonce,
                echo,
                identity.fingerprint,
                identity.name,
                identity.address,
                self.round,
                neighbor.is_confirmed,
            ),
        )

    def _enter(self, peer: PeerId) -> Neighbor:
        if peer not in self._neighbors:
            newcomer = Neighbor(peer, self._fresh_nonce(), self._names.get(peer, ""))
            self._neighbors = dict(sorted([*self._neighbors.items(), (peer, newcomer)]))
        return self._neighbors[peer]

    def _fresh_nonce(self) -> Nonce:
        self._counter += 1
        return Nonce(self.identity.incarnation, self._counter)


def refusal(peer: PeerId, fingerprint: Mapping[str, str], hello: Hello) -> list[Effect]:
    """What is said to one that does not train what we do, and here: one field in which the fingerprints differ, and
    what to do about it; nothing where they agree.

    A survey that differs comes first, for classes and model follow from it.
    """
    for name in sorted({*fingerprint, *hello.fingerprint}, key=lambda name: (name != SURVEY_FIELD, name)):
        ours, theirs = fingerprint.get(name, "absent"), hello.fingerprint.get(name, "absent")
        if ours != theirs:
            # Whoever is refused reads it as its own words.
            return [
                Send(peer, Refuse(_difference(name, ours=theirs, theirs=ours)[:MAX_TEXT_LENGTH])),
                PutOff(peer, f"refused {hello.name}: {_difference(name, ours, theirs)}"),
            ]
    return []


def _difference(name: str, ours: str, theirs: str) -> str:
    """In words that a person can act on."""
    if name == SURVEY_FIELD:
        return SURVEYED_APART
    same = _SAME_AT_BOTH.get(name, name)
    return f"{name}: theirs is {theirs}, ours is {ours}; give both the same {same}"
