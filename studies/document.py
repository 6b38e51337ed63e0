"""docs/experiments.md and its figures, as they come."""

from __future__ import annotations

import io
import math
import re
import textwrap
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator, StrMethodFormatter
from PIL import Image

from studies.trials import Spread, Trials

COLORS = ("#1f4e8c", "#d1495b", "#edae49", "#3b8b6e", "#7d5ba6", "#5f6b76", "#00a3a3", "#a65628")

DIVERGED = 1e4


class Document:
    """A page of Markdown beside a directory of figures.

    Sections are headed `## number. title`. Those written anew take the place of their older selves; the others stay.
    """

    def __init__(self, directory: Path, introduction: str) -> None:
        self._directory = directory
        self._path = directory / "experiments.md"
        self._figures = directory / "figures"
        self._figures.mkdir(parents=True, exist_ok=True)
        self._introduction = _paragraphs(introduction)
        self._sections: dict[int, list[str]] = {}
        self._lines: list[str] = []

    def section(self, number: int, title: str) -> None:
        """Begin a section; what comes goes there."""
        self._lines = self._sections[number] = [f"## {number}. {title}", ""]

    def text(self, text: str) -> None:
        self._lines += [_paragraphs(text), ""]

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
            image.convert("RGB").quantize(64).save(self._figures / f"{name}.png", optimize=True)
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


def _paragraphs(text: str) -> str:
    """The text, with its paragraphs filled, whatever their lines were."""
    return "\n\n".join(_filled(" ".join(paragraph.split())) for paragraph in text.strip().split("\n\n"))


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


def draw_excesses(axes: Axes, rows: Sequence[tuple[str, Trials]], title: str) -> None:
    """The worst agent's objective over the central one against rounds, both logarithmic: the median of the seeds, in a
    band from the least to the most.
    """
    for color, (label, trials) in zip(COLORS, rows, strict=False):
        rounds, ratios = trials.curves()
        axes.plot(rounds, np.median(ratios, axis=0), color=color, label=label)
        axes.fill_between(rounds, ratios.min(axis=0), ratios.max(axis=0), color=color, alpha=0.2, linewidth=0)
    axes.axhline(1.0, color="black", linestyle="--", linewidth=1)
    axes.set(title=title, xlabel="exchanges", ylabel="objective / central", xscale="log", yscale="log")
    starts = [float(trials.curves()[1][:, 0].max()) for _, trials in rows]
    axes.set_ylim(top=2 * max(starts))
    for axis in (axes.xaxis, axes.yaxis):
        low, high = axis.get_view_interval()
        axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if high < 1e3 * low else (1.0,)))
        axis.set_major_formatter(StrMethodFormatter("{x:g}"))
        axis.set_minor_locator(NullLocator())


def spread(figures: Spread, write: Callable[[float], str]) -> str:
    """A cell: the median, and the worst in brackets."""
    return f"{write(figures.median)} ({write(figures.worst)})"


def told(figures: Spread, write: Callable[[float], str]) -> str:
    """The same in a sentence."""
    return f"{write(figures.median)}, at worst {write(figures.worst)}"


def excess(trials: Trials, say: Callable[[Spread, Callable[[float], str]], str] = spread) -> str:
    """How far objectives are above the central ones; where these are nearly nothing, the objectives themselves."""
    if trials.is_nearly_nothing:
        return say(trials.objective, "{:.1e}".format)
    return say(trials.excess, percent)


def exchanges(trials: Trials, part: float) -> str:
    """How many it takes to this part above the central objective."""
    return spread(trials.exchanges_to(part), count)


def percent(part: float) -> str:
    """With a sign; a multiple where it is ten times and more, up to what no method that converges reaches."""
    if not part < DIVERGED:
        return "diverged"
    return f"{part:+.1%}" if abs(part) < 10 else f"×{part + 1:.0f}"


def within(part: float) -> str:
    """A part in a sentence or a heading."""
    return f"{100 * part:.0f} %"


def count(number: float) -> str:
    return f"{number:.0f}" if math.isfinite(number) else "–"


def decimal(metric: float) -> str:
    return f"{metric:.3f}"


def listed(names: Sequence[str]) -> str:
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))
