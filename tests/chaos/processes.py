"""The processes of agents, and those that keep the machine busy: no other file here starts one."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Self, TypeAlias, final

from p2pnet.experiments.demo.processes import agent_command, child_environment

Wrap: TypeAlias = Callable[[Sequence[str]], list[str]]
"""Puts a command where it is to run: into a network namespace."""

COMPUTE_UNTIL_THE_END_OF_INPUT = """\
import os, threading
threading.Thread(target=lambda: os._exit(len(os.read(0, 1)))).start()
while True: 0
"""


@final
class AgentProcess:
    """`p2pnet run` on an agent.toml, in its directory, with all that it says in its log; a process group of its own."""

    def __init__(self, config: Path, log: Path, wrap: Wrap = list, program: Sequence[str] = ()) -> None:
        """`program` are arguments of Python that take the place of those that run p2pnet."""
        command = [sys.executable, "-P", *program, "run", str(config)] if program else agent_command(config)
        with log.open("ab") as sink:
            self._process = subprocess.Popen(
                wrap(command),
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=sink,
                cwd=config.parent,
                env=child_environment(os.environ),
                process_group=0,
            )

    def kill(self) -> None:
        """SIGKILL, and wait until it is gone."""
        self._process.kill()
        self._process.wait()

    def stop(self) -> None:
        """Let it stand still."""
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._process.send_signal(signal.SIGCONT)

    def terminate(self) -> None:
        """Tell it to take leave."""
        self._process.terminate()

    def exit_code(self) -> int | None:
        """None while it runs; −n where signal n has ended it."""
        return self._process.poll()

    def wait(self, patience_s: float) -> int:
        """Its exit code; TimeoutError where it does not end in time."""
        try:
            return self._process.wait(patience_s)
        except subprocess.TimeoutExpired:
            raise TimeoutError(f"process {self._process.pid} did not end in {patience_s:.0f} s") from None


def output_of(arguments: Sequence[str], wrap: Wrap, patience_s: float) -> str:
    """What another command of p2pnet writes to standard output."""
    command = wrap([sys.executable, "-P", "-m", "p2pnet", *arguments])
    environment = child_environment(os.environ)
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=patience_s).stdout


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
