"""An evaluation for people, and as JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from p2pnet.training.evaluation import Evaluation, Metric

MAX_CLASSES_SHOWN = 20
"""In a matrix; a wider one is for a plot, or for JSON."""


def evaluation_text(evaluation: Evaluation) -> str:
    """Metrics with their intervals, the classes, the confusion matrix, calibration: tables of plain text."""
    parts = [f"{evaluation.n_samples} samples of {evaluation.target_name}, {evaluation.task}"]
    named = [[name, *_cells(metric)] for name, metric in evaluation.metrics.items()]
    parts.append(_table([["metric", "value", "95 % interval"], *named]))
    if evaluation.per_class:
        rows = [
            [each.label, str(each.n_samples), *_cells(each.precision), *_cells(each.recall), f"{each.f1:.4f}"]
            for each in evaluation.per_class
        ]
        header = ["class", "samples", "precision", "95 % interval", "recall", "95 % interval", "F1"]
        parts.append(_table([header, *rows]))
    if 0 < len(evaluation.confusion) <= MAX_CLASSES_SHOWN:
        labels = [each.label for each in evaluation.per_class]
        matrix = [[label, *map(str, row)] for label, row in zip(labels, evaluation.confusion, strict=True)]
        parts.append("confusion (rows: true, columns: predicted)\n" + _table([["", *labels], *matrix]))
    if evaluation.calibration:
        of_class = evaluation.task == "classification"
        bins = [
            [str(each.n_samples), f"{each.predicted:.4g}", f"{each.observed:.4g}"] for each in evaluation.calibration
        ]
        header = ["samples", *(["probability", "share right"] if of_class else ["mean predicted", "mean observed"])]
        parts.append(f"calibration: mean distance {evaluation.calibration_error:.4g}\n" + _table([header, *bins]))
    return "\n\n".join(parts)


def evaluation_json(evaluation: Evaluation) -> str:
    """One JSON object; what is not a number is null."""
    figures = asdict(evaluation)
    del figures["predicted"], figures["observed"]
    return json.dumps(_finite(figures), indent=2, ensure_ascii=False, allow_nan=False)


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _finite(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _cells(metric: Metric) -> list[str]:
    interval = "" if math.isnan(metric.low) else f"{metric.low:.4f} to {metric.high:.4f}"
    return ["–" if math.isnan(metric.value) else f"{metric.value:.4f}", interval]


def _table(rows: Sequence[Sequence[str]]) -> str:
    """Columns of equal width, the first to the left and all others to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for first, *others in rows:
        cells = [first.ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True))]
        lines.append("  " + "  ".join(cells).rstrip())
    return "\n".join(lines)
