"""Answers one invitation where no agent runs that would."""

from __future__ import annotations

from collections.abc import Callable

from p2pnet.agent.transport.base import Queried, TransportLimits
from p2pnet.agent.transport.keys import KeyPair
from p2pnet.agent.transport.zmq_transport import ZmqTransport
from p2pnet.agent.trust.doorkeeper import Doorkeeper

_LINGER_S = 1.0
_LIMITS = TransportLimits(max_frames=2, max_message_bytes=4096)


def answer_one(doorkeeper: Doorkeeper, keys: KeyPair, bind: str, until_s: float, clock: Callable[[], float]) -> bool:
    """Listen at the agent's address until a machine has been admitted, or the clock shows `until_s`; whether one was.

    TransportError where the address cannot be bound, as where the agent runs after all.
    """
    transport = ZmqTransport.open(keys, [bind], lambda _: False, _LIMITS, doorkeeper.knows)
    try:
        while (left_s := until_s - clock()) > 0:
            for event in transport.poll(min(left_s, 1.0)):
                if not isinstance(event, Queried):
                    continue
                ruling = doorkeeper.answer(event.peer, event.frames)
                transport.reply(event.peer, ruling.answer)
                if ruling.signed:
                    return True
    finally:
        transport.close(_LINGER_S)
    return False
