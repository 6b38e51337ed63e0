"""The network of a scenario: messages wait, by sender and receiver, until the script says what becomes of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import final

from p2pnet.protocol.core.effects import Close, Effect, Evaluate, Finish, Notify, Prepare, RunLocalStep, Send
from p2pnet.protocol.core.events import (
    DeadlineReached,
    MessageReceived,
    PeerConnected,
    PeerDisconnected,
    SamplesChanged,
)
from p2pnet.protocol.core.types import Message, PeerId
from p2pnet.protocol.links.conservation import AgentLedger
from p2pnet.protocol.messages.wire import decode, encode
from p2pnet.protocol.node import Node, NodeEvent
from p2pnet.protocol.rounds.machine import RoundMachine
from p2pnet.simulation.conservation_oracle import ConservationOracle
from tests.scenarios import agents, wording
from tests.scenarios.agents import Options, Task

NOTHING_FOUND = Prepare(statistics=None)
MAX_DEADLINES = 10_000
"""In one command; more are an endless loop."""


@dataclass(slots=True)
class Process:
    """One agent that runs."""

    node: Node
    is_closed: bool = False
    tasks: list[Task] = field(default_factory=list)
    standing: str = ""
    """Phase and round, as told last."""


@dataclass(frozen=True, slots=True, eq=False)
class InTransit:
    """One message; two of the same content are still two."""

    sender: str
    receiver: str
    message: Message


@final
class Network:
    """Processes by name, their connections, and what is in transit; writes down all that happens."""

    def __init__(self) -> None:
        self.now = 0.0
        self.processes: dict[str, Process] = {}
        self.in_transit: list[InTransit] = []
        """In the order of sending."""
        self.held: set[str] = set()
        """Agents of which what they want computed waits for the script."""
        self.is_terse = False
        """Whether only notices, what is prepared by statistics, and ends are written down."""
        self.lines: list[str] = []
        self._options: dict[str, Options] = {}
        self._n_starts: Counter[str] = Counter()
        self._connections: set[frozenset[str]] = set()
        self._oracle = ConservationOracle()

    # What the script says.

    def start(self, name: str, options: Options | None = None) -> None:
        """Start the process of an agent; with its earlier options, for the next time."""
        self._options[name] = options or self._options[name]
        node = agents.node(self._key(name), name, self._options[name], self._n_starts[name])
        self._n_starts[name] += 1
        self.processes[name] = Process(node)
        self._oracle.started(self.now, self._key(name))
        self._carry_out(name, "starts", node.start(self.now))

    def change_samples(self, name: str, options: Options) -> None:
        """Give an agent other samples, as these options say."""
        self._options[name] = {**self._options[name], **options}
        self.happen(name, SamplesChanged())

    def connect(self, a: str, b: str) -> None:
        self._connections.add(frozenset((a, b)))
        for one, other in ((a, b), (b, a)):
            self.happen(one, PeerConnected(self._key(other)))

    def disconnect(self, a: str, b: str) -> None:
        """What is in transit between the two is lost. Processes that are gone or closed are not told."""
        self._connections.remove(frozenset((a, b)))
        self.in_transit = [one for one in self.in_transit if {one.sender, one.receiver} != {a, b}]
        for one, other in ((a, b), (b, a)):
            if one in self.processes:
                self.happen(one, PeerDisconnected(self._key(other)))

    def crash(self, name: str) -> None:
        """End a process without a word."""
        del self.processes[name]
        for pair in sorted(map(sorted, self._connections)):
            if name in pair:
                self.disconnect(*pair)

    def happen(self, name: str, event: NodeEvent) -> None:
        """Hand an event to an agent, carry out what it wants, and answer what it wants computed."""
        process = self.processes[name]
        if process.is_closed:
            return
        self._oracle.happened(self.now, self._key(name), event)
        effects = process.node.handle(event, self.now)
        if effects or not isinstance(event, DeadlineReached):
            self._carry_out(name, wording.of_event(event), effects)

    def compute(self, name: str) -> None:
        """Answer the first thing that the agent wants computed."""
        self.happen(name, agents.answer(self.processes[name].tasks.pop(0), self._options[name]))

    def answer(self, name: str) -> None:
        """Answer all that the agent wants computed, unless that waits for the script."""
        while self.processes[name].tasks and name not in self.held:
            self.compute(name)

    def lose(self, messages: Collection[InTransit]) -> None:
        self.in_transit = [one for one in self.in_transit if one not in messages]

    def deliver(self, messages: Sequence[InTransit]) -> None:
        """Let messages arrive, in this order; one that is there twice arrives twice."""
        self.lose(messages)
        for one in messages:
            self.happen(one.receiver, MessageReceived(self._key(one.sender), one.message))

    def advance(self, until: float) -> None:
        """Let time pass, and deadlines with it, in their order."""
        for _ in range(MAX_DEADLINES):
            due = self.next_deadline()
            if due is None or due[0] > until:
                self.now = until
                return
            self.now = max(self.now, due[0])
            self.happen(due[1], DeadlineReached())
        raise AssertionError(f"deadlines without end at {self.now:.3f}")

    # What can be seen.

    def next_deadline(self) -> tuple[float, str] | None:
        """Of the agent whose deadline is the first."""
        open_ = {name: process.node for name, process in self.processes.items() if not process.is_closed}
        deadlines = ((node.next_deadline(), name) for name, node in open_.items())
        return min(((time, name) for time, name in deadlines if time is not None), default=None)

    def between(self, sender: str, receiver: str) -> list[InTransit]:
        return [one for one in self.in_transit if (one.sender, one.receiver) == (sender, receiver)]

    def rounds(self, name: str) -> RoundMachine:
        """The training of an agent, which must have been prepared."""
        rounds = self.processes[name].node.rounds
        assert rounds is not None, f"{name} does not train yet"
        return rounds

    def ledgers(self) -> list[AgentLedger]:
        rounds = (process.node.rounds for process in self.processes.values())
        return [machine.ledger() for machine in rounds if machine is not None]

    def conservation_error(self) -> float:
        """‖trackers + in flight − own vectors‖ over the agents alive, relative to their own vectors."""
        return self._oracle.error(self.ledgers())

    def _key(self, name: str) -> PeerId:
        return self._options[name].get("key", name)

    # What agents want done.

    def _carry_out(self, name: str, happening: str, effects: list[Effect]) -> None:
        process = self.processes[name]
        self._write(name, happening, effects)
        for effect in effects:
            self._oracle.wanted(self.now, self._key(name), effect)
            match effect:
                case Send(peer, message):
                    frames = [bytes(frame) for frame in encode(message)]
                    self.in_transit += [InTransit(name, to, decode(frames)) for to in self._reached(name, peer)]
                case Prepare() | Evaluate() | RunLocalStep():
                    process.tasks.append(effect)
                case Close():
                    process.is_closed = True
                case _:
                    pass  # connections are the script's; all else is only written down
        self.answer(name)

    def _reached(self, name: str, peer: PeerId) -> list[str]:
        """The process of the peer that this one is connected to; a message to any other is lost."""
        others = (other for pair in self._connections if name in pair for other in pair - {name})
        return [other for other in others if self._key(other) == peer]

    def _write(self, name: str, happening: str, effects: list[Effect]) -> None:
        process = self.processes[name]
        before, rounds = process.standing, process.node.rounds
        process.standing = "" if rounds is None else f"({rounds.phase.value}, round {rounds.round})"
        if self.is_terse:
            news = [
                one for one in effects if isinstance(one, Notify | Prepare | Finish | Close) and one != NOTHING_FOUND
            ]
            self.lines += [f"{self.now:.3f} {name}: {wording.of_effect(effect)}" for effect in news]
            return
        self.lines.append(f"{self.now:.3f} {name}: {happening}")
        self.lines += [f"    {wording.of_effect(effect)}" for effect in effects]
        if process.standing != before:
            self.lines.append(f"    {process.standing}")
