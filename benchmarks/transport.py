"""How fast the transport is, against bare pyzmq in the same run: two processes, CURVE, loopback.

Both are measured in turns, so that a busy machine slows both alike.
"""

import asyncio
import multiprocessing
import statistics
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection
from time import perf_counter
from typing import Any, Self, TypeVar, final

import numpy as np
import zmq
import zmq.asyncio

from benchmarks.base import Benchmark, Figure
from p2pnet.agent.transport.base import Received, TransportLimits
from p2pnet.agent.transport.keys import KeyPair, generate_keys
from p2pnet.agent.transport.zmq_transport import ZmqTransport

Socket = TypeVar("Socket", bound=zmq.Socket[Any])
"""Plain, or that of asyncio."""

LOOPBACK = "tcp://127.0.0.1:0"
HEADER = b"h" * 100  # about what a share's header takes
WINDOW = 8  # shares under way: two on each of four links
SHARES = {"20 kB": (20_000, 400), "1 MB": (1_000_000, 40), "64 MB": (64_000_000, 3)}
N_ROUND_TRIPS = 1000
LEAST_THROUGHPUT = 0.6
MOST_ROUND_TRIP = 2.0


class Sender(ABC):
    """The near end: sends shares and waits until the far end has acknowledged each."""

    @abstractmethod
    def send(self, payload: memoryview) -> None: ...

    @abstractmethod
    def wait_for_answer(self) -> None: ...

    @abstractmethod
    def close(self) -> None: ...

    def seconds(self, n_bytes: int, n_messages: int, window: int) -> float:
        payload = np.zeros(n_bytes, dtype=np.uint8)
        payload.flags.writeable = False
        start = perf_counter()
        for index in range(n_messages + window):
            if index >= window:
                self.wait_for_answer()
            if index < n_messages:
                self.send(payload.data)
        return perf_counter() - start


class TransportSender(Sender):
    def __init__(self, keys: KeyPair, far: str, address: str) -> None:
        self._far = far
        self._n_answers = 0
        self._transport = ZmqTransport.open(keys, [], lambda _: False, TransportLimits())
        self._transport.dial(far, address)
        while not self._transport.send(far, [HEADER]):
            self._transport.poll(0.1)
        self.wait_for_answer()

    def send(self, payload: memoryview) -> None:
        while not self._transport.send(self._far, [HEADER, payload]):
            self._serve()

    def wait_for_answer(self) -> None:
        while self._n_answers == 0:
            self._serve()
        self._n_answers -= 1

    def _serve(self) -> None:
        self._n_answers += sum(isinstance(event, Received) for event in self._transport.poll(None))

    def close(self) -> None:
        self._transport.close(0)


class BareSender(Sender):
    def __init__(self, keys: KeyPair, far: str, address: str) -> None:
        self._context = zmq.Context()
        self._socket = bare_dealer(self._context, keys, far)
        self._socket.connect(address)
        self._socket.send(HEADER)
        self.wait_for_answer()

    def send(self, payload: memoryview) -> None:
        self._socket.send_multipart([HEADER, payload], copy=len(payload) < 65536)

    def wait_for_answer(self) -> None:
        self._socket.recv()

    def close(self) -> None:
        self._socket.close()
        self._context.term()


def bare_dealer(context: zmq.Context[Socket], keys: KeyPair, far: str) -> Socket:
    dealer = context.socket(zmq.DEALER)
    dealer.linger = 0
    dealer.curve_publickey, dealer.curve_secretkey = keys.public.encode(), keys.secret.encode()
    dealer.curve_serverkey = far.encode()
    return dealer


def bare_router(context: zmq.Context[Socket], keys: KeyPair) -> Socket:
    router = context.socket(zmq.ROUTER)
    router.linger = 0
    router.curve_server = True
    router.curve_publickey, router.curve_secretkey = keys.public.encode(), keys.secret.encode()
    router.bind(LOOPBACK)
    return router


# Far ends: each tells its address and answers every message, until it is ended.


def serve_transport(keys: KeyPair, pipe: Connection) -> None:
    transport = ZmqTransport.open(keys, [LOOPBACK], lambda _: True, TransportLimits())
    pipe.send(transport.addresses[0])
    while True:
        for event in transport.poll(None):
            if isinstance(event, Received):
                transport.send(event.peer, [HEADER])


def serve_bare(keys: KeyPair, pipe: Connection) -> None:
    router = bare_router(zmq.Context(), keys)
    pipe.send(router.get_string(zmq.LAST_ENDPOINT))
    while True:
        routing_id, *_ = router.recv_multipart(copy=False)
        router.send_multipart([routing_id, HEADER])


def serve_asyncio(keys: KeyPair, pipe: Connection) -> None:
    async def serve() -> None:
        router = bare_router(zmq.asyncio.Context(), keys)
        pipe.send(router.get_string(zmq.LAST_ENDPOINT))
        while True:
            routing_id, message = await router.recv_multipart()
            await router.send_multipart([routing_id, message])

    asyncio.run(serve())


@dataclass(frozen=True)
class FarEnd:
    """A process of its own that answers; leaving the context ends it."""

    key: str
    address: str
    process: multiprocessing.process.BaseProcess

    @classmethod
    def start(cls, serve: Callable[[KeyPair, Connection], None]) -> "FarEnd":
        spawn = multiprocessing.get_context("spawn")
        keys = generate_keys()
        here, there = spawn.Pipe()
        process = spawn.Process(target=serve, args=(keys, there), daemon=True)
        process.start()
        return cls(keys.public, here.recv(), process)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *failure: object) -> None:
        self.process.kill()
        self.process.join()


@final
class Shares(Benchmark):
    """Throughput of shares of 20 kB, 1 MB and 64 MB over CURVE and loopback, against bare DEALER to ROUTER."""

    name = "shares"
    runs = 7

    def run(self, is_small: bool) -> Iterator[Figure]:
        with FarEnd.start(serve_transport) as near, FarEnd.start(serve_bare) as far:
            transport = TransportSender(generate_keys(), near.key, near.address)
            bare = BareSender(generate_keys(), far.key, far.address)
            for name, (n_bytes, n_messages) in SHARES.items():
                n_sent = max(n_messages // 20, 1) if is_small else n_messages
                seconds = [sender.seconds(n_bytes, n_sent, WINDOW) for sender in (transport, bare)]
                ours, theirs = (n_bytes * n_sent / each / 1e6 for each in seconds)
                yield Figure(f"{name}: transport", ours, "MB/s")
                yield Figure(f"{name}: bare", theirs, "MB/s")
                yield Figure(f"{name}: transport to bare", ours / theirs, at_least=LEAST_THROUGHPUT)
            for sender in (transport, bare):
                sender.close()


@final
class RoundTrip(Benchmark):
    """Round trip of a small message over CURVE and loopback, against bare asyncio pyzmq."""

    name = "round-trip"
    runs = 7

    def run(self, is_small: bool) -> Iterator[Figure]:
        n_round_trips = N_ROUND_TRIPS // 20 if is_small else N_ROUND_TRIPS
        with FarEnd.start(serve_transport) as near, FarEnd.start(serve_asyncio) as far:
            sender = TransportSender(generate_keys(), near.key, near.address)
            ours = statistics.median(sender.seconds(1, 1, 1) for _ in range(n_round_trips))
            theirs = asyncio.run(asyncio_round_trip(far, n_round_trips))
            sender.close()
        yield Figure("transport", 1e6 * ours, "µs")
        yield Figure("bare", 1e6 * theirs, "µs")
        yield Figure("transport to bare", ours / theirs, at_most=MOST_ROUND_TRIP)


async def asyncio_round_trip(end: FarEnd, n_round_trips: int) -> float:
    """Median seconds of a small message and its echo, both ends asyncio."""
    context = zmq.asyncio.Context()
    dealer = bare_dealer(context, generate_keys(), end.key)
    dealer.connect(end.address)
    times = []
    for _ in range(n_round_trips):
        start = perf_counter()
        await dealer.send(HEADER)
        await dealer.recv()
        times.append(perf_counter() - start)
    dealer.close()
    context.term()
    return statistics.median(times)
