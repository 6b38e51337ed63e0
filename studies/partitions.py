"""Samples dealt at random and sorted, with the network's curvature and without; and with messages lost."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace

from studies.document import Document, draw_excesses, excess, exchanges, listed, panels, percent, told, within
from studies.laboratory import Laboratory
from studies.plan import FEW_SEEDS, MANY_AGENTS, Network, Plan
from studies.trials import Trials, median_of

NETWORKS = (
    Network("kin8nm", "iid"),
    Network("kin8nm", "sorted"),
    Network("concrete", "iid"),
    Network("concrete", "sorted"),
    Network("wine_quality_red", "iid"),
    Network("wine_quality_red", "sorted"),
    Network("wine_quality_red", "sorted", units=16),
    Network("digits", "sorted", 8, "ring"),
    Network("digits", "sorted", 16, "ring"),
    Network("kin8nm", "sorted", 16, "full"),
    Network("kin8nm", "iid", 64, "regular:4"),
)
ROUNDED = (Network("concrete", "sorted"),)
LOSSY = (
    Network("wine_quality_red", "sorted"),
    Network("digits", "sorted", 8, "ring"),
    Network("kin8nm", "iid"),
)
QUICK = (Network("iris", "iid", 4, "ring"), Network("iris", "sorted", 4, "ring"))
LOSS_RATE = 0.3
TWO_SEEDS = 2
WITHIN, NEAR = 0.1, 0.05
NOTICEABLE = 0.005
"""The difference of two excesses that is worth mentioning."""


@dataclass(frozen=True, slots=True)
class Row:
    """One network, trained in three ways."""

    network: Network
    ours: Trials
    without: Trials
    """curvature"""
    tracking: Trials | None
    """gradient tracking, its step size tuned; None where agents are many"""

    @property
    def cells(self) -> tuple[Trials | None, ...]:
        return self.ours, self.without, self.tracking

    @property
    def drawn(self) -> list[tuple[str, Trials]]:
        rows = zip(("by default", "without", "tracking"), self.cells, strict=True)
        return [(name, trials) for name, trials in rows if trials is not None]

    @property
    def has_curvature(self) -> bool:
        """Whether agents have found curvature to be needed: its sums are in their shares."""
        return _bytes(self.ours, self.without) > 1.01


def compare_partitions(document: Document, plan: Plan, lab: Laboratory) -> None:
    document.section(3, "Samples dealt at random, or sorted by target")
    rows = _rows(_known(NETWORKS, plan), plan, lab)
    document.text(
        f"""
        Sorted by target, an agent sees one or two labels, or a small range of values. By default,
        `weighting = "auto"`, the network's curvature is tracked where it is needed, in models of at most 320 parameters
        ([algorithm](algorithm.md#the-networks-curvature)); `without` is `"proxy"`, where it never is; `tracking` is
        gradient tracking, its step size tuned for each row, up to ten agents. Above the central objective after
        {plan.rounds} exchanges:
        """
    )
    header = ["samples and network", "by default", "without", "tracking"]
    document.table(
        [*header, "curvature"],
        [
            [
                row.network.name,
                *(excess(trials) if trials else "" for trials in row.cells),
                "tracked" if row.has_curvature else "",
            ]
            for row in rows
        ],
    )
    document.text(f"Exchanges until every agent stays within {within(WITHIN)} of the central objective:")
    document.table(
        header,
        [[row.network.name, *(exchanges(each, WITHIN) if each else "" for each in row.cells)] for row in rows],
    )
    rounded = _rounded(document, plan, lab)
    figure, axes = panels(len(rows), n_columns=4)
    for panel, row in zip(axes, rows, strict=True):
        draw_excesses(panel, row.drawn, row.network.name.replace("`", ""))
        panel.title.set_fontsize(9)
    axes[0].legend(frameon=False, fontsize=8)
    document.figure("partitions", figure, "Objective of the worst agent against exchanges, dealt at random and sorted")
    document.findings(*_what_partitions_show(rows, rounded))


def _rows(networks: Sequence[Network], plan: Plan, lab: Laboratory) -> list[Row]:
    bases = {network: network.options(plan) for network in networks}
    descents = {
        network: replace(base, algorithm="gradient-tracking")
        for network, base in bases.items()
        if network.agents < MANY_AGENTS
    }
    ours = dict(zip(networks, lab.trials_of(bases.values()), strict=True))
    tracking = dict(zip(descents, lab.trials_of(lab.tuned([*descents.values()])), strict=True))
    # A default run that has sent no more than gradient tracking has tracked no curvature, and is the run without.
    curved = [each for each in networks if each not in tracking or _bytes(ours[each], tracking[each]) > 1.01]
    runs_without = lab.trials_of([replace(bases[network], weighting="proxy") for network in curved])
    without = ours | dict(zip(curved, runs_without, strict=True))
    return [Row(each, ours[each], without[each], tracking.get(each)) for each in networks]


def _known(networks: Sequence[Network], plan: Plan) -> Sequence[Network]:
    return QUICK if plan.is_quick else tuple(network for network in networks if plan.has(network.data))


def _rounded(document: Document, plan: Plan, lab: Laboratory) -> list[tuple[Trials, Trials]]:
    """With curvature and without, both as agents send by default."""
    networks = _known(ROUNDED, plan)
    bases = [replace(network.options(plan), wire="float32") for network in networks]
    ours = lab.trials_of(bases, TWO_SEEDS)
    without = lab.trials_of([replace(base, weighting="proxy") for base in bases], TWO_SEEDS)
    document.text(
        f"""
        The same with float32 in shares, and sums of curvature rounded, as agents send at their default tolerance;
        {TWO_SEEDS} seeds, and what all agents send in {plan.rounds} exchanges:
        """
    )
    document.table(
        ["samples and network", "by default", "without", "MB by default", "MB without"],
        [
            [network.name, excess(here), excess(there), f"{here.megabytes:.0f}", f"{there.megabytes:.0f}"]
            for network, here, there in zip(networks, ours, without, strict=True)
        ],
    )
    return list(zip(ours, without, strict=True))


def _bytes(ours: Trials, without: Trials) -> float:
    """Those sent with curvature, by those without."""
    return ours.megabytes / without.megabytes


def _what_partitions_show(rows: Sequence[Row], rounded: Sequence[tuple[Trials, Trials]]) -> list[str]:
    ours, without = [row.ours for row in rows], [row.without for row in rows]
    tracking = [row.tracking for row in rows if row.tracking is not None]
    tracked = [row for row in rows if row.has_curvature]
    sentences = [
        f"From every seed every agent ends within {within(WITHIN)} of the central objective in "
        f"{_n_near(ours, WITHIN)} of {len(rows)} rows by default, in {_n_near(without, WITHIN)} without curvature, and "
        f"by gradient tracking in {_n_near(tracking, WITHIN)} of {len(tracking)}; within {within(NEAR)} in "
        f"{_n_near(ours, NEAR)}, {_n_near(without, NEAR)} and {_n_near(tracking, NEAR)}.",
    ]
    if tracked:
        here, there = [row.ours for row in tracked], [row.without for row in tracked]
        worse = [row.network.name for row in tracked if row.ours.excess.median > row.without.excess.median + NOTICEABLE]
        sentences += [
            f"In {len(tracked)} rows curvature is tracked; the median of their medians is "
            f"{percent(median_of(here, _median_excess))} with it and {percent(median_of(there, _median_excess))} "
            f"without, and the worst run of all {percent(max(one.excess.worst for one in here))} and "
            f"{percent(max(one.excess.worst for one in there))}.",
            f"It ends higher with it on {listed(worse)}." if worse else "",
        ]
    if len(rounded) > 0 and max(_bytes(*pair) for pair in rounded) > 1.01:
        factor = max(_bytes(*pair) for pair in rounded)
        sentences.append(f"As agents send it, curvature takes {factor:.1f} times the bytes.")
    untouched = [
        f"{row.network.name} ({excess(row.ours, told)})"
        for row in rows
        if not row.has_curvature and row.ours.excess.worst > NEAR
    ]
    return [
        *sentences,
        f"Where it is not, since the model is too large or nothing shows a need of it, networks stay farther away than "
        f"{within(NEAR)} from some seed: {'; '.join(untouched)}."
        if untouched
        else "",
    ]


def _n_near(trials: Sequence[Trials], part: float) -> int:
    return sum(one.excess.worst <= part for one in trials)


def _median_excess(trials: Trials) -> float:
    return trials.excess.median


def compare_lost_messages(document: Document, plan: Plan, lab: Laboratory) -> None:
    document.section(5, "Lost messages")
    networks = _known(LOSSY, plan)
    bases = [network.options(plan) for network in networks]
    calm = lab.trials_of(bases, FEW_SEEDS)
    lost = lab.trials_of([replace(base, loss_rate=LOSS_RATE) for base in bases], FEW_SEEDS)
    document.text(
        f"""
        Rows of section 3 again, {FEW_SEEDS} seeds, with {within(LOSS_RATE)} of all messages lost, acknowledgements as
        well. Above the central objective after {plan.rounds} exchanges, and exchanges until every agent stays within
        {within(WITHIN)} of it:
        """
    )
    document.table(
        [
            "samples and network",
            *("nothing lost", f"{within(LOSS_RATE)} lost"),
            *("exchanges, nothing lost", f"exchanges, {within(LOSS_RATE)} lost"),
        ],
        [
            [network.name, excess(before), excess(after), exchanges(before, WITHIN), exchanges(after, WITHIN)]
            for network, before, after in zip(networks, calm, lost, strict=True)
        ],
    )
    error = max(run.summary.conservation_error_max for trials in lost for run in trials.runs)
    costs = {
        network.name: after.excess.median - before.excess.median
        for network, before, after in zip(networks, calm, lost, strict=True)
    }
    cheapest, dearest = min(costs, key=costs.__getitem__), max(costs, key=costs.__getitem__)
    n_missed = statistics.median(run.summary.rounds_lost / run.summary.agents for trials in lost for run in trials.runs)
    document.findings(
        f"Lost messages change where the median seed ends by {percent(costs[cheapest])} of the central objective "
        f"({cheapest}) to {percent(costs[dearest])} ({dearest}); the worst run of all ends at "
        f"{percent(max(trials.excess.worst for trials in lost))}, and at "
        f"{percent(max(trials.excess.worst for trials in calm))} where nothing is lost.",
        f"What is lost is repeated: in the median an agent mixes {n_missed:.0f} of {lost[0].rounds.median:.0f} rounds "
        "without the share of some neighbor.",
        f"The conservation error is {error:.0e} at most, at any time.",
    )
