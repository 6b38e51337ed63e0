"""Harm that goes on for a while."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections import Counter
from typing import Self, final

import numpy as np

from p2pnet.testing.fleet import Fleet
from tests.chaos.wiring import Wiring

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
            self._fleet.freeze([self._agent])
            self._is_over.wait((1.0 - self._part) * PERIOD_S)
            self._fleet.thaw([self._agent])
            self._is_over.wait(self._part * PERIOD_S)


class Mischief:
    """Agents picked at random are killed, stopped, or cut off from all others; some seconds later that is over."""

    def __init__(self, fleet: Fleet, wiring: Wiring, rng: np.random.Generator) -> None:
        self._fleet = fleet
        self._wiring = wiring
        self._rng = rng
        self._over_at: dict[str, dict[int, float]] = {"killed": {}, "stopped": {}, "cut off": {}}
        """What ails whom, and until when"""
        self._n_done: Counter[str] = Counter()

    def run(self, duration_s: float) -> None:
        """Do harm for so long, and wait until the last of it is over."""
        ends_at = time.monotonic() + duration_s
        while time.monotonic() < ends_at or any(self._over_at.values()):
            self._undo(time.monotonic())
            if time.monotonic() < ends_at:
                self._do_something(time.monotonic())
            time.sleep(1.0)

    def as_text(self) -> str:
        return ", ".join(f"{n} times {what}" for what, n in sorted(self._n_done.items()))

    def _do_something(self, now: float) -> None:
        agent = int(self._rng.integers(len(self._fleet)))
        what = str(self._rng.choice(list(self._over_at)))
        is_cut = what == "cut off" and bool(self._over_at[what])  # one at a time
        if is_cut or any(agent in ailing for ailing in self._over_at.values()) or self._fleet.has_ended(agent):
            return
        self._over_at[what][agent] = now + float(self._rng.uniform(1.0, 5.0))
        self._n_done[what] += 1
        if what == "killed":
            self._fleet.kill([agent])
        elif what == "stopped":
            self._fleet.freeze([agent])
        else:
            self._wiring.cut([agent], [k for k in range(len(self._fleet)) if k != agent])

    def _undo(self, now: float) -> None:
        for what, ailing in self._over_at.items():
            for agent in [agent for agent, over_at in ailing.items() if now >= over_at]:
                del ailing[agent]
                if what == "killed":
                    self._fleet.start([agent])
                elif what == "stopped":
                    self._fleet.thaw([agent])
                else:
                    self._wiring.heal()


@final
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
