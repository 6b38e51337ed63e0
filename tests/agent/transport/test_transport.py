"""Messages between agents over real sockets on the loopback, with friends and with strangers."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from time import monotonic

import numpy as np
import pytest
import zmq

from p2pnet.agent.diagnostics.status import NodeStatus, encode_status
from p2pnet.agent.diagnostics.status_query import Answered, query_status
from p2pnet.agent.transport import dialer
from p2pnet.agent.transport.base import Queried, Received, Refusal, Rejected, TransportEvent, TransportLimits
from p2pnet.agent.transport.hosts import resolve
from p2pnet.agent.transport.keys import KeyPair, generate_keys
from p2pnet.agent.transport.query import Unanswered
from p2pnet.agent.transport.zmq_transport import ZmqTransport
from p2pnet.errors import SecurityError, TransportError
from p2pnet.protocol.core.address import Address
from p2pnet.protocol.core.events import DialFailed, DialProblem, PeerConnected, PeerDisconnected

PATIENCE_S = 20.0
NO_SUCH_HOST = "x" * 70  # longer than a label may be, so that no name server is asked
LOOPBACK = ("tcp://127.0.0.1:0",)


class Node:
    """A transport and everything that it has reported."""

    def __init__(self, keys: KeyPair, bind: Sequence[str], allowed: set[str] | None, limits: TransportLimits) -> None:
        self.transport = ZmqTransport.open(keys, bind, lambda peer: allowed is None or peer in allowed, limits)
        self.keys = keys
        self.peer = keys.public
        self.events: list[TransportEvent] = []

    @property
    def address(self) -> str:
        return self.transport.addresses[0]

    @property
    def port(self) -> int:
        return Address.parse(self.address).port

    def messages(self, peer: str) -> list[list[bytes]]:
        return [
            [bytes(frame) for frame in event.frames]
            for event in self.events
            if isinstance(event, Received) and event.peer == peer
        ]

    def links(self, peer: str) -> list[type]:
        """The order of PeerConnected and PeerDisconnected."""
        return [
            type(event)
            for event in self.events
            if isinstance(event, PeerConnected | PeerDisconnected) and event.peer == peer
        ]

    def rejections(self) -> list[Rejected]:
        return [event for event in self.events if isinstance(event, Rejected)]

    def problems(self) -> list[DialProblem]:
        return [event.problem for event in self.events if isinstance(event, DialFailed)]


class Town:
    """Some nodes, all served by this thread."""

    def __init__(self) -> None:
        self.nodes: list[Node] = []

    def add(
        self,
        keys: KeyPair | None = None,
        bind: Sequence[str] = LOOPBACK,
        allowed: set[str] | None = None,
        **limits: float,
    ) -> Node:
        node = Node(keys or generate_keys(), bind, allowed, TransportLimits(**limits))  # type: ignore[arg-type]
        self.nodes.append(node)
        return node

    def remove(self, node: Node) -> None:
        self.nodes.remove(node)
        node.transport.close(0)

    def until(self, is_done: Callable[[], bool]) -> None:
        """Serve all nodes until it is so."""
        give_up_at = monotonic() + PATIENCE_S
        while not is_done():
            assert monotonic() < give_up_at, [node.events for node in self.nodes]
            for node in self.nodes:
                node.events += node.transport.poll(0.005)

    def pass_time(self, seconds: float) -> None:
        end = monotonic() + seconds
        self.until(lambda: monotonic() >= end)

    def connect(self, dialer: Node, listener: Node) -> None:
        dialer.transport.dial(listener.peer, listener.address)
        self.until(lambda: is_connected(dialer, listener) and is_connected(listener, dialer))


def is_connected(node: Node, other: Node) -> bool:
    return node.links(other.peer)[-1:] == [PeerConnected]


def lower_and_higher() -> tuple[KeyPair, KeyPair]:
    first, second = sorted((generate_keys(), generate_keys()), key=lambda keys: keys.public)
    return first, second


def n_tcp_connections(port: int) -> int:
    """Established streams whose accepting end is at the port."""
    suffix = f":{port:04X}"
    with open("/proc/net/tcp") as table:  # noqa: PTH123
        rows = [line.split() for line in table.readlines()[1:]]
    return sum(row[1].endswith(suffix) and row[3] == "01" for row in rows)


@pytest.fixture
def town() -> Iterator[Town]:
    town = Town()
    yield town
    for node in town.nodes:
        node.transport.close(0)


@contextlib.contextmanager
def stranger(address: str, server: str, keys: KeyPair | None, routing_id: bytes = b"") -> Iterator[zmq.Socket[bytes]]:
    """A bare ZeroMQ client of our own making."""
    context = zmq.Context()
    client = context.socket(zmq.DEALER)
    client.linger = 0
    client.reconnect_ivl = -1
    client.sndtimeo = round(PATIENCE_S * 1000)
    if routing_id:
        client.routing_id = routing_id
    if keys:
        client.curve_publickey, client.curve_secretkey = keys.public.encode(), keys.secret.encode()
        client.curve_serverkey = server.encode()
    client.connect(address)
    try:
        yield client
    finally:
        client.close()
        context.term()


# ---------------------------------------------------------------------------------------------------- messages


def test_messages_go_both_ways_over_one_connection(town: Town) -> None:
    alice, bob = town.add(), town.add()
    town.connect(alice, bob)
    assert alice.transport.send(bob.peer, [b"head", b"", b"\x00" * 3])
    assert bob.transport.send(alice.peer, [b"answer"])
    town.until(lambda: bool(alice.messages(bob.peer) and bob.messages(alice.peer)))
    assert bob.messages(alice.peer) == [[b"head", b"", b"\x00" * 3]]
    assert alice.messages(bob.peer) == [[b"answer"]]
    assert n_tcp_connections(bob.port) == 1
    assert n_tcp_connections(alice.port) == 0


def test_arrays_arrive_as_they_were_sent_even_if_the_sender_changes_them_at_once(town: Town) -> None:
    alice, bob = town.add(), town.add()
    town.connect(alice, bob)
    array = np.arange(200_000, dtype=np.float64)
    fixed = array.copy()
    fixed.flags.writeable = False
    assert alice.transport.send(bob.peer, [b"h", array.data, fixed.data, bytearray(b"tail")])
    array[:] = -1.0
    town.until(lambda: any(isinstance(event, Received) for event in bob.events))
    (event,) = [event for event in bob.events if isinstance(event, Received)]
    for frame in event.frames[1:3]:
        np.testing.assert_array_equal(np.frombuffer(frame, dtype=np.float64), fixed)
    assert bytes(event.frames[3]) == b"tail"


def test_messages_of_a_connection_keep_their_order(town: Town) -> None:
    alice, bob = town.add(), town.add()
    town.connect(alice, bob)
    sent: list[list[bytes]] = []
    while len(sent) < 500:
        message = [str(len(sent)).encode(), b"x" * (len(sent) % 7)]
        if alice.transport.send(bob.peer, message):
            sent.append(message)
        else:
            town.until(lambda: True)
            bob.events += bob.transport.poll(0.005)
    town.until(lambda: len(bob.messages(alice.peer)) == 500)
    assert bob.messages(alice.peer) == sent


def test_bytes_are_counted_at_both_ends(town: Town) -> None:
    alice, bob = town.add(), town.add()
    town.connect(alice, bob)
    alice.transport.send(bob.peer, [b"12345", np.zeros(10).data])
    town.until(lambda: bool(bob.messages(alice.peer)))
    assert alice.transport.bytes_sent == bob.transport.bytes_received == 85
    assert alice.transport.bytes_received == bob.transport.bytes_sent == 0


def test_sending_to_nobody_or_into_a_full_queue_takes_nothing(town: Town) -> None:
    alice, bob = town.add(queue_messages=4), town.add(queue_messages=4)
    assert not alice.transport.send(bob.peer, [b"early"])
    town.connect(alice, bob)
    message = [b"x" * 1_000_000]
    for _ in range(200):  # no process reads at the other end
        if not alice.transport.send(bob.peer, message):
            break
    else:
        pytest.fail("the queue has no end")
    for _ in range(200):
        if not bob.transport.send(alice.peer, message):
            break
    else:
        pytest.fail("the queue of an accepted connection has no end")
    assert alice.transport.bytes_sent < 200 * 1_000_000


def test_an_empty_message_is_the_callers_mistake(town: Town) -> None:
    alice = town.add()
    for nothing in ([], [b""]):
        with pytest.raises(ValueError, match="frame"):
            alice.transport.send("anyone", nothing)


def test_a_transport_that_only_dials_out_takes_full_part(town: Town) -> None:
    inside, outside = town.add(bind=()), town.add()
    assert inside.transport.addresses == ()
    town.connect(inside, outside)
    assert outside.transport.send(inside.peer, [b"hello in there"])
    town.until(lambda: bool(inside.messages(outside.peer)))


@pytest.mark.parametrize("bind", ["tcp://[::1]:0", "localhost:0", "tcp://0.0.0.0:0", "*:0"])
def test_addresses_may_be_ipv6_names_or_all_interfaces(town: Town, bind: str) -> None:
    if "::1" in bind and not has_ipv6():
        pytest.skip("no IPv6 on this machine")
    alice, bob = town.add(), town.add(bind=(bind,))
    host = {"tcp://[::1]:0": "[::1]", "localhost:0": "localhost"}.get(bind, "127.0.0.1")
    assert bob.port != 0
    alice.transport.dial(bob.peer, f"{host}:{bob.port}")
    town.until(lambda: is_connected(alice, bob) and is_connected(bob, alice))


def test_a_host_name_may_stand_for_an_address_of_ipv6_only(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    if not has_ipv6():
        pytest.skip("no IPv6 on this machine")
    monkeypatch.setattr("p2pnet.agent.transport.listener.resolve", lambda host: {"six.test": ["::1"]}[host])
    bob = town.add(bind=("six.test:0",))
    assert bob.address == f"tcp://[::1]:{bob.port}"
    alice = town.add(bind=())
    alice.transport.dial(bob.peer, bob.address)
    town.until(lambda: is_connected(alice, bob))


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "fe80::1%lo"])
def test_a_numeric_address_resolves_to_itself_with_its_scope(host: str) -> None:
    if ":" in host and not has_ipv6():
        pytest.skip("no IPv6 on this machine")
    assert resolve(host) == [host]


def test_the_addresses_of_a_peer_are_tried_in_turn_until_one_answers(town: Town) -> None:
    alice, bob, stranger = town.add(bind=()), town.add(), town.add()
    nobody = f"{NO_SUCH_HOST}:7070"
    alice.transport.dial(bob.peer, nobody, stranger.address, bob.address)
    town.until(lambda: is_connected(alice, bob))
    tried = [(event.address, event.problem) for event in alice.events if isinstance(event, DialFailed)]
    assert tried == [
        (f"tcp://{nobody}", DialProblem.NAME_NOT_FOUND),
        (stranger.address, DialProblem.NOT_THE_PEER),
    ]
    with pytest.raises(TransportError, match="no address"):
        alice.transport.dial(generate_keys().public)


def has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


def test_several_addresses_can_be_bound(town: Town) -> None:
    bob = town.add(bind=LOOPBACK * 2)
    assert len(set(bob.transport.addresses)) == 2
    for address in bob.transport.addresses:
        alice = town.add(bind=())
        alice.transport.dial(bob.peer, address)
        town.until(lambda alice=alice: is_connected(alice, bob))  # type: ignore[misc]


# ------------------------------------------------------------------------------------------------- inquiries


def test_a_peer_may_ask_something_while_its_connection_goes_on(town: Town) -> None:
    alice, bob = town.add(), town.add()
    town.connect(alice, bob)
    answers: list[Answered | Unanswered] = []
    asking = threading.Thread(
        target=lambda: answers.append(query_status(alice.keys, bob.peer, Address.parse(bob.address))), daemon=True
    )
    asking.start()
    town.until(lambda: any(isinstance(event, Queried) for event in bob.events))
    status = NodeStatus(1, "bob", "0.1.0", {}, -1, -1, time.time())
    bob.transport.reply(alice.peer, encode_status(status))
    bob.transport.reply(alice.peer, [b"there is no query left to answer"])
    town.until(lambda: not asking.is_alive())
    (answer,) = answers
    assert isinstance(answer, Answered)
    assert answer.status == status
    assert abs(answer.clock_ahead_s) < PATIENCE_S
    assert alice.transport.send(bob.peer, [b"where were we?"])
    town.until(lambda: bob.messages(alice.peer) == [[b"where were we?"]])
    assert bob.links(alice.peer) == alice.links(bob.peer) == [PeerConnected]
    town.until(lambda: n_tcp_connections(bob.port) == 1)


def test_who_asks_and_does_not_go_is_shown_out(town: Town) -> None:
    bob = town.add()
    keys = generate_keys()
    with stranger(bob.address, bob.peer, keys) as asking:
        asking.send_multipart([b"", b"what time is it?"])
        town.until(lambda: n_tcp_connections(bob.port) == 1)
        town.until(lambda: n_tcp_connections(bob.port) == 0)
    assert [event for event in bob.events if isinstance(event, Queried)] == [
        Queried(keys.public, (memoryview(b"what time is it?"),))
    ]
    assert bob.links(keys.public) == []
    bob.transport.reply(keys.public, [b"late"])


# ------------------------------------------------------------------------------------------------- waiting


def test_wake_from_another_thread_ends_an_endless_poll(town: Town) -> None:
    alice = town.add()
    threading.Timer(0.05, alice.transport.wake).start()
    assert alice.transport.poll(None) == []


def test_a_wake_before_the_poll_is_not_lost_and_counts_once(town: Town) -> None:
    alice = town.add()
    for _ in range(1000):
        alice.transport.wake()
    assert alice.transport.poll(None) == []
    start = monotonic()
    assert alice.transport.poll(0.05) == []
    assert monotonic() - start >= 0.04


def test_a_signal_handler_can_wake_the_poll(town: Town) -> None:
    alice = town.add()
    before = signal.signal(signal.SIGUSR1, lambda *_: alice.transport.wake())
    try:
        threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGUSR1)).start()
        assert alice.transport.poll(None) == []
    finally:
        signal.signal(signal.SIGUSR1, before)


def test_wake_after_close_is_harmless(town: Town) -> None:
    alice = town.add()
    town.remove(alice)
    alice.transport.wake()
    alice.transport.close(0)


# -------------------------------------------------------------------------------------- one connection per pair


def test_two_that_dial_each_other_end_with_one_connection_and_lose_nothing(town: Town) -> None:
    low_keys, high_keys = lower_and_higher()
    low, high = town.add(low_keys), town.add(high_keys)
    low.transport.dial(high.peer, high.address)
    high.transport.dial(low.peer, low.address)
    town.until(lambda: is_connected(low, high) and is_connected(high, low))
    n_sent = 0
    give_up_at = monotonic() + PATIENCE_S
    while n_tcp_connections(low.port) != 0 or n_sent < 300:
        assert monotonic() < give_up_at
        message = [str(n_sent).encode()]
        assert low.transport.send(high.peer, message)
        assert high.transport.send(low.peer, message)
        n_sent += 1
        for node in (low, high):
            node.events += node.transport.poll(0.002)
    town.until(lambda: len(low.messages(high.peer)) == len(high.messages(low.peer)) == n_sent)
    assert n_tcp_connections(high.port) == 1
    assert low.links(high.peer) == high.links(low.peer) == [PeerConnected]


def test_dialing_who_has_dialed_us_makes_no_second_connection(town: Town) -> None:
    for dialer_keys, listener_keys in (lower_and_higher(), reversed(lower_and_higher())):
        dialer, listener = town.add(dialer_keys), town.add(listener_keys)
        town.connect(dialer, listener)
        listener.transport.dial(dialer.peer, dialer.address)
        town.pass_time(0.5)
        assert n_tcp_connections(dialer.port) == 0
        assert n_tcp_connections(listener.port) == 1


def test_when_the_dialer_goes_the_other_side_dials_in_its_turn(town: Town) -> None:
    dialer, listener = town.add(), town.add()
    town.connect(dialer, listener)
    listener.transport.dial(dialer.peer, dialer.address)
    dialer.transport.hang_up(listener.peer)
    town.until(lambda: n_tcp_connections(dialer.port) == 1)
    town.until(lambda: is_connected(listener, dialer) and is_connected(dialer, listener))


def test_our_own_key_is_not_dialed_nor_let_in(town: Town) -> None:
    alice = town.add()
    with pytest.raises(TransportError, match="our own key"):
        alice.transport.dial(alice.peer, alice.address)
    twin = town.add(alice.keys)
    with stranger(twin.address, twin.peer, alice.keys):
        town.until(lambda: twin.transport.n_rejected[Refusal.KEY_NOT_ALLOWED] == 1)


# ------------------------------------------------------------------------------------------------- coming and going

CHILD = """
import sys
from p2pnet.agent.transport.keys import KeyPair
from p2pnet.agent.transport.zmq_transport import ZmqTransport
public, secret, peer, address = sys.argv[1:]
transport = ZmqTransport.open(KeyPair(public, secret), ["127.0.0.1:0"], lambda key: True)
if address:
    transport.dial(peer, address)
print(transport.addresses[0], flush=True)
while True:
    transport.poll(1.0)
"""


@contextlib.contextmanager
def child(peer: str, address: str) -> Iterator[tuple[str, str, subprocess.Popen[str]]]:
    """Another agent's transport in a process of its own: key, address, process."""
    keys = generate_keys()
    command = [sys.executable, "-c", CHILD, keys.public, keys.secret, peer, address]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            yield keys.public, process.stdout.readline().strip(), process
        finally:
            process.kill()


@pytest.mark.parametrize("is_dialed", [True, False])
def test_a_killed_peer_is_disconnected(town: Town, is_dialed: bool) -> None:
    alice = town.add()
    with child(alice.peer, "" if is_dialed else alice.address) as (peer, address, process):
        if is_dialed:
            alice.transport.dial(peer, address)
        town.until(lambda: alice.links(peer) == [PeerConnected])
        process.send_signal(signal.SIGKILL)
        town.until(lambda: alice.links(peer) == [PeerConnected, PeerDisconnected])
        assert not alice.transport.send(peer, [b"anyone?"])
        if is_dialed:
            town.until(lambda: DialProblem.REFUSED in alice.problems())
        assert alice.rejections() == []


def test_a_peer_that_closes_is_disconnected_after_its_last_words(town: Town) -> None:
    dialer, listener = town.add(), town.add()
    town.connect(dialer, listener)
    dialer.transport.send(listener.peer, [b"good-bye"])
    town.nodes.remove(dialer)
    dialer.transport.close(1.0)
    town.until(lambda: listener.links(dialer.peer) == [PeerConnected, PeerDisconnected])
    assert [type(event) for event in listener.events] == [PeerConnected, Received, PeerDisconnected]


def test_a_listener_that_closes_gets_its_last_words_out(town: Town) -> None:
    dialer, listener = town.add(), town.add()
    town.connect(dialer, listener)
    assert listener.transport.send(dialer.peer, [b"x" * 10_000_000])
    assert listener.transport.send(dialer.peer, [b"good-bye"])
    town.nodes.remove(listener)
    closing = threading.Thread(target=listener.transport.close, args=(PATIENCE_S,))
    closing.start()
    town.until(lambda: dialer.links(listener.peer) == [PeerConnected, PeerDisconnected])
    closing.join()
    assert dialer.messages(listener.peer)[-1] == [b"good-bye"]


def test_a_listener_that_restarts_on_its_port_is_found_again(town: Town) -> None:
    dialer, listener = town.add(), town.add()
    town.connect(dialer, listener)
    town.remove(listener)
    town.until(lambda: DialProblem.REFUSED in dialer.problems())
    again = town.add(listener.keys, bind=(listener.address,))
    town.until(lambda: is_connected(again, dialer) and is_connected(dialer, again))
    assert dialer.links(again.peer) == [PeerConnected, PeerDisconnected, PeerConnected]
    assert again.transport.send(dialer.peer, [b"back"])
    town.until(lambda: dialer.messages(again.peer) == [[b"back"]])


def test_a_dialer_that_restarts_is_known_again(town: Town) -> None:
    dialer, listener = town.add(), town.add()
    town.connect(dialer, listener)
    town.remove(dialer)
    again = town.add(dialer.keys)
    again.transport.dial(listener.peer, listener.address)
    town.until(lambda: listener.links(again.peer) == [PeerConnected, PeerDisconnected, PeerConnected])
    assert listener.transport.send(again.peer, [b"welcome"])
    town.until(lambda: bool(again.messages(listener.peer)))


def test_what_was_queued_for_an_ended_connection_is_not_delivered_by_the_next(town: Town) -> None:
    dialer, listener = town.add(), town.add()
    town.connect(dialer, listener)
    town.remove(listener)
    dialer.transport.send(listener.peer, [b"stale"])
    town.until(lambda: not is_connected(dialer, listener))
    again = town.add(listener.keys, bind=(listener.address,))
    town.until(lambda: is_connected(again, dialer) and is_connected(dialer, again))
    assert dialer.transport.send(again.peer, [b"fresh"])
    town.until(lambda: bool(again.messages(dialer.peer)))
    assert again.messages(dialer.peer) == [[b"fresh"]]


def test_hanging_up_ends_the_connection_on_both_sides_and_stays_so(town: Town) -> None:
    dialer, listener = town.add(), town.add()
    town.connect(dialer, listener)
    dialer.transport.send(listener.peer, [b"so long"])
    dialer.transport.hang_up(listener.peer)
    assert not dialer.transport.send(listener.peer, [b"one more thing"])
    town.until(lambda: listener.links(dialer.peer) == [PeerConnected, PeerDisconnected])
    assert listener.messages(dialer.peer) == [[b"so long"]]
    town.pass_time(0.5)
    assert dialer.links(listener.peer) == [PeerConnected, PeerDisconnected]
    assert n_tcp_connections(listener.port) == 0


def test_hanging_up_on_who_has_dialed_us_ends_that_connection(town: Town) -> None:
    allowed: set[str] = set()
    dialer, listener = town.add(), town.add(allowed=allowed)
    allowed.add(dialer.peer)
    town.connect(dialer, listener)
    allowed.clear()
    listener.transport.send(dialer.peer, [b"you are no longer a member"])
    listener.transport.hang_up(dialer.peer)
    town.until(lambda: DialProblem.NOT_ALLOWED in dialer.problems())
    assert dialer.links(listener.peer) == [PeerConnected, PeerDisconnected]
    assert dialer.messages(listener.peer) == [[b"you are no longer a member"]]
    assert {rejection.refusal for rejection in listener.rejections()} == {Refusal.KEY_NOT_ALLOWED}


def test_a_new_address_replaces_the_old_one(town: Town) -> None:
    dialer, listener = town.add(), town.add()
    with socket.create_server(("127.0.0.1", 0)) as elsewhere:
        dialer.transport.dial(listener.peer, f"127.0.0.1:{elsewhere.getsockname()[1]}")
        town.pass_time(0.05)
        town.connect(dialer, listener)


# ------------------------------------------------------------------------------------------------- failing to dial


def test_each_way_to_miss_a_peer_is_told_apart(town: Town) -> None:
    alice, bob, other = town.add(handshake_timeout_s=0.2), town.add(allowed=set()), town.add()
    silent = socket.create_server(("127.0.0.1", 0))
    with socket.create_server(("127.0.0.1", 0)) as closed:
        closed_port = closed.getsockname()[1]
    with silent:
        for address, peer, problem in [
            (f"127.0.0.1:{closed_port}", bob.peer, DialProblem.REFUSED),
            (bob.address, bob.peer, DialProblem.NOT_ALLOWED),
            (other.address, bob.peer, DialProblem.NOT_THE_PEER),
            (f"127.0.0.1:{silent.getsockname()[1]}", bob.peer, DialProblem.TIMED_OUT),
            (f"{NO_SUCH_HOST}:7070", bob.peer, DialProblem.NAME_NOT_FOUND),
        ]:
            alice.events.clear()
            alice.transport.dial(peer, address)
            town.until(lambda: bool(alice.problems()))
            assert alice.problems()[0] is problem
            alice.transport.hang_up(peer)
    assert not any(isinstance(event, PeerConnected) for event in alice.events)


def test_attempts_become_rarer(town: Town) -> None:
    alice, bob = town.add(retry_min_s=0.02, retry_max_s=10.0), town.add(allowed=set())
    alice.transport.dial(bob.peer, bob.address)
    start = monotonic()
    town.until(lambda: len(alice.problems()) == 6)
    assert monotonic() - start >= 0.5 * 0.02 * (1 + 2 + 4 + 8 + 16)


@pytest.mark.parametrize(
    "text",
    ["", "host", "host:", ":7070", "host:port", "host:65536", "host:-1", "::1:7070", "a b:1", "[::1]", "udp://a:1"],
)
def test_what_is_no_address_is_said_so(town: Town, text: str) -> None:
    alice, bob = town.add(), generate_keys().public
    with pytest.raises(TransportError, match="is not an address"):
        alice.transport.dial(bob, text)
    with pytest.raises(TransportError, match="is not an address"):
        town.add(bind=(text,))


def test_what_is_no_key_is_said_so(town: Town) -> None:
    with pytest.raises(SecurityError, match="is not a public key"):
        town.add().transport.dial("bob", "127.0.0.1:7070")


def test_a_bind_that_fails_names_address_and_reason(town: Town) -> None:
    alice = town.add()
    with pytest.raises(TransportError, match=rf"127\.0\.0\.1:{alice.port}: port {alice.port} is in use"):
        town.add(bind=(alice.address,))
    with pytest.raises(TransportError, match=r"does not have the address 203\.0\.113\.7"):
        town.add(bind=("203.0.113.7:7070",))
    with pytest.raises(TransportError, match=NO_SUCH_HOST):
        town.add(bind=(f"{NO_SUCH_HOST}:7070",))


# ------------------------------------------------------------------------------------------------- strangers


def test_a_key_that_is_not_allowed_stays_outside(town: Town) -> None:
    alice = town.add(allowed=set())
    keys = generate_keys()
    with stranger(alice.address, alice.peer, keys):
        town.until(lambda: alice.transport.n_rejected[Refusal.KEY_NOT_ALLOWED] == 1)
        town.pass_time(0.1)
    assert alice.events == [Rejected(Refusal.KEY_NOT_ALLOWED, keys.public, "127.0.0.1", 0)]


def test_who_speaks_no_curve_stays_outside(town: Town) -> None:
    alice = town.add()
    with stranger(alice.address, alice.peer, None):
        town.until(lambda: bool(alice.rejections()))
    (rejection,) = alice.events
    assert isinstance(rejection, Rejected)
    assert rejection.refusal in {Refusal.BROKEN_HANDSHAKE, Refusal.NO_HANDSHAKE}  # depends on which side closes first
    assert rejection.peer is None


def test_who_takes_us_for_another_stays_outside(town: Town) -> None:
    alice = town.add()
    with stranger(alice.address, generate_keys().public, generate_keys()):
        town.until(lambda: bool(alice.rejections()))
    assert [rejection.refusal for rejection in alice.rejections()] == [Refusal.BROKEN_HANDSHAKE]
    assert len(alice.events) == 1


@pytest.mark.parametrize(
    "garbage",
    [
        b"GET / HTTP/1.1\r\nHost: me\r\n\r\n",
        b"\xff" * 4096,
        b"\x00" * 4096,
        bytes(range(256)) * 64,
        b"\x16\x03\x01\x02\x00",
    ],
)
def test_garbage_on_the_port_is_refused_and_counted(town: Town, garbage: bytes) -> None:
    alice, bob = town.add(), town.add()
    town.connect(bob, alice)
    with socket.create_connection(("127.0.0.1", alice.port)) as client:
        client.sendall(garbage)
        with contextlib.suppress(OSError):  # the line may be cut already
            client.shutdown(socket.SHUT_WR)
        town.until(lambda: sum(alice.transport.n_rejected.values()) == 1)
    assert {rejection.refusal for rejection in alice.rejections()} <= {Refusal.BROKEN_HANDSHAKE, Refusal.NO_HANDSHAKE}
    assert bob.transport.send(alice.peer, [b"still there?"])
    town.until(lambda: alice.messages(bob.peer) == [[b"still there?"]])


def test_who_keeps_silent_is_put_out(town: Town) -> None:
    alice = town.add(handshake_timeout_s=0.1)
    with socket.create_connection(("127.0.0.1", alice.port)):
        town.until(lambda: alice.transport.n_rejected[Refusal.NO_HANDSHAKE] == 1)
        town.until(lambda: n_tcp_connections(alice.port) == 0)


def test_who_shakes_hands_and_never_greets_is_put_out(town: Town) -> None:
    alice = town.add(handshake_timeout_s=0.1)
    with stranger(alice.address, alice.peer, generate_keys()):
        town.until(lambda: alice.transport.n_rejected[Refusal.NO_HANDSHAKE] == 1)
        town.until(lambda: n_tcp_connections(alice.port) == 0)


def test_a_crowd_of_strangers_is_bounded_and_does_not_flood_the_loop(town: Town) -> None:
    alice, bob = town.add(max_strangers=5), town.add()
    with contextlib.ExitStack() as stack:
        for _ in range(100):
            stack.enter_context(socket.create_connection(("127.0.0.1", alice.port)))
        town.until(lambda: alice.transport.n_rejected[Refusal.NO_HANDSHAKE] == 95)
        town.until(lambda: n_tcp_connections(alice.port) == 5)
        town.connect(bob, alice)
    assert len(alice.rejections()) <= 5


def test_refusals_of_a_kind_are_reported_once_a_second_and_all_are_counted(town: Town) -> None:
    alice = town.add()
    for _ in range(50):
        with socket.create_connection(("127.0.0.1", alice.port)) as client:
            client.sendall(b"\xff" * 100)
    town.until(lambda: sum(alice.transport.n_rejected.values()) == 50)
    town.pass_time(1.1)
    with socket.create_connection(("127.0.0.1", alice.port)) as client:
        client.sendall(b"\xff" * 100)
    town.until(lambda: sum(alice.transport.n_rejected.values()) == 51)
    assert len(alice.rejections()) < 10
    assert sum(1 + rejection.n_unreported for rejection in alice.rejections()) <= 51


# ------------------------------------------------------------------------------------- friends who break the rules


def test_a_frame_over_the_limit_costs_the_connection_and_is_reported(town: Town) -> None:
    alice = town.add(max_message_bytes=100_000)
    keys = generate_keys()
    with stranger(alice.address, alice.peer, keys) as client:
        client.send(b"")
        town.until(lambda: alice.links(keys.public) == [PeerConnected])
        client.send(b"x" * 10_000_000)
        town.until(lambda: alice.links(keys.public) == [PeerConnected, PeerDisconnected])
    (rejection,) = alice.rejections()
    assert (rejection.refusal, rejection.peer) == (Refusal.BROKEN_FRAME, keys.public)
    assert alice.messages(keys.public) == []


def test_a_listener_that_sends_too_large_a_frame_is_reported_by_its_dialer(town: Town) -> None:
    dialer, listener = town.add(max_message_bytes=100_000), town.add()
    town.connect(dialer, listener)
    listener.transport.send(dialer.peer, [b"x" * 1_000_000])
    town.until(lambda: bool(dialer.rejections()))
    assert dialer.rejections()[0].refusal is Refusal.BROKEN_FRAME
    assert dialer.rejections()[0].peer == listener.peer


@pytest.mark.parametrize(
    ("frames", "refusal"),
    [
        ([b"x"] * 9, Refusal.TOO_MANY_FRAMES),
        ([b"x"] * 5000, Refusal.TOO_MANY_FRAMES),
        ([b"x" * 600] * 2, Refusal.TOO_MANY_BYTES),
    ],
)
@pytest.mark.parametrize("is_dialer", [True, False])
def test_a_message_over_a_limit_is_dropped_and_those_around_it_arrive(
    town: Town, frames: list[bytes], refusal: Refusal, is_dialer: bool
) -> None:
    strict, lavish = town.add(max_frames=8, max_message_bytes=1000), town.add(max_frames=10_000)
    town.connect(*((strict, lavish) if is_dialer else (lavish, strict)))
    for message in ([b"before"], frames, [b"x" * 500, b"y" * 500], [b"z"] * 8):
        assert lavish.transport.send(strict.peer, message)
    town.until(lambda: len(strict.messages(lavish.peer)) == 3)
    assert strict.messages(lavish.peer) == [[b"before"], [b"x" * 500, b"y" * 500], [b"z"] * 8]
    (rejection,) = strict.rejections()
    assert (rejection.refusal, rejection.peer) == (refusal, lavish.peer)
    assert strict.transport.n_rejected == {refusal: 1}
    assert strict.links(lavish.peer) == [PeerConnected]


class Narrows:
    """A TCP relay that lets only so many bytes through, and then keeps the line open."""

    def __init__(self, port: int, n_bytes: int) -> None:
        self._server = socket.create_server(("127.0.0.1", 0))
        self.address = f"tcp://127.0.0.1:{self._server.getsockname()[1]}"
        self._far = socket.create_connection(("127.0.0.1", port))
        self._near: socket.socket | None = None
        self._threads = [threading.Thread(target=self._forth, args=(n_bytes,)), threading.Thread(target=self._back)]
        self._threads[0].start()

    def _forth(self, n_bytes: int) -> None:
        self._near, _ = self._server.accept()
        self._threads[1].start()
        while n_bytes and (data := self._near.recv(min(65536, n_bytes))):
            self._far.sendall(data)
            n_bytes -= len(data)

    def _back(self) -> None:
        assert self._near
        while data := self._far.recv(65536):
            self._near.sendall(data)
        with contextlib.suppress(OSError):
            self._near.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        for line in (self._near, self._far):
            with contextlib.suppress(OSError):
                if line:
                    line.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        for line in (self._near, self._far, self._server):
            if line:
                line.close()


@pytest.mark.skipif(sys.platform != "linux", reason="the stream's byte count is read from Linux")
def test_a_message_that_never_ends_costs_the_connection(town: Town) -> None:
    alice = town.add(max_message_bytes=100_000)
    keys = generate_keys()
    narrows = Narrows(alice.port, 2_000_000)
    with contextlib.closing(narrows), stranger(narrows.address, alice.peer, keys) as client:
        client.send(b"")
        town.until(lambda: alice.links(keys.public) == [PeerConnected])
        client.send_multipart([b"x" * 10_000] * 1000)
        town.until(lambda: alice.links(keys.public) == [PeerConnected, PeerDisconnected])
    assert [(r.refusal, r.peer) for r in alice.rejections()] == [(Refusal.ENDLESS_MESSAGE, keys.public)]


@pytest.mark.skipif(sys.platform != "linux", reason="the stream's byte count is read from Linux")
def test_a_large_message_that_comes_slowly_is_not_taken_for_an_endless_one(town: Town) -> None:
    alice = town.add(max_message_bytes=1_000_000)
    keys = generate_keys()
    narrows = Narrows(alice.port, 900_000)
    with contextlib.closing(narrows), stranger(narrows.address, alice.peer, keys) as client:
        client.send(b"")
        town.until(lambda: alice.links(keys.public) == [PeerConnected])
        client.send_multipart([b"x" * 100_000] * 10)
        town.pass_time(1.0)
        assert alice.links(keys.public) == [PeerConnected]
        assert alice.rejections() == []


def test_a_chosen_routing_id_is_refused_and_takes_nothing_from_its_victim(town: Town) -> None:
    alice, bob = town.add(), town.add()
    town.connect(bob, alice)
    keys = generate_keys()
    with stranger(alice.address, alice.peer, keys, routing_id=b"I am bob") as client:
        client.send(b"trust me")
        town.until(lambda: bool(alice.rejections()))
        assert alice.rejections()[0].refusal is Refusal.CHOSEN_ROUTING_ID
        assert alice.rejections()[0].peer == keys.public
        assert alice.links(keys.public) == []
        assert not alice.transport.send(keys.public, [b"never"])
        assert alice.transport.send(bob.peer, [b"for bob alone"])
        town.until(lambda: bob.messages(alice.peer) == [[b"for bob alone"]])
        assert client.poll(100) == 0


def test_a_second_connection_of_one_key_replaces_the_first(town: Town) -> None:
    alice = town.add()
    keys = generate_keys()
    with stranger(alice.address, alice.peer, keys) as first:
        first.send_multipart([b"first"])
        town.until(lambda: alice.messages(keys.public) == [[b"first"]])
        with stranger(alice.address, alice.peer, keys) as second:
            second.send_multipart([b"second"])
            town.until(lambda: alice.messages(keys.public) == [[b"first"], [b"second"]])
            first.send_multipart([b"late"])
            assert alice.transport.send(keys.public, [b"to the second"])
            town.until(lambda: n_tcp_connections(alice.port) == 1)
            assert second.recv() == b"to the second"
    assert alice.messages(keys.public) == [[b"first"], [b"second"]]
    assert alice.links(keys.public)[:3] == [PeerConnected, PeerDisconnected, PeerConnected]


# ------------------------------------------------------------------------------------------------- leaving no trace


def open_descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))  # noqa: PTH208


@pytest.mark.skipif(sys.platform != "linux", reason="descriptors are counted in /proc")
def test_nothing_is_left_open_after_close() -> None:
    n_before: list[int] = []
    for _ in range(3):  # the first round opens what pyzmq keeps for good
        town = Town()
        alice, bob, carol = town.add(), town.add(), town.add(allowed=set())
        town.connect(alice, bob)
        alice.transport.send(bob.peer, [b"x" * 1_000_000])
        alice.transport.dial(carol.peer, carol.address)
        bob.transport.dial(generate_keys().public, "127.0.0.1:1")
        with socket.create_connection(("127.0.0.1", alice.port)):
            town.until(lambda alice=alice, bob=bob: bool(bob.messages(alice.peer)) and bool(alice.problems()))  # type: ignore[misc]
        alice.transport.hang_up(bob.peer)
        bob.transport.hang_up(alice.peer)
        for node in town.nodes:
            node.transport.close(0)
        n_before.append(open_descriptors())
    assert n_before[1] == n_before[2]


def test_a_failed_bind_leaves_nothing_open() -> None:
    keys = generate_keys()
    blocker = Node(keys, LOOPBACK, None, TransportLimits())
    n_before = open_descriptors()
    with pytest.raises(TransportError):
        Node(generate_keys(), ("127.0.0.1:0", blocker.address), None, TransportLimits())
    assert open_descriptors() == n_before
    blocker.transport.close(0)


def test_attempts_in_quick_succession_do_not_get_in_each_others_way() -> None:
    limits = TransportLimits(retry_min_s=0.0, retry_max_s=0.0)
    node = Node(generate_keys(), LOOPBACK, None, limits)
    peer = generate_keys().public
    node.transport.dial(peer, "127.0.0.1:1")
    n_failed = 0
    while n_failed < 50:
        n_failed += sum(isinstance(event, DialFailed) for event in node.transport.poll(1.0))
    node.transport.close(0)


@pytest.mark.filterwarnings("ignore:Unclosed socket:ResourceWarning")
def test_closing_after_an_error_does_not_wait_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(context: object, watched: object) -> None:
        raise OSError(f"no monitor of {watched} in {context}")

    monkeypatch.setattr(dialer, "Monitor", fail)
    node = Node(generate_keys(), LOOPBACK, None, TransportLimits())
    node.transport.dial(generate_keys().public, "127.0.0.1:1")
    at_exit = contextlib.ExitStack()
    at_exit.callback(node.transport.close, 0)  # while the error still holds on to the socket
    with pytest.raises(OSError, match="no monitor"), at_exit:
        node.transport.poll(1.0)
