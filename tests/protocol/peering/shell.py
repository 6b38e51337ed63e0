"""A shell for one peering: it performs what the peering wants done by writing it down."""

from __future__ import annotations

from p2pnet.protocol.core.effects import Dial, HangUp, Notify, Send
from p2pnet.protocol.core.events import (
    DeadlineReached,
    DialFailed,
    DialProblem,
    MessageReceived,
    PeerConnected,
    PeerDisconnected,
    PeerFound,
    PeerParted,
    PeerPutOff,
)
from p2pnet.protocol.core.notices import Notice
from p2pnet.protocol.core.types import Message, PeerId
from p2pnet.protocol.messages.training import Refuse
from p2pnet.protocol.messages.wire import is_membership_message
from p2pnet.protocol.peering.peering import NeighborNews, Peering, PeeringEffect, PeeringEvent


class Shell:
    """One peering, its time, and what it wants done; each verb returns the news for the session."""

    def __init__(self, peering: Peering) -> None:
        self.peering = peering
        self.now = 0.0
        self.dialed: dict[PeerId, tuple[str, ...]] = {}
        self.sent: list[tuple[PeerId, Message]] = []
        self.refused: list[tuple[PeerId, str]] = []
        self.hung_up: list[PeerId] = []
        self.notices: list[Notice] = []
        self.news_at_start = self._perform(peering.start(0.0))

    def feed(self, event: PeeringEvent) -> list[NeighborNews]:
        return self._perform(self.peering.handle(event, self.now))

    def connected(self, peer: PeerId) -> list[NeighborNews]:
        return self.feed(PeerConnected(peer))

    def disconnected(self, peer: PeerId) -> list[NeighborNews]:
        return self.feed(PeerDisconnected(peer))

    def found(self, peer: PeerId, *addresses: str) -> list[NeighborNews]:
        return self.feed(PeerFound(peer, addresses))

    def put_off(self, peer: PeerId, until: float) -> list[NeighborNews]:
        return self.feed(PeerPutOff(peer, until))

    def dial_refused(self, peer: PeerId) -> list[NeighborNews]:
        return self.feed(DialFailed(peer, f"tcp://{peer}:7070", DialProblem.REFUSED))

    def heard(self, peer: PeerId) -> list[NeighborNews]:
        return self._perform(self.peering.heard(peer, self.now))

    def received(self, peer: PeerId, message: Message) -> tuple[list[NeighborNews], bool]:
        """The news before the session may see the message, and whether it may."""
        if is_membership_message(message):
            return self.feed(MessageReceived(peer, message)), False
        return self.heard(peer), self.peering.is_neighbor(peer)

    def pass_time(self, seconds: float) -> list[NeighborNews]:
        news: list[NeighborNews] = []
        until = self.now + seconds
        while (deadline := self.peering.next_deadline()) is not None and deadline <= until:
            self.now = deadline
            news += self.feed(DeadlineReached())
        self.now = until
        return news

    def _perform(self, effects: list[PeeringEffect]) -> list[NeighborNews]:
        news: list[NeighborNews] = []
        for effect in effects:
            match effect:
                case Send(peer, Refuse(reason)):
                    self.refused.append((peer, reason))
                case Send(peer, message):
                    self.sent.append((peer, message))
                case Dial(peer, addresses):
                    self.dialed[peer] = addresses
                case HangUp(peer):
                    self.dialed.pop(peer, None)
                    self.hung_up.append(peer)
                case Notify(notice):
                    self.notices.append(notice)
                case PeerConnected() | PeerDisconnected() | PeerParted():
                    news.append(effect)
        return news
