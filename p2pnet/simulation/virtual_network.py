"""The virtual network: connections, dialing, latency, loss, duplication and partitions.

Connections behave like ZeroMQ's: dialing takes a round trip and is refused at once where no process listens; a
connection closes at both ends when one of the processes dies, but not when the network is cut. Besides there are wires,
permanent connections without dialing between two agents while both run.

Loss, duplication and delay are drawn for each direction of each pair of agents by itself, so that one agent's messages
do not change the draws of others.
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import count
from typing import TypeAlias, final

from p2pnet.protocol.core.events import DialFailed, DialProblem, PeerConnected, PeerDisconnected
from p2pnet.protocol.core.types import PeerId

Edge: TypeAlias = tuple[PeerId, PeerId]

RETRY_S = 2.0
"""The pause of a transport after a failed dial attempt."""
CONNECT_TIMEOUT_S = 5.0


@dataclass(frozen=True, slots=True)
class Conditions:
    """Latency, loss, duplication and delay of the network, and the agents' speeds."""

    latency_s: float = 0.001
    loss_rate: float = 0.0
    """The probability that a message, or a dial attempt, is lost."""
    duplicate_rate: float = 0.0
    max_delay_s: float = 0.0
    """The largest extra delay of a message, uniformly distributed; so messages overtake each other."""
    local_step_s: Callable[[PeerId], float] | None = None
    """The duration of an agent's local step; None for no time."""
    is_encoding: bool = False
    """Whether messages are encoded and decoded on their way, as on real networks."""


@final
class LinkDice:
    """Random numbers in [0, 1), one sequence per direction of each pair: hashes of seed, pair and position."""

    def __init__(self, seed: int) -> None:
        self._key = seed.to_bytes(16, "big", signed=True)
        self._places: dict[Edge, Iterator[int]] = {}

    def draw(self, sender: PeerId, receiver: PeerId) -> float:
        """The next random number of this direction."""
        place = next(self._places.setdefault((sender, receiver), count()))
        text = f"{sender}\0{receiver}\0{place}".encode()
        return int.from_bytes(hashlib.blake2b(text, digest_size=8, key=self._key).digest(), "big") / 2**64


class Processes(ABC):
    """The interface to the agents' processes, as the network uses it."""

    @abstractmethod
    def is_alive(self, peer: PeerId) -> bool:
        """Whether the agent's process runs."""

    @abstractmethod
    def listens_at(self, peer: PeerId) -> str:
        """The address at which a process of this agent listens; empty where it only dials out."""

    @abstractmethod
    def admits(self, peer: PeerId, dialer: PeerId) -> bool:
        """Whether the agent has the dialer's key on its allow-list."""

    @abstractmethod
    def post(self, delay_s: float, peer: PeerId, event: PeerConnected | PeerDisconnected | DialFailed) -> None:
        """Schedule an event for the agent's present process after a delay."""

    @abstractmethod
    def later(self, delay_s: float, action: Callable[[], None]) -> None:
        """Schedule an action after a delay."""


@final
class VirtualNetwork:
    """Keeps the connections between agents, and draws loss and delay of their messages."""

    def __init__(self, conditions: Conditions, seed: int, processes: Processes) -> None:
        self.conditions = conditions
        self._dice = LinkDice(seed)
        self._processes = processes
        self._wires: dict[PeerId, set[PeerId]] = {}
        self._open: set[frozenset[PeerId]] = set()
        """Open connections that were dialed."""
        self._dials: dict[Edge, int] = {}
        """Pending dials, by number; they last until `hang_up`."""
        self._addresses: dict[Edge, tuple[str, ...]] = {}
        self._n_dials = 0
        self._cut: set[frozenset[PeerId]] = set()
        self._group_of: dict[PeerId, int] = {}

    # Control.

    def wire(self, one: PeerId, other: PeerId) -> None:
        """Connect two agents permanently while both run."""
        self._wires.setdefault(one, set()).add(other)
        self._wires.setdefault(other, set()).add(one)
        self.connect_wire(one, other)

    def cut(self, edges: Iterable[Edge]) -> None:
        """Drop all messages between these pairs, without closing connections, until `heal`."""
        self._cut |= {frozenset(edge) for edge in edges}

    def partition(self, groups: Iterable[Collection[PeerId]]) -> None:
        """Drop all messages between the groups, without closing connections, until `heal`."""
        self._group_of = {peer: number for number, group in enumerate(groups) for peer in group}

    def heal(self) -> None:
        self._cut.clear()
        self._group_of = {}

    def drop_wire(self, one: PeerId, other: PeerId, after_s: float) -> None:
        """Close the connection over a wire, and reopen it after a delay."""
        if self._processes.is_alive(one) and self._processes.is_alive(other):
            for peer, neighbor in ((one, other), (other, one)):
                self._processes.post(0.0, peer, PeerDisconnected(neighbor))
                self._processes.post(after_s, peer, PeerConnected(neighbor))

    # Processes that come and go.

    def started(self, peer: PeerId) -> None:
        """Connect the wires of a started process."""
        for one, other in self._edges_of(peer):
            self.connect_wire(one, other)

    def ended(self, peer: PeerId) -> None:
        """Close the connections of an ended process, and end its dials."""
        for one, other in self._edges_of(peer):
            neighbor = one if other == peer else other
            if self._processes.is_alive(neighbor):
                self._processes.post(self.conditions.latency_s, neighbor, PeerDisconnected(peer))
        for edge in [edge for edge in self._dials if edge[0] == peer]:
            del self._dials[edge]
        for pair in sorted((pair for pair in self._open if peer in pair), key=sorted):
            self._close(pair)

    def connect_wire(self, one: PeerId, other: PeerId) -> None:
        if self._processes.is_alive(one) and self._processes.is_alive(other):
            self._processes.post(0.0, one, PeerConnected(other))
            self._processes.post(0.0, other, PeerConnected(one))

    # Effects of agents.

    def dial(self, dialer: PeerId, peer: PeerId, addresses: tuple[str, ...]) -> None:
        """Keep trying to connect until `hang_up`, at each of the addresses in turn."""
        edge = (dialer, peer)
        self._addresses[edge] = addresses
        if edge not in self._dials:
            self._n_dials += 1
            self._dials[edge] = self._n_dials
            self._processes.later(0.0, partial(self._attempt, dialer, peer, self._n_dials))

    def hang_up(self, peer: PeerId, other: PeerId) -> None:
        """Stop dialing, and close the connection once sent messages have left; wires stay."""
        self._dials.pop((peer, other), None)
        self._processes.later(2 * self.conditions.latency_s, lambda: self._close_unless_dialed(peer, other))

    def is_connected(self, one: PeerId, other: PeerId) -> bool:
        return other in self._wires.get(one, ()) or frozenset((one, other)) in self._open

    def delays(self, sender: PeerId, receiver: PeerId) -> list[float]:
        """Draw the delay of each copy of a message; empty where the message is lost."""
        conditions = self.conditions
        if self.is_cut(sender, receiver):
            return []
        if conditions.loss_rate and self._dice.draw(sender, receiver) < conditions.loss_rate:
            return []
        n_copies = 1
        if conditions.duplicate_rate and self._dice.draw(sender, receiver) < conditions.duplicate_rate:
            n_copies = 2
        if not conditions.max_delay_s:
            return [conditions.latency_s] * n_copies
        return [
            conditions.latency_s + self._dice.draw(sender, receiver) * conditions.max_delay_s for _ in range(n_copies)
        ]

    def is_cut(self, one: PeerId, other: PeerId) -> bool:
        if self._group_of and self._group_of.get(one) != self._group_of.get(other):
            return True
        return bool(self._cut) and frozenset((one, other)) in self._cut

    # Dialing.

    def _attempt(self, dialer: PeerId, peer: PeerId, dial: int) -> None:
        if not self._is_dialing(dialer, peer, dial) or frozenset((dialer, peer)) in self._open:
            return
        latency_s = self.conditions.latency_s
        is_lost = self.conditions.loss_rate and self._dice.draw(dialer, peer) < self.conditions.loss_rate
        if is_lost or self.is_cut(dialer, peer):
            delay_s, problem = CONNECT_TIMEOUT_S, DialProblem.TIMED_OUT
        elif (problem_there := self._problem(dialer, peer)) is not None:
            delay_s, problem = 2 * latency_s, problem_there
        else:
            self._processes.later(3 * latency_s, lambda: self._connect(dialer, peer, dial))
            return
        self._processes.later(delay_s, lambda: self._fail(dialer, peer, dial, problem))

    def _problem(self, dialer: PeerId, peer: PeerId) -> DialProblem | None:
        """The problem that prevents the connection; None without any."""
        if not self._processes.is_alive(peer):
            return DialProblem.REFUSED
        if self._processes.listens_at(peer) not in (*self._addresses[dialer, peer], ""):
            return DialProblem.NOT_THE_PEER
        if not self._processes.listens_at(peer):
            return DialProblem.REFUSED
        return None if self._processes.admits(peer, dialer) else DialProblem.NOT_ALLOWED

    def _connect(self, dialer: PeerId, peer: PeerId, dial: int) -> None:
        pair = frozenset((dialer, peer))
        if pair in self._open or not self._is_dialing(dialer, peer, dial):
            return
        problem = self._problem(dialer, peer)
        if problem is not None:
            self._fail(dialer, peer, dial, problem)
            return
        self._open.add(pair)
        self._processes.post(0.0, peer, PeerConnected(dialer))
        self._processes.post(0.0, dialer, PeerConnected(peer))

    def _fail(self, dialer: PeerId, peer: PeerId, dial: int, problem: DialProblem) -> None:
        if not self._is_dialing(dialer, peer, dial):
            return
        self._processes.later(RETRY_S, lambda: self._attempt(dialer, peer, dial))
        self._processes.post(0.0, dialer, DialFailed(peer, self._addresses[dialer, peer][0], problem))

    def _is_dialing(self, dialer: PeerId, peer: PeerId, dial: int) -> bool:
        return self._dials.get((dialer, peer)) == dial and self._processes.is_alive(dialer)

    # Closing.

    def _close_unless_dialed(self, peer: PeerId, other: PeerId) -> None:
        if (peer, other) not in self._dials:
            self._close(frozenset((peer, other)))

    def _close(self, pair: frozenset[PeerId]) -> None:
        if pair not in self._open:
            return
        self._open.discard(pair)
        one, other = sorted(pair)
        for peer, lost in ((one, other), (other, one)):
            self._processes.later(self.conditions.latency_s, partial(self._lose, peer, lost))

    def _lose(self, peer: PeerId, lost: PeerId) -> None:
        """Report the closed connection to one end, unless reconnected by now; redial if that end was dialing."""
        if frozenset((peer, lost)) in self._open or not self._processes.is_alive(peer):
            return
        self._processes.post(0.0, peer, PeerDisconnected(lost))
        dial = self._dials.get((peer, lost))
        if dial is not None:
            self._attempt(peer, lost, dial)

    def _edges_of(self, peer: PeerId) -> list[Edge]:
        return sorted((min(peer, other), max(peer, other)) for other in self._wires.get(peer, ()))
