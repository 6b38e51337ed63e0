"""Many agents in one process: the real state machines over a virtual network with a virtual clock, seeded.

Nothing here decides anything about training. Events are taken in the order of their virtual time; what the machines
want sent arrives after the latency that the conditions give, or not at all. What is proven here holds for the daemon,
which runs the same machines over sockets.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TypeAlias, final

import numpy as np

from p2pnet.errors import TrainingError
from p2pnet.protocol.links.conservation import conservation_error
from p2pnet.protocol.messages.training import Message, Share, StateReply
from p2pnet.protocol.rounds.effects import (
    Close,
    CutLocalStepShort,
    DeadlineReached,
    Effect,
    Evaluate,
    Evaluated,
    Event,
    Finish,
    HangUp,
    Log,
    MessageReceived,
    PeerConnected,
    PeerDisconnected,
    PeerId,
    PutOff,
    RunLocalStep,
    Send,
)
from p2pnet.protocol.rounds.machine import RoundMachine
from p2pnet.protocol.rounds.state import Phase
from p2pnet.simulation.conservation_oracle import ConservationOracle
from p2pnet.simulation.event_queue import EventQueue
from p2pnet.training.learner import Learner

Edge: TypeAlias = tuple[PeerId, PeerId]

MAX_EVENTS_AT_ONCE = 20_000
"""For each agent at one moment of virtual time; more of them are an endless loop."""


@dataclass(frozen=True, slots=True)
class Conditions:
    """How bad the network is, and how fast the agents are."""

    latency_s: float = 0.001
    loss_rate: float = 0.0
    duplicate_rate: float = 0.0
    max_delay_s: float = 0.0
    """Each message takes up to this much longer, evenly spread; so messages overtake each other."""
    local_step_s: Callable[[PeerId], float] | None = None
    """How long the local step of an agent takes; no time at all where none is given."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """What happens to an agent at a time."""

    time: float
    peer: PeerId
    event: Event


@final
class Simulator:
    """N machines with their learners, joined by edges; the only source of chance is `rng`.

    A witness, if there is one, sees every gradient and every share. Agents of which others are said to be `elsewhere`
    are a part of a network: what they send to those departs, and somebody has to see to it that it arrives.
    """

    def __init__(
        self,
        conditions: Conditions,
        rng: np.random.Generator,
        witness: ConservationOracle | None = None,
        elsewhere: frozenset[PeerId] = frozenset(),
    ) -> None:
        self.now = 0.0
        self.conditions = conditions
        self.n_sent = 0
        self.n_lost = 0
        self.bytes_sent: dict[PeerId, int] = {}
        """The arrays in each agent's messages, without their headers."""
        self.log: list[tuple[float, PeerId, str]] = []
        self._rng = rng
        self._witness = witness
        self._elsewhere = elsewhere
        self._departures: list[Arrival] = []
        self._machines: dict[PeerId, RoundMachine] = {}
        self._learners: dict[PeerId, Learner] = {}
        self._neighbors: dict[PeerId, set[PeerId]] = {}
        self._cut: set[frozenset[PeerId]] = set()
        self._lives: dict[PeerId, int] = {}
        self._wake_at: dict[PeerId, float] = {}
        self._unalarmed: dict[PeerId, None] = {}
        """Agents that something has happened to since their alarm was set, in this order."""
        self._agenda: EventQueue[PeerId, tuple[int, Event]] = EventQueue()
        """For each agent, events and the life of the agent that they are meant for."""

    @property
    def machines(self) -> Mapping[PeerId, RoundMachine]:
        """The agents alive."""
        return self._machines

    def add(self, peer: PeerId, machine: RoundMachine, learner: Learner) -> None:
        """Start an agent, for the first time or again."""
        self._machines[peer] = machine
        self._learners[peer] = learner
        self.bytes_sent.setdefault(peer, 0)
        self._lives[peer] = self._lives.get(peer, 0) + 1
        self._wake_at.pop(peer, None)
        if self._witness is not None:
            self._witness.see_start(peer)
        self._perform(peer, machine.start(self.now))
        for edge in self._edges_of(peer):
            self._connect(*edge)

    def connect(self, edges: Iterable[Edge]) -> None:
        for one, other in edges:
            self._neighbors.setdefault(one, set()).add(other)
            self._neighbors.setdefault(other, set()).add(one)
            self._connect(one, other)

    def crash(self, peer: PeerId) -> None:
        """The agent is gone between two instructions; its neighbors see a closed connection."""
        del self._machines[peer], self._learners[peer]
        self._hang_up(peer)

    def reconnect(self, one: PeerId, other: PeerId, after_s: float) -> None:
        """The connection between two agents drops, and comes back after a while."""
        for peer, neighbor in ((one, other), (other, one)):
            if peer in self._machines and neighbor in self._machines:
                self._post(0.0, peer, PeerDisconnected(neighbor))
                self._post(after_s, peer, PeerConnected(neighbor))

    def cut(self, edges: Iterable[Edge]) -> None:
        """Drop everything sent over these edges, in silence, until `heal`."""
        self._cut |= {frozenset(edge) for edge in edges}

    def heal(self) -> None:
        self._cut.clear()

    def next_time(self) -> float | None:
        """When something happens next; None when nothing does, unless it arrives from elsewhere."""
        return self._agenda.next_time()

    def take_departures(self) -> list[Arrival]:
        """What is under way to agents elsewhere and has not been taken before."""
        departures, self._departures = self._departures, []
        return departures

    def arrive(self, arrivals: Iterable[Arrival]) -> None:
        """What has come from elsewhere, none of it before the present."""
        for arrival in arrivals:
            self._agenda.add(arrival.time, arrival.peer, (self._lives[arrival.peer], arrival.event))

    def run(self, until: Callable[[], bool] = lambda: False, deadline: float = np.inf) -> None:
        """Go on until the condition holds, the virtual time is over, or nothing more can happen.

        Raises TrainingError when virtual time stands still for good.
        """
        n_at_once = 0
        while not until():
            time = self._agenda.next_time()
            if self._unalarmed and (time is None or time > self.now):
                self._set_alarms()
                time = self._agenda.next_time()
            if time is None:
                return
            if time > deadline:
                self.now = deadline
                return
            n_at_once = 0 if time > self.now else n_at_once + 1
            if n_at_once > MAX_EVENTS_AT_ONCE * max(len(self._machines), 1):
                raise TrainingError(f"{n_at_once} events at {self.now} s: the machines turn in a circle")
            self.now = max(self.now, time)
            peer, (life, event) = self._agenda.take()
            # What was meant for an earlier life of the agent finds nobody.
            if life != self._lives[peer] or peer not in self._machines:
                continue
            if isinstance(event, DeadlineReached) and not self._is_due(peer):
                self._unalarmed[peer] = None
            else:
                self.handle(peer, event)

    @property
    def is_over(self) -> bool:
        return all(machine.phase is Phase.CLOSED for machine in self._machines.values())

    def conservation_error(self) -> float:
        """The witness's, which holds at any moment; without one that of the books, once nothing is under way."""
        books = [machine.books() for machine in self._machines.values()]
        return conservation_error(books) if self._witness is None else self._witness.error(books)

    def handle(self, peer: PeerId, event: Event) -> None:
        if self._witness is not None and isinstance(event, Evaluated):
            self._witness.see_evaluated(peer, event)
        self._perform(peer, self._machines[peer].handle(event, self.now))

    def _connect(self, one: PeerId, other: PeerId) -> None:
        if self._is_there(one) and self._is_there(other):
            for peer, neighbor in ((one, other), (other, one)):
                if peer in self._machines:
                    self._post(0.0, peer, PeerConnected(neighbor))

    def _is_there(self, peer: PeerId) -> bool:
        return peer in self._machines or peer in self._elsewhere

    def _perform(self, peer: PeerId, effects: list[Effect]) -> None:
        for effect in effects:
            match effect:
                case Send(to, message):
                    self._send(peer, to, message)
                case Evaluate():
                    self._post(0.0, peer, self._learners[peer].evaluate(effect))
                case RunLocalStep():
                    duration = self.conditions.local_step_s(peer) if self.conditions.local_step_s else 0.0
                    self._post(duration, peer, self._learners[peer].run_local_step(effect))
                case Log(_, text):
                    self.log.append((self.now, peer, text))
                case Close():
                    self._hang_up(peer)
                case CutLocalStepShort(round_):
                    self._learners[peer].cut_short(round_)
                case HangUp() | PutOff() | Finish():
                    pass
        self._unalarmed[peer] = None

    def _hang_up(self, peer: PeerId) -> None:
        """The agent's process is over; its neighbors see a closed connection."""
        for one, two in self._edges_of(peer):
            other = one if two == peer else two
            if self._is_there(other):
                self._post(self.conditions.latency_s, other, PeerDisconnected(peer))

    def _edges_of(self, peer: PeerId) -> list[Edge]:
        return sorted((min(peer, other), max(peer, other)) for other in self._neighbors.get(peer, ()))

    def _send(self, sender: PeerId, receiver: PeerId, message: Message) -> None:
        if self._witness is not None and isinstance(message, Share):
            self._witness.see_share(sender, message)
        if receiver not in self._neighbors.get(sender, ()) or not self._is_there(receiver):
            return
        conditions = self.conditions
        self.n_sent += 1
        self.bytes_sent[sender] += _n_array_bytes(message)
        is_cut = bool(self._cut) and frozenset((sender, receiver)) in self._cut
        if is_cut or (conditions.loss_rate and self._rng.random() < conditions.loss_rate):
            self.n_lost += 1
            return
        n_copies = 1
        if conditions.duplicate_rate and self._rng.random() < conditions.duplicate_rate:
            n_copies = 2
        for _ in range(n_copies):
            delay = self._rng.random() * conditions.max_delay_s if conditions.max_delay_s else 0.0
            self._post(conditions.latency_s + delay, receiver, MessageReceived(sender, message))

    def _post(self, delay_s: float, peer: PeerId, event: Event) -> None:
        if peer in self._elsewhere:
            self._departures.append(Arrival(self.now + delay_s, peer, event))
        else:
            self._agenda.add(self.now + delay_s, peer, (self._lives[peer], event))

    def _set_alarms(self) -> None:
        """Before virtual time goes on, for all that something has happened to: once for many events at one time."""
        for peer in self._unalarmed:
            if (machine := self._machines.get(peer)) is None or (deadline := machine.next_deadline()) is None:
                continue
            if self._wake_at.get(peer, np.inf) > deadline:
                self._wake_at[peer] = deadline
                self._agenda.add(max(deadline, self.now), peer, (self._lives[peer], DeadlineReached()))
        self._unalarmed.clear()

    def _is_due(self, peer: PeerId) -> bool:
        """Whether an alarm that goes off is still for something."""
        if self._wake_at.get(peer, np.inf) <= self.now:
            del self._wake_at[peer]
        deadline = self._machines[peer].next_deadline()
        return deadline is not None and deadline <= self.now


def _n_array_bytes(message: Message) -> int:
    match message:
        case Share():
            return message.total.nbytes + message.params.nbytes
        case StateReply():
            return message.params.nbytes
        case _:
            return 0
