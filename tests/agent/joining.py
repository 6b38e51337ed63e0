"""Machines for tests of joining: each a directory, in which commands are typed as a person would."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from p2pnet.agent.control.client import ask
from p2pnet.errors import ControlError
from p2pnet.testing.local_agent import Wrap
from p2pnet.testing.ports import free_ports
from p2pnet.testing.processes import Process, child_environment, reap, spawn, tethered_command
from p2pnet.testing.waiting import wait_until


class Machine:
    """A machine with samples of its own, on which p2pnet is installed, and nothing else is known."""

    def __init__(self, directory: Path, *, seed: int = 0, wrap: Wrap | None = None) -> None:
        """One that is a network namespace of its own has a `wrap`; the others share the loopback."""
        self.directory = directory
        directory.mkdir(parents=True, exist_ok=True)
        self._bind = () if wrap else ("--bind", f"tcp://127.0.0.1:{free_ports(1)[0]}")
        self._wrap: Wrap = wrap or list
        self.log = directory / "console.log"
        self.commands: list[str] = []
        """what was typed here"""
        self._process: Process | None = None
        rng = np.random.default_rng(seed)
        X = rng.normal(size=(40, 3))
        table = np.column_stack([X, X @ [1.0, 2.0, -1.0] + 0.1 * rng.normal(size=40)])
        np.savetxt(directory / "samples.csv", table, delimiter=",", header="a,b,c,y", comments="", fmt="%.5f")

    @property
    def key(self) -> str:
        return self.type("id").stdout.strip()

    def type(self, *command: str, entered: str = "") -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        self.commands.append(command[0])
        return subprocess.run(
            self._line(command),
            input=entered,
            capture_output=True,
            text=True,
            cwd=self.directory,
            env=child_environment(os.environ),
            timeout=60.0,
            check=False,
        )

    def start(self, *command: str) -> None:
        """Start a command that goes on: `run`, or one with `--run`."""
        self.commands.append(command[0])
        self._process = spawn(self._line(command), self.log)

    def begin(self, *options: str) -> None:
        self.start("init", "--network", "ward", *self.own, *options, "--run")
        self.until(lambda: self.status is not None)

    def invite(self, *options: str) -> str:
        done = self.type("invite", *options)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def join(self, line: str, *options: str) -> None:
        """Join, and run the agent at once."""
        self.start("join", line, *self.own, *options, "--run")

    def try_to_join(self, line: str, *options: str, entered: str = "") -> subprocess.CompletedProcess[str]:
        return self.type("join", line, *self.own, *options, entered=entered)

    def kill(self) -> None:
        """SIGKILL, as a power cut."""
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait(30.0)
            self._process = None

    def close(self) -> None:
        reap([] if self._process is None else [self._process])

    @property
    def status(self) -> dict[str, Any] | None:
        """None where the agent does not run (yet)."""
        return self._ask("status")

    @property
    def has_model(self) -> bool:
        status = self.status
        return status is not None and status["model"] is not None

    @property
    def linked(self) -> set[str]:
        """The names of the neighbors with which links are open."""
        answer = self._ask("peers")
        return set() if answer is None else {one["name"] for one in answer["peers"] if one["state"] == "linked"}

    def until(self, is_so: Callable[[], bool], patience_s: float = 60.0) -> float:
        """Wait until it is so; the seconds that it took."""
        began_at = time.monotonic()
        wait_until(is_so, lambda: f"what is expected of {self.directory.name}:\n{self.said}", patience_s)
        return time.monotonic() - began_at

    @property
    def said(self) -> str:
        return self.log.read_text() if self.log.exists() else ""

    @property
    def own(self) -> tuple[str, ...]:
        """Options of `init` and `join` that each machine has for itself."""
        return ("--data", "samples.csv", "--name", self.directory.name, *self._bind)

    def _line(self, command: Sequence[str]) -> list[str]:
        return self._wrap(tethered_command(signal.SIGKILL, "p2pnet", *command))

    def _ask(self, command: str) -> dict[str, Any] | None:
        try:
            return dict(ask(self.directory / "state", command))
        except ControlError:
            return None
