"""Simulations of thousands of agents: everything counted, from the command's start to its end."""

import time
from collections.abc import Iterator, Sequence
from typing import ClassVar, final

from benchmarks.base import CommandBenchmark, Figure
from benchmarks.program import Program, processor_seconds


class Simulation(CommandBenchmark):
    """Seconds and memory of `p2pnet simulate`."""

    n_agents: ClassVar[int]
    options: ClassVar[Sequence[str]]
    n_rounds: ClassVar[int]
    most_s: ClassVar[float | None] = None

    def measure(self, program: Program, is_small: bool) -> Iterator[Figure]:
        n_agents, n_rounds = (self.n_agents // 20, 3) if is_small else (self.n_agents, self.n_rounds)
        size = ["--agents", str(n_agents), "--rounds", str(n_rounds)]
        start, before_s = time.perf_counter(), processor_seconds()
        summary = program.summary("simulate", *size, "--topology", "regular:4", "--no-compare", *self.options)
        yield Figure(f"{n_rounds} rounds of {n_agents:,} agents", time.perf_counter() - start, "s", at_most=self.most_s)
        yield Figure("processor time", processor_seconds() - before_s, "s")
        yield Figure("memory", summary["peak_rss_mb_max"], "MB")
        yield Figure("worst agent's test metric", summary["test_metric_worst"])
        yield Figure("conservation error", summary["conservation_error"], at_most=1e-9)


@final
class OneThousand(Simulation):
    """Seconds and memory of a simulation of 1,000 agents that train 64-32-10 for 10 rounds."""

    name = "simulation"
    runs = 3
    n_agents = 1_000
    options = ("--data", "synthetic:classification:60000:64:10", "--hidden", "32")
    n_rounds = 10


@final
class OneThousandLong(Simulation):
    """Seconds and memory of a simulation of 1,000 agents that train 64-32-10 for 50 rounds."""

    name = "scale-1000"
    n_agents = 1_000
    options = OneThousand.options
    n_rounds = 50
    most_s = 180


@final
class TenThousand(Simulation):
    """Seconds and memory of a simulation of 10,000 agents that train a linear model for 50 rounds."""

    name = "scale-10000"
    n_agents = 10_000
    options = ("--data", "synthetic:regression:100000:20", "--hidden", "none")
    n_rounds = 50
    most_s = 300
