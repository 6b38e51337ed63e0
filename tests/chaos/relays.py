"""Relays of TCP connections that stall and delay: for systems without network namespaces."""

from __future__ import annotations

import asyncio
import contextlib
import random
import threading
from collections.abc import Coroutine, Sequence
from concurrent.futures import Future
from functools import partial
from typing import Any

from p2pnet.testing.ports import free_ports
from tests.chaos.wiring import Wiring

CHUNK_BYTES = 1400
"""About what a packet carries."""
RETRANSMISSION_S = 0.2
"""What a lost packet costs its connection at first, and twice as much each time it is lost again."""


class Relays(Wiring):
    """A relay on the loopback interface for each way from one agent to another.

    A way that is cut keeps its connections and passes nothing on. What a lossy way passes on is held up for as long as
    TCP would take to find out about a lost packet and send it again.
    """

    name = "TCP relays (no network namespaces here)"

    def __init__(self, n_agents: int, seed: int = 0) -> None:
        pairs = [(j, k) for j in range(n_agents) for k in range(n_agents) if j != k]
        ports = free_ports(n_agents + len(pairs))
        self._ports, relays = ports[:n_agents], ports[n_agents:]
        self._relays = dict(zip(pairs, relays, strict=True))
        self._random = random.Random(seed)  # noqa: S311
        self._loss_rate = 0.0
        self._servers: list[asyncio.Server] = []
        self._loop = asyncio.new_event_loop()
        self._is_open = {pair: asyncio.Event() for pair in pairs}
        self._thread = threading.Thread(target=self._loop.run_forever, name="relays", daemon=True)
        self._thread.start()
        self._run(self._open())

    def address(self, k: int) -> str:
        return f"tcp://127.0.0.1:{self._ports[k]}"

    def way(self, j: int, k: int) -> str:
        return f"tcp://127.0.0.1:{self._relays[j, k]}"

    def command(self, k: int, command: Sequence[str]) -> list[str]:
        return list(command)

    def cut(self, some: Sequence[int], others: Sequence[int]) -> None:
        for j in some:
            for k in others:
                for pair in ((j, k), (k, j)):
                    self._loop.call_soon_threadsafe(self._is_open[pair].clear)

    def heal(self) -> None:
        for is_open in self._is_open.values():
            self._loop.call_soon_threadsafe(is_open.set)

    def lose(self, rate: float) -> None:
        self._loss_rate = rate

    def close(self) -> None:
        self._run(self._shut())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _run(self, work: Coroutine[Any, Any, None]) -> None:
        done: Future[None] = asyncio.run_coroutine_threadsafe(work, self._loop)
        done.result()

    async def _open(self) -> None:
        self.heal()
        for pair in self._relays:
            relay = partial(self._relay, pair)
            self._servers.append(await asyncio.start_server(relay, "127.0.0.1", self._relays[pair]))

    async def _shut(self) -> None:
        for server in self._servers:
            server.close()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    async def _relay(self, pair: tuple[int, int], reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Join a connection to the agent that it was meant for."""
        try:
            await self._is_open[pair].wait()
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._ports[pair[1]])
        except (OSError, asyncio.CancelledError):
            writer.transport.abort()
            return
        await asyncio.gather(self._pass_on(pair, reader, far_writer), self._pass_on(pair, far_reader, writer))

    async def _pass_on(self, pair: tuple[int, int], reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.CancelledError):
            while data := await reader.read(CHUNK_BYTES):
                hold_s = RETRANSMISSION_S
                while self._random.random() < self._loss_rate:
                    await asyncio.sleep(hold_s)
                    hold_s *= 2
                await self._is_open[pair].wait()
                writer.write(data)
                await writer.drain()
        writer.transport.abort()
