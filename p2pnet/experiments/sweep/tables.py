"""runs and comparison as tables (CSV or Parquet), and as text."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Literal

from p2pnet.agent.atomic_files import write_atomically
from p2pnet.catalogue.extras import import_extra
from p2pnet.experiments.sweep.record import CellOutcome
from p2pnet.experiments.sweep.statistics import JUDGED, Comparison

Format = Literal["csv", "parquet"]
Row = Mapping[str, Any]
_HEADINGS: Final = {
    "objective_worst": "objective",
    "test_metric_worst": "test metric",
    "rounds": "rounds",
    "bytes_sent_total": "MB sent",
    "processor_s": "processor s",
}


def write_tables(
    outcomes: Sequence[CellOutcome], comparisons: Sequence[Comparison], directory: Path, format_: Format
) -> tuple[Path, Path]:
    """Write a row a run, and a row a combination of settings; returns the two files."""
    return (
        _write(directory / f"runs.{format_}", [_run_row(outcome) for outcome in outcomes], format_),
        _write(directory / f"comparison.{format_}", [_comparison_row(one) for one in comparisons], format_),
    )


def comparison_as_text(comparisons: Sequence[Comparison]) -> str:
    """A table of medians, with the worst of the seeds in brackets, columns aligned."""
    settings = list(comparisons[0].settings) if comparisons else []
    rows = [[*settings, "seeds", *_HEADINGS.values()]]
    for one in comparisons:
        figures = [_median_and_worst(one, figure) for figure in _HEADINGS]
        rows.append([*one.settings.values(), str(one.n_seeds), *figures])
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join(lines)


def _median_and_worst(comparison: Comparison, figure: str) -> str:
    spread = comparison.spreads[figure]
    scale = 1e6 if figure.startswith("bytes") else 1.0
    median, worst = (_number(value / scale) for value in (spread.median, spread.worst))
    return median if comparison.n_seeds == 1 else f"{median} ({worst})"


def _number(value: float) -> str:
    return f"{value:.4g}" if math.isfinite(value) else "diverged"


def _run_row(outcome: CellOutcome) -> Row:
    """Varied begin with `vary_`, so that none can be taken for a figure of the same name."""
    settings = {f"vary_{option}": value for option, value in outcome.settings.items()}
    return settings | {"seed": outcome.seed} | dict(outcome.figures)


def _comparison_row(comparison: Comparison) -> Row:
    row: dict[str, Any] = {f"vary_{option}": value for option, value in comparison.settings.items()}
    row["seeds"] = comparison.n_seeds
    for figure in JUDGED:
        spread = comparison.spreads[figure]
        row |= {f"{figure}_median": spread.median, f"{figure}_worst": spread.worst}
    return row


def _write(path: Path, rows: Sequence[Row], format_: Format) -> Path:
    columns = list(dict.fromkeys(name for row in rows for name in row))
    if format_ == "parquet":
        arrow = import_extra("pyarrow", "tables")
        parquet = import_extra("pyarrow.parquet", "tables")
        sink = io.BytesIO()
        parquet.write_table(arrow.table({name: [row.get(name) for row in rows] for name in columns}), sink)
        content = sink.getvalue()
    else:
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        content = text.getvalue().encode()
    write_atomically(path, content, mode=0o666)
    return path
