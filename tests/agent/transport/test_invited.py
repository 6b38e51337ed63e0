"""A key that is invited may send one query of a few bytes, and nothing else."""

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from time import monotonic

import pytest

from p2pnet.agent.transport.base import Queried, Refusal, Rejected, TransportEvent, TransportLimits
from p2pnet.agent.transport.keys import KeyPair, generate_keys
from p2pnet.agent.transport.query import QueryAnswer, Unanswered, query
from p2pnet.agent.transport.zmq_transport import ZmqTransport
from p2pnet.protocol.core.address import Address
from p2pnet.protocol.core.events import DialProblem, PeerConnected

PATIENCE_S = 10.0
LIMITS = TransportLimits(max_frames=1, max_message_bytes=4096)


@dataclass
class Host:
    """An agent that has invited one key and allows none, and answers each query by its own words."""

    keys: KeyPair = field(default_factory=generate_keys)
    guest: KeyPair = field(default_factory=generate_keys)
    events: list[TransportEvent] = field(default_factory=list)

    def __post_init__(self) -> None:
        is_invited = self.guest.public.__eq__
        self.transport = ZmqTransport.open(self.keys, ["127.0.0.1:0"], lambda _: False, None, is_invited)

    def serve_until(self, is_over: threading.Event) -> None:
        while not is_over.is_set():
            self.look(0.05)

    def look(self, timeout_s: float) -> None:
        for event in self.transport.poll(timeout_s):
            self.events.append(event)
            if isinstance(event, Queried):
                self.transport.reply(event.peer, [bytes(frame) for frame in event.frames])

    def asked(self, keys: KeyPair, question: bytes) -> QueryAnswer | Unanswered:
        """The answer to a query by these keys."""
        is_over = threading.Event()
        serving = threading.Thread(target=self.serve_until, args=(is_over,))
        serving.start()
        try:
            return query(keys, self.keys.public, Address.parse(self.transport.addresses[0]), [question], LIMITS)
        finally:
            is_over.set()
            serving.join()

    def rejected(self) -> set[Refusal]:
        return {event.refusal for event in self.events if isinstance(event, Rejected)}


@pytest.fixture
def host() -> Iterator[Host]:
    host = Host()
    yield host
    host.transport.close(0.0)


def test_it_asks_and_is_answered_and_is_no_peer(host: Host) -> None:
    answer = host.asked(host.guest, b"may I?")
    assert isinstance(answer, QueryAnswer)
    assert [bytes(frame) for frame in answer.frames] == [b"may I?"]
    assert not any(isinstance(event, PeerConnected) for event in host.events)


def test_any_other_key_is_refused_in_the_handshake(host: Host) -> None:
    answer = host.asked(generate_keys(), b"may I?")
    assert answer == Unanswered(DialProblem.NOT_ALLOWED, is_tcp_connected=True)


def test_a_long_query_is_not_answered(host: Host) -> None:
    answer = host.asked(host.guest, bytes(5000))
    assert isinstance(answer, Unanswered)
    assert not any(isinstance(event, Queried) for event in host.events)


def test_it_is_hung_up_on_when_it_speaks_as_a_peer(host: Host) -> None:
    guest = ZmqTransport.open(host.guest, [], lambda _: False)
    try:
        guest.dial(host.keys.public, host.transport.addresses[0])
        deadline = monotonic() + PATIENCE_S
        while Refusal.ONLY_A_QUERY not in host.rejected() and monotonic() < deadline:
            guest.poll(0.02)
            host.look(0.02)
    finally:
        guest.close(0.0)
    assert Refusal.ONLY_A_QUERY in host.rejected()
    assert not any(isinstance(event, PeerConnected) for event in host.events)
