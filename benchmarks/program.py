"""The p2pnet command line of a source tree, run with this interpreter."""

import json
import os
import resource
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
ONE_BLAS_THREAD = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


def processor_seconds() -> float:
    """Of all processes that have been started here and have ended; a busy machine changes them less than the time."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


class ProgramError(Exception):
    """A command that failed; the message has the last lines that it wrote."""


@dataclass(frozen=True, slots=True)
class Program:
    """`p2pnet`, imported from `tree`: a checkout of any commit."""

    tree: Path = ROOT

    @property
    def environment(self) -> Mapping[str, str]:
        return {**os.environ, "PYTHONPATH": str(self.tree)}

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-P", "-m", "p2pnet", *arguments]

    def run(self, *arguments: str) -> str:
        """What the command writes to standard output."""
        command = self.command(*arguments)
        finished = subprocess.run(command, capture_output=True, text=True, check=False, env=self.environment)
        if finished.returncode != 0:
            last_lines = "\n".join(finished.stderr.strip().splitlines()[-3:])
            raise ProgramError(f"{' '.join(command)}: exit code {finished.returncode}\n{last_lines}")
        return finished.stdout

    def summary(self, *arguments: str) -> dict[str, Any]:
        """The JSON that `p2pnet demo` or `p2pnet simulate` prints."""
        summary: dict[str, Any] = json.loads(self.run(*arguments, "--json"))
        return summary

    def start(self, *arguments: str, log: Path) -> subprocess.Popen[bytes]:
        """The command as a process that its caller has to end; all that it writes goes to `log`."""
        with log.open("ab") as sink:
            return subprocess.Popen(
                self.command(*arguments),
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=sink,
                cwd=log.parent,
                env={**self.environment, **ONE_BLAS_THREAD},
                process_group=0,
            )
