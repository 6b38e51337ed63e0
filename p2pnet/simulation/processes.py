"""Parallel simulation: several processes, each with a part of the agents, in bounded lag.

A message arrives one latency after it was sent, at the earliest. So from the earliest pending event, all parts can run
for one latency by themselves; then they synchronize, and hand over messages for other parts (conservative parallel
simulation with a bounded lag: Chandy and Misra 1979, Lubachevsky 1989).
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
    """Arrivals for another process, packed: shares field by field, their arrays stacked where they are alike, which
    takes a quarter of the time to hand over.
    """

    shares: Sequence[Column]
    others: Sequence[tuple[int, Arrival]]
    """all other arrivals, with their positions"""

    @classmethod
    def of(cls, arrivals: Sequence[Arrival]) -> Parcel:
        rows, others = [], []
        for place, arrival in enumerate(arrivals):
            match arrival.event:
                case MessageReceived(sender, Share() as share):
                    rows.append((arrival.time, arrival.peer, sender, *_share_fields(share)))
                case _:
                    others.append((place, arrival))
        columns = [np.stack(column) if _are_alike(column) else column for column in zip(*rows, strict=True)]
        return cls(columns, others)

    def arrivals(self) -> list[Arrival]:
        """Unpack all arrivals, in their order."""
        columns = [list(column) for column in self.shares]
        arrivals = [
            Arrival(time, peer, MessageReceived(sender, Share(*values)))
            for time, peer, sender, *values in zip(*columns, strict=True)
        ]
        for place, other in self.others:
            arrivals.insert(place, other)
        return arrivals


def _are_alike(column: Sequence[object]) -> bool:
    """Whether these are arrays of one type and shape; codes are of any length."""
    return len({(part.dtype, part.shape) if isinstance(part, np.ndarray) else None for part in column} - {None}) == 1


@dataclass(frozen=True, slots=True)
class _Outgoing:
    """The messages and the next event time that a part hands over at a synchronization."""

    next_time: float | None
    """time of the part's earliest pending event"""
    parcels: Sequence[Parcel]
    """one for each part"""


@dataclass(frozen=True, slots=True)
class _Incoming:
    """The messages and the global next event time that a part receives at a synchronization."""

    next_time: float | None
    """time of the earliest pending event of all parts; None without any"""
    parcels: Sequence[Parcel]


@dataclass(frozen=True, slots=True)
class _Done(Generic[Result]):
    """The result of a part."""

    result: Result


Meet: TypeAlias = Callable[[_Outgoing], _Incoming]
Work: TypeAlias = Callable[[int, Meet], Result]
"""The work of the process of part k."""


def can_fork() -> bool:
    """Whether this system can fork processes."""
    return "fork" in multiprocessing.get_all_start_methods()


def n_cores() -> int:
    """The number of processor cores that this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on every system
        return os.cpu_count() or 1


def run_with_others(
    simulation: Simulator, meet: Meet, part_of: Callable[[str], int], n_parts: int, deadline: float
) -> None:
    """Run one part until no part has a pending event, or virtual time reaches the deadline."""
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
    """Compute work(k, meet) for k = 0 … n − 1, the first in this process, the others in forked processes.

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
    """Fork a process for each part; the processes end with the context."""
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
    """Run a part in its forked process, which ends when the first process does."""
    # An interrupt is for the first process, which ends the others.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # As long as a process holds these ends open, no process sees that the first is gone.
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
