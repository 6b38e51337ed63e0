"""The overlay: small symmetric active views of neighbors that keep the graph of living members connected.

HyParView (Leitão, Pereira and Rodrigues 2007) keeps two views, and fills the passive one by random walks and shuffles.
Here all agents know all members anyway, so the passive view is the table of members itself: a larger and fresher
choice, from which candidates are drawn uniformly. The agent that seeks a neighbor dials, so an agent that can only dial
out finds neighbors like any other, and two such agents are never chosen for each other.

    A → B   NeighborRequest          A has fewer neighbors than it wants
    B → A   NeighborReply(accepted)  B has room, or A has no neighbor at all and B lets another one go
    B → C   Disconnect               C, which was let go, seeks in its turn
    A → B   Ping(is_neighbor)        both keep each other in their views; an agent that does not sends Disconnect

Besides, each agent now and then probes a random member that is not its neighbor (random probe). This detects the death
of members whose neighbors all died too, finds seeds that started late, and rejoins the parts of a network after a
partition, since a member held dead that answers is asked to be a neighbor.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias, final

from p2pnet.protocol.core.effects import CloseLink, Dial, HangUp, OpenLink, Send
from p2pnet.protocol.core.events import DialProblem
from p2pnet.protocol.core.types import PeerId, Randomness
from p2pnet.protocol.membership.gossip import Allowance
from p2pnet.protocol.membership.members import Members
from p2pnet.protocol.membership.timing import MembershipTiming
from p2pnet.protocol.membership.views import ActiveView, Contact, Purpose
from p2pnet.protocol.messages.membership import (
    Digest,
    Disconnect,
    MemberState,
    NeighborReply,
    NeighborRequest,
    Ping,
    ProbeRequest,
    Record,
    Vouch,
)

OverlayEffect: TypeAlias = Send | Dial | HangUp | OpenLink | CloseLink

ASK_AGAIN_S = 1.0
"""The time after which an unanswered request is repeated."""
SEED_RETRY_S = 1.0
"""The interval at which an agent without neighbors redials a seed."""
N_DECLINED_BEFORE_URGENT = 2
MIN_HINTS = 2
MAX_HINTS = 8
"""The most other candidates named to a member that is declined, as far as the allowance permits."""
HINT_BYTES = 100


@final
class Overlay:
    """Fills and maintains one agent's active view: requests, replies, random probes, and connections for them."""

    def __init__(
        self,
        members: Members,
        view: ActiveView,
        seeds: Mapping[PeerId, str],
        allowance: Allowance,
        timing: MembershipTiming,
        rng: Randomness,
    ) -> None:
        self._members = members
        self._view = view
        self._seeds = {peer: address for peer, address in seeds.items() if peer != members.me.peer}
        self._allowance = allowance
        self._timing = timing
        self._rng = rng
        self._connected: dict[PeerId, float] = {}
        """All connected peers, with the time of connection."""
        self._contacts: dict[PeerId, Contact] = {}
        self._avoided_until: dict[PeerId, float] = {}
        """Members that are not to be asked before a time."""
        self._rejected_until: dict[PeerId, float] = {}
        """Members that may not be neighbors before a time, even if they ask."""
        self._n_declined = 0
        """The number of declined requests since this agent last had a neighbor."""
        self._random_probe_at: float | None = None

    # Receiving.

    def connected(self, peer: PeerId, now: float) -> list[OverlayEffect]:
        self._connected[peer] = now
        neighbor = self._view.find(peer)
        if neighbor is not None:
            neighbor.disconnected_at, neighbor.heard_at, neighbor.is_refused = None, now, False
        contact = self._contacts.get(peer)
        return self._ask(contact, now) if contact is not None else []

    def disconnected(self, peer: PeerId, now: float) -> list[OverlayEffect]:
        """Redial a neighbor that has not left: only dialing can tell whether it is alive."""
        self._connected.pop(peer, None)
        contact = self._contacts.get(peer)
        if contact is not None:
            contact.asked_at = None
        neighbor = self._view.find(peer)
        if neighbor is None:
            return []
        neighbor.disconnected_at = now
        address = self.address_of(peer)
        return [Dial(peer, (address,))] if address else []

    def dial_failed(self, peer: PeerId, problem: DialProblem, now: float) -> list[OverlayEffect]:
        """Give up an unreachable contact unless no other candidate is left; record that a neighbor's port refuses."""
        neighbor = self._view.find(peer)
        if neighbor is not None:
            neighbor.is_refused = neighbor.disconnected_at is not None and problem is DialProblem.REFUSED
        contact = self._contacts.get(peer)
        if contact is None or (contact.purpose is Purpose.ASK and not self._candidates(now)):
            return []
        return self._drop_contact(peer, now)

    def request_received(self, peer: PeerId, request: NeighborRequest, now: float) -> list[OverlayEffect]:
        """Accept a peer as neighbor if there is room or its request is urgent; else decline with other candidates."""
        is_welcome = peer in self._view or not self._view.is_full or request.is_urgent
        if not is_welcome or self._is_rejected(peer, now):
            return [Send(peer, NeighborReply(self._members.me, False, self._hints(peer)))]
        effects = self._make_room(peer, now)
        effects.append(Send(peer, NeighborReply(self._members.me, True)))
        return effects + self._admit(peer, now)

    def reply_received(self, peer: PeerId, reply: NeighborReply, now: float) -> list[OverlayEffect]:
        contact = self._contacts.get(peer)
        if contact is None or contact.purpose is not Purpose.ASK:
            return [] if peer in self._view or not reply.is_accepted else self._say_no(peer)
        if not reply.is_accepted:
            self._n_declined += 1
            return self._drop_contact(peer, now)
        return self._make_room(peer, now) + self._admit(peer, now)

    def ping_received(self, peer: PeerId, ping: Ping, now: float) -> list[OverlayEffect]:
        """Restore symmetry: both ends must agree on whether they are neighbors."""
        if not ping.is_neighbor or peer in self._view:
            return []
        contact = self._contacts.get(peer)
        is_asked = contact is not None and contact.purpose is Purpose.ASK
        is_sought = len(self._view) < self._view.n_wanted and not self._is_rejected(peer, now)
        if is_asked or is_sought:  # its answer was lost, or this agent forgot its neighbors in a restart
            return self._make_room(peer, now) + self._admit(peer, now)
        return self._say_no(peer)

    def disconnect_received(self, peer: PeerId, now: float) -> list[OverlayEffect]:
        effects = self._drop_contact(peer, now) if peer in self._contacts else []
        return effects + self.dismiss(peer, now, is_told=False) if peer in self._view else effects

    def answer_received(self, peer: PeerId, now: float) -> list[OverlayEffect]:
        """End a random probe or a probe on behalf of another agent: the peer has answered."""
        contact = self._contacts.get(peer)
        if contact is None or contact.purpose is Purpose.ASK:
            return []
        is_asker_there = contact.asker in self._connected
        vouch: list[OverlayEffect] = [Send(contact.asker, Vouch(peer))] if contact.asker and is_asker_there else []
        return vouch + self._drop_contact(peer, now)

    def probe(self, asker: PeerId, request: ProbeRequest, now: float) -> list[OverlayEffect]:
        """Probe a member on behalf of a neighbor (indirect probe), where this agent can."""
        target = request.target
        neighbor = self._view.find(target)
        if neighbor is not None and now - neighbor.heard_at < self._timing.probe_interval_s:
            return [Send(asker, Vouch(target))]
        is_reachable = target in self._connected or self.address_of(target)
        if target in self._contacts or target in self._view or not is_reachable or target == self._members.me.peer:
            return []
        return self._contact(Purpose.PROBE, target, now, asker=asker)

    # Ticks.

    def tick(self, now: float) -> list[OverlayEffect]:
        if self._random_probe_at is None:
            self._random_probe_at = now + self._rng.random() * self._timing.random_probe_interval_s
        effects = self._give_up_contacts(now)
        effects += self._seek(now)
        if now >= self._random_probe_at:
            self._random_probe_at = now + (0.5 + self._rng.random()) * self._timing.random_probe_interval_s
            effects += self._probe_random_member(now)
        return effects

    def dismiss(self, peer: PeerId, now: float, *, is_told: bool, is_gone: bool = False) -> list[OverlayEffect]:
        """Remove a neighbor from the active view."""
        self._view.remove(peer)
        self._avoid(peer, now)
        farewell: list[OverlayEffect] = [Send(peer, Disconnect())] if is_told and peer in self._connected else []
        return [*farewell, CloseLink(peer, is_gone), HangUp(peer)]

    def reject(self, peer: PeerId, until: float, now: float) -> list[OverlayEffect]:
        """Exclude a member with which one side has refused to train, until that time: it may be mended by then."""
        effects = self.dismiss(peer, now, is_told=True) if peer in self._view else []
        self._avoided_until[peer] = self._rejected_until[peer] = until
        return effects

    def is_contact(self, peer: PeerId) -> bool:
        """Whether the peer is a contact: dialed, or asked, without being a neighbor."""
        return peer in self._contacts

    def forgive(self, peer: PeerId) -> None:
        """Lift the exclusion of a restarted member, which may train something else now."""
        if self._rejected_until.pop(peer, None) is not None:
            self._avoided_until.pop(peer, None)

    def add_seed(self, peer: PeerId, address: str) -> None:
        if peer != self._members.me.peer:
            self._seeds[peer] = address

    def address_of(self, peer: PeerId) -> str:
        """The address at which the peer can be dialed; empty where none is known."""
        member = self._members.find(peer)
        return (member.address if member is not None else "") or self._seeds.get(peer, "")

    # Contacts and the active view.

    def _seek(self, now: float) -> list[OverlayEffect]:
        """Ask candidates to be neighbors while the active view is smaller than wanted."""
        n_asked = sum(contact.purpose is Purpose.ASK for contact in self._contacts.values())
        n_missing = self._view.n_wanted - len(self._view) - n_asked
        if n_missing <= 0:
            return []
        candidates = self._candidates(now)
        is_urgent = not len(self._view) and self._n_declined >= N_DECLINED_BEFORE_URGENT
        effects: list[OverlayEffect] = []
        for peer in self._rng.sample(candidates, min(n_missing, len(candidates))):
            effects += self._contact(Purpose.ASK, peer, now, is_urgent=is_urgent)
        return effects

    def _candidates(self, now: float) -> list[PeerId]:
        """The candidates: living members, unknown seeds, and as a last resort members held dead."""
        living = {member.peer for member in self._members if member.state is MemberState.ALIVE}
        seeds = {peer for peer in self._seeds if self._members.find(peer) is None or not len(self._view)}
        return sorted(peer for peer in living | seeds if self._is_candidate(peer, now))

    def _is_candidate(self, peer: PeerId, now: float) -> bool:
        return (
            peer not in self._view
            and peer not in self._contacts
            and self._avoided_until.get(peer, 0.0) <= now
            and (peer in self._connected or bool(self.address_of(peer)))
        )

    def _probe_random_member(self, now: float) -> list[OverlayEffect]:
        """Probe a random member that is no neighbor; ask a member held dead, or an unknown seed, to be a neighbor."""
        living = {member.peer for member in self._members if member.state is MemberState.ALIVE}
        missing = {
            member.peer for member in self._members if member.state is MemberState.DEAD
        } | self._seeds.keys() - living
        purposes = [(Purpose.RANDOM_PROBE, living), (Purpose.ASK, missing)]
        for purpose, peers in self._rng.sample(purposes, len(purposes)):
            pool = sorted(
                peer
                for peer in peers
                if peer not in self._view and peer not in self._contacts and self.address_of(peer)
            )
            if pool:
                (peer,) = self._rng.sample(pool, 1)
                return self._contact(purpose, peer, now, is_urgent=purpose is Purpose.ASK)
        return []

    def _contact(
        self, purpose: Purpose, peer: PeerId, now: float, *, is_urgent: bool = False, asker: PeerId = ""
    ) -> list[OverlayEffect]:
        contact = Contact(peer, purpose, now + self._timing.contact_timeout_s, is_urgent, asker)
        self._contacts[peer] = contact
        if peer in self._connected:
            return self._ask(contact, now)
        return [Dial(peer, (self.address_of(peer),))]

    def _ask(self, contact: Contact, now: float) -> list[OverlayEffect]:
        contact.asked_at = now
        match contact.purpose:
            case Purpose.ASK:
                return [Send(contact.peer, NeighborRequest(self._members.me, contact.is_urgent))]
            case Purpose.RANDOM_PROBE:
                return [Send(contact.peer, Digest(self._members.digest()))]
            case Purpose.PROBE:
                return [Send(contact.peer, Ping(0, is_neighbor=False))]

    def _give_up_contacts(self, now: float) -> list[OverlayEffect]:
        """Repeat unanswered requests, give up contacts after their timeout, and close unused connections."""
        effects: list[OverlayEffect] = []
        for contact in tuple(self._contacts.values()):
            if now >= contact.until:
                effects += self._drop_contact(contact.peer, now)
            elif contact.asked_at is not None and now >= contact.asked_at + ASK_AGAIN_S:
                effects += self._ask(contact, now)
        for peer, since in tuple(self._connected.items()):
            is_idle = peer not in self._view and peer not in self._contacts
            if is_idle and now >= since + 2 * self._timing.contact_timeout_s:
                self._connected[peer] = now
                effects.append(HangUp(peer))
        self._avoided_until = {peer: until for peer, until in self._avoided_until.items() if until > now}
        return effects

    def _drop_contact(self, peer: PeerId, now: float) -> list[OverlayEffect]:
        del self._contacts[peer]
        self._avoid(peer, now)
        return [] if peer in self._view else [HangUp(peer)]

    def _avoid(self, peer: PeerId, now: float) -> None:
        is_last_hope = peer in self._seeds and not len(self._view)
        until = now + (SEED_RETRY_S if is_last_hope else self._timing.avoid_s)
        self._avoided_until[peer] = max(until, self._avoided_until.get(peer, 0.0))

    def _make_room(self, peer: PeerId, now: float) -> list[OverlayEffect]:
        """Remove a random neighbor if the view is full and the peer is to be added."""
        if peer in self._view or not self._view.is_full:
            return []
        (other,) = self._rng.sample(sorted(neighbor.peer for neighbor in self._view), 1)
        return self.dismiss(other, now, is_told=True)

    def _admit(self, peer: PeerId, now: float) -> list[OverlayEffect]:
        """Add the peer to the active view; its contact, if any, has served its purpose."""
        self._contacts.pop(peer, None)
        self._avoided_until.pop(peer, None)
        self._n_declined = 0
        if peer in self._view:
            return []
        self._view.add(peer, now)
        return [OpenLink(peer)]

    def _is_rejected(self, peer: PeerId, now: float) -> bool:
        return self._rejected_until.get(peer, now) > now

    @staticmethod
    def _say_no(peer: PeerId) -> list[OverlayEffect]:
        return [Send(peer, Disconnect())]

    def _hints(self, peer: PeerId) -> tuple[Record, ...]:
        """A few random living members that the peer may dial."""
        known = [member.record for member in self._members if member.state is MemberState.ALIVE and member.address]
        others = [record for record in known if record.peer != peer]
        n_affordable = int(self._allowance.n_bytes / HINT_BYTES)
        return tuple(self._rng.sample(others, min(max(n_affordable, MIN_HINTS), MAX_HINTS, len(others))))
