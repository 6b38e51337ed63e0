"""A transport without a descriptor left fails what it was doing, and nothing else; then it goes on."""

import contextlib
import os
import resource
import socket
import struct
import time
from collections.abc import Iterator

import pytest

from p2pnet.agent.transport.base import TransportLimits
from p2pnet.agent.transport.connection import TcpStream
from p2pnet.agent.transport.keys import generate_keys
from p2pnet.agent.transport.zmq_transport import ZmqTransport
from p2pnet.protocol.core.events import DialFailed, DialProblem, PeerConnected

PATIENCE_S = 20.0


def n_descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))  # noqa: PTH208


@contextlib.contextmanager
def at_most_more(n_more: int) -> Iterator[None]:
    """This process may open `n_more` descriptors."""
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    used = max(int(name) for name in os.listdir("/proc/self/fd"))  # noqa: PTH208
    resource.setrlimit(resource.RLIMIT_NOFILE, (used + 1 + n_more, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)


def test_a_number_that_serves_something_else_now_costs_no_descriptor() -> None:
    other = os.eventfd(0)
    n_before = n_descriptors()
    for _ in range(100):
        assert TcpStream.of(other, frozenset({1})) is None
    assert n_descriptors() == n_before
    os.close(other)


def test_a_stream_that_closed_meanwhile_or_is_of_another_port_costs_no_descriptor_either() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        near = socket.create_connection(server.getsockname())
        far, _ = server.accept()
        n_before = n_descriptors()
        assert TcpStream.of(far.fileno(), frozenset({1})) is None
        assert TcpStream.of(server.fileno(), frozenset({server.getsockname()[1]})) is None
        assert TcpStream.of(10_000) is None
        assert n_descriptors() == n_before
        near.close()
        far.close()


def test_a_stream_that_cannot_be_watched_is_broken_off() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as near:
        far, _ = server.accept()
        with at_most_more(0), contextlib.ExitStack() as at_exit:
            with contextlib.suppress(OSError):
                while True:
                    at_exit.callback(os.close, os.dup(0))
            assert TcpStream.of(far.fileno(), frozenset({server.getsockname()[1]})) is None
        near.settimeout(5.0)
        assert near.recv(1) == b""
        far.close()


def test_dialing_without_a_descriptor_fails_and_succeeds_once_there_is_one() -> None:
    keys, far_keys = generate_keys(), generate_keys()
    far = ZmqTransport.open(far_keys, ["tcp://127.0.0.1:0"], lambda _: True)
    near = ZmqTransport.open(keys, [], lambda _: True, TransportLimits(retry_max_s=0.2))
    near.poll(0.0)
    problems = []
    for n_left in range(5):  # with more of them, dialing fails one step later
        with at_most_more(64), contextlib.ExitStack() as at_exit:
            taken = []
            with contextlib.suppress(OSError):
                while True:
                    taken.append(os.dup(0))
            for descriptor in taken[: len(taken) - n_left]:
                at_exit.callback(os.close, descriptor)
            for descriptor in taken[len(taken) - n_left :]:
                os.close(descriptor)
            near.dial(far_keys.public, far.addresses[0])
            give_up_at = time.monotonic() + 1.0
            while time.monotonic() < give_up_at:
                problems += [event.problem for event in near.poll(0.05) if isinstance(event, DialFailed)]
        near.hang_up(far_keys.public)
    near.dial(far_keys.public, far.addresses[0])
    assert DialProblem.OUT_OF_RESOURCES in problems
    connected = False
    give_up_at = time.monotonic() + PATIENCE_S
    while not connected and time.monotonic() < give_up_at:
        connected = any(isinstance(event, PeerConnected) for event in near.poll(0.05))
        far.poll(0.0)
    assert connected
    near.close(0.0)
    far.close(0.0)


@pytest.mark.timeout(120)
def test_a_flood_of_connections_leaves_the_listener_as_it_was() -> None:
    keys, peer_keys = generate_keys(), generate_keys()
    transport = ZmqTransport.open(keys, ["tcp://127.0.0.1:0"], lambda peer: peer == peer_keys.public)
    port = int(transport.addresses[0].rpartition(":")[2])
    transport.poll(0.0)

    def flood() -> int:
        """The descriptors of this process after 3,000 strangers, some of which send noise."""
        n_before = n_descriptors()
        for k in range(3000):
            with socket.socket() as stranger:
                stranger.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                stranger.connect(("127.0.0.1", port))
                if k % 2:
                    stranger.sendall(b"\xff" * 64)
            if k % 50 == 0:
                transport.poll(0.0)
        give_up_at = time.monotonic() + PATIENCE_S
        while n_descriptors() > n_before and time.monotonic() < give_up_at:
            transport.poll(0.05)
        return n_descriptors()

    # What else lives in this process may open a descriptor for itself meanwhile; what is lost grows with each flood.
    after_each = [flood() for _ in range(3)]
    assert after_each[2] <= after_each[1] or after_each[1] <= after_each[0]
    assert after_each[2] - after_each[0] < 3
    give_up_at = time.monotonic() + PATIENCE_S
    near = ZmqTransport.open(peer_keys, [], lambda _: True)
    near.dial(keys.public, transport.addresses[0])
    connected = False
    while not connected and time.monotonic() < give_up_at:
        near.poll(0.02)
        connected = any(isinstance(event, PeerConnected) for event in transport.poll(0.02))
    assert connected
    near.close(0.0)
    transport.close(0.0)
