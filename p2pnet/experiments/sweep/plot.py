"""sweep.png: objective, test metric and rounds against what varies most."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from p2pnet.experiments.sweep.statistics import Comparison

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PANELS: Final = {"objective_worst": "objective", "test_metric_worst": "test metric", "rounds": "rounds"}
MAX_LINES: Final = 12
"""No reader tells more lines than that apart; the tables have all."""


def draw_sweep(comparisons: Sequence[Comparison], path: Path) -> None:
    """Draw a line for each combination of the other settings: medians, with bars from the best seed to the worst."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(13, 4.2), layout="constrained")
    FigureCanvasAgg(figure)
    option = _main_option(comparisons)
    for axes, (name, title) in zip(figure.subplots(1, len(PANELS)), PANELS.items(), strict=True):
        _draw(axes, comparisons, option, name)
        axes.set_title(title)
    handles, labels = figure.axes[0].get_legend_handles_labels()
    if any(labels):
        figure.legend(handles, labels, loc="outside right upper", frameon=False, fontsize=8)
    figure.savefig(path, dpi=150)


def _main_option(comparisons: Sequence[Comparison]) -> str | None:
    """The option with most values; of several the first."""
    options = list(comparisons[0].settings)
    return max(options, key=lambda option: len(_values(comparisons, option)), default=None)


def _values(comparisons: Sequence[Comparison], option: str) -> list[str]:
    return list(dict.fromkeys(one.settings[option] for one in comparisons))


def _draw(axes: Axes, comparisons: Sequence[Comparison], option: str | None, figure: str) -> None:
    values = [] if option is None else _values(comparisons, option)
    places = _places(values)
    lines: dict[tuple[str, ...], list[Comparison]] = {}
    for one in comparisons:
        others = tuple(f"{name} {value}" for name, value in one.settings.items() if name != option)
        lines.setdefault(others, []).append(one)
    for others, along in list(lines.items())[:MAX_LINES]:
        shown = [one for one in along if math.isfinite(one.spreads[figure].median)]
        spreads = [one.spreads[figure] for one in shown]
        xs = [0.0 if option is None else places[one.settings[option]] for one in shown]
        medians = [spread.median for spread in spreads]
        ends = [[spread.worst if math.isfinite(spread.worst) else spread.median, spread.best] for spread in spreads]
        bars = [
            [median - min(pair) for median, pair in zip(medians, ends, strict=True)],
            [max(pair) - median for median, pair in zip(medians, ends, strict=True)],
        ]
        axes.errorbar(xs, medians, bars, marker="o", markersize=4, linewidth=1.4, capsize=3, label=", ".join(others))
    axes.set_xlabel(option or "")
    if not all(_is_number(value) for value in values) or not values:
        axes.set_xticks(list(places.values()), list(places))
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.25)


def _places(values: Sequence[str]) -> Mapping[str, float]:
    """Where each value stands on the axis: at its number, if all are numbers, else side by side."""
    if all(_is_number(value) for value in values):
        return {value: float(value) for value in values}
    return {value: float(place) for place, value in enumerate(values)}


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False
