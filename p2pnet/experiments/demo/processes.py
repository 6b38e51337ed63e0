"""A group of processes by name, for launchers of commands that are no agents of `p2pnet.testing`."""

from __future__ import annotations

import signal
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self, final

from p2pnet.testing.processes import Process, child_environment, reap, spawn, tethered_command

__all__ = ["Exit", "ProcessGroup", "agent_command", "child_environment"]


@dataclass(frozen=True, slots=True)
class Exit:
    """The end of a process; the exit code is −n where signal n killed it."""

    name: str
    code: int


@final
class ProcessGroup:
    """A group of child processes. Leaving the context ends those that still run."""

    def __init__(self, stop_timeout_s: float = 3.0) -> None:
        self._stop_timeout_s = stop_timeout_s
        self._running: dict[str, Process] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *failure: object) -> None:
        reap(self._running.values(), self._stop_timeout_s)

    def start(self, name: str, command: Sequence[str], log: Path) -> None:
        self._running[name] = spawn(command, log)

    @property
    def n_running(self) -> int:
        """The number of processes whose end was not returned by `take_exits` yet."""
        return len(self._running)

    def take_exits(self) -> list[Exit]:
        """The processes that have ended since the last call."""
        exits = [Exit(name, code) for name, process in self._running.items() if (code := process.poll()) is not None]
        for ended in exits:
            del self._running[ended.name]
        return exits


def agent_command(config: Path) -> list[str]:
    """The command of `p2pnet run`, as a process that is told to leave when its parent is gone."""
    return tethered_command(signal.SIGTERM, "p2pnet", "run", str(config))
