"""Overlay peering: neighbors chosen by the membership machine, and guests, allowed peers that do not gossip."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import assert_never, final

from p2pnet.errors import TransportError
from p2pnet.protocol.core import events
from p2pnet.protocol.core.address import Address
from p2pnet.protocol.core.effects import CloseLink, Dial, HangUp, Notify, OpenLink, Send
from p2pnet.protocol.core.types import PeerId
from p2pnet.protocol.membership.machine import MembershipEffect, MembershipEvent, MembershipMachine
from p2pnet.protocol.messages.membership import MemberState
from p2pnet.protocol.peering.admission import AdmissionControl
from p2pnet.protocol.peering.peering import Peering, PeeringEffect, PeeringEvent

DISTRUST_S = 600.0
"""How long a member that has sent what no honest one sends is no neighbor: there are others."""


@final
class OverlayPeering(Peering):
    """Keeps the connections of the active view, and admits guests while there is room.

    An allowed peer that dials and does not gossip has named this agent for its neighbor.
    """

    def __init__(self, membership: MembershipMachine, seeds: Mapping[PeerId, str]) -> None:
        self.membership = membership
        self._seeds = seeds
        self._found: dict[PeerId, tuple[str, ...]] = {}
        """Addresses of peers found on the local network."""
        self._dialed: dict[PeerId, str] = {}
        """Addresses at which the membership has peers dialed now."""
        self._linked: set[PeerId] = set()
        """The peers announced to the session as connected neighbors."""
        self._guests: set[PeerId] = set()
        self._put_off_until: dict[PeerId, float] = {}
        """Guests and seeds that were put off; for members, the membership machine decides."""
        self._admission = AdmissionControl(membership.view.capacity)

    def start(self, now: float) -> list[PeeringEffect]:
        return self._perform(self.membership.start(now), now)

    def next_deadline(self) -> float | None:
        return self.membership.next_deadline()

    def is_neighbor(self, peer: PeerId) -> bool:
        return peer in self.membership.view or peer in self._guests

    @property
    def n_members(self) -> int:
        return self.membership.members.n_living

    @property
    def addresses(self) -> Mapping[PeerId, str]:
        living = (member for member in self.membership.members if member.state is MemberState.ALIVE)
        return {member.peer: member.address for member in living if _is_address(member.address)}

    def is_missed(self, peer: PeerId) -> bool:
        return peer in self._seeds and not len(self.membership.view)

    def handle(self, event: PeeringEvent, now: float) -> list[PeeringEffect]:
        match event:
            case events.PeerConnected(peer):
                effects = self._feed(event, now)
                if peer in self.membership.view and peer not in self._linked:
                    # The peer had gone without ceasing to be a neighbor.
                    self._linked.add(peer)
                    effects.append(events.PeerConnected(peer))
                return effects
            case events.PeerDisconnected(peer):
                news: list[PeeringEffect] = [events.PeerDisconnected(peer)] if peer in self._linked else []
                self._linked.discard(peer)
                return [*news, *self._lose_guest(peer, now), *self._feed(event, now)]
            case events.PeerFound(peer, addresses):
                self._found[peer] = addresses
                dials = self._dial(peer, self._dialed[peer], now) if peer in self._dialed else []
                return [*dials, *self._feed(event, now)]
            case events.PeerPutOff(peer, until, is_distrusted):
                if peer in self._guests:
                    self._put_off_until[peer] = until
                    return [HangUp(peer)]
                return self._feed(
                    events.NeighborRejected(peer, max(until, now + DISTRUST_S) if is_distrusted else until), now
                )
            case events.DialFailed() | events.MessageReceived() | events.DeadlineReached() | events.LeaveRequested():
                return self._feed(event, now)
            case _:
                assert_never(event)

    def heard(self, peer: PeerId, now: float) -> list[PeeringEffect]:
        """Treat the first training message of a peer that does not gossip as a request to be a neighbor (guest)."""
        if peer in self.membership.view:
            return self._feed(events.PeerHeard(peer), now)
        # A known member is about to be a neighbor, or is a neighbor no longer.
        if peer in self._guests or self.membership.members.find(peer) is not None:
            return []
        if not self.membership.view.has_room_for_guest:
            return [*self._admission.turn_away(peer)]
        self._guests.add(peer)
        self._linked.add(peer)
        return [*self._feed(events.GuestsChanged(len(self._guests)), now), events.PeerConnected(peer)]

    def _lose_guest(self, peer: PeerId, now: float) -> list[PeeringEffect]:
        if peer not in self._guests:
            return []
        self._guests.discard(peer)
        return self._feed(events.GuestsChanged(len(self._guests)), now)

    def _feed(self, event: MembershipEvent, now: float) -> list[PeeringEffect]:
        return self._perform(self.membership.handle(event, now), now)

    def _perform(self, effects: Sequence[MembershipEffect], now: float) -> list[PeeringEffect]:
        performed: list[PeeringEffect] = []
        for effect in effects:
            match effect:
                case Send() | Notify():
                    performed.append(effect)
                case Dial(peer, (address,)):
                    performed += self._dial(peer, address, now)
                case Dial(peer):
                    raise AssertionError(f"the membership knows one address of {peer}")
                case HangUp(peer):
                    self._dialed.pop(peer, None)
                    if peer not in self._guests:
                        performed.append(effect)
                case OpenLink(peer):
                    self._put_off_until.pop(peer, None)
                    if peer not in self._linked:
                        self._linked.add(peer)
                        performed.append(events.PeerConnected(peer))
                    performed += self._lose_guest(peer, now)
                case CloseLink(peer, is_gone):
                    if not is_gone:
                        performed.append(events.PeerParted(peer))
                    elif peer in self._linked:
                        performed.append(events.PeerDisconnected(peer))
                    self._linked.discard(peer)
                case _:
                    assert_never(effect)
        return performed

    def _dial(self, peer: PeerId, address: str, now: float) -> list[PeeringEffect]:
        """Dial first at addresses found on the local network, then at the given address, a host name of which may not
        resolve here.
        """
        addresses = [*self._found.get(peer, ()), *([address] if _is_address(address) else [])]
        if addresses and now >= self._put_off_until.get(peer, -math.inf):
            self._dialed[peer] = address
            return [Dial(peer, tuple(dict.fromkeys(addresses)))]
        return self._feed(events.DialFailed(peer, address, events.DialProblem.NAME_NOT_FOUND), now)


def _is_address(text: str) -> bool:
    try:
        Address.parse(text)
    except TransportError:
        return False
    return True
