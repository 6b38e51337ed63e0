"""A seeded discrete-event simulator of whole nodes over a virtual network.

The simulator takes no decisions about training: it handles events in the order of virtual time, and performs the nodes'
effects over the virtual network. The daemon drives the same nodes over sockets.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias, assert_never, final

import numpy as np

from p2pnet import __version__
from p2pnet.errors import ProtocolError, TrainingError
from p2pnet.protocol.core import effects
from p2pnet.protocol.core.events import DeadlineReached, Described, MessageReceived, Prepared, SamplesChanged
from p2pnet.protocol.core.notices import MessageDropped, Notice
from p2pnet.protocol.core.reports import Observed
from p2pnet.protocol.core.types import Array, FeatureStatistics, Message, PeerId
from p2pnet.protocol.links.conservation import conservation_error
from p2pnet.protocol.messages.training import Share, StateReply
from p2pnet.protocol.messages.wire import decode, encode, is_membership_message
from p2pnet.protocol.node import Node, NodeEvent
from p2pnet.protocol.rounds.machine import RoundMachine
from p2pnet.simulation.conservation_oracle import ConservationOracle
from p2pnet.simulation.event_queue import EventQueue
from p2pnet.simulation.observer import Observer
from p2pnet.simulation.virtual_network import Conditions, Edge, Processes, VirtualNetwork
from p2pnet.training.learner import Learner

MAX_EVENTS_AT_ONCE = 20_000
"""The most events per agent at one moment of virtual time; more are an endless loop."""

Preparation: TypeAlias = Callable[[FeatureStatistics | None], tuple[Prepared, Learner]]
"""Builds an agent's training problem, scaled by the network's feature statistics where there are any."""

Rescaling: TypeAlias = Callable[[FeatureStatistics, Array], tuple[Prepared, Learner]]
"""Builds it anew by other statistics, with the parameters that give the same function as those given."""

Outgoing: TypeAlias = Callable[[Message], list[Message]]
"""What an agent sends in place of each of its messages; an honest agent sends the message itself."""

_NETWORK: PeerId = ""
"""The key of actions of the network itself in the event queue."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """An event for an agent at a virtual time."""

    time: float
    peer: PeerId
    event: NodeEvent


def honest(message: Message) -> list[Message]:
    """The message as it is."""
    return [message]


def keep_scales(statistics: FeatureStatistics, params: Array) -> tuple[Prepared, Learner]:
    """For agents that track no moments, and so never want other scales."""
    raise AssertionError(f"{params.size} parameters cannot be expressed in the scales of {statistics.survey}")


@dataclass(slots=True)
class _Process:
    """One running agent."""

    node: Node
    prepare: Preparation
    admits: Callable[[PeerId], bool]
    outgoing: Outgoing
    rescale: Rescaling
    learner: Learner | None = None
    is_closed: bool = False


@final
class Simulator(Processes):
    """Simulates N nodes with their learners; all randomness comes from the seed.

    With agents `elsewhere`, this simulator runs a part of a network: messages for those agents become departures, which
    the caller hands to the other parts.
    """

    def __init__(
        self,
        conditions: Conditions,
        seed: int = 0,
        oracle: ConservationOracle | None = None,
        elsewhere: frozenset[PeerId] = frozenset(),
        observers: Sequence[Observer] = (),
    ) -> None:
        self.now = 0.0
        self.network = VirtualNetwork(conditions, seed, self)
        self.n_sent = 0
        self.n_lost = 0
        self.bytes_sent: dict[PeerId, int] = {}
        """Bytes sent by each agent: arrays of training messages without headers, and whole membership messages."""
        self.conclusions: dict[PeerId, effects.Conclude] = {}
        """What agents have come to after training, where rows are held out."""
        self.notices: list[tuple[float, PeerId, Notice]] = []
        self._oracle = oracle
        self._observers = [*observers, *([] if oracle is None else [oracle])]
        self._elsewhere = elsewhere
        self._departures: list[Arrival] = []
        self._processes: dict[PeerId, _Process] = {}
        self._lives: dict[PeerId, int] = {}
        self._wake_at: dict[PeerId, float] = {}
        self._unalarmed: dict[PeerId, None] = {}
        """Agents whose deadline may have changed since their alarm was set, in this order."""
        self._queue: EventQueue[PeerId, tuple[int, NodeEvent | Callable[[], None]]] = EventQueue()
        """Events by agent, each with the number of the process that it is meant for."""

    @property
    def conditions(self) -> Conditions:
        return self.network.conditions

    @conditions.setter
    def conditions(self, conditions: Conditions) -> None:
        self.network.conditions = conditions

    @property
    def nodes(self) -> Mapping[PeerId, Node]:
        """The nodes of the agents alive."""
        return {peer: process.node for peer, process in self._processes.items()}

    @property
    def n_alive(self) -> int:
        return len(self._processes)

    @property
    def machines(self) -> Mapping[PeerId, RoundMachine]:
        """The round machines of the agents alive whose training has been prepared."""
        rounds = ((peer, process.node.rounds) for peer, process in self._processes.items())
        return {peer: machine for peer, machine in rounds if machine is not None}

    def learner(self, peer: PeerId) -> Learner:
        """The learner of an agent alive whose training has been prepared."""
        return _learner(self._processes[peer])

    def change_samples(self, peer: PeerId, learner: Learner) -> None:
        """Give an agent alive other samples, those of this learner, and tell it."""
        learner.succeed(self.learner(peer))
        self._processes[peer].learner = learner
        self.handle(peer, SamplesChanged())

    # Control.

    def add(
        self,
        peer: PeerId,
        node: Node,
        prepare: Preparation,
        admits: Callable[[PeerId], bool] = lambda _: True,
        outgoing: Outgoing = honest,
        rescale: Rescaling = keep_scales,
    ) -> None:
        """Start or restart an agent."""
        self._processes[peer] = _Process(node, prepare, admits, outgoing, rescale)
        self.bytes_sent.setdefault(peer, 0)
        self._lives[peer] = self._lives.get(peer, 0) + 1
        self._wake_at.pop(peer, None)
        for observer in self._observers:
            observer.started(self.now, peer)
        self._perform(peer, node.start(self.now))
        self.network.started(peer)

    def connect(self, edges: Iterable[Edge]) -> None:
        """Connect pairs of agents permanently, without dialing."""
        for one, other in edges:
            self.network.wire(one, other)

    def crash(self, peer: PeerId) -> None:
        """End an agent's process at once; its neighbors see closed connections."""
        del self._processes[peer]
        self.network.ended(peer)

    def next_time(self) -> float | None:
        """The time of the next event; None where no event is pending in this part."""
        return self._queue.next_time()

    def take_departures(self) -> list[Arrival]:
        """Remove and return the messages for agents elsewhere."""
        departures, self._departures = self._departures, []
        return departures

    def arrive(self, arrivals: Iterable[Arrival]) -> None:
        """Add events from other parts, none before the present."""
        for arrival in arrivals:
            self._queue.add(arrival.time, arrival.peer, (self._lives[arrival.peer], arrival.event))

    def run(self, until: Callable[[], bool] = lambda: False, deadline: float = np.inf) -> None:
        """Handle events until the condition holds, virtual time reaches the deadline, or no event is pending.

        Raises TrainingError where virtual time does not advance (endless loop).
        """
        n_at_once = 0
        while not until():
            time = self._queue.next_time()
            if self._unalarmed and (time is None or time > self.now):
                self._set_alarms()
                time = self._queue.next_time()
            if time is None:
                return
            if time > deadline:
                self.now = deadline
                return
            n_at_once = 0 if time > self.now else n_at_once + 1
            if n_at_once > MAX_EVENTS_AT_ONCE * max(len(self._processes), 1):
                raise TrainingError(f"{n_at_once} events at {self.now} s: the machines turn in a circle")
            self.now = max(self.now, time)
            peer, (life, event) = self._queue.take()
            if callable(event):
                event()
            # Events for an earlier process of the agent are dropped.
            elif life != self._lives[peer] or peer not in self._processes:
                continue
            elif isinstance(event, DeadlineReached) and not self._is_due(peer):
                self._unalarmed[peer] = None
            else:
                self.handle(peer, event)

    def handle(self, peer: PeerId, event: NodeEvent) -> None:
        """Have an agent handle an event now, and perform its effects."""
        for observer in self._observers:
            observer.happened(self.now, peer, event)
        self._perform(peer, self._processes[peer].node.handle(event, self.now))

    @property
    def is_over(self) -> bool:
        """Whether all agents alive have closed."""
        return all(process.is_closed for process in self._processes.values())

    def conservation_error(self) -> float:
        """The relative conservation error: by the oracle at any time; without an oracle by the ledgers, once no share
        is in flight.
        """
        ledgers = [machine.ledger() for machine in self.machines.values()]
        return conservation_error(ledgers) if self._oracle is None else self._oracle.error(ledgers)

    # The interface `Processes` of the virtual network.

    def is_alive(self, peer: PeerId) -> bool:
        return peer in self._processes or peer in self._elsewhere

    def listens_at(self, peer: PeerId) -> str:
        process = self._processes[peer]
        return "" if process.is_closed else process.node.identity.address

    def admits(self, peer: PeerId, dialer: PeerId) -> bool:
        return self._processes[peer].admits(dialer)

    def post(self, delay_s: float, peer: PeerId, event: NodeEvent) -> None:
        if peer in self._elsewhere:
            self._departures.append(Arrival(self.now + delay_s, peer, event))
        else:
            self._queue.add(self.now + delay_s, peer, (self._lives[peer], event))

    def later(self, delay_s: float, action: Callable[[], None]) -> None:
        self._queue.add(self.now + delay_s, _NETWORK, (0, action))

    # Effects.

    def _perform(self, peer: PeerId, wanted: Iterable[effects.Effect]) -> None:
        process = self._processes[peer]
        for effect in wanted:
            for observer in self._observers:
                observer.wanted(self.now, peer, effect)
            match effect:
                case effects.Send(to, message):
                    for told in process.outgoing(message):
                        self._send(peer, to, told)
                case effects.Evaluate():
                    self.post(0.0, peer, _learner(process).evaluate(effect))
                case effects.RunLocalStep():
                    duration = self.conditions.local_step_s(peer) if self.conditions.local_step_s else 0.0
                    self.post(duration, peer, _learner(process).run_local_step(effect))
                case effects.Audit():
                    self.post(0.0, peer, _learner(process).audit(effect))
                case effects.Measure():
                    self.post(0.0, peer, _learner(process).measure(effect))
                case effects.Choose():
                    self.post(0.0, peer, _learner(process).choose(effect))
                case effects.Prepare(statistics):
                    prepared, process.learner = process.prepare(statistics)
                    self.handle(peer, prepared)
                case effects.Rescale(statistics, params):
                    prepared, process.learner = process.rescale(statistics, params)
                    self.handle(peer, prepared)
                case effects.Dial(other, addresses):
                    self.network.dial(peer, other, addresses)
                case effects.HangUp(other):
                    self.network.hang_up(peer, other)
                case effects.Notify(notice):
                    self.notices.append((self.now, peer, notice))
                case effects.CutLocalStepShort(round_):
                    _learner(process).cut_short(round_)
                case effects.Close():
                    process.is_closed = True
                    self.network.ended(peer)
                case effects.KeepRecords():
                    pass  # of a network that lives as long as the simulation
                case effects.Finish():
                    pass  # the agent goes on serving its neighbors until it closes
                case effects.Describe():
                    self.handle(peer, Described(Observed(__version__, None, None, self.bytes_sent[peer])))
                case effects.Conclude():
                    self.conclusions[peer] = effect
                case _:
                    assert_never(effect)
        self._unalarmed[peer] = None

    def _send(self, sender: PeerId, receiver: PeerId, message: Message) -> None:
        if not self.network.is_connected(sender, receiver) or not self.is_alive(receiver):
            return
        self.n_sent += 1
        self.bytes_sent[sender] += _n_bytes(message)
        delays = self.network.delays(sender, receiver)
        self.n_lost += not delays
        if delays and self.conditions.is_encoding:
            version = self._processes[sender].node.version_with(receiver)
            try:
                message = decode([bytes(frame) for frame in encode(message, version)])
            except ProtocolError as error:
                self.notices.append((self.now, receiver, MessageDropped(sender, str(error))))
                return
        for delay_s in delays:
            self.post(delay_s, receiver, MessageReceived(sender, message))

    def _set_alarms(self) -> None:
        """Schedule the deadlines of all agents that have handled events, once before virtual time advances."""
        for peer in self._unalarmed:
            process = self._processes.get(peer)
            if process is None or (deadline := process.node.next_deadline()) is None:
                continue
            if self._wake_at.get(peer, np.inf) > deadline:
                self._wake_at[peer] = deadline
                self._queue.add(max(deadline, self.now), peer, (self._lives[peer], DeadlineReached()))
        self._unalarmed.clear()

    def _is_due(self, peer: PeerId) -> bool:
        """Whether the deadline of a scheduled alarm still holds."""
        if self._wake_at.get(peer, np.inf) <= self.now:
            del self._wake_at[peer]
        deadline = self._processes[peer].node.next_deadline()
        return deadline is not None and deadline <= self.now


def _learner(process: _Process) -> Learner:
    if process.learner is None:
        raise AssertionError("the node wants something computed before it has been prepared")
    return process.learner


def _n_bytes(message: Message) -> int:
    match message:
        case Share():
            return message.total.nbytes + message.params.nbytes + message.curvature.nbytes
        case StateReply():
            return message.params.nbytes
        case _ if is_membership_message(message):
            return len(encode(message)[0])
        case _:
            return 0
