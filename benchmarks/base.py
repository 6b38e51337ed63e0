"""What a benchmark is, and what it measures."""

from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

from benchmarks.program import Program


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured value, with the bounds that it has to keep and the same figure of a peer, where there are any."""

    name: str
    value: float
    unit: str = ""
    at_most: float | None = None
    at_least: float | None = None
    peer: float | None = None

    @property
    def is_kept(self) -> bool:
        is_too_large = self.at_most is not None and not self.value <= self.at_most
        is_too_small = self.at_least is not None and not self.value >= self.at_least
        return not is_too_large and not is_too_small


class Benchmark(ABC):
    """Measures some figures; the class docstring's first line says which."""

    name: ClassVar[str]
    runs: ClassVar[int] = 1
    """Runs of which the medians are taken, unless the caller asks for another number."""

    @abstractmethod
    def run(self, is_small: bool) -> Iterable[Figure]:
        """The figures of one run; the small form shows that the benchmark works, and its bounds mean nothing."""


class CommandBenchmark(Benchmark):
    """Measures the command line and nothing else, so that any two commits can be compared by it."""

    def run(self, is_small: bool) -> Iterable[Figure]:
        return self.measure(Program(), is_small)

    @abstractmethod
    def measure(self, program: Program, is_small: bool) -> Iterable[Figure]:
        """The figures of one run of this program."""
