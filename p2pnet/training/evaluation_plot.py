"""An evaluation as a picture: what is predicted against what is so, and calibration."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from p2pnet.errors import ConfigError, DataError
from p2pnet.training.evaluation import Evaluation

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BLUE, GREY, RED = "#1f4e8c", "#8a8a8a", "#d1495b"
MAX_CLASSES_WRITTEN = 12
"""With their counts in the cells of the matrix."""


def draw_evaluation(evaluation: Evaluation, path: Path) -> None:
    """Two panels: the confusion matrix or predicted against observed values, and calibration."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ConfigError("--plot needs matplotlib: pip install 'p2pnet[demo]'") from error
    figure = Figure(figsize=(11, 4.8), layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2)
    if evaluation.task == "classification":
        _draw_confusion(left, evaluation)
    else:
        _draw_values(left, evaluation)
    _draw_calibration(right, evaluation)
    name, metric = next(iter(evaluation.metrics.items()))
    figure.suptitle(
        f"{evaluation.target_name}: {name} {metric.value:.3f} ({metric.low:.3f} to {metric.high:.3f}), "
        f"{evaluation.n_samples} samples",
        fontweight="bold",
    )
    try:
        figure.savefig(path, dpi=150)
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: cannot be written: {error}") from error


def _draw_confusion(axes: Axes, evaluation: Evaluation) -> None:
    counts = np.array(evaluation.confusion)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    axes.imshow(shares, cmap="Blues", vmin=0.0, vmax=1.0)
    labels = [each.label for each in evaluation.per_class]
    if len(labels) <= MAX_CLASSES_WRITTEN:
        axes.set_xticks(range(len(labels)), labels, rotation=45, ha="right")
        axes.set_yticks(range(len(labels)), labels)
        for (row, column), count in np.ndenumerate(counts):
            color = "white" if shares[row, column] > 0.5 else "black"
            axes.text(column, row, str(count), ha="center", va="center", color=color)
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")
    axes.set_title("confusion")


def _draw_values(axes: Axes, evaluation: Evaluation) -> None:
    if evaluation.predicted is None or evaluation.observed is None:
        return
    axes.plot(evaluation.predicted, evaluation.observed, ".", color=BLUE, markersize=4, alpha=0.5)
    _draw_diagonal(axes, evaluation.predicted)
    axes.set_xlabel("predicted")
    axes.set_ylabel("observed")
    axes.set_title("values")


def _draw_calibration(axes: Axes, evaluation: Evaluation) -> None:
    predicted = np.array([each.predicted for each in evaluation.calibration])
    observed = np.array([each.observed for each in evaluation.calibration])
    if len(predicted):
        _draw_diagonal(axes, predicted)
        axes.plot(predicted, observed, "o-", color=RED)
    of_class = evaluation.task == "classification"
    axes.set_xlabel("probability of the predicted class" if of_class else "mean predicted")
    axes.set_ylabel("share right" if of_class else "mean observed")
    axes.set_title("calibration" if len(predicted) else "calibration: the model has no probabilities")


def _draw_diagonal(axes: Axes, values: np.ndarray) -> None:
    ends = [float(values.min()), float(values.max())]
    axes.plot(ends, ends, "--", color=GREY, linewidth=1)
