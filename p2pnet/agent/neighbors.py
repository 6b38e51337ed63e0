"""With whom shares are exchanged, and the connections for that: neighbors named in the settings, or found by gossip."""

from __future__ import annotations

import logging
import math
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping, Sequence
from random import SystemRandom
from typing import assert_never, final

from p2pnet.agent.logs import LineBudget
from p2pnet.agent.transport.base import Address, DialFailed, DialProblem, Frame, PeerId, Transport
from p2pnet.agent.transport.discovery import LanAgent
from p2pnet.config import NetworkSettings
from p2pnet.errors import ProtocolError, TransportError
from p2pnet.protocol.membership import effects as wanted
from p2pnet.protocol.membership.machine import MembershipMachine
from p2pnet.protocol.membership.timing import PRESETS
from p2pnet.protocol.messages.membership import MemberState, Record, decode, encode, is_membership
from p2pnet.protocol.messages.training import Refuse
from p2pnet.protocol.messages.training import encode as encode_for_rounds
from p2pnet.protocol.rounds.effects import PeerConnected, PeerDisconnected, PeerParted
from p2pnet.protocol.rounds.neighborhood import Identity

News = PeerConnected | PeerDisconnected | PeerParted
"""What the rounds are to know of their neighbors."""


class Neighbors(ABC):
    """Keeps connections, and tells the rounds whom they are to exchange shares with.

    Each method says what the rounds are to know now, in order.
    """

    @abstractmethod
    def start(self) -> list[News]:
        """Dial."""

    @abstractmethod
    def next_deadline(self) -> float | None:
        """When `deadline_reached` is to be called, on the monotonic clock."""

    @abstractmethod
    def deadline_reached(self) -> list[News]:
        """See to what is due, if anything is."""

    @abstractmethod
    def connected(self, peer: PeerId) -> list[News]: ...

    @abstractmethod
    def disconnected(self, peer: PeerId) -> list[News]: ...

    @abstractmethod
    def dial_failed(self, failed: DialFailed) -> list[News]: ...

    @abstractmethod
    def is_missed(self, peer: PeerId) -> bool:
        """Whether a person should hear of it that the peer cannot be reached."""

    @abstractmethod
    def found(self, agent: LanAgent) -> list[News]:
        """Somebody allowed has said on the local network where it listens."""

    @abstractmethod
    def received(self, peer: PeerId, frames: Sequence[Frame]) -> tuple[list[News], bool]:
        """What the rounds are to know before they see the message, and whether they are to see it.

        ProtocolError for a message that would be for here, and is broken.
        """

    @abstractmethod
    def put_off(self, peer: PeerId, until: float) -> list[News]:
        """The rounds have nothing to do with this peer for now; it is to be dialed again then, and not before."""

    @abstractmethod
    def leave(self) -> None:
        """Take leave; the process ends."""


@final
class AdmissionControl:
    """Where those are turned away that have dialed when there were neighbors enough; each side is told, once."""

    def __init__(self, transport: Transport, log: logging.Logger, max_neighbors: int) -> None:
        self._transport = transport
        self._log = log
        self._limit = f"as many neighbors as network.max_neighbors = {max_neighbors} allows"
        self._told: set[PeerId] = set()

    def turn_away(self, peer: PeerId) -> None:
        words = f"the agent has {self._limit}: raise it there, or name this one there, or another here"
        self._transport.send(peer, encode_for_rounds(Refuse(words)))
        self._transport.hang_up(peer)
        level = logging.DEBUG if peer in self._told else logging.WARNING
        self._told.add(peer)
        self._log.log(level, "refused %s: there are %s; raise it, or name this one", peer, self._limit)


@final
class NamedNeighbors(Neighbors):
    """The neighbors that the settings name, and whoever else is allowed and dials while there is room."""

    def __init__(
        self,
        transport: Transport,
        addresses: Mapping[PeerId, str | None],
        max_neighbors: int,
        log: logging.Logger,
        clock: Callable[[], float] = time.monotonic,
        *,
        is_discovering: bool,
    ) -> None:
        """Those without an address are dialed where the local network finds them, if it `is_discovering`."""
        self._transport = transport
        self._addresses = addresses
        self._max_neighbors = max_neighbors
        self._clock = clock
        self._is_discovering = is_discovering
        self._door = AdmissionControl(transport, log, max_neighbors)
        self._found: dict[PeerId, tuple[str, ...]] = {}
        """where the local network says that those are who have no address"""
        self._guests: set[PeerId] = set()
        self._dial_at: dict[PeerId, float] = {}
        """those put off"""
        self._unexpected: set[PeerId] = set()
        """those put off who have not been back since: they may have gone for good"""

    def start(self) -> list[News]:
        for peer in self._addresses:
            self._dial(peer)
        return []

    def next_deadline(self) -> float | None:
        return min(self._dial_at.values(), default=None)

    def deadline_reached(self) -> list[News]:
        now = self._clock()
        for peer in [peer for peer, at in self._dial_at.items() if now >= at]:
            self._dial(peer)
        return []

    def connected(self, peer: PeerId) -> list[News]:
        if not self._is_neighbor(peer):
            if len(self._addresses) + len(self._guests) >= self._max_neighbors:
                self._door.turn_away(peer)
                return []
            self._guests.add(peer)
        self._unexpected.discard(peer)
        return [PeerConnected(peer)]

    def disconnected(self, peer: PeerId) -> list[News]:
        news: list[News] = [PeerDisconnected(peer)] if self._is_neighbor(peer) else []
        self._guests.discard(peer)
        return news

    def dial_failed(self, failed: DialFailed) -> list[News]:  # noqa: ARG002
        return []

    def is_missed(self, peer: PeerId) -> bool:
        return peer not in self._unexpected

    def found(self, agent: LanAgent) -> list[News]:
        if self._is_discovering and self._addresses.get(agent.peer, "") is None:
            self._found[agent.peer] = agent.addresses
            self._dial(agent.peer)
        return []

    def received(self, peer: PeerId, frames: Sequence[Frame]) -> tuple[list[News], bool]:
        is_neighbor = self._is_neighbor(peer)
        if is_neighbor and is_membership(frames[0]):
            decode(frames)
            raise ProtocolError("it gossips, but neighbors are named here; name neighbors there too, or none here")
        return [], is_neighbor

    def put_off(self, peer: PeerId, until: float) -> list[News]:
        self._transport.hang_up(peer)
        if peer in self._addresses:
            self._dial_at[peer] = until
            self._unexpected.add(peer)
        return []

    def leave(self) -> None:
        return

    def _dial(self, peer: PeerId) -> None:
        self._dial_at.pop(peer, None)
        address = self._addresses[peer]
        addresses = self._found.get(peer, ()) if address is None else (address,)
        if addresses:
            self._transport.dial(peer, *addresses)

    def _is_neighbor(self, peer: PeerId) -> bool:
        return peer in self._addresses or peer in self._guests


_PROBLEMS: Mapping[DialProblem, wanted.DialProblem] = {
    DialProblem.REFUSED: wanted.DialProblem.REFUSED,
    DialProblem.TIMED_OUT: wanted.DialProblem.SILENT,
}


@final
class GossipedNeighbors(Neighbors):
    """The active view of the membership machine.

    Besides, whoever is allowed, dials, and does not gossip has named this agent for its neighbor: it is one, a guest,
    while there is room.
    """

    def __init__(
        self,
        machine: MembershipMachine,
        transport: Transport,
        seeds: Mapping[PeerId, str],
        log: logging.Logger,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._machine = machine
        self._transport = transport
        self._seeds = seeds
        self._log = log
        self._clock = clock
        self._line_budget = LineBudget()
        self._found: dict[PeerId, tuple[str, ...]] = {}
        """where the local network says that peers are"""
        self._told: dict[PeerId, str] = {}
        """where the machine wants those that are dialed now to be dialed"""
        self._linked: set[PeerId] = set()
        """Those that the rounds take for connected neighbors."""
        self._guests: set[PeerId] = set()
        self._put_off_until: dict[PeerId, float] = {}
        """guests and seeds; how long members are left alone the machine decides"""
        self._door = AdmissionControl(transport, log, machine.view.capacity)

    def start(self) -> list[News]:
        return self._perform(self._machine.start(self._clock()))

    def next_deadline(self) -> float | None:
        return self._machine.next_deadline()

    def deadline_reached(self) -> list[News]:
        deadline = self._machine.next_deadline()
        is_due = deadline is not None and self._clock() >= deadline
        return self._handle(wanted.DeadlineReached()) if is_due else []

    def connected(self, peer: PeerId) -> list[News]:
        news = self._handle(wanted.PeerConnected(peer))
        if peer in self._machine.view and peer not in self._linked:  # it had gone without ceasing to be a neighbor
            self._linked.add(peer)
            news.append(PeerConnected(peer))
        return news

    def disconnected(self, peer: PeerId) -> list[News]:
        news: list[News] = [PeerDisconnected(peer)] if peer in self._linked else []
        self._linked.discard(peer)
        self._lose_guest(peer)
        return news + self._handle(wanted.PeerDisconnected(peer))

    def dial_failed(self, failed: DialFailed) -> list[News]:
        problem = _PROBLEMS.get(failed.problem, wanted.DialProblem.UNFIT)
        return self._handle(wanted.DialFailed(failed.peer, problem))

    def is_missed(self, peer: PeerId) -> bool:
        return peer in self._seeds and not len(self._machine.view)

    def found(self, agent: LanAgent) -> list[News]:
        self._found[agent.peer] = agent.addresses
        if agent.peer in self._told:
            self._dial(agent.peer, self._told[agent.peer])
        return self._handle(wanted.SeedFound(agent.peer, agent.addresses[0]))

    def received(self, peer: PeerId, frames: Sequence[Frame]) -> tuple[list[News], bool]:
        if is_membership(frames[0]):
            return self._handle(wanted.MessageReceived(peer, decode(frames)), peer), False
        if peer in self._machine.view:
            return self._handle(wanted.PeerHeard(peer)), True
        if peer in self._guests:
            return [], True
        if self._machine.members.find(peer) is not None:
            return [], False  # it is about to be a neighbor, or is one no longer
        if not self._machine.view.has_room_for_guest:
            self._door.turn_away(peer)
            return [], False
        self._guests.add(peer)
        self._linked.add(peer)
        news = self._handle(wanted.GuestsChanged(len(self._guests)))
        return [*news, PeerConnected(peer)], True

    def put_off(self, peer: PeerId, until: float) -> list[News]:
        if peer in self._guests:
            self._put_off_until[peer] = until
            self._transport.hang_up(peer)
            return []
        return self._handle(wanted.NeighborRejected(peer))

    def leave(self) -> None:
        self._handle(wanted.LeaveRequested())

    def _lose_guest(self, peer: PeerId) -> None:
        if peer in self._guests:
            self._guests.discard(peer)
            self._handle(wanted.GuestsChanged(len(self._guests)))

    def _handle(self, event: wanted.Event, cause: PeerId = "") -> list[News]:
        return self._perform(self._machine.handle(event, self._clock()), cause)

    def _perform(self, effects: list[wanted.Effect], cause: PeerId = "") -> list[News]:
        """Do what the machine wants; `cause` is who has brought it about."""
        news: list[News] = []
        for effect in effects:
            match effect:
                case wanted.Send(peer, message):
                    self._transport.send(peer, [encode(message)])
                case wanted.Dial(peer, address):
                    news += self._dial(peer, address)
                case wanted.HangUp(peer):
                    self._told.pop(peer, None)
                    if peer not in self._guests:
                        self._transport.hang_up(peer)
                case wanted.OpenLink(peer):
                    self._put_off_until.pop(peer, None)
                    if peer not in self._linked:
                        self._linked.add(peer)
                        news.append(PeerConnected(peer))
                    self._lose_guest(peer)
                case wanted.CloseLink(peer, is_gone):
                    if not is_gone:
                        news.append(PeerParted(peer))
                    elif peer in self._linked:
                        news.append(PeerDisconnected(peer))
                    self._linked.discard(peer)
                case wanted.Log(text):
                    n_withheld = self._line_budget.admit(cause, self._clock())
                    if n_withheld is not None:
                        more = f" (and {n_withheld} lines more before)" if n_withheld else ""
                        self._log.info("members: %s%s", text, more)
                case _:
                    assert_never(effect)
        return news

    def _dial(self, peer: PeerId, address: str) -> list[News]:
        """Dial there, and first wherever the local network has found the peer: members may know it by a name that says
        nothing here.
        """
        addresses = [*self._found.get(peer, ()), *([address] if _is_address(address) else [])]
        if addresses and self._clock() >= self._put_off_until.get(peer, -math.inf):
            self._told[peer] = address
            self._transport.dial(peer, *dict.fromkeys(addresses))
            return []
        return self._handle(wanted.DialFailed(peer, wanted.DialProblem.UNFIT))


def make_neighbors(
    settings: NetworkSettings,
    allowed: Collection[PeerId],
    identity: Identity,
    transport: Transport,
    log: logging.Logger,
) -> Neighbors:
    """Those named in the settings, or where none are named, those found by gossip, beginning with the seeds."""
    if settings.neighbors:
        addresses = {neighbor.public_key: neighbor.address for neighbor in settings.neighbors}
        is_discovering = settings.discovery != "none"
        return NamedNeighbors(transport, addresses, settings.max_neighbors, log, is_discovering=is_discovering)
    me = Record(identity.peer, MemberState.ALIVE, identity.incarnation, identity.address, identity.name)
    seeds = {seed.public_key: seed.address for seed in settings.seeds}
    machine = MembershipMachine(
        me, seeds, allowed.__contains__, settings.max_neighbors, PRESETS[settings.preset], SystemRandom()
    )
    return GossipedNeighbors(machine, transport, seeds, log)


def _is_address(text: str) -> bool:
    try:
        Address.parse(text)
    except TransportError:
        return False
    return True
