"""One agent on this machine: a directory, and the process that runs in it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self, TypeAlias, final

from p2pnet.agent.control.client import ask
from p2pnet.agent.transport.keys import KeyPair, generate_keys, write_keys
from p2pnet.testing.files import AgentFiles
from p2pnet.testing.fork_server import ForkServer
from p2pnet.testing.introductions import AgentContact
from p2pnet.testing.ports import free_ports
from p2pnet.testing.processes import Process, child_environment, reap, spawn, tethered_command
from p2pnet.testing.waiting import PATIENCE_S, HarnessError, wait_until

Wrap: TypeAlias = Callable[[Sequence[str]], list[str]]
"""Wraps a command, as for a network namespace; the process keeps its id."""


@final
class LocalAgent:
    """An agent that can be started, told to leave, killed, frozen and started again; leaving the context ends it.

    Its state directory is its own directory. With `lies`, names as in `p2pnet.testing.lies`, it is a member whose own
    messages are changed on their way out. `tether` is the signal that the process gets when this one is gone.
    """

    def __init__(
        self,
        files: AgentFiles,
        address: str = "none",
        *,
        lies: Sequence[str] = (),
        wrap: Wrap = list,
        tether: signal.Signals = signal.SIGKILL,
        server: ForkServer | None = None,
    ) -> None:
        """The agent of a directory that is there already, with its key; `address` is where it will listen. It is
        forked from the server, if there is one and nothing else is to be run.
        """
        self.files = files
        self.address = address
        self._lies = tuple(lies)
        self._wrap = wrap
        self._tether = tether
        self._server = server
        self._process: Process | None = None
        self._started_at_s = 0.0

    @classmethod
    def create(
        cls, directory: Path, address: str | None = None, *, lies: Sequence[str] = (), wrap: Wrap = list
    ) -> LocalAgent:
        """An agent in a new directory, with a new key, that listens on a free port of the loopback by default."""
        if address is None:
            (port,) = free_ports(1)
            address = f"tcp://127.0.0.1:{port}"
        files = AgentFiles(directory.name, directory)
        directory.mkdir(parents=True)
        write_keys(files.key, generate_keys())
        return cls(files, address, lies=lies, wrap=wrap)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *failure: object) -> None:
        self.close()

    def close(self, grace_s: float = 0.0) -> None:
        """End the process, if there is one: SIGTERM, up to `grace_s` seconds, SIGKILL."""
        reap([] if self._process is None else [self._process], grace_s)

    # Who the agent is.

    @property
    def name(self) -> str:
        return self.files.name

    @property
    def directory(self) -> Path:
        return self.files.directory

    @property
    def keys(self) -> KeyPair:
        return self.files.keys()

    @property
    def contact(self) -> AgentContact:
        return AgentContact(self.name, self.keys.public)

    def as_neighbor(self) -> dict[str, Any]:
        """The agent as it stands among another's network.neighbors; without an address if it only dials."""
        address = None if self.address == "none" else self.address
        return {"name": self.name, "public_key": self.keys.public, "address": address}

    def as_seed(self) -> dict[str, Any]:
        """The agent as it stands among another's network.seeds."""
        return {"public_key": self.keys.public, "address": self.address}

    def configure(self, settings: Mapping[str, Any]) -> None:
        """Write agent.toml: values by `section.key`, for all else the defaults, and a log in JSON."""
        own = {
            "agent.name": self.name,
            "agent.state_dir": Path(),
            "network.bind": self.address,
            "data.source": Path("samples.npz"),
            "log.format": "json",
        }
        self.files.write_settings(own | dict(settings))

    # What is done to its process.

    def start(
        self,
        *overrides: str,
        environment: Mapping[str, str] | None = None,
        program: Sequence[str] | None = None,
        options: Sequence[str] = (),
    ) -> None:
        """Start `p2pnet run` with settings `section.key=value` that override agent.toml, and with options such as
        `--fresh`; HarnessError if it runs already.

        `program` are the interpreter's arguments in place of the tether and p2pnet: such a process has no tether.
        """
        if self.is_running:
            raise HarnessError(f"{self.name} runs already; stop it first, or use restart")
        flags = [part for override in overrides for part in ("--set", override)]
        self._started_at_s = time.time()
        if self._server is not None and environment is None and program is None and not self._lies:
            arguments = ("run", str(self.files.config), *flags, *options)
            self._process = self._server.run(arguments, self.files.log, self.name, self._tether)
            return
        module = ("p2pnet.testing.lying_agent",) if self._lies else ("p2pnet", "run")
        lies = [part for lie in self._lies for part in ("--lie", lie)]
        command = tethered_command(self._tether, *module)
        if program is not None:
            command = [*command[:2], *program, "run"]
        command += [str(self.files.config), *flags, *options, *lies]
        self._process = spawn(self._wrap(command), self.files.log, environment)

    def stop(self) -> None:
        """Send SIGTERM: the agent leaves for good, and its data with it."""
        self.signal(signal.SIGTERM)

    def away(self) -> None:
        """Have the agent leave temporarily, by its control socket."""
        ask(self.directory, "away")

    def kill(self) -> None:
        """Send SIGKILL, and wait until the process is gone."""
        self.signal(signal.SIGKILL)
        self.exit_code()

    def freeze(self) -> None:
        """Send SIGSTOP: the process is suspended, and its connections stay open."""
        self.signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Send SIGCONT."""
        self.signal(signal.SIGCONT)

    def restart(self, *overrides: str, keeps_state: bool = True) -> None:
        """Kill the agent if it runs, and start it; without the files of its state directory unless state is kept."""
        self.close()
        if not keeps_state:
            self.files.forget()
        self.start(*overrides)

    def signal(self, number: int) -> None:
        self.process.send_signal(number)

    # What becomes of it.

    @property
    def process(self) -> Process:
        """The latest process; HarnessError if the agent has not been started."""
        if self._process is None:
            raise HarnessError(f"{self.name} has not been started")
        return self._process

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def poll(self) -> int | None:
        """The exit code of the process (−n: ended by signal n), None while it runs."""
        return self.process.poll()

    def exit_code(self, patience_s: float = PATIENCE_S) -> int:
        """Wait for the end of the process, and return its exit code; HarnessError on timeout."""
        try:
            return self.process.wait(patience_s)
        except subprocess.TimeoutExpired:
            raise HarnessError(f"{self.name} does not end within {patience_s:g} s:\n{self.log}") from None

    def finish(self, patience_s: float = PATIENCE_S) -> None:
        """Wait until the agent has ended with exit code 0; HarnessError otherwise."""
        if code := self.exit_code(patience_s):
            raise HarnessError(f"{self.name} ended with exit code {code}:\n{self.log}")

    def until(self, is_so: Callable[[Self], bool], patience_s: float = PATIENCE_S) -> None:
        """Wait until a condition holds; HarnessError on timeout, or when the process ends before."""

        def is_so_or_ended() -> bool:
            has_ended = self.poll() is not None
            if is_so(self):
                return True
            if has_ended:
                raise HarnessError(f"{self.name} ended with exit code {self.poll()} before that:\n{self.log}")
            return False

        wait_until(is_so_or_ended, lambda: f"what is expected of {self.name}:\n{self.log}", patience_s)

    @property
    def round(self) -> int:
        """The last round that the agent has begun since it was started; -1 before training."""
        records = self.files.records()
        return max((record.round for record in records if record.time_s >= self._started_at_s), default=-1)

    @property
    def log(self) -> str:
        """Everything in its log, as text."""
        return self.files.log_text()

    def has_said(self, pattern: str) -> bool:
        """Whether an entry of the log matches the regular expression somewhere."""
        return self.count(pattern) > 0

    def count(self, pattern: str) -> int:
        return len(self.files.matching(pattern))

    def said_at(self, pattern: str) -> float:
        """The time of the first matching log entry, in seconds since the epoch; HarnessError without any."""
        entries = self.files.matching(pattern)
        if not entries:
            raise HarnessError(f"{self.name} has not said {pattern!r}:\n{self.log}")
        return entries[0].time_s

    def ask(self, command: str, *arguments: str, patience_s: float = PATIENCE_S) -> subprocess.CompletedProcess[str]:
        """Run `p2pnet COMMAND agent.toml ARGUMENTS` beside the agent."""
        line = [*tethered_command(self._tether, "p2pnet", command), str(self.files.config), *arguments]
        return subprocess.run(  # noqa: S603
            self._wrap(line),
            capture_output=True,
            text=True,
            env=child_environment(os.environ),
            timeout=patience_s,
            check=False,
        )

    def doctor(self) -> dict[str, list[str]]:
        """Run `p2pnet doctor`; return its lines by subject, each with its outcome in front."""
        lines: dict[str, list[str]] = {}
        for finding in json.loads(self.ask("doctor", "--json").stdout):
            lines.setdefault(finding["subject"], []).append(f"{finding['outcome']}: {finding['words']}")
        return lines
