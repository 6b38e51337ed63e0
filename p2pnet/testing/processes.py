"""Child processes: starting, and reliable termination."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from p2pnet.config.reading import ENVIRONMENT_PREFIX


class Process(Protocol):
    """A process that this one has started, or had started; as `subprocess.Popen` has these."""

    @property
    def pid(self) -> int: ...

    def poll(self) -> int | None:
        """The exit code (−n: ended by signal n), None while the process runs."""

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the exit code; subprocess.TimeoutExpired after so many seconds."""

    def send_signal(self, sig: int) -> None:
        """Send the signal, unless the process has ended."""

    def terminate(self) -> None: ...

    def kill(self) -> None: ...


TETHER = Path(__file__).with_name("tether.py")


def spawn(command: Sequence[str], log: Path, environment: Mapping[str, str] | None = None) -> Process:
    """Start a process in the directory of `log`, to which its standard output and error are appended.

    `environment` adds to this process's own, without settings of p2pnet. The process gets a process group of its own,
    so that Ctrl-C reaches it through the launcher only.
    """
    with log.open("ab") as sink:
        return subprocess.Popen(  # noqa: S603
            command,
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=sink,
            cwd=log.parent,
            env=child_environment(os.environ) | dict(environment or {}),
            process_group=0,
        )


def reap(processes: Iterable[Process], grace_s: float = 0.0) -> None:
    """Send SIGTERM, wait up to `grace_s` seconds in all, SIGKILL what is left, and wait until all are gone."""
    running = list(processes)
    try:
        if grace_s > 0:
            for process in running:
                process.terminate()
            deadline = time.monotonic() + grace_s
            for process in running:
                process.wait(max(deadline - time.monotonic(), 0.0))
    except subprocess.TimeoutExpired:
        pass
    finally:
        for process in running:
            process.kill()  # no effect on a process that has ended
        for process in running:
            process.wait()


def tethered_command(tether: signal.Signals, module: str, *arguments: str) -> list[str]:
    """`python -m module` with this interpreter, as a process that gets the signal when this one has gone.

    It looks for modules where this interpreter does, not in its working directory.
    """
    # By its file: `-m` would import this package, of which an agent needs nothing, at each start.
    return [sys.executable, "-P", str(TETHER), tether.name, module, *arguments]


def child_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment without settings of p2pnet, which are each agent's own; and one BLAS thread each."""
    kept = {name: value for name, value in environment.items() if not name.startswith(ENVIRONMENT_PREFIX)}
    return kept | {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
