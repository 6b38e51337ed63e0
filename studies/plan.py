"""What the experiments are run on, large or small."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from p2pnet.data.sharding import PartitionName
from p2pnet.experiments.simulate.options import SimulateOptions

FILES = ("concrete", "energy", "kin8nm", "wine_quality_red")
SEEDS = (60, 61, 62, 63, 64)
TUNING_SEED = 59
"""That of the runs by which step sizes are chosen, and of no others."""
MANY_AGENTS, MANY_UNITS, MANY_ROUNDS, FEW_SEEDS = 16, 64, 500, 3
"""From how many agents, hidden units or rounds on there are fewer seeds, and how many."""
VERY_MANY_AGENTS = 64
"""From which on there is one."""


@dataclass(frozen=True, slots=True)
class Plan:
    """The data sets there are, from which seeds to train, and how long."""

    regression: tuple[str, ...]
    classification: tuple[str, ...]
    seeds: tuple[int, ...]
    rounds: int
    is_quick: bool

    @property
    def datasets(self) -> tuple[str, ...]:
        return self.regression + self.classification

    def seeds_of(self, options: SimulateOptions) -> tuple[int, ...]:
        """Fewer where runs are large."""
        if options.agents >= VERY_MANY_AGENTS:
            return self.seeds[:1]
        is_wide = max(options.hidden) >= MANY_UNITS
        is_large = options.agents >= MANY_AGENTS or is_wide or options.rounds >= MANY_ROUNDS
        return self.seeds[:FEW_SEEDS] if is_large else self.seeds

    def base(self, data: str) -> SimulateOptions:
        """Ten agents, a random graph, one hidden layer; run to the last round, with all defaults else."""
        is_regression = data in self.regression
        return SimulateOptions(
            agents=10,
            topology="random:0.4",
            data=data,
            hidden=(20,),
            # Diabetes has 353 samples for 241 parameters, and needs more of it than the others.
            penalty="l2:1e-2" if data == "diabetes" else "l2:1e-4" if is_regression else "l2:1e-3",
            rounds=self.rounds,
            processes=1,
            tolerance=0.0,
            # No rounding, as an agent chooses where it trains on and on.
            wire="float64",
            is_compared=False,
        )

    def named(self, name: str) -> SimulateOptions:
        """The base of the data set whose name this is."""
        return self.base(next(data for data in self.datasets if title(data) == name))

    def has(self, name: str) -> bool:
        return name in map(title, self.datasets)


@dataclass(frozen=True, slots=True)
class Network:
    """Who trains on one data set, how its samples are dealt, and over which graph."""

    data: str
    partition: PartitionName
    agents: int = 10
    topology: str = "random:0.4"
    units: int = 20
    """in the hidden layer"""

    @property
    def name(self) -> str:
        dealt = f"{self.data}, sorted" if self.partition == "sorted" else self.data
        units = "" if self.units == 20 else f", {self.units} units"
        return f"{dealt}, {self.agents} agents, `{self.topology}`{units}"

    def options(self, plan: Plan) -> SimulateOptions:
        base = plan.named(self.data)
        return replace(base, partition=self.partition, agents=self.agents, topology=self.topology, hidden=(self.units,))


def title(data: str) -> str:
    return Path(data).stem


def make_plan(directory: Path, is_quick: bool) -> Plan:
    files = tuple(str(directory / f"{name}.csv") for name in FILES if (directory / f"{name}.csv").exists())
    if is_quick:
        return Plan(("diabetes",), ("iris", "digits"), SEEDS[:2], 12, is_quick=True)
    return Plan((*files, "diabetes"), ("digits", "breast-cancer", "wine", "iris"), SEEDS, 400, is_quick=False)


def shortened(options: SimulateOptions, rounds: int) -> SimulateOptions:
    return replace(options, rounds=min(options.rounds, rounds))
