"""How many hidden neurons a group penalty removes on digits, and what that costs."""

from collections.abc import Iterator
from typing import final

from benchmarks.base import CommandBenchmark, Figure
from benchmarks.program import Program

HIDDEN = 64
GROUP = "group:1e-3"


@final
class Sparsity(CommandBenchmark):
    """Hidden neurons of 64 that a group penalty removes on digits, simulated and by 8 processes on a ring."""

    name = "sparsity"

    def measure(self, program: Program, is_small: bool) -> Iterator[Figure]:
        common = ["--hidden", str(HIDDEN), *(["--rounds", "5"] if is_small else [])]
        without = program.summary("simulate", *common, "--penalty", "none", "--no-compare")
        for command, options in (("simulate", ["--no-compare"]), ("demo", [])):
            group = program.summary(command, *common, "--penalty", GROUP, *options)
            lost = without["test_metric_worst"] - group["test_metric_worst"]
            yield Figure(f"{command}: neurons removed", group["neurons_removed"], "neurons", at_least=32)
            yield Figure(f"{command}: test accuracy lost", lost, at_most=0.01)
            yield Figure(f"{command}: rounds", group["rounds"], "rounds")
