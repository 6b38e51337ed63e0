"""How good a trained model is on samples with known targets: metrics with 95 % confidence intervals, calibration.

Intervals are for samples that are drawn independently: Wilson's for shares, normal ones for means, DeLong's for the
AUC, and the percentiles of resampled confusion matrices for what follows from these.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from p2pnet.data.cells import label_text, plain_number
from p2pnet.data.frame import Column, Frame, is_gap
from p2pnet.data.frame_columns import text_of
from p2pnet.errors import DataError
from p2pnet.optim.arrays import Array as Floats
from p2pnet.optim.metrics import (
    balanced_accuracy,
    brier_scores,
    confusion_matrix,
    f1_scores,
    log_losses,
    roc_auc,
)
from p2pnet.training.trained_model import TrainedModel

Array = NDArray[np.float64]

_Z: Final = 1.959963984540054
"""The 97.5th percentile of the standard normal distribution."""
_N_RESAMPLES: Final = 1000
_MAX_CELLS: Final = 10_000
"""Of a confusion matrix that is resampled."""
N_BINS: Final = 10


@dataclass(frozen=True, slots=True)
class Metric:
    """An estimate and its 95 % confidence interval; not a number where there is none."""

    value: float
    low: float = math.nan
    high: float = math.nan


@dataclass(frozen=True, slots=True)
class ClassMetrics:
    """How well one class is told from the others."""

    label: str
    n_samples: int
    precision: Metric
    recall: Metric
    f1: float


@dataclass(frozen=True, slots=True)
class CalibrationBin:
    """Samples for which much the same is predicted: a probability, or a value."""

    n_samples: int
    predicted: float
    """mean probability of the predicted class, or mean predicted value"""
    observed: float
    """share of right predictions, or mean target"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """A model's metrics on some samples."""

    task: str
    target_name: str
    n_samples: int
    metrics: dict[str, Metric]
    per_class: tuple[ClassMetrics, ...] = ()
    confusion: tuple[tuple[int, ...], ...] = ()
    """rows: classes; columns: predictions"""
    calibration: tuple[CalibrationBin, ...] = ()
    """equal widths of probability, or equal shares of the samples"""
    calibration_error: float = math.nan
    """mean distance of predicted and observed over the samples; for a regression in the target's unit"""
    predicted: Array | None = field(default=None, repr=False)
    """of a regression, (n_samples,)"""
    observed: Array | None = field(default=None, repr=False)


def evaluate(model: TrainedModel, frame: Frame, ignore: Sequence[str] = (), seed: int = 0) -> Evaluation:
    """The metrics of the model on rows that have its target; `seed` is that of resampling."""
    target_name = model.description.target_name
    targets = frame.column(target_name)
    if not frame.n_rows:
        raise DataError(f"{frame.source}: has no rows")
    if not model.is_classifier:
        values = frame.numbers(target_name, _read(targets) if targets.dtype.kind in "UO" else targets)
        return _of_regression(target_name, model.values(model.outputs(frame, ignore)), values)
    labels = _class_indices(frame, target_name, targets, model.classes)
    outputs = model.outputs(frame, ignore)
    predicted = model.class_indices(outputs)
    probabilities = model.probabilities(outputs) if model.has_probabilities else None
    rng = np.random.default_rng(seed)
    return _of_classification(target_name, model.classes, labels, predicted, probabilities, rng)


def _read(texts: Column) -> Column:
    """Numbers that are written as text, and all else as it is."""
    values = texts.tolist()
    numbers = [plain_number(value) if isinstance(value, str) else None for value in values]
    read = np.empty(len(values), dtype=object)
    read[:] = [value if number is None else number for number, value in zip(numbers, values, strict=True)]
    return read


def _class_indices(frame: Frame, name: str, targets: Column, classes: Sequence[str]) -> NDArray[np.intp]:
    """The places of the labels among the classes; DataError names the first row whose label is none of them."""
    place_of = {label: place for place, label in enumerate(classes)}
    indices = np.empty(frame.n_rows, dtype=np.intp)
    for row, value in enumerate(targets):
        label = "" if is_gap(value) and text_of(value) not in place_of else label_text(text_of(value))
        if label not in place_of:
            what = f"label {label!r} is none of the classes {', '.join(classes)}" if label else "the value is missing"
            raise DataError(f"{frame.place(row)}, column {name!r}: {what}")
        indices[row] = place_of[label]
    return indices


def _of_classification(
    target_name: str,
    classes: Sequence[str],
    labels: NDArray[np.intp],
    predicted: NDArray[np.intp],
    probabilities: Array | None,
    rng: np.random.Generator,
) -> Evaluation:
    n_samples = len(labels)
    confusion = confusion_matrix(predicted, labels, len(classes))
    hits, support, n_predicted = np.diagonal(confusion), confusion.sum(axis=1), confusion.sum(axis=0)
    resamples = _resamples(confusion, rng)
    metrics = {
        "accuracy": wilson(int(hits.sum()), n_samples),
        "balanced accuracy": _resampled(balanced_accuracy, confusion, resamples),
        "macro F1": _resampled(lambda matrix: f1_scores(matrix).mean(axis=-1), confusion, resamples),
    }
    bins: tuple[CalibrationBin, ...] = ()
    if probabilities is not None:
        metrics["log loss"] = mean_metric(log_losses(probabilities, labels))
        metrics["Brier score"] = mean_metric(brier_scores(probabilities, labels))
        if len(classes) == 2:
            auc, error = roc_auc(probabilities[:, 1], labels == 1)
            metrics["AUC"] = Metric(auc, max(auc - _Z * error, 0.0), min(auc + _Z * error, 1.0))
        own = probabilities[np.arange(n_samples), predicted]
        bins = _bins(np.minimum((own * N_BINS).astype(int), N_BINS - 1), own, (predicted == labels).astype(np.float64))
    return Evaluation(
        task="classification",
        target_name=target_name,
        n_samples=n_samples,
        metrics=metrics,
        per_class=tuple(
            ClassMetrics(
                label,
                int(support[k]),
                wilson(int(hits[k]), int(n_predicted[k])),
                wilson(int(hits[k]), int(support[k])),
                float(f1),
            )
            for k, (label, f1) in enumerate(zip(classes, f1_scores(confusion), strict=True))
        ),
        confusion=tuple(tuple(map(int, row)) for row in confusion),
        calibration=bins,
        calibration_error=_calibration_error(bins),
    )


def _of_regression(target_name: str, predicted: Array, observed: Array) -> Evaluation:
    errors = predicted - observed
    mean_square = mean_metric(np.square(errors))
    order = np.argsort(predicted, kind="stable")
    place = np.empty(len(order), dtype=np.intp)
    place[order] = np.arange(len(order)) * min(N_BINS, len(order)) // len(order)
    bins = _bins(place, predicted, observed)
    return Evaluation(
        task="regression",
        target_name=target_name,
        n_samples=len(observed),
        metrics={
            "R²": _r2(errors, observed),
            "RMSE": Metric(*(math.sqrt(max(bound, 0.0)) for bound in _bounds(mean_square))),
            "MAE": mean_metric(np.abs(errors)),
            "mean error": mean_metric(errors),
        },
        calibration=bins,
        calibration_error=_calibration_error(bins),
        predicted=predicted,
        observed=observed,
    )


def wilson(n_hits: int, n: int) -> Metric:
    """A share and its interval (Wilson 1927)."""
    if n == 0:
        return Metric(math.nan)
    share, z2 = n_hits / n, _Z * _Z
    centre = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = _Z * math.sqrt(share * (1 - share) / n + z2 / (4 * n * n)) / (1 + z2 / n)
    return Metric(share, max(centre - half, 0.0), min(centre + half, 1.0))


def mean_metric(values: Floats) -> Metric:
    """The mean, and mean ± z · deviation / √n."""
    mean = float(values.mean())
    if len(values) < 2:
        return Metric(mean)
    half = _Z * float(values.std(ddof=1)) / math.sqrt(len(values))
    return Metric(mean, mean - half, mean + half)


def _r2(errors: Array, observed: Array) -> Metric:
    """R² = 1 − Σe² / Σ(d − d̄)², with the error of a ratio of means to first order; 0 where the target is constant."""
    squares, spread = np.square(errors), np.square(observed - observed.mean())
    if not spread.any():
        return Metric(0.0)
    ratio = float(squares.sum() / spread.sum())
    influence = (squares - ratio * spread) / spread.mean()
    around = mean_metric(influence)
    return Metric(1.0 - ratio, 1.0 - ratio + around.low, 1.0 - ratio + around.high)


def _resamples(confusion: NDArray[np.intp], rng: np.random.Generator) -> NDArray[np.int64] | None:
    """Confusion matrices of as many samples, drawn from this one's distribution; none where it is very large."""
    if confusion.size > _MAX_CELLS:
        return None
    n_samples = int(confusion.sum())
    n_resamples = _N_RESAMPLES
    return rng.multinomial(n_samples, confusion.ravel() / n_samples, n_resamples).reshape(-1, *confusion.shape)


def _resampled(
    statistic: Callable[[NDArray[np.integer]], NDArray[np.floating]],
    confusion: NDArray[np.intp],
    resamples: NDArray[np.int64] | None,
) -> Metric:
    value = float(statistic(confusion))
    if resamples is None:
        return Metric(value)
    low, high = np.percentile(statistic(resamples), [2.5, 97.5])
    return Metric(value, float(low), float(high))


def _bins(places: NDArray[np.intp], predicted: Array, observed: Array) -> tuple[CalibrationBin, ...]:
    n_bins = int(places.max()) + 1
    counts = np.bincount(places, minlength=n_bins)
    means = (np.bincount(places, values, n_bins) / np.maximum(counts, 1) for values in (predicted, observed))
    rows = zip(counts, *means, strict=True)
    return tuple(CalibrationBin(int(n), float(mean), float(seen)) for n, mean, seen in rows if n)


def _calibration_error(bins: Sequence[CalibrationBin]) -> float:
    n_samples = sum(each.n_samples for each in bins)
    if not n_samples:
        return math.nan
    return sum(each.n_samples * abs(each.predicted - each.observed) for each in bins) / n_samples


def _bounds(metric: Metric) -> tuple[float, float, float]:
    return metric.value, metric.low, metric.high
