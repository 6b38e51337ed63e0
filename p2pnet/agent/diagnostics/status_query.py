"""The status query of `p2pnet doctor`, which each agent answers to allowed peers."""

from __future__ import annotations

from dataclasses import dataclass

from p2pnet.agent.diagnostics.status import MAX_STATUS_BYTES, QUESTION, NodeStatus, decode_status
from p2pnet.agent.transport.base import TransportLimits
from p2pnet.agent.transport.keys import KeyPair
from p2pnet.agent.transport.query import Unanswered, query
from p2pnet.errors import ProtocolError
from p2pnet.protocol.core.address import Address
from p2pnet.protocol.core.types import PeerId

LIMITS = TransportLimits(
    max_frames=1, max_message_bytes=MAX_STATUS_BYTES, connect_timeout_s=3.0, handshake_timeout_s=3.0
)


@dataclass(frozen=True, slots=True)
class Answered:
    """The status of an agent, with round-trip time and clock difference."""

    status: NodeStatus
    round_trip_s: float
    clock_ahead_s: float
    """how much the other clock is ahead of this clock, if query and answer took equally long"""


def query_status(keys: KeyPair, peer: PeerId, address: Address) -> Answered | Unanswered:
    """Send a status query to the agent with that public key at that numeric address; takes at most some seconds."""
    answer = query(keys, peer, address, QUESTION, LIMITS)
    if isinstance(answer, Unanswered):
        return answer
    try:
        status = decode_status(answer.frames)
    except ProtocolError:
        return Unanswered(None, is_tcp_connected=True)
    return Answered(status, answer.round_trip_s, status.time_s - (answer.asked_at_s + answer.round_trip_s / 2))
