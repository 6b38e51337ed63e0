"""curves.png: objective, test metric and disagreement of every agent against rounds."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from p2pnet.experiments.report.outcome import NetworkOutcome
from p2pnet.experiments.report.summary import Summary
from p2pnet.training.records import RoundRecord

if TYPE_CHECKING:
    from matplotlib.axes import Axes

AGENT, MEAN, CENTRAL = "#8fb1db", "#1f4e8c", "#d1495b"
LOWEST_METRIC = -0.5
"""The lower end of the metric's axis: R² may begin far below 0."""


def draw_curves(network: NetworkOutcome, summary: Summary, path: Path) -> None:
    """Draw three panels: a thin line per agent, a thick line for their mean, a dashed line for the central model."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(13, 4.2), layout="constrained")
    FigureCanvasAgg(figure)
    objective, metric, disagreement = figure.subplots(1, 3)

    _draw(objective, network, lambda record: record.objective_local, central=summary.objective_central)
    objective.set_title("objective on the agents' own samples")
    objective.legend(frameon=False)
    if min(record.objective_local for agent in network.followed for record in agent.history) > 0.0:
        _set_log_scale(objective)

    _draw(metric, network, lambda record: record.test_metric, central=summary.test_metric_central)
    metric.set_title(f"test {summary.test_metric_name}")
    metric.set_ylim(bottom=max(metric.get_ylim()[0], LOWEST_METRIC))

    _draw(disagreement, network, lambda record: record.disagreement or np.nan)
    disagreement.set_title("disagreement with neighbors")
    disagreement.set_yscale("log")

    figure.suptitle(
        f"{summary.agents} agents ({summary.topology}) train one {summary.model} on {Path(summary.data).name} "
        f"({summary.partition})",
        fontweight="bold",
    )
    figure.savefig(path, dpi=150)


def _draw(
    axes: Axes, network: NetworkOutcome, value: Callable[[RoundRecord], float], central: float | None = None
) -> None:
    for index, agent in enumerate(network.followed):
        rounds = [record.round for record in agent.history]
        values = [value(record) for record in agent.history]
        axes.plot(rounds, values, color=AGENT, linewidth=0.9, label=None if index else "an agent")
    if central is not None:
        n_rounds = min(len(agent.history) for agent in network.followed)
        mean = np.mean([[value(record) for record in agent.history[:n_rounds]] for agent in network.followed], axis=0)
        rounds = [record.round for record in network.followed[0].history[:n_rounds]]
        axes.plot(rounds, mean, color=MEAN, linewidth=2.0, label="mean of agents")
        axes.axhline(central, color=CENTRAL, linestyle="--", linewidth=1.4, label="trained centrally")
    axes.set_xlabel("round")
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.25)


def _set_log_scale(axes: Axes) -> None:
    """Set a logarithmic scale with plain numbers at 1, 2 and 5 times the powers of ten."""
    from matplotlib.ticker import LogLocator, NullLocator, StrMethodFormatter

    axes.set_yscale("log")
    axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axes.yaxis.set_minor_locator(NullLocator())
