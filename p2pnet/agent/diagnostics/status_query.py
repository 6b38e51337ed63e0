"""The status query of `p2pnet doctor`, which each agent answers to allowed peers.

Query and answer use a connection of their own; a connection of the two agents for training is not affected.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from time import monotonic, time

import zmq

from p2pnet.agent.diagnostics.status import MAX_STATUS_BYTES, NodeStatus, decode_status
from p2pnet.agent.transport.base import TransportLimits
from p2pnet.agent.transport.connection import Context, SocketSet
from p2pnet.agent.transport.dialer import DialedConnection
from p2pnet.agent.transport.keys import KeyPair
from p2pnet.errors import ProtocolError
from p2pnet.protocol.core.address import Address
from p2pnet.protocol.core.events import DialProblem
from p2pnet.protocol.core.types import PeerId

QUESTION = (b"", b"p2pnet?")
LIMITS = TransportLimits(
    max_frames=1, max_message_bytes=MAX_STATUS_BYTES, connect_timeout_s=3.0, handshake_timeout_s=3.0
)
ANSWER_TIMEOUT_S = 5.0


@dataclass(frozen=True, slots=True)
class Answered:
    """The status of an agent, with round-trip time and clock difference."""

    status: NodeStatus
    round_trip_s: float
    clock_ahead_s: float
    """how much the other clock is ahead of this clock, if query and answer took equally long"""


@dataclass(frozen=True, slots=True)
class Unanswered:
    """A status query without an answer, and where it failed."""

    problem: DialProblem | None
    """None where the peer proved its key, and then sent no answer, or none that can be read"""
    is_tcp_connected: bool


def query_status(keys: KeyPair, peer: PeerId, address: Address) -> Answered | Unanswered:
    """Send a status query to the agent with that public key at that numeric address; takes at most some seconds."""
    context: Context = zmq.Context()
    connection = DialedConnection(context, keys, LIMITS, peer, address, is_greeting=False)
    try:
        return _await(connection)
    finally:
        connection.close()
        context.term()


def _await(connection: DialedConnection) -> Answered | Unanswered:
    sockets = SocketSet()
    answers: list[Answered | Unanswered] = []
    asked_at, asked_at_s = 0.0, 0.0

    def follow() -> None:
        nonlocal asked_at, asked_at_s
        was_open = connection.is_open
        connection.follow()
        if connection.is_open and not was_open:
            asked_at, asked_at_s = monotonic(), time()
            connection.send(QUESTION, sum(map(len, QUESTION)))

    def receive() -> None:
        for message in connection.reader.read(1):
            frames = [frame.buffer for frame in message.frames]
            answers.append(_judge(frames, monotonic() - asked_at, asked_at_s))

    sockets.add(connection.socket, receive)
    sockets.add(connection.monitor.socket, follow)
    give_up_at = monotonic() + LIMITS.connect_timeout_s + LIMITS.handshake_timeout_s + ANSWER_TIMEOUT_S
    while not answers and connection.ended_at is None and monotonic() < give_up_at:
        sockets.wait(max(0.0, give_up_at - monotonic()))
        if connection.is_open:
            give_up_at = connection.opened_at + ANSWER_TIMEOUT_S
    if answers:
        return answers[0]
    problem = None if connection.is_open else connection.problem or DialProblem.TIMED_OUT
    return Unanswered(problem, is_tcp_connected=connection.stream is not None)


def _judge(frames: Sequence[memoryview], round_trip_s: float, asked_at_s: float) -> Answered | Unanswered:
    try:
        status = decode_status(frames)
    except ProtocolError:
        return Unanswered(None, is_tcp_connected=True)
    return Answered(status, round_trip_s, status.time_s - (asked_at_s + round_trip_s / 2))
