"""Training that stops by itself, beside training that goes on."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import replace

from studies.document import Document, count, decimal, listed, percent, spread, within
from studies.laboratory import Laboratory
from studies.plan import Plan, title
from studies.trials import Trials, most_is_worst

ROUNDS = 1000
SORTED = ("concrete", "digits")
LEFT_OUT = ("concrete", "energy", "diabetes")
"""Of the sets dealt at random, for their costs."""
NEAR = 0.05


def compare_stops(document: Document, plan: Plan, lab: Laboratory) -> None:
    document.section(4, "Training that stops by itself")
    rounds = 40 if plan.is_quick else ROUNDS
    dealt = [replace(plan.base(data), rounds=rounds) for data in plan.datasets]
    bases = [
        *(base for base in dealt if title(base.data) not in LEFT_OUT),
        *(replace(base, partition="sorted") for base in dealt if title(base.data) in SORTED),
    ]
    names = [f"{title(base.data)}{', sorted' if base.partition == 'sorted' else ''}" for base in bases]
    stopped, gone_on = lab.trials_of([replace(base, tolerance=None) for base in bases]), lab.trials_of(bases)
    document.text(
        f"""
        Networks of sections 1 and 2, and some with samples sorted by target, with the tolerance that agents have by
        default: all end in the round in which residual, disagreement and what is left are small at every one
        ([protocol](protocol.md#termination)). `above` is how far the worst agent's objective then is above where it is
        after {rounds} rounds, had they gone on; `difference` what is added to its test metric by going on. A run that
        has not stopped after {rounds} rounds counts as ended there, and its round as –.
        """
    )
    document.table(
        ["samples", "stops in round", "above", "residual", "test", "difference"],
        [
            [
                name,
                spread(most_is_worst(_rounds(here)), count),
                spread(most_is_worst(_above(here, there)), percent),
                spread(here.residual, "{:.0e}".format),
                spread(here.test_metric, decimal),
                spread(most_is_worst(_gains(here, there)), "{:+.3f}".format),
            ]
            for name, here, there in zip(names, stopped, gone_on, strict=True)
        ],
    )
    document.findings(*_what_stops_show(names, stopped, gone_on, rounds))


def _rounds(stopped: Trials) -> list[float]:
    return [run.summary.rounds if run.is_stopped else float("inf") for run in stopped.runs]


def _above(stopped: Trials, gone_on: Trials) -> list[float]:
    """By what part of the objective reached in the end the one reached by stopping is above it."""
    return [
        here.summary.objective_worst / there.summary.objective_worst - 1.0
        for here, there in zip(stopped.runs, gone_on.runs, strict=True)
    ]


def _gains(stopped: Trials, gone_on: Trials) -> list[float]:
    """What the test metric gains by going on."""
    return [
        there.summary.test_metric_worst - here.summary.test_metric_worst
        for here, there in zip(stopped.runs, gone_on.runs, strict=True)
    ]


def _what_stops_show(
    names: Sequence[str], stopped: Sequence[Trials], gone_on: Sequence[Trials], rounds: int
) -> list[str]:
    runs = [run for trials in stopped for run in trials.runs]
    ends = [run.summary.rounds for run in runs if run.is_stopped]
    above = {name: _above(here, there) for name, here, there in zip(names, stopped, gone_on, strict=True)}
    all_above = [each for row in above.values() for each in row]
    gains = [each for here, there in zip(stopped, gone_on, strict=True) for each in _gains(here, there)]
    worst = max(above, key=lambda name: max(above[name]))
    far = [name for name, row in above.items() if statistics.median(row) > NEAR]
    return [
        f"Of {len(runs)} runs {len(ends)} stop by themselves within {rounds} rounds"
        + (f", in round {statistics.median(ends):.0f} in the median and {max(ends)} at the latest." if ends else "."),
        f"They stop {percent(statistics.median(all_above))} above where they would come in the median, and "
        f"{percent(max(all_above))} at worst ({worst}); {sum(each <= NEAR for each in all_above)} of {len(runs)} "
        f"within {within(NEAR)}.",
        f"In the median seed stopping costs more than that on {listed(far)}." if far else "",
        f"Going on would add {statistics.median(gains):+.3f} to the test metric in the median, {max(gains):+.3f} at "
        f"most and {min(gains):+.3f} at least.",
    ]
