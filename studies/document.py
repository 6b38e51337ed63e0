"""docs/experiments.md and its figures, as they come."""

from __future__ import annotations

import io
import re
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator, StrMethodFormatter
from PIL import Image

from studies.runs import Central, Run

COLORS = ("#1f4e8c", "#d1495b", "#edae49", "#3b8b6e", "#7d5ba6", "#5f6b76", "#00a3a3", "#a65628")

NEARLY_NOTHING = 3e-4


class Document:
    """A page of Markdown beside a directory of figures.

    Sections are headed `## number. title`. Those written anew take the place of their older selves; the others stay.
    """

    def __init__(self, directory: Path, introduction: str) -> None:
        self._directory = directory
        self._path = directory / "experiments.md"
        self._figures = directory / "figures"
        self._figures.mkdir(parents=True, exist_ok=True)
        self._introduction = _unindented(introduction)
        self._sections: dict[int, list[str]] = {}
        self._lines: list[str] = []

    def section(self, number: int, title: str) -> None:
        """Begin a section; what comes goes there."""
        self._lines = self._sections[number] = [f"## {number}. {title}", ""]

    def text(self, text: str) -> None:
        self._lines += [_unindented(text), ""]

    def findings(self, *sentences: str) -> None:
        """What a section shows, in sentences made from its figures."""
        self._lines += [_filled("**What it shows.** " + " ".join(filter(None, sentences))), ""]

    def table(self, header: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
        self._lines.append("| " + " | ".join(header) + " |")
        self._lines.append("|" + "|".join(["---", *["---:"] * (len(header) - 1)]) + "|")
        self._lines += ["| " + " | ".join(map(str, row)) + " |" for row in rows]
        self._lines.append("")

    def figure(self, name: str, figure: Figure, caption: str) -> None:
        """Few colors do for lines, and make the files small."""
        drawn = io.BytesIO()
        FigureCanvasAgg(figure)
        figure.savefig(drawn, format="png", dpi=100)
        with Image.open(drawn) as image:
            image.convert("RGB").quantize(32).save(self._figures / f"{name}.png", optimize=True)
        self._lines += [f"![{caption}](figures/{name}.png)", ""]

    def write(self) -> None:
        texts = _sections_of(self._path.read_text(encoding="utf-8")) if self._path.exists() else {}
        texts |= {number: "\n".join(lines).strip() for number, lines in self._sections.items()}
        page = [self._introduction, *(texts[number] for number in sorted(texts))]
        self._path.write_text("\n\n".join(page) + "\n", encoding="utf-8")


def _sections_of(page: str) -> dict[int, str]:
    """The page's sections by their numbers."""
    parts = re.split(r"^(?=## \d+\. )", page, flags=re.MULTILINE)[1:]
    return {int(part[3 : part.index(".")]): part.strip() for part in parts}


def _filled(text: str) -> str:
    return textwrap.fill(text, 120, break_on_hyphens=False, break_long_words=False)


def _unindented(text: str) -> str:
    return "\n".join(line.strip() for line in text.strip().splitlines())


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
    for axis in (axes.xaxis, axes.yaxis):
        low, high = axis.get_view_interval()
        axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if high < 1e3 * low else (1.0,)))
        axis.set_major_formatter(StrMethodFormatter("{x:g}"))
        axis.set_minor_locator(NullLocator())


def above(objective: float, reference: Central) -> str:
    """How far an objective is above the central one; where that is nearly nothing, the objective itself."""
    if abs(reference.objective) < NEARLY_NOTHING:
        return f"{objective:.1e}"
    excess = objective / reference.objective - 1
    return f"{excess:+.1%}" if abs(excess) < 10 else f"×{excess + 1:.0f}"


def number(rounds: int | None) -> str:
    return "–" if rounds is None else str(rounds)
