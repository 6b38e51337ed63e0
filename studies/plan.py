"""What the experiments are run on, large or small."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from p2pnet.experiments.simulate.options import SimulateOptions

FILES = ("concrete", "energy", "kin8nm", "wine_quality_red")


@dataclass(frozen=True, slots=True)
class Plan:
    """The data sets there are, and how long to train."""

    regression: tuple[str, ...]
    classification: tuple[str, ...]
    rounds: int
    is_quick: bool

    @property
    def datasets(self) -> tuple[str, ...]:
        return self.regression + self.classification

    def base(self, data: str) -> SimulateOptions:
        """Ten agents, a random graph, one hidden layer; run to the last round, with all defaults else."""
        is_regression = data in self.regression
        return SimulateOptions(
            agents=10,
            topology="random:0.4",
            data=data,
            hidden=(20,),
            # Diabetes has 353 samples for 221 parameters, and needs more of it than the others.
            penalty="l2:1e-2" if data == "diabetes" else "l2:1e-4" if is_regression else "l2:1e-3",
            rounds=self.rounds,
            processes=1,
            tolerance=0.0,
            is_compared=False,
        )

    def named(self, name: str) -> SimulateOptions:
        """The base of the data set whose name this is."""
        return self.base(next(data for data in self.datasets if title(data) == name))


def title(data: str) -> str:
    return Path(data).stem


def make_plan(directory: Path, is_quick: bool) -> Plan:
    files = tuple(str(directory / f"{name}.csv") for name in FILES if (directory / f"{name}.csv").exists())
    if is_quick:
        return Plan(("diabetes",), ("iris", "digits"), 12, is_quick=True)
    return Plan((*files, "diabetes"), ("digits", "breast-cancer", "wine", "iris"), 400, is_quick=False)


def shortened(options: SimulateOptions, rounds: int) -> SimulateOptions:
    return replace(options, rounds=min(options.rounds, rounds))
