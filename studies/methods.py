"""NEXT with partial and full linearisation, gradient tracking, DGD, D-PSGD, one place, and each agent alone."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import replace

from p2pnet.experiments.simulate.options import AlgorithmName
from studies.document import Document, count, decimal, draw_excesses, excess, exchanges, listed, panels, spread, within
from studies.laboratory import STEP_SIZES, TUNING_ROUNDS, Laboratory
from studies.plan import TUNING_SEED, Plan, shortened, title
from studies.trials import Trials, least_is_worst, median_of

WITHIN = (0.1, 0.03)
OURS, FULL, TRACKING = "NEXT", "NEXT, full", "gradient tracking"
TUNED: Mapping[str, AlgorithmName] = {TRACKING: "gradient-tracking", "DGD": "dgd", "D-PSGD": "dpsgd"}
ALONE_ROUNDS = 60


def compare_on_regressions(document: Document, plan: Plan, lab: Laboratory) -> None:
    document.section(1, "Methods, on regressions")
    _compare(document, plan, plan.regression, "regressions", lab)


def compare_on_classifications(document: Document, plan: Plan, lab: Laboratory) -> None:
    document.section(2, "Methods, on classifications")
    _compare(document, plan, plan.classification, "classifications", lab)


def _compare(document: Document, plan: Plan, datasets: Sequence[str], kind: str, lab: Laboratory) -> None:
    bases = [plan.base(data) for data in datasets]
    names = [title(data) for data in datasets]
    methods = {
        OURS: lab.trials_of(bases),
        # Tracked curvature would take the place of the full linearisation.
        FULL: lab.trials_of([replace(base, surrogate="full", weighting="proxy") for base in bases]),
    } | {
        name: lab.trials_of(lab.tuned([replace(base, algorithm=algorithm) for base in bases]))
        for name, algorithm in TUNED.items()
    }
    alone = lab.trials_of([shortened(replace(base, algorithm="alone"), ALONE_ROUNDS) for base in bases])
    document.text(
        f"""
        Ten agents on a random graph (`random:0.4`), samples dealt at random, MLP with 20 tanh units. The worst agent's
        objective on all training samples, above that of the same model trained in one place, after {plan.rounds}
        exchanges:
        """
    )
    document.table(
        ["data", "central", *methods],
        [
            [
                name,
                f"{statistics.median(central.objective for central in methods[OURS][index].centrals):.4g}",
                *(excess(rows[index]) for rows in methods.values()),
            ]
            for index, name in enumerate(names)
        ],
    )
    for part in WITHIN:
        document.text(f"Exchanges until every agent stays within {within(part)} of the central objective:")
        rows = [
            [name, *(exchanges(rows[index], part) for rows in methods.values())] for index, name in enumerate(names)
        ]
        document.table(["data", *methods], rows)
    document.text("Accuracy (R² for regressions) of the worst agent on test samples; alone, of the mean of the agents:")
    document.table(
        ["data", "central", *methods, "alone"],
        [
            [
                name,
                spread(least_is_worst(one.test_metric for one in methods[OURS][index].centrals), decimal),
                *(spread(rows[index].test_metric, decimal) for rows in methods.values()),
                spread(alone[index].test_metric_mean, decimal),
            ]
            for index, name in enumerate(names)
        ],
    )
    document.text(
        f"Step sizes, of {', '.join(f'{step:g}' for step in STEP_SIZES)} those that come lowest in {TUNING_ROUNDS} "
        f"exchanges from seed {TUNING_SEED}; gradient tracking halves one that would raise the objective of the "
        "agent's own samples:"
    )
    document.table(
        ["data", *TUNED],
        [[name, *(f"{methods[one][index].options.step_size:g}" for one in TUNED)] for index, name in enumerate(names)],
    )
    figure, axes = panels(len(bases))
    for index, name in enumerate(names):
        draw_excesses(axes[index], [(method, rows[index]) for method, rows in methods.items()], name)
    axes[0].legend(frameon=False, fontsize=8)
    document.figure(f"methods-{kind}", figure, "Objective of the worst agent against exchanges, by method")
    document.findings(*_what_methods_show(names, methods, alone))


def _what_methods_show(
    names: Sequence[str], methods: Mapping[str, Sequence[Trials]], alone: Sequence[Trials]
) -> list[str]:
    ours, tracking = methods[OURS], methods[TRACKING]
    counts = [
        f"{method} on {sum(math.isfinite(one.exchanges_to(WITHIN[0]).worst) for one in rows)}"
        for method, rows in methods.items()
    ]
    overtaken = [_exchanges_to_the_end_of(theirs, here) for theirs, here in zip(tracking, ours, strict=True)]
    lowest = [min(methods, key=lambda method: methods[method][index].excess.median) for index in range(len(names))]
    lost = [f"{name} (to {method})" for name, method in zip(names, lowest, strict=True) if method != OURS]
    far = [name for name, one in zip(names, ours, strict=True) if one.excess.worst > WITHIN[0]]
    behind = [
        name
        for name, one in zip(names, ours, strict=True)
        if one.test_metric.median < statistics.median(central.test_metric for central in one.centrals) - 0.01
    ]
    better_on_test = [
        f"{name} (by {method})"
        for index, name in enumerate(names)
        for method in [max(methods, key=lambda method: methods[method][index].test_metric.median)]
        if methods[method][index].test_metric.median > ours[index].test_metric.median + 0.01
    ]
    no_gain = [
        name
        for name, here, there in zip(names, ours, alone, strict=True)
        if here.test_metric.median <= there.test_metric_mean.median
    ]
    curved = [
        name for name, here, there in zip(names, ours, tracking, strict=True) if here.megabytes > 1.05 * there.megabytes
    ]
    return [
        f"On so many of {len(names)} sets every agent comes within {within(WITHIN[0])} of the central objective for "
        f"good, from every seed: {', '.join(counts)}.",
        f"From some seed NEXT ends farther from it than that on {listed(far)}." if far else "",
        f"Where gradient tracking ends, its step size tuned, NEXT, nothing tuned, is after "
        f"{count(statistics.median(overtaken))} exchanges in the median of the sets, and after "
        f"{count(max(overtaken))} on the one that takes most.",
        f"In the median seed it does not end lowest on {listed(lost)}."
        if lost
        else "In the median seed it ends lowest on every set.",
        f"It tracks curvature on {listed(curved)}, which takes more bytes (section 3)." if curved else "",
        f"On test samples its worst agent, in the median seed, is more than 0.01 below the central model on "
        f"{listed(behind)}."
        if behind
        else "On test samples its worst agent, in the median seed, is nowhere more than 0.01 below the central model.",
        f"Another method is more than 0.01 above it there on {listed(better_on_test)}: a lower objective is not always "
        "a better prediction."
        if better_on_test
        else "",
        f"An agent alone predicts as well on {listed(no_gain)}." if no_gain else "",
        f"An exchange of gradient tracking costs one gradient of an agent's samples; NEXT solves a model in every "
        f"fourth one, in the median {median_of(ours, _iterations):.1f} iterations of a solver an exchange and agent, "
        "and with curvature tracked takes as many gradients as there are parameters there.",
    ]


def _exchanges_to_the_end_of(theirs: Trials, ours: Trials) -> float:
    """The median over the seeds."""
    return statistics.median(
        one.exchanges_to(other.summary.objective_worst) for one, other in zip(ours.runs, theirs.runs, strict=True)
    )


def _iterations(trials: Trials) -> float:
    """Of solvers, for each exchange and agent."""
    return statistics.median(
        run.summary.local_iterations / (run.summary.rounds * run.summary.agents) for run in trials.runs
    )
