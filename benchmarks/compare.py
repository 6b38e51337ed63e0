"""Two commits measured in turns, by the same benchmarks, in one process environment."""

import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.base import CommandBenchmark, Figure
from benchmarks.program import ROOT, Program, ProgramError

COSTS = ("s", "ms")
"""The units of figures that a limit is for."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """One figure of both commits, the pairs in the order in which they were measured."""

    benchmark: str
    figure: str
    unit: str
    pairs: Sequence[tuple[float, float]]

    @property
    def ratios(self) -> list[float]:
        """Second to first commit, a ratio a pair; NaN where the first is 0."""
        return [other / one if one else float("nan") for one, other in self.pairs]

    @property
    def medians(self) -> tuple[float, float]:
        return (statistics.median(one for one, _ in self.pairs), statistics.median(other for _, other in self.pairs))

    @property
    def median_ratio(self) -> float:
        return statistics.median(self.ratios)

    @property
    def is_cost(self) -> bool:
        return self.unit in COSTS


@contextmanager
def programs(revisions: Sequence[str]) -> Iterator[list[Program]]:
    """The command lines of these commits, each in a worktree of its own that is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="p2pnet-compare-") as directory:
        trees = [Path(directory) / f"tree-{index}" for index in range(len(revisions))]
        try:
            for tree, revision in zip(trees, revisions, strict=True):
                git("worktree", "add", "--quiet", "--detach", str(tree), revision)
                subprocess.run([sys.executable, "-m", "compileall", "-q", "p2pnet"], cwd=tree, check=True)
                verify(Program(tree))
            yield [Program(tree) for tree in trees]
        finally:
            for tree in trees:
                if tree.exists():
                    git("worktree", "remove", "--force", str(tree))


def git(*arguments: str) -> None:
    subprocess.run(["git", "-C", str(ROOT), *arguments], check=True)


def verify(program: Program) -> None:
    """That it is the tree's own package that runs, and not an installed one."""
    command = [sys.executable, "-P", "-c", "import p2pnet; print(p2pnet.__file__)"]
    place = subprocess.run(command, env=program.environment, capture_output=True, text=True, check=True).stdout
    if not Path(place.strip()).resolve().is_relative_to(program.tree.resolve()):
        raise ProgramError(f"p2pnet comes from {place.strip()}, not from {program.tree}; is there another PYTHONPATH?")


def compare(
    benchmark: CommandBenchmark, one: Program, other: Program, n_pairs: int, is_small: bool
) -> list[Comparison]:
    """Figures of so many pairs of runs; which commit goes first changes with every pair."""
    pairs = []
    for index in range(n_pairs):
        order = (one, other) if index % 2 == 0 else (other, one)
        measured = [list(benchmark.measure(program, is_small)) for program in order]
        pairs.append(measured if index % 2 == 0 else measured[::-1])
        print(f"{benchmark.name}: pair {index + 1} of {n_pairs}", file=sys.stderr, flush=True)
    return [comparison(benchmark.name, figure, pairs) for figure in pairs[0][0]]


def comparison(benchmark: str, figure: Figure, pairs: Sequence[Sequence[Sequence[Figure]]]) -> Comparison:
    def value(figures: Sequence[Figure]) -> float:
        return next(each.value for each in figures if each.name == figure.name)

    return Comparison(benchmark, figure.name, figure.unit, [(value(one), value(other)) for one, other in pairs])
