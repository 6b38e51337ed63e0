"""The page of one of the demo's agents, in a process of its own."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, final

from p2pnet.errors import ConfigError
from p2pnet.testing.processes import child_environment, reap, tethered_command

STOP_TIMEOUT_S: Final = 3.0


@final
@dataclass(frozen=True, slots=True)
class ServedPage:
    """A page that is being served."""

    address: str
    """with its token"""
    pid: int
    """of its process"""


@contextmanager
def served_page(agent_toml: Path, *options: str) -> Iterator[ServedPage]:
    """Serve the page of this agent meanwhile, on a free port of the loopback; ConfigError where that cannot be.

    `options` are those of `p2pnet page`.
    """
    command = tethered_command(signal.SIGTERM, "p2pnet", "page", str(agent_toml), "--bind", "127.0.0.1:0", *options)
    process = subprocess.Popen(  # noqa: S603
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=child_environment(os.environ),
        process_group=0,
    )
    try:
        first_line = process.stdout.readline().strip() if process.stdout is not None else ""
        if not first_line.startswith("http"):
            raise ConfigError(f"--page: {first_line.removeprefix('p2pnet: ') or 'the page ended at once'}")
        yield ServedPage(first_line, process.pid)
    finally:
        reap([process], STOP_TIMEOUT_S)
        if process.stdout is not None:
            process.stdout.close()
