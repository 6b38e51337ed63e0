"""Harm that goes on for a while."""

from __future__ import annotations

import subprocess
import sys
import threading
from typing import Self

from chaos_processes.fleet import Fleet

PERIOD_S = 0.2

COMPUTE_UNTIL_THE_END_OF_INPUT = """\
import os, threading
threading.Thread(target=lambda: os._exit(len(os.read(0, 1)))).start()
while True: 0
"""


class Slowness:
    """While the context lasts, the agent runs for a part of the time only."""

    def __init__(self, fleet: Fleet, agent: int, part: float) -> None:
        self._fleet = fleet
        self._agent = agent
        self._part = part
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="slowness", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *failure: object) -> None:
        self._is_over.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._is_over.is_set():
            self._fleet.stop([self._agent])
            self._is_over.wait((1.0 - self._part) * PERIOD_S)
            self._fleet.resume([self._agent])
            self._is_over.wait(self._part * PERIOD_S)


class BusyCores:
    """While the context lasts, so many processes compute without a pause."""

    def __init__(self, n_cores: int) -> None:
        self._n_cores = n_cores
        self._processes: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Self:
        for _ in range(self._n_cores):
            self._processes.append(
                subprocess.Popen([sys.executable, "-c", COMPUTE_UNTIL_THE_END_OF_INPUT], stdin=subprocess.PIPE)
            )
        return self

    def __exit__(self, *failure: object) -> None:
        for process in self._processes:
            process.kill()
            process.communicate()
