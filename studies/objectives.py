"""Every loss and penalty, and sparsity against strength."""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from dataclasses import replace

from p2pnet.config import LossName
from studies.document import (
    COLORS,
    Document,
    decimal,
    excess,
    exchanges,
    panels,
    spread,
    told,
    within,
)
from studies.laboratory import Laboratory
from studies.plan import Plan, shortened
from studies.trials import Spread, Trials, least_is_worst

LOSSES: Mapping[str, tuple[LossName, ...]] = {
    "diabetes": ("half-squared", "huber", "log-cosh"),
    "breast-cancer": ("softmax-cross-entropy", "logistic", "squared-hinge"),
}
PENALTIES = ("none", "l1:1e-2", "elastic-net:1e-2:0.5", "group:1e-2", "box:-1:1", "non-negative")
STRENGTHS = (3e-4, 1e-3, 3e-3)
LOSSES_ROUNDS, SPARSITY_ROUNDS = 200, 200
NEAR = 0.01
TWO_SEEDS = 2


def compare_objectives(document: Document, plan: Plan, lab: Laboratory) -> None:
    document.section(6, "Losses and penalties")
    document.text(
        f"""
        Each loss with l2, then each other penalty with the first loss of its task, MLP with 8 tanh units, samples
        sorted by target, {LOSSES_ROUNDS} exchanges, {TWO_SEEDS} seeds. `within {within(NEAR)}` is the first exchange
        from which on every agent is within {within(NEAR)} of the central objective; the residual is that of the
        network's objective at the mean of the agents' parameters, relative to the first. Where the central objective is
        next to nothing, the column has the objective itself.
        """
    )
    losses: Mapping[str, tuple[LossName, ...]] = {"iris": ("softmax-cross-entropy",)} if plan.is_quick else LOSSES
    penalties = PENALTIES[:2] if plan.is_quick else PENALTIES
    bases = [
        replace(shortened(plan.named(data), LOSSES_ROUNDS), loss=loss, penalty=penalty, partition="sorted", hidden=(8,))
        for data, known in losses.items()
        for loss, penalty in [*((loss, "l2:1e-2") for loss in known), *((known[0], penalty) for penalty in penalties)]
    ]
    rows = lab.trials_of(bases, TWO_SEEDS)
    document.table(
        ["data, loss", "penalty", f"within {within(NEAR)}", "in the end", "residual", "zeros", "test", "central"],
        [
            [
                f"{row.options.data}, {row.options.loss}",
                row.options.penalty,
                exchanges(row, NEAR),
                excess(row),
                spread(row.residual, "{:.0e}".format),
                spread(_zeros(row), "{:.0%}".format),
                spread(row.test_metric, decimal),
                spread(least_is_worst(central.test_metric for central in row.centrals), decimal),
            ]
            for row in rows
        ],
    )
    judged = [row for row in rows if not row.is_nearly_nothing]
    n_near = sum(row.n_within(NEAR) for row in judged)
    n_runs = sum(len(row.runs) for row in judged)
    away = [
        f"{row.options.data} with {row.options.loss} and {row.options.penalty} ({excess(row, told)})"
        for row in judged
        if row.excess.worst > NEAR
    ]
    lower = [
        f"{row.options.data} with {row.options.loss} and {row.options.penalty}"
        for row in judged
        if row.excess.median < -NEAR
    ]
    residuals = [run.residual for row in rows for run in row.runs]
    document.findings(
        f"Of {n_runs} runs whose central objective is more than nothing {n_near} end within {within(NEAR)} of it, or "
        "below it.",
        f"Some or all seeds of these do not: {'; '.join(away)}." if away else "",
        f"More than {within(NEAR)} below it, in another valley, the median seed ends with {'; '.join(lower)}."
        if lower
        else "",
        f"The network's residual falls to {max(residuals):.0e} of the first at worst and to "
        f"{statistics.median(residuals):.0e} in the median.",
    )


def _zeros(trials: Trials) -> Spread:
    return least_is_worst(run.summary.sparsity for run in trials.runs)


def _neurons(trials: Trials) -> Spread:
    """Removed ones."""
    return least_is_worst(run.summary.neurons_removed for run in trials.runs)


def compare_strengths(document: Document, plan: Plan, lab: Laboratory) -> None:
    document.section(7, "Sparsity against strength")
    strengths = STRENGTHS[::2] if plan.is_quick else STRENGTHS
    base = replace(shortened(plan.named("digits"), SPARSITY_ROUNDS), hidden=(8,) if plan.is_quick else (64,))
    kinds = ("l1", "group")
    options = [replace(base, penalty=f"{kind}:{strength!r}") for kind in kinds for strength in strengths]
    *rows, plain = lab.trials_of([*options, replace(base, penalty="l2:1e-4")], TWO_SEEDS)
    of_kind = {"l1": rows[: len(strengths)], "group": rows[len(strengths) :]}
    document.text(
        f"""
        Digits, MLP 64-{base.hidden[0]}-10, {base.rounds} exchanges, {len(plain.runs)} seeds. With `l1` single weights
        go, with `group` whole neurons: a neuron counts as removed when all its fan-in weights are zero. Figures are
        those of the agent where they are worst.
        """
    )
    document.table(
        ["strength", "l1: zeros", "accuracy", "group: zeros", f"neurons of {base.hidden[0]} removed", "accuracy"],
        [
            [
                f"{strength:g}",
                *(spread(_zeros(one), "{:.0%}".format), spread(one.test_metric, decimal)),
                *(spread(_zeros(group), "{:.0%}".format), spread(_neurons(group), "{:.0f}".format)),
                spread(group.test_metric, decimal),
            ]
            for strength, one, group in zip(strengths, of_kind["l1"], of_kind["group"], strict=True)
        ],
    )
    document.text(f"With `l2:1e-4` instead the worst agent's accuracy is {spread(plain.test_metric, decimal)}.")
    figure, (zeros, accuracy) = panels(2)
    for color, kind in zip(COLORS, kinds, strict=False):
        medians = [_zeros(row).median for row in of_kind[kind]]
        zeros.plot(strengths, medians, "o-", color=color, label=f"{kind}: weights")
        metrics = [row.test_metric.median for row in of_kind[kind]]
        accuracy.plot(strengths, metrics, "o-", color=color, label=kind)
    removed = [_neurons(row).median / base.hidden[0] for row in of_kind["group"]]
    zeros.plot(strengths, removed, "s--", color=COLORS[1], label="group: neurons")
    accuracy.axhline(plain.test_metric.median, color="black", linestyle="--", linewidth=1, label="l2:1e-4")
    zeros.set(title="part that is zero", xlabel="strength", xscale="log", ylim=(0, 1))
    accuracy.set(title="test accuracy, worst agent", xlabel="strength", xscale="log")
    for axes in (zeros, accuracy):
        axes.legend(frameon=False, fontsize=8)
    document.figure("sparsity", figure, "Zeros and accuracy against the penalty's strength, medians of the seeds")
    document.findings(
        *(_what_is_removed(kind, of_kind[kind], plain, base.hidden[0]) for kind in kinds),
        "Stronger penalties remove more, and cost accuracy.",
    )


def _what_is_removed(kind: str, rows: list[Trials], plain: Trials, n_neurons: int) -> str:
    """At a loss of median accuracy that is not worth mentioning."""
    kept = [row for row in rows if row.test_metric.median > plain.test_metric.median - 0.01]
    if not kept:
        return f"No strength of `{kind}` keeps the accuracy."
    sparsest = max(kept, key=lambda row: _zeros(row).median)
    neurons = f" and removes {_neurons(sparsest).median:.0f} of {n_neurons} neurons"
    return (
        f"At less than 0.01 accuracy lost in the median, `{sparsest.options.penalty}` sets "
        f"{within(_zeros(sparsest).median)} of the parameters to zero at every agent"
        + (f"{neurons}." if kind == "group" else ".")
    )
