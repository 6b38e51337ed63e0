"""The handshake that opens a link at both ends.

The handshake is symmetric; which side sends the first Hello makes no difference:

    A → B   Hello(nonce a, echo –)
    B → A   Hello(nonce b, echo a)               B has opened (b, a)
    A → B   Hello(nonce a, echo b, confirmed)    A has opened (a, b) and knows that B has
                                                 B knows that A has

An end sends mass only once it knows that the other end has opened the link too (*confirmed*).
"""

from __future__ import annotations

from typing import TypeAlias, final

from p2pnet.protocol.core.codec import LOWEST_VERSION, SPOKEN_VERSIONS
from p2pnet.protocol.core.effects import Dismiss, Notify, PutOff, Send
from p2pnet.protocol.core.notices import CloseReason, TakenForPast
from p2pnet.protocol.core.types import Nonce, PeerId
from p2pnet.protocol.messages.training import Hello, Refuse, Reset
from p2pnet.protocol.rounds.convictions import Convictions
from p2pnet.protocol.rounds.duplicate_keys import DuplicateKeyDetector
from p2pnet.protocol.rounds.fingerprints import refusal
from p2pnet.protocol.rounds.neighbor import HELLO_RESEND_S, Neighbor
from p2pnet.protocol.rounds.neighborhood import Neighborhood
from p2pnet.protocol.rounds.state import RoundState

MAX_REOPENED, REOPENED_S = 10, 30.0
"""So often a peer may open an open link anew, and once more every half minute; then it is hung up on for a while."""

PAST_S = 10.0
"""For so long a peer that says Hello with an earlier incarnation than it had is taken for its own past: the Hello may
have been in flight. Then for the present: its clock was set back, and its state directory lost.
"""

NOT_TRUSTED = "not trusted for now: it has sent what no honest agent sends, or passed it on"

MAX_HELLO_INTERVAL_S = 8.0
"""The longest interval between unanswered Hellos; intervals double up to it."""

HandshakeEffect: TypeAlias = Send | PutOff | Dismiss | Notify


@final
class Handshake:
    """One agent's handshakes with its neighbors."""

    def __init__(self, state: RoundState, neighborhood: Neighborhood, convictions: Convictions) -> None:
        self._at = state
        self._neighborhood = neighborhood
        self._convictions = convictions
        self._duplicate_keys = DuplicateKeyDetector()
        self._told_of_past: set[PeerId] = set()

    def connected(self, peer: PeerId, now: float) -> list[HandshakeEffect]:
        """Send Hello to a newly connected peer, unless its link was closed for good."""
        neighbor = self._neighborhood.connected(peer, now)
        return [] if neighbor.is_parted else [self._hello(neighbor, now)]

    def hello_received(self, peer: PeerId, hello: Hello, now: float) -> list[HandshakeEffect]:
        """Handle a Hello: refuse the peer, or open or confirm the link, and answer where needed."""
        neighborhood = self._neighborhood
        effects: list[HandshakeEffect] = []
        effects += refusal(peer, neighborhood.identity.fingerprint, hello)
        if self._convictions.is_refused(peer, self._at.round):
            effects = [Send(peer, Refuse(NOT_TRUSTED)), PutOff(peer, hello.name, NOT_TRUSTED, is_ours=True)]
        if effects:
            neighborhood.enter(peer).is_parted = True
            neighborhood.n_refusals += 1
            return effects
        neighbor = neighborhood.enter(peer)
        effects += self._duplicate_keys.hello_received(peer, hello, now)
        effects += self._notify_of_past(neighbor, hello)
        if neighbor.theirs is not None and hello.nonce < neighbor.theirs:
            if not self._is_present(neighbor, hello, now):
                return effects + self._remind(neighbor, now)
            neighborhood.forget_past(neighbor)
        neighbor.past_since = None
        neighbor.name, neighbor.address, neighbor.round = hello.name, hello.address, hello.round
        neighbor.has_begun = hello.round >= 0
        neighbor.version = SPOKEN_VERSIONS.common(hello.versions) or LOWEST_VERSION
        neighbor.capabilities = frozenset(neighborhood.identity.capabilities) & frozenset(hello.capabilities)
        neighbor.is_connected, neighbor.is_parted, neighbor.disconnected_at = True, False, None
        is_news = neighbor.link is None or neighbor.link.link_id.theirs != hello.nonce
        if is_news:
            is_stale = hello.nonce == neighbor.theirs and hello.echo not in (None, neighbor.nonce)
            if neighbor.link is not None:
                if self._is_restless(neighbor, now):
                    return [*effects, *neighborhood.part(peer, CloseReason.RESTLESS, now)]
                effects.append(neighborhood.close(peer, CloseReason.OPENED_ANEW, now))
            neighbor.theirs = hello.nonce
            if not is_stale:
                neighborhood.open_link(neighbor, hello.nonce)
        if neighbor.link is not None and hello.echo == neighbor.nonce:
            neighborhood.confirm(neighbor)
            neighbor.hello_interval_s = HELLO_RESEND_S
        if is_news or hello.echo != neighbor.nonce or not hello.is_confirmed:
            effects.append(self._hello(neighbor, now))
        return effects

    @staticmethod
    def _is_restless(neighbor: Neighbor, now: float) -> bool:
        """Whether the peer opens the link anew far more often than a process can be restarted."""
        neighbor.n_reopened = max(0.0, neighbor.n_reopened - (now - neighbor.reopened_at) / REOPENED_S) + 1
        neighbor.reopened_at = now
        return neighbor.n_reopened > MAX_REOPENED

    def _is_present(self, neighbor: Neighbor, hello: Hello, now: float) -> bool:
        """Whether a Hello that is earlier than the latest is believed all the same: nothing else has come for long."""
        if neighbor.theirs is None or neighbor.is_open or hello.nonce.incarnation >= neighbor.theirs.incarnation:
            return False
        neighbor.past_since = now if neighbor.past_since is None else neighbor.past_since
        return now >= neighbor.past_since + PAST_S

    def _remind(self, neighbor: Neighbor, now: float) -> list[HandshakeEffect]:
        """Tell a peer that keeps saying Hello with an earlier incarnation which one is remembered, by the echo."""
        is_repeated = neighbor.past_since is not None and now >= neighbor.past_since + HELLO_RESEND_S
        if not is_repeated or now < neighbor.past_told_at + HELLO_RESEND_S:
            return []
        neighbor.past_told_at = now
        return [self._hello(neighbor, now, echo=neighbor.theirs)]

    def _notify_of_past(self, neighbor: Neighbor, hello: Hello) -> list[HandshakeEffect]:
        """Report once that a peer remembers this agent from a later time than this process began with."""
        began, identity = hello.echo, self._neighborhood.identity
        if began is None or began.incarnation <= identity.incarnation or neighbor.peer in self._told_of_past:
            return []
        self._told_of_past.add(neighbor.peer)
        return [Notify(TakenForPast(hello.name, began.incarnation, identity.incarnation))]

    def reset_received(self, peer: PeerId, reset: Reset, now: float) -> list[HandshakeEffect]:
        """Close a link that the peer does not know, and start a new handshake."""
        neighbor = self._neighborhood.find(peer)
        if neighbor is None or self._neighborhood.find_link(peer, reset.link_id) is None:
            return []
        return [self._neighborhood.close(peer, CloseReason.FORGOTTEN, now), self._hello(neighbor, now)]

    def hellos_due(self, now: float) -> list[Send]:
        """Resend due Hellos to peers that have not answered."""
        return [
            self._hello(neighbor, now)
            for neighbor in self._neighborhood
            if neighbor.awaits_hello and neighbor.resend_at is not None and now >= neighbor.resend_at
        ]

    def _hello(self, neighbor: Neighbor, now: float, echo: Nonce | None = None) -> Send:
        neighbor.resend_at = now + neighbor.hello_interval_s
        neighbor.hello_interval_s = min(2 * neighbor.hello_interval_s, MAX_HELLO_INTERVAL_S)
        identity = self._neighborhood.identity
        if neighbor.link is not None:
            echo = neighbor.link.link_id.theirs
        return Send(
            neighbor.peer,
            Hello(
                neighbor.nonce,
                echo,
                identity.fingerprint,
                identity.name,
                identity.address,
                self._at.announced_round,
                neighbor.is_confirmed,
                capabilities=identity.capabilities,
            ),
        )
