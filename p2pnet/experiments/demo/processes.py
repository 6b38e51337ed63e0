"""Processes of one launcher: started at once, watched, and those that still run stopped when the launcher has to go."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self, final

from p2pnet.config.reading import ENVIRONMENT_PREFIX

STOP_TIMEOUT_S = 3.0
"""What is left of the processes so long after they were told to stop is killed."""


@dataclass(frozen=True, slots=True)
class Exit:
    """The end of a process; the exit code is −n for one that signal n killed."""

    name: str
    code: int


@final
class ProcessGroup:
    """Processes of this launcher. Leaving the context stops those that still run, whatever the cause."""

    def __init__(self, stop_timeout_s: float = STOP_TIMEOUT_S) -> None:
        self._stop_timeout_s = stop_timeout_s
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *failure: object) -> None:
        self.stop()

    def start(self, name: str, command: Sequence[str], log: Path) -> None:
        """Start a process whose standard error is appended to `log`.

        It gets a process group of its own, so that Ctrl-C reaches it through the launcher only.
        """
        with log.open("ab") as sink:
            process = subprocess.Popen(  # noqa: S603
                command,
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=sink,
                cwd=log.parent,
                env=child_environment(os.environ),
                process_group=0,
            )
        self._running[name] = process

    @property
    def n_running(self) -> int:
        """Processes whose end has not been told yet."""
        return len(self._running)

    def take_exits(self) -> list[Exit]:
        """The processes that have ended since the last call."""
        exits = [Exit(name, code) for name, process in self._running.items() if (code := process.poll()) is not None]
        for ended in exits:
            del self._running[ended.name]
        return exits

    def stop(self) -> None:
        """Tell all to stop, wait, and kill those that have not."""
        running = list(self._running.values())
        try:
            for process in running:
                process.terminate()
            deadline = time.monotonic() + self._stop_timeout_s
            for process in running:
                process.wait(max(deadline - time.monotonic(), 0.0))
        except subprocess.TimeoutExpired:
            pass
        finally:
            for process in running:
                process.kill()  # nothing happens to one that has ended
            for process in running:
                process.wait()


def agent_command(config: Path) -> list[str]:
    """`p2pnet run` with this interpreter, which looks for modules where this one does, not in the working directory."""
    return [sys.executable, "-P", "-m", "p2pnet.experiments.demo.tether", "p2pnet", "run", str(config)]


def child_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment without settings of p2pnet, which are each agent's own; and one BLAS thread each."""
    kept = {name: value for name, value in environment.items() if not name.startswith(ENVIRONMENT_PREFIX)}
    return kept | {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
