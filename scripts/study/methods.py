"""Partial against full linearisation, gradient tracking, DGD, D-PSGD and training in one place; iid against sorted."""

from __future__ import annotations

from concurrent.futures import Executor
from dataclasses import replace

from study.document import Document, above, draw_objectives, number, panels
from study.plan import Plan, shortened, title
from study.runs import Run, central_all, run_all, run_tuned

WITHIN = (1.1, 1.03)


def compare_methods(document: Document, plan: Plan, pool: Executor) -> None:
    document.text("## 1. Methods")
    bases = [plan.base(data) for data in plan.datasets]
    references = central_all(pool, bases)
    methods: dict[str, list[Run]] = {
        "NEXT, partial": run_all(pool, bases),
        "NEXT, full": run_all(pool, [replace(base, surrogate="full") for base in bases]),
        "gradient tracking": run_tuned(pool, [replace(base, algorithm="gradient-tracking") for base in bases]),
        "DGD": run_tuned(pool, [replace(base, algorithm="dgd") for base in bases]),
        "D-PSGD": run_tuned(pool, [replace(base, algorithm="dpsgd") for base in bases]),
    }
    alone = run_all(pool, [shortened(replace(base, algorithm="alone"), 60) for base in bases])
    document.text(
        f"""
        Ten agents on a random graph (`random:0.4`), samples dealt at random, MLP with 20 tanh units. The worst agent's
        objective on all training samples, above that of the same model trained in one place, after {plan.rounds}
        exchanges; in brackets the step size chosen from the grid for the methods that have one.
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
    document.figure("methods", figure, "Objective of the worst agent against exchanges, by method")


def compare_partitions(document: Document, plan: Plan, pool: Executor) -> None:
    document.text("## 2. Samples dealt at random, or sorted by target")
    names = ["iris"] if plan.is_quick else ["kin8nm", "wine_quality_red", "digits", "breast-cancer"]
    bases = [plan.named(name) for name in names if name in map(title, plan.datasets)]
    references = central_all(pool, bases)
    tracking = [replace(base, algorithm="gradient-tracking") for base in bases]
    curves = {
        "partial, iid": run_all(pool, bases),
        "partial, sorted": run_all(pool, [replace(base, partition="sorted") for base in bases]),
        "tracking, iid": run_tuned(pool, tracking),
        "tracking, sorted": run_tuned(pool, [replace(base, partition="sorted") for base in tracking]),
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
