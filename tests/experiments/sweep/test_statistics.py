"""Medians and worst over seeds."""

import math

from p2pnet.experiments.sweep.record import CellOutcome
from p2pnet.experiments.sweep.statistics import JUDGED, Spread, compare


def outcomes(topology: str, objectives: list[float | None]) -> list[CellOutcome]:
    return [
        CellOutcome(f"{topology}{seed}", {"topology": topology}, seed, dict.fromkeys(JUDGED, objective))
        for seed, objective in enumerate(objectives)
    ]


def test_median_and_worst_are_over_the_seeds_of_the_same_settings() -> None:
    ring, full = compare([*outcomes("ring", [3.0, 1.0, 2.0]), *outcomes("full", [5.0])])

    assert ring.settings == {"topology": "ring"}
    assert ring.n_seeds == 3
    assert ring.spreads["objective_worst"] == Spread(median=2.0, worst=3.0, best=1.0)
    assert ring.spreads["test_metric_worst"] == Spread(median=2.0, worst=1.0, best=3.0)
    assert full.spreads["rounds"] == Spread(median=5.0, worst=5.0, best=5.0)


def test_one_that_diverged_is_worse_than_all_others() -> None:
    (ring,) = compare(outcomes("ring", [3.0, None, 2.0]))

    assert ring.spreads["objective_worst"] == Spread(median=3.0, worst=math.inf, best=2.0)
    assert ring.spreads["test_metric_worst"] == Spread(median=2.0, worst=-math.inf, best=3.0)
