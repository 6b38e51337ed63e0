"""Partial against full linearisation, gradient tracking, DGD, D-PSGD and training in one place; iid against sorted."""

from __future__ import annotations

import statistics
from dataclasses import replace

from studies.document import Document, above, draw_objectives, number, panels
from studies.plan import Plan, shortened, title
from studies.runs import STEP_SIZES, TUNING_ROUNDS, Central, Laboratory, Run

WITHIN = (1.1, 1.03)


def compare_on_regressions(document: Document, plan: Plan, lab: Laboratory) -> None:
    document.section(1, "Methods, on regressions")
    _compare_methods(document, plan, plan.regression, "regressions", lab)


def compare_on_classifications(document: Document, plan: Plan, lab: Laboratory) -> None:
    document.section(2, "Methods, on classifications")
    _compare_methods(document, plan, plan.classification, "classifications", lab)


def _compare_methods(document: Document, plan: Plan, datasets: tuple[str, ...], kind: str, lab: Laboratory) -> None:
    bases = [plan.base(data) for data in datasets]
    references = lab.central_all(bases)
    methods: dict[str, list[Run]] = {
        "NEXT, partial": lab.run_all(bases),
        "NEXT, full": lab.run_all([replace(base, surrogate="full") for base in bases]),
        "gradient tracking": lab.run_tuned([replace(base, algorithm="gradient-tracking") for base in bases]),
        "DGD": lab.run_tuned([replace(base, algorithm="dgd") for base in bases]),
        "D-PSGD": lab.run_tuned([replace(base, algorithm="dpsgd") for base in bases]),
    }
    alone = lab.run_all([shortened(replace(base, algorithm="alone"), 60) for base in bases])
    document.text(
        f"""
        Ten agents on a random graph (`random:0.4`), samples dealt at random, MLP with 20 tanh units. The worst agent's
        objective on all training samples, above that of the same model trained in one place, after {plan.rounds}
        exchanges; in brackets the step size of the methods that have one, that of {STEP_SIZES} with the least objective
        after {TUNING_ROUNDS} exchanges.
        """
    )
    rows = []
    for index, base in enumerate(bases):
        cells = []
        for name, runs in methods.items():
            run = runs[index]
            step = f" ({run.options.step_size:g})" if name not in ("NEXT, partial", "NEXT, full") else ""
            cells.append(above(run.summary.objective_worst, references[index]) + step)
        rows.append([title(base.data), f"{references[index].objective:.4g}", *cells])
    document.table(["data", "central", *methods], rows)
    document.text("Exchanges until every agent stays within 10 % (3 %) of the central objective:")
    document.table(
        ["data", *methods],
        [
            [
                title(base.data),
                *(
                    " / ".join(number(runs[index].rounds_to(factor * references[index].objective)) for factor in WITHIN)
                    for runs in methods.values()
                ),
            ]
            for index, base in enumerate(bases)
        ],
    )
    document.text("Accuracy (R² for regressions) of the worst agent on test samples:")
    document.table(
        ["data", "central", *methods, "alone, mean"],
        [
            [
                title(base.data),
                f"{references[index].test_metric:.3f}",
                *(f"{runs[index].summary.test_metric_worst:.3f}" for runs in methods.values()),
                f"{alone[index].summary.test_metric_mean:.3f}",
            ]
            for index, base in enumerate(bases)
        ],
    )
    figure, axes = panels(len(bases))
    for index, base in enumerate(bases):
        curves = [(name, runs[index]) for name, runs in methods.items()]
        draw_objectives(axes[index], curves, references[index], title(base.data))
    axes[0].legend(frameon=False, fontsize=8)
    document.figure(f"methods-{kind}", figure, "Objective of the worst agent against exchanges, by method")
    document.findings(*_what_methods_show([title(base.data) for base in bases], references, methods))


def _what_methods_show(names: list[str], references: list[Central], methods: dict[str, list[Run]]) -> list[str]:
    partial, tracking = methods["NEXT, partial"], methods["gradient tracking"]
    reached = {
        name: [run.rounds_to(1.1 * reference.objective) for run, reference in zip(runs, references, strict=True)]
        for name, runs in methods.items()
    }
    counts = ", ".join(
        f"{name} on {sum(rounds is not None for rounds in reached[name])} ({_median_of(reached[name])})"
        for name in methods
    )
    overtaken = [ours.rounds_to(theirs.summary.objective_worst) for ours, theirs in zip(partial, tracking, strict=True)]
    beaten = {
        name: min(methods, key=lambda method: methods[method][index].summary.objective_worst)
        for index, name in enumerate(names)
    }
    lost = [f"{name} (to {method})" for name, method in beaten.items() if method != "NEXT, partial"]
    behind = [
        name
        for name, run, reference in zip(names, partial, references, strict=True)
        if run.summary.test_metric_worst < reference.test_metric - 0.01
    ]
    price = statistics.median(ours.seconds / theirs.seconds for ours, theirs in zip(partial, tracking, strict=True))
    return [
        f"On so many of {len(names)} sets every agent comes within 10 % of the central objective for good (in brackets "
        f"the median exchanges): {counts}.",
        f"Where gradient tracking, its step size tuned, ends after {tracking[0].summary.rounds} exchanges, partial "
        f"linearisation, nothing tuned, is after {_median_of(overtaken)} (median).",
        f"An exchange costs more, though: for the same number of them partial linearisation takes {price:.1f} times "
        f"the processor time of gradient tracking (median).",
        f"It does not end lowest on {_listed(lost)}." if lost else "It ends lowest on every set.",
        f"On test samples the worst agent is more than 0.01 below the central model on {_listed(behind)}."
        if behind
        else "On test samples the worst agent is nowhere more than 0.01 below the central model.",
    ]


def _median_of(rounds: list[int | None]) -> str:
    known = [each for each in rounds if each is not None]
    return f"{statistics.median(known):.0f}" if known else "–"


def _listed(names: list[str]) -> str:
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))


def compare_partitions(document: Document, plan: Plan, lab: Laboratory) -> None:
    document.section(3, "Samples dealt at random, or sorted by target")
    names = ["iris"] if plan.is_quick else ["kin8nm", "wine_quality_red", "digits", "breast-cancer"]
    bases = [plan.named(name) for name in names if name in map(title, plan.datasets)]
    references = lab.central_all(bases)
    tracking = [replace(base, algorithm="gradient-tracking") for base in bases]
    curves = {
        "partial, iid": lab.run_all(bases),
        "partial, sorted": lab.run_all([replace(base, partition="sorted") for base in bases]),
        "tracking, iid": lab.run_tuned(tracking),
        "tracking, sorted": lab.run_tuned([replace(base, partition="sorted") for base in tracking]),
    }
    document.text("Exchanges until every agent stays within 10 % of the central objective, and where it is in the end:")
    document.table(
        ["data", *curves],
        [
            [
                title(base.data),
                *(
                    f"{number(runs[index].rounds_to(1.1 * references[index].objective))} "
                    f"({above(runs[index].summary.objective_worst, references[index])})"
                    for runs in curves.values()
                ),
            ]
            for index, base in enumerate(bases)
        ],
    )
    figure, axes = panels(len(bases), n_columns=4)
    for index, base in enumerate(bases):
        draw_objectives(
            axes[index], [(name, runs[index]) for name, runs in curves.items()], references[index], title(base.data)
        )
    axes[0].legend(frameon=False, fontsize=8)
    document.figure("partitions", figure, "Objective of the worst agent against exchanges, iid and sorted")
    reached = {
        name: [run.rounds_to(1.1 * reference.objective) for run, reference in zip(runs, references, strict=True)]
        for name, runs in curves.items()
    }
    slowed = [
        f"{title(base.data)} {there / here:.1f}"
        for base, here, there in zip(bases, reached["partial, iid"], reached["partial, sorted"], strict=True)
        if here and there
    ]
    kept = sum(rounds is not None for rounds in reached["partial, sorted"])
    document.findings(
        f"With sorted shards, where each agent sees a part of the targets only, partial linearisation still comes "
        f"within 10 % on {kept} of {len(bases)} sets, gradient tracking on "
        f"{sum(rounds is not None for rounds in reached['tracking, sorted'])}.",
        f"Where it does, it needs so many times the exchanges that it needs otherwise: {', '.join(slowed)}."
        if slowed
        else "",
    )
