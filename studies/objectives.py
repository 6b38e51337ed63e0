"""Every loss and penalty, and sparsity against strength."""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from dataclasses import replace

from p2pnet.config import LossName
from studies.document import COLORS, NEARLY_NOTHING, Document, above, number, panels
from studies.plan import Plan, shortened
from studies.runs import Laboratory

LOSSES: Mapping[str, tuple[LossName, ...]] = {
    "diabetes": ("half-squared", "huber", "log-cosh"),
    "breast-cancer": ("softmax-cross-entropy", "logistic", "squared-hinge"),
}
PENALTIES = ("none", "l2:1e-2", "l1:1e-2", "elastic-net:1e-2:0.5", "group:1e-2", "box:-1:1", "non-negative")
STRENGTHS = (1e-4, 3e-4, 1e-3, 3e-3, 1e-2)
LOSSES_ROUNDS, SPARSITY_ROUNDS = 400, 200


def compare_objectives(document: Document, plan: Plan, lab: Laboratory) -> None:
    document.section(4, "Losses and penalties")
    document.text(
        """
        Each loss with l2, then each penalty with the first loss of its task, samples sorted by target. `within 1 %` is
        the first exchange from which on every agent is within 1 % of the central objective; the residual is that of the
        network's objective at the mean of the agents' parameters, relative to the first.
        """
    )
    losses: Mapping[str, tuple[LossName, ...]] = {"iris": ("softmax-cross-entropy",)} if plan.is_quick else LOSSES
    penalties = PENALTIES[:3] if plan.is_quick else PENALTIES
    bases = [
        replace(shortened(plan.named(data), LOSSES_ROUNDS), loss=loss, penalty=penalty, partition="sorted", hidden=(8,))
        for data, known in losses.items()
        for loss, penalty in [*((loss, "l2:1e-2") for loss in known), *((known[0], penalty) for penalty in penalties)]
    ]
    runs, references = lab.run_all(bases), lab.central_all(bases)
    document.table(
        ["data, loss", "penalty", "within 1 %", "in the end", "residual", "zeros", "test", "central"],
        [
            [
                f"{run.options.data}, {run.options.loss}",
                run.options.penalty,
                number(run.rounds_to(1.01 * reference.objective)),
                above(run.summary.objective_worst, reference),
                f"{run.summary.stationarity / run.summary.stationarity_first:.0e}",
                f"{run.summary.sparsity:.0%}",
                f"{run.summary.test_metric_worst:.3f}",
                f"{reference.test_metric:.3f}",
            ]
            for run, reference in zip(runs, references, strict=True)
        ],
    )
    pairs = list(zip(runs, references, strict=True))
    away = [
        f"{run.options.data} with {run.options.loss} and {run.options.penalty} "
        f"({above(run.summary.objective_worst, reference)})"
        for run, reference in pairs
        if run.summary.objective_worst > 1.01 * reference.objective + NEARLY_NOTHING
    ]
    residuals = [run.summary.stationarity / run.summary.stationarity_first for run in runs]
    document.findings(
        f"Of {len(runs)} runs {len(runs) - len(away)} end within 1 % of the central objective, or below it.",
        f"The others: {'; '.join(away)}." if away else "",
        f"The network's residual falls to {max(residuals):.0e} of the first at worst and to "
        f"{statistics.median(residuals):.0e} in the median.",
    )


def compare_strengths(document: Document, plan: Plan, lab: Laboratory) -> None:
    document.section(5, "Sparsity against strength")
    document.text(
        """
        Digits, MLP 64-64-10. With `l1` single weights go, with `group` whole neurons: a neuron counts as removed when
        all its fan-in weights are zero.
        """
    )
    strengths = STRENGTHS[::2] if plan.is_quick else STRENGTHS
    base = replace(shortened(plan.named("digits"), SPARSITY_ROUNDS), hidden=(8,) if plan.is_quick else (64,))
    kinds = ("l1", "group")
    runs = {
        kind: lab.run_all([replace(base, penalty=f"{kind}:{strength!r}") for strength in strengths]) for kind in kinds
    }
    plain = lab.run_all([replace(base, penalty="l2:1e-4")])[0]
    document.table(
        ["strength", "l1: zeros", "accuracy", "group: zeros", "neurons removed", "accuracy"],
        [
            [
                f"{strength:g}",
                *(f"{one.sparsity:.0%}", f"{one.test_metric_worst:.3f}"),
                *(f"{group.sparsity:.0%}", f"{group.neurons_removed} of {base.hidden[0]}"),
                f"{group.test_metric_worst:.3f}",
            ]
            for strength, one, group in zip(
                strengths, *([run.summary for run in runs[kind]] for kind in kinds), strict=True
            )
        ],
    )
    document.text(f"With `l2:1e-4` instead the worst agent's accuracy is {plain.summary.test_metric_worst:.3f}.")
    figure, (zeros, accuracy) = panels(2)
    for color, kind in zip(COLORS, kinds, strict=False):
        zeros.plot(strengths, [run.summary.sparsity for run in runs[kind]], "o-", color=color, label=f"{kind}: weights")
        accuracy.plot(strengths, [run.summary.test_metric_worst for run in runs[kind]], "o-", color=color, label=kind)
    removed = [run.summary.neurons_removed / base.hidden[0] for run in runs["group"]]
    zeros.plot(strengths, removed, "s--", color=COLORS[1], label="group: neurons")
    accuracy.axhline(plain.summary.test_metric_worst, color="black", linestyle="--", linewidth=1, label="l2:1e-4")
    zeros.set(title="part that is zero", xlabel="strength", xscale="log", ylim=(0, 1))
    accuracy.set(title="test accuracy, worst agent", xlabel="strength", xscale="log")
    for axes in (zeros, accuracy):
        axes.legend(frameon=False, fontsize=8)
    document.figure("sparsity", figure, "Zeros and accuracy against the penalty's strength")
    kept = {
        kind: [
            (run.options.penalty, run.summary)
            for run in runs[kind]
            if run.summary.test_metric_worst > plain.summary.test_metric_worst - 0.01
        ]
        for kind in kinds
    }
    sparsest = {kind: max(good, key=lambda pair: pair[1].sparsity) for kind, good in kept.items() if good}
    document.findings(
        *(
            f"At less than 0.01 accuracy lost, `{penalty}` sets {summary.sparsity:.0%} of the parameters to zero at "
            f"every agent"
            + (f" and removes {summary.neurons_removed} of {base.hidden[0]} neurons." if kind == "group" else ".")
            for kind, (penalty, summary) in sparsest.items()
        ),
        "Stronger penalties remove more, and cost accuracy.",
    )
