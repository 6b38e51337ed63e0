"""A round of 8 daemons that have next to nothing to compute."""

import csv
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import final

import numpy as np

from benchmarks.base import CommandBenchmark, Figure
from benchmarks.daemons import Home, Keys, make_keys, write_ring
from benchmarks.program import Program, ProgramError, processor_seconds

N_AGENTS = 8
N_INPUTS = 2_409
"""With the bias as many parameters as the digits demo has."""
N_ROUNDS, N_SMALL_ROUNDS = 400, 60
N_WARM_UP_ROUNDS = 50
PATIENCE_S = 120.0

SETTINGS = """precision = "float64"
max_diameter = 4
[data]
source = "samples.npz"
test_source = "samples.npz"
task = "regression"
standardize = "none"
[model]
hidden = []
[objective]
penalty = "none"
[algorithm]
rounds = {rounds}
exchanges = 1000
tolerance = 0.0
solver = "cg"
solver_iterations = 1
[log]
file = "agent.log"
"""


@final
class EmptyRound(CommandBenchmark):
    """Milliseconds of a round on a loopback ring of 8 daemons that take no local steps, 2,410 parameters in float64."""

    name = "empty-round"
    runs = 5

    def __init__(self) -> None:
        self._keys: list[Keys] = []

    def measure(self, program: Program, is_small: bool) -> Iterator[Figure]:
        n_rounds = N_SMALL_ROUNDS if is_small else N_ROUNDS
        self._keys = self._keys or [make_keys(program) for _ in range(N_AGENTS)]
        with tempfile.TemporaryDirectory(prefix="p2pnet-") as directory:
            homes = write_ring(self._keys, Path(directory), SETTINGS.format(rounds=n_rounds))
            write_samples(homes)
            before_s = processor_seconds()
            train(program, homes)
            processor_s = processor_seconds() - before_s
            rounds_ms = [milliseconds_a_round(home.directory / "history.csv") for home in homes]
        yield Figure("round of the slowest agent", max(rounds_ms), "ms")
        yield Figure("processor time of all, from start to end", processor_s, "s")


def write_samples(homes: Sequence[Home]) -> None:
    """Two for each agent."""
    for k, home in enumerate(homes):
        rng = np.random.default_rng(k)
        X, y = rng.standard_normal((2, N_INPUTS)) / N_INPUTS**0.5, rng.standard_normal(2)
        np.savez(home.directory / "samples.npz", X=X, y=y)


def train(program: Program, homes: Sequence[Home]) -> None:
    """Run all agents to their ends; ProgramError where one fails or goes on for too long."""
    with ExitStack() as at_exit:
        processes = []
        for home in homes:
            process = program.start("run", str(home.directory / "agent.toml"), log=home.directory / "output.log")
            at_exit.callback(process.wait)
            at_exit.callback(process.kill)
            processes.append(process)
        give_up_at = time.monotonic() + PATIENCE_S
        for home, process in zip(homes, processes, strict=True):
            try:
                code = process.wait(max(give_up_at - time.monotonic(), 0.0))
            except subprocess.TimeoutExpired:
                raise ProgramError(f"{home.directory.name} did not end in {PATIENCE_S:.0f} s") from None
            if code != 0:
                text = (home.directory / "output.log").read_text(encoding="utf-8")
                raise ProgramError(f"{home.directory.name} ended with exit code {code}: {text[-500:]}")


def milliseconds_a_round(history: Path) -> float:
    """The mean after the first rounds."""
    with history.open(newline="") as file:
        times = [float(row["time_s"]) for row in csv.DictReader(file)]
    return 1000 * statistics.fmean(np.diff(times[N_WARM_UP_ROUNDS:]))
