"""Medians and worst over the seeds of each combination of settings."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from p2pnet.experiments.sweep.record import CellOutcome

JUDGED: Final[Mapping[str, bool]] = {
    "objective_worst": False,
    "test_metric_worst": True,
    "rounds": False,
    "bytes_sent_total": False,
    "disagreement_max": False,
    "processor_s": False,
}
"""The figures that are compared; whether more of one is better."""


@dataclass(frozen=True, slots=True)
class Spread:
    """One figure over the seeds."""

    median: float
    worst: float
    best: float


@dataclass(frozen=True, slots=True)
class Comparison:
    """What one combination of settings came to."""

    settings: Mapping[str, str]
    n_seeds: int
    spreads: Mapping[str, Spread]
    """by the names of `JUDGED`; infinite where a simulation diverged"""


def compare(outcomes: Iterable[CellOutcome]) -> list[Comparison]:
    """Median, worst and best of each figure, by settings, in the order in which these come first."""
    by_settings: dict[tuple[tuple[str, str], ...], list[CellOutcome]] = {}
    for outcome in outcomes:
        by_settings.setdefault(tuple(outcome.settings.items()), []).append(outcome)
    return [
        Comparison(
            dict(settings),
            len(alike),
            {
                figure: _spread([one.figures.get(figure) for one in alike], is_more_better)
                for figure, is_more_better in JUDGED.items()
            },
        )
        for settings, alike in by_settings.items()
    ]


def _spread(values: Sequence[float | None], is_more_better: bool) -> Spread:
    """A figure that is None was not finite: the simulation diverged, which is worse than any other."""
    lost = -math.inf if is_more_better else math.inf
    ordered = sorted((lost if value is None else float(value) for value in values), reverse=is_more_better)
    return Spread(median=statistics.median(ordered), worst=ordered[-1], best=ordered[0])
