"""One simulation from several seeds: medians, and the worst."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from p2pnet.experiments.simulate.options import SimulateOptions
from studies.runs import Central, Run

NEARLY_NOTHING = 3e-4
"""A central objective below which parts of it say nothing."""


@dataclass(frozen=True, slots=True)
class Spread:
    """The median of a figure over the seeds, and the worst."""

    median: float
    worst: float


def least_is_worst(figures: Iterable[float]) -> Spread:
    known = list(figures)
    return Spread(statistics.median(known), min(known))


def most_is_worst(figures: Iterable[float]) -> Spread:
    known = list(figures)
    return Spread(statistics.median(known), max(known))


@dataclass(frozen=True, slots=True)
class Trials:
    """The runs of one simulation, a seed each, and what one place reaches from each of these seeds."""

    runs: tuple[Run, ...]
    centrals: tuple[Central, ...]

    @property
    def options(self) -> SimulateOptions:
        """Those of the first seed."""
        return self.runs[0].options

    @property
    def rounds(self) -> Spread:
        return most_is_worst(run.summary.rounds for run in self.runs)

    @property
    def is_nearly_nothing(self) -> bool:
        """Whether the central objective is next to nothing, so that an excess over it says nothing."""
        return min(abs(central.objective) for central in self.centrals) < NEARLY_NOTHING

    @property
    def objective(self) -> Spread:
        """The worst agent's, in the end."""
        return most_is_worst(run.summary.objective_worst for run in self.runs)

    @property
    def excess(self) -> Spread:
        """By what part of the central objective the worst agent's is above it, in the end."""
        return most_is_worst(
            run.summary.objective_worst / central.objective - 1.0
            for run, central in zip(self.runs, self.centrals, strict=True)
        )

    @property
    def test_metric(self) -> Spread:
        """The worst agent's."""
        return least_is_worst(run.summary.test_metric_worst for run in self.runs)

    @property
    def test_metric_mean(self) -> Spread:
        """The agents' mean."""
        return least_is_worst(run.summary.test_metric_mean for run in self.runs)

    @property
    def residual(self) -> Spread:
        return most_is_worst(run.residual for run in self.runs)

    @property
    def megabytes(self) -> float:
        """What all agents have sent, in the median."""
        return statistics.median(run.summary.bytes_sent_total for run in self.runs) / 1e6

    def exchanges_to(self, part: float) -> Spread:
        """Until every agent stays within this part of the central objective above it; infinity where that never is."""
        return most_is_worst(
            run.exchanges_to((1.0 + part) * central.objective)
            for run, central in zip(self.runs, self.centrals, strict=True)
        )

    def megabytes_to(self, part: float) -> float:
        """What all agents have sent until then, in the median, had they sent as much in each round."""
        exchanges = self.exchanges_to(part).median
        return self.megabytes / self.rounds.median * exchanges if math.isfinite(exchanges) else math.inf

    def n_within(self, part: float) -> int:
        """The number of seeds from which every agent ends within this part of the central objective."""
        return sum(
            run.summary.objective_worst <= (1.0 + part) * central.objective
            for run, central in zip(self.runs, self.centrals, strict=True)
        )

    def curves(self) -> tuple[list[int], NDArray[np.float64]]:
        """Rounds that all runs were looked at in, and the worst agents' objectives over the central ones,
        (n_seeds, n_rounds).
        """
        kept = [{point.round: point.objective_worst for point in run.curve} for run in self.runs]
        rounds = sorted(set.intersection(*map(set, kept)) - {0})
        ratios = [
            [of_run[round_] / central.objective for round_ in rounds]
            for of_run, central in zip(kept, self.centrals, strict=True)
        ]
        return rounds, np.array(ratios)


def median_of(trials: Iterable[Trials], figure: Callable[[Trials], float]) -> float:
    """The median over several simulations."""
    return statistics.median(map(figure, trials))
