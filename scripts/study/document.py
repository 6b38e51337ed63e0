"""docs/experiments.md and its figures, as they come."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from study.runs import Central, Run

COLORS = ("#1f4e8c", "#d1495b", "#edae49", "#3b8b6e", "#7d5ba6", "#5f6b76", "#00a3a3", "#a65628")

NEARLY_NOTHING = 1e-4


class Document:
    """A page of Markdown beside a directory of figures."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._figures = directory / "figures"
        self._figures.mkdir(parents=True, exist_ok=True)
        self._lines: list[str] = []

    def text(self, text: str) -> None:
        self._lines += [*(line.strip() for line in text.strip().splitlines()), ""]

    def table(self, header: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
        self._lines.append("| " + " | ".join(header) + " |")
        self._lines.append("|" + "|".join(["---", *["---:"] * (len(header) - 1)]) + "|")
        self._lines += ["| " + " | ".join(map(str, row)) + " |" for row in rows]
        self._lines.append("")

    def figure(self, name: str, figure: Figure, caption: str) -> None:
        FigureCanvasAgg(figure)
        figure.savefig(self._figures / f"{name}.png", dpi=110)
        self._lines += [f"![{caption}](figures/{name}.png)", ""]

    def write(self) -> None:
        (self._directory / "experiments.md").write_text("\n".join(self._lines).rstrip() + "\n", encoding="utf-8")


def panels(n_panels: int, n_columns: int = 3, height: float = 3.2) -> tuple[Figure, list[Axes]]:
    n_rows = -(-n_panels // n_columns)
    n_columns = min(n_panels, n_columns)
    figure = Figure(figsize=(4.4 * n_columns, height * n_rows), layout="constrained")
    axes: Any = figure.subplots(n_rows, n_columns, squeeze=False)
    grid = list(axes.ravel())
    for spare in grid[n_panels:]:
        spare.set_visible(False)
    for shown in grid:
        shown.spines[["top", "right"]].set_visible(False)
        shown.grid(alpha=0.25)
    return figure, grid[:n_panels]


def draw_objectives(axes: Axes, runs: Sequence[tuple[str, Run]], reference: Central | None, title: str) -> None:
    """The worst agent's objective against rounds, both logarithmic; a dashed line for the central one."""
    for color, (label, run) in zip(COLORS, runs, strict=False):
        points = [point for point in run.curve if point.round >= 1]
        axes.plot([p.round for p in points], [p.objective_worst for p in points], color=color, label=label)
    if reference is not None:
        axes.axhline(reference.objective, color="black", linestyle="--", linewidth=1, label="central")
    start = max(run.curve[0].objective_worst for _, run in runs)
    axes.set(title=title, xlabel="exchanges", xscale="log", yscale="log")
    axes.set_ylim(top=2 * start)


def above(objective: float, reference: Central) -> str:
    """How far an objective is above the central one; where that is nearly nothing, the objective itself."""
    if abs(reference.objective) < NEARLY_NOTHING:
        return f"{objective:.1e}"
    excess = objective / reference.objective - 1
    return f"{excess:+.1%}" if abs(excess) < 10 else f"×{excess + 1:.0f}"


def number(rounds: int | None) -> str:
    return "–" if rounds is None else str(rounds)
