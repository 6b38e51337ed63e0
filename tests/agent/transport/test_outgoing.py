"""What is on its way out is not sent twice."""

from threading import Event

import numpy as np
import zmq

from p2pnet.agent.transport.outgoing import Outgoing
from p2pnet.protocol.core.types import Array, Frames
from tests.agent.transport.test_transport import Town

N_LARGE = 8_000_000
"""64 MB, which take longer to encrypt than to queue."""


def frames_of(*arrays: Array) -> Frames:
    return [b"header", *(array.data.cast("B").toreadonly() for array in arrays)]


def test_a_message_is_known_by_its_arrays_until_it_was_passed_on() -> None:
    outgoing, is_passed_on = Outgoing(), Event()
    one, other, equal = np.ones(3), np.zeros(3), np.ones(3)
    assert not outgoing.has(frames_of(one, other))
    outgoing.note(frames_of(one, other), zmq.MessageTracker(is_passed_on))
    assert outgoing.has(frames_of(one, other))
    assert not outgoing.has(frames_of(equal, other))
    assert not outgoing.has(frames_of(one))
    assert not outgoing.has([b"header"])
    is_passed_on.set()
    assert not outgoing.has(frames_of(one, other))


def test_messages_without_arrays_are_never_the_same() -> None:
    outgoing = Outgoing()
    outgoing.note([b"header", b"bytes"], zmq.MessageTracker(Event()))
    assert not outgoing.has([b"header", b"bytes"])


def test_no_array_is_kept_alive() -> None:
    outgoing, array = Outgoing(), np.ones(3)
    outgoing.note(frames_of(array), zmq.MessageTracker(Event()))
    del array
    assert not outgoing.has(frames_of(np.ones(3)))


def test_a_large_message_that_still_waits_is_not_sent_again_but_afterwards_it_is() -> None:
    town = Town()
    sender, receiver = town.add(max_message_bytes=2**27), town.add(max_message_bytes=2**27)
    town.connect(sender, receiver)
    before, array = sender.transport.bytes_sent, np.ones(N_LARGE)
    for _ in range(3):
        assert sender.transport.send(receiver.peer, frames_of(array))
    assert sender.transport.bytes_sent - before == 8 * N_LARGE + len(b"header")
    town.until(lambda: len(receiver.messages(sender.peer)) == 1)
    connection = sender.transport._peers.route(receiver.peer)
    assert connection is not None
    town.until(lambda: not connection.outgoing.has(frames_of(array)))
    assert sender.transport.send(receiver.peer, frames_of(array))
    town.until(lambda: len(receiver.messages(sender.peer)) == 2)
    for node in town.nodes:
        node.transport.close(0)
