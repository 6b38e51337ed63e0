"""A summary as text."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from typing import TextIO

from p2pnet.experiments.report.summary import Summary

AS_GOOD = 0.01
"""A difference of accuracy or R² that is negligible."""


def print_summary(summary: Summary, stream: TextIO = sys.stdout) -> None:
    """Print the network's metrics beside those of the central model and of each agent on its own."""
    print_findings(
        summary,
        [
            f"{summary.rounds} rounds in {summary.seconds_training:.2f} s, {summary.seconds_total:.1f} s with the "
            f"start; stopped: {summary.stopped_because}.",
            f"{in_bytes(summary.bytes_sent_total)} sent by all agents, no samples among them; "
            f"{summary.peak_rss_mb_max:.0f} MB of memory at most for one.",
        ],
        stream,
    )


def print_findings(summary: Summary, costs: Sequence[str], stream: TextIO) -> None:
    """Print a table of metrics, a verdict, and the costs; baselines only where there are any."""
    from rich.console import Console
    from rich.table import Table

    console = Console(file=stream, highlight=False)
    table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0), header_style="dim")
    table.add_column("")
    table.add_column(f"test {summary.test_metric_name}", justify="right")
    table.add_column("objective", justify="right")
    is_compared = math.isfinite(summary.objective_central)
    if is_compared:
        unfinished = "" if summary.central_converged else " (time was up)"
        table.add_row(
            f"one model, all samples in one place{unfinished}",
            f"{summary.test_metric_central:.4f}",
            f"{summary.objective_central:.4f}",
        )
    table.add_row(
        "the network, its worst agent",
        f"{summary.test_metric_worst:.4f}",
        f"{summary.objective_worst:.4f}",
        style="bold",
    )
    table.add_row("the network, mean of agents", f"{summary.test_metric_mean:.4f}", f"{summary.objective_mean:.4f}")
    if is_compared:
        table.add_row("each agent alone, mean", f"{summary.test_metric_alone_mean:.4f}", "")
    console.print()
    console.print(table)
    console.print()
    for line in [*missing(summary), *(verdict(summary) if is_compared else ()), *sparsity(summary), *costs]:
        console.print(line)


def missing(summary: Summary) -> list[str]:
    """The agents that did not finish, as text; empty without any."""
    if not summary.agents_missing:
        return []
    who = ", ".join(f"{name} ({cause})" for name, cause in summary.agents_missing.items())
    n_agents = summary.agents + len(summary.agents_missing)
    return [
        f"Missing: {who}. The network is those that finished, {summary.agents} of {n_agents} agents, judged on the "
        f"samples of all {n_agents}."
    ]


def sparsity(summary: Summary) -> list[str]:
    """The sparsity of the agents' models, as text; empty where no parameter is 0."""
    if summary.sparsity == 0.0:
        return []
    removed = f", and {summary.neurons_removed} hidden neurons without any input" if summary.neurons_removed else ""
    return [f"{summary.sparsity:.0%} of the parameters are zero{removed}."]


def verdict(summary: Summary) -> tuple[str, str]:
    """Compare the network's worst agent with the central model and with agents alone, as text."""
    metric = summary.test_metric_name
    gap = summary.test_metric_central - summary.test_metric_worst
    gain = summary.test_metric_worst - summary.test_metric_alone_mean
    if gap <= 0.0:
        central = "Every agent's model is at least as good as the central one."
    elif gap <= AS_GOOD:
        central = f"Every agent's model is as good as the central one, within {max(gap, 0.001):.3f} {metric}."
    else:
        central = f"The worst agent's model is {gap:.3f} {metric} below the central one."
    return central, f"That is {abs(gain):.3f} {'better' if gain >= 0.0 else 'worse'} than an agent gets alone."


def in_bytes(n_bytes: int) -> str:
    """Format a number of bytes: 812 B, 5.5 kB, 12 MB."""
    amount, unit = float(n_bytes), "B"
    for larger in ("kB", "MB", "GB", "TB"):
        if amount < 999.5:
            break
        amount, unit = amount / 1000, larger
    digits = 0 if unit == "B" or amount >= 99.5 else 1
    return f"{amount:.{digits}f} {unit}"
