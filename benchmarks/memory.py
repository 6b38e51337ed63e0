"""Memory of one agent, in vectors of as many numbers as its model has parameters."""

import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import final

import numpy as np

from benchmarks.base import Benchmark, Figure
from benchmarks.daemons import Home, Keys, make_keys, write_ring
from benchmarks.program import ONE_BLAS_THREAD, Program, ProgramError, processor_seconds

N_INPUTS, N_CLASSES, N_SAMPLES = 784, 10, 64
N_HIDDEN, N_HIDDEN_SMALL, N_HIDDEN_FLOOR = 1_258, 60, 1
"""The first gives 10⁶ parameters."""
N_ROUNDS, N_SMALL_ROUNDS = 24, 6
PATIENCE_S = 400.0
N_LINES = 30

SETTINGS = """[data]
source = "samples.npz"
test_source = "samples.npz"
[model]
hidden = [{n_hidden}]
precision = "float32"
[algorithm]
rounds = {rounds}
tolerance = 1e-5
[log]
file = "agent.log"
"""


@dataclass(frozen=True, slots=True)
class Size:
    """How large networks are, and how long they train."""

    n_hidden: int
    n_rounds: int

    @property
    def n_params(self) -> int:
        return self.n_hidden * (N_INPUTS + 1) + (self.n_hidden + 1) * N_CLASSES


@dataclass(frozen=True, slots=True)
class Course:
    """What agents took, the medians of all, in bytes."""

    peak: float
    sent: float
    processor_s: float


def write_network(keys: Sequence[Keys], directory: Path, size: Size) -> list[Home]:
    """The ring with samples for each agent."""
    homes = write_ring(keys, directory, SETTINGS.format(n_hidden=size.n_hidden, rounds=size.n_rounds))
    for k, home in enumerate(homes):
        rng = np.random.default_rng(k)
        X, y = rng.standard_normal((N_SAMPLES, N_INPUTS)), np.arange(N_SAMPLES) % N_CLASSES
        np.savez(home.directory / "samples.npz", X=X, y=y)
    return homes


def train(program: Program, homes: Sequence[Home], traced: Path | None = None) -> Course:
    """Run all agents to their ends; what the first one holds is written to `traced`, if given."""
    used_s = processor_seconds()
    with ExitStack() as at_exit:
        processes = []
        for k, home in enumerate(homes):
            toml, log = home.directory / "agent.toml", home.directory / "output.log"
            if traced is None or k:
                process = program.start("run", str(toml), log=log)
            else:
                process = start_traced(program, toml, traced, log)
            at_exit.callback(process.wait)
            at_exit.callback(process.kill)
            processes.append(process)
        peaks = watch(processes, time.monotonic() + PATIENCE_S)
        for home, process in zip(homes, processes, strict=True):
            if process.wait() != 0:
                text = (home.directory / "output.log").read_text(encoding="utf-8")
                raise ProgramError(f"{home.directory.name} ended with exit code {process.returncode}: {text[-500:]}")
    results = [json.loads((home.directory / "result.json").read_text(encoding="utf-8")) for home in homes]
    return Course(
        peak=statistics.median(peaks),
        sent=sum(result["bytes_sent"] for result in results),
        processor_s=processor_seconds() - used_s,
    )


def watch(processes: Sequence[subprocess.Popen[bytes]], until_s: float) -> list[float]:
    """The most resident memory of each process until all have ended, in bytes. That which the system gives at the end
    would count what the process that has started it had.
    """
    peaks = [0.0 for _ in processes]
    while any(process.poll() is None for process in processes):
        if time.monotonic() > until_s:
            raise ProgramError(f"agents did not end in {PATIENCE_S:.0f} s")
        for k, process in enumerate(processes):
            with suppress(OSError, StopIteration):  # it has ended
                status = Path(f"/proc/{process.pid}/status").read_text(encoding="ascii")
                line = next(line for line in status.splitlines() if line.startswith("VmHWM:"))
                peaks[k] = max(peaks[k], int(line.split()[1]) * 1024.0)
        time.sleep(0.05)
    return peaks


def start_traced(program: Program, toml: Path, traced: Path, log: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-P", "-m", "benchmarks.traced_agent", str(toml), str(traced)]
    with log.open("ab") as sink:
        return subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=sink, stderr=sink, env={**program.environment, **ONE_BLAS_THREAD}
        )


@final
class Memory(Benchmark):
    """Memory of an agent with 10⁶ float32 parameters and two neighbors: in all, and by the lines that hold it."""

    name = "memory"

    def run(self, is_small: bool) -> Iterator[Figure]:
        program = Program()
        size = Size(N_HIDDEN_SMALL, N_SMALL_ROUNDS) if is_small else Size(N_HIDDEN, N_ROUNDS)
        vector = 4.0 * size.n_params
        keys = [make_keys(program) for _ in range(3)]
        with tempfile.TemporaryDirectory(prefix="p2pnet-") as name:
            directory = Path(name)

            def course(part: str, n_agents: int, size: Size, traced: Path | None = None) -> Course:
                return train(program, write_network(keys[:n_agents], directory / part, size), traced)

            floor = course("floor", 3, Size(N_HIDDEN_FLOOR, size.n_rounds)).peak
            peaks = {n: (course(f"{n}", n, size).peak - floor) / vector for n in (2, 3)}
            a_link = peaks[3] - peaks[2]
            yield Figure("floor", floor / 1e6, "MB")
            yield Figure("process, two links: peak above the floor", peaks[3], "vectors", at_most=42.0)
            yield Figure("of that, a link", a_link, "vectors", at_most=12.0)
            yield Figure("of that, its own", peaks[3] - 2 * a_link, "vectors", at_most=24.0)
            found = {}
            for n in (2, 3):
                course(f"traced {n}", n, size, directory / "traced.json")
                found[n] = json.loads((directory / "traced.json").read_text(encoding="utf-8"))
            for n, held in found.items():
                yield Figure(f"arrays, {n - 1} links: peak", held["peak"] / vector, "vectors")
                for when in ("rest", "most"):
                    yield Figure(f"arrays, {n - 1} links: {when} seen", held[when]["total"] / vector, "vectors")
            for when in ("rest", "most"):
                for line, n_bytes in list(found[3][when]["by_line"].items())[:N_LINES]:
                    yield Figure(f"{when}: {line}", n_bytes / vector, "vectors")
