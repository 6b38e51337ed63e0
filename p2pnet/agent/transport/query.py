"""A query: one question and its answer, over a connection of their own.

A connection of the two agents for training is not affected.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from time import monotonic, time
from typing import final

import zmq

from p2pnet.agent.transport.base import Frame, TransportLimits
from p2pnet.agent.transport.connection import Context, SocketSet
from p2pnet.agent.transport.dialer import DialedConnection
from p2pnet.agent.transport.keys import KeyPair
from p2pnet.protocol.core.address import Address
from p2pnet.protocol.core.events import DialProblem
from p2pnet.protocol.core.types import PeerId

ANSWER_TIMEOUT_S = 5.0


@final
@dataclass(frozen=True, slots=True)
class QueryAnswer:
    """The frames of an answer, and how long it took."""

    frames: Sequence[memoryview]
    asked_at_s: float
    """seconds since the epoch"""
    round_trip_s: float


@final
@dataclass(frozen=True, slots=True)
class Unanswered:
    """A query without an answer, and where it failed."""

    problem: DialProblem | None
    """None where the peer proved its key, and then sent no answer, or none that can be read"""
    is_tcp_connected: bool


def query(
    keys: KeyPair, peer: PeerId, address: Address, question: Sequence[Frame], limits: TransportLimits
) -> QueryAnswer | Unanswered:
    """Put the question to the agent with that public key at that numeric address; takes at most some seconds."""
    context: Context = zmq.Context()
    connection = DialedConnection(context, keys, limits, peer, address, is_greeting=False)
    try:
        return _await(connection, (b"", *question), limits)
    finally:
        connection.close()
        context.term()


def _await(connection: DialedConnection, frames: Sequence[Frame], limits: TransportLimits) -> QueryAnswer | Unanswered:
    sockets = SocketSet()
    answers: list[QueryAnswer] = []
    asked_at, asked_at_s = 0.0, 0.0

    def follow() -> None:
        nonlocal asked_at, asked_at_s
        was_open = connection.is_open
        connection.follow()
        if connection.is_open and not was_open:
            asked_at, asked_at_s = monotonic(), time()
            connection.send(frames, sum(memoryview(frame).nbytes for frame in frames))

    def receive() -> None:
        for message in connection.reader.read(2 * limits.max_frames):
            found = [frame.buffer for frame in message.frames]
            answers.append(QueryAnswer(found, asked_at_s, monotonic() - asked_at))

    sockets.add(connection.socket, receive)
    sockets.add(connection.monitor.socket, follow)
    give_up_at = monotonic() + limits.connect_timeout_s + limits.handshake_timeout_s + ANSWER_TIMEOUT_S
    while not answers and connection.ended_at is None and monotonic() < give_up_at:
        sockets.wait(max(0.0, give_up_at - monotonic()))
        if connection.is_open:
            give_up_at = connection.opened_at + ANSWER_TIMEOUT_S
    if answers:
        return answers[0]
    problem = None if connection.is_open else connection.problem or DialProblem.TIMED_OUT
    return Unanswered(problem, is_tcp_connected=connection.stream is not None)
