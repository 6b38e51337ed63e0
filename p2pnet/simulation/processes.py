"""One simulation in several processes, each with its own part of the agents.

What an agent sends reaches another one a latency later, at the earliest. So from the earliest event that is left
anywhere, all parts can go on by themselves for as long; then they meet, and hand over what is for agents elsewhere
(conservative parallel simulation with a bounded lag: Chandy and Misra 1979, Lubachevsky 1989).
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, fields
from multiprocessing.connection import Connection
from operator import attrgetter
from typing import Generic, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from p2pnet.errors import TrainingError
from p2pnet.protocol.core.events import MessageReceived
from p2pnet.protocol.messages.training import Share
from p2pnet.simulation.simulator import Arrival, Simulator

Kind = TypeVar("Kind")
Result = TypeVar("Result")
Column: TypeAlias = Sequence[object] | NDArray[np.generic]

_share_fields = attrgetter(*(field.name for field in fields(Share)))


@dataclass(frozen=True, slots=True)
class Parcel:
    """Arrivals on their way to another process: shares, the most of them, field by field, arrays stacked, which takes a
    quarter of the time to hand over.
    """

    shares: Sequence[Column]
    others: Sequence[tuple[int, Arrival]]
    """with their places among all"""

    @classmethod
    def of(cls, arrivals: Sequence[Arrival]) -> Parcel:
        rows, others = [], []
        for place, arrival in enumerate(arrivals):
            match arrival.event:
                case MessageReceived(sender, Share() as share):
                    rows.append((arrival.time, arrival.peer, sender, *_share_fields(share)))
                case _:
                    others.append((place, arrival))
        columns = [
            np.stack(column) if isinstance(column[0], np.ndarray) else column for column in zip(*rows, strict=True)
        ]
        return cls(columns, others)

    def arrivals(self) -> list[Arrival]:
        """All of them, in their order."""
        columns = [list(column) for column in self.shares]
        arrivals = [
            Arrival(time, peer, MessageReceived(sender, Share(*values)))
            for time, peer, sender, *values in zip(*columns, strict=True)
        ]
        for place, other in self.others:
            arrivals.insert(place, other)
        return arrivals


@dataclass(frozen=True, slots=True)
class _Outgoing:
    """What one part brings to a meeting."""

    next_time: float | None
    """of the earliest event that it knows of"""
    parcels: Sequence[Parcel]
    """for each of the parts"""


@dataclass(frozen=True, slots=True)
class _Incoming:
    """What one part takes home from it."""

    next_time: float | None
    """of the earliest event of all parts; None when nothing is left"""
    parcels: Sequence[Parcel]


@dataclass(frozen=True, slots=True)
class _Done(Generic[Result]):
    """What a part has made in the end."""

    result: Result


Meet: TypeAlias = Callable[[_Outgoing], _Incoming]
Work: TypeAlias = Callable[[int, Meet], Result]
"""What the process of part k does."""


def can_fork() -> bool:
    """Whether this system can have several processes that begin alike."""
    return "fork" in multiprocessing.get_all_start_methods()


def n_cores() -> int:
    """Processor cores that this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on every system
        return os.cpu_count() or 1


def run_with_others(
    simulation: Simulator, meet: Meet, part_of: Callable[[str], int], n_parts: int, deadline: float
) -> None:
    """Run one part's simulation until nothing is left in any of them, or the virtual time is over."""
    while True:
        departures: list[list[Arrival]] = [[] for _ in range(n_parts)]
        times = [] if (next_time := simulation.next_time()) is None else [next_time]
        for arrival in simulation.take_departures():
            departures[part_of(arrival.peer)].append(arrival)
            times.append(arrival.time)
        incoming = meet(_Outgoing(min(times, default=None), [Parcel.of(each) for each in departures]))
        for parcel in incoming.parcels:
            simulation.arrive(parcel.arrivals())
        if incoming.next_time is None or incoming.next_time > deadline:
            return
        until = incoming.next_time + simulation.conditions.latency_s
        simulation.run(deadline=float(np.nextafter(until, -np.inf)))


def in_processes(n: int, work: Work[Result]) -> list[Result]:
    """work(k, meet) for each k below n: the first in this process, the others each in one of its own; their results.

    Raises what one of them raises, and TrainingError if one is gone.
    """
    with _forked(range(1, n), work) as others:

        def meet(mine: _Outgoing) -> _Incoming:
            outgoing = [mine, *(_received(other, _Outgoing) for other in others)]
            next_time = min((each.next_time for each in outgoing if each.next_time is not None), default=None)
            incoming = [_Incoming(next_time, [each.parcels[k] for each in outgoing]) for k in range(n)]
            for other, each in zip(others, incoming[1:], strict=True):
                _send(other, each)
            return incoming[0]

        return [work(0, meet), *(_received(other, _Done).result for other in others)]


@contextmanager
def _forked(parts: range, work: Work[Result]) -> Iterator[list[Connection]]:
    """A process for each of the parts, and the connections to them; they end with the context."""
    connections: list[Connection] = []
    processes = []
    try:
        for k in parts:
            context = multiprocessing.get_context("fork")
            ours, theirs = context.Pipe()
            process = context.Process(target=_serve, args=(k, work, theirs, [*connections, ours]), daemon=True)
            with warnings.catch_warnings():
                # Of threads that a fork leaves behind. Here they are those of BLAS, which starts its own anew.
                warnings.simplefilter("ignore", DeprecationWarning)
                process.start()
            theirs.close()
            connections.append(ours)
            processes.append(process)
        yield connections
    finally:
        for connection in connections:
            connection.close()
        for process in processes:
            process.terminate()
            process.join()


def _serve(k: int, work: Work[Result], connection: Connection, inherited: Sequence[Connection]) -> None:
    """The life of another part's process. It ends when the first one does, however that may be."""
    # Whoever interrupts the simulation interrupts its first process, which ends the others.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # As long as these ends are open anywhere, nobody sees that the first process is gone.
    for end in inherited:
        end.close()

    def meet(mine: _Outgoing) -> _Incoming:
        _send(connection, mine)
        return _received(connection, _Incoming)

    try:
        connection.send(_Done(work(k, meet)))
    except Exception as error:  # noqa: BLE001 - whatever it is, it is for the first process to say
        with suppress(OSError):
            connection.send(error)


def _send(connection: Connection, message: object) -> None:
    try:
        connection.send(message)
    except OSError as error:
        raise TrainingError("a process of the simulation has ended; was there too little memory?") from error


def _received(connection: Connection, kind: type[Kind]) -> Kind:
    try:
        message = connection.recv()
    except (EOFError, OSError) as error:
        raise TrainingError("a process of the simulation has ended; was there too little memory?") from error
    if isinstance(message, Exception):
        raise message
    if not isinstance(message, kind):
        raise TrainingError("the parts of the simulation do not end together")
    return message
