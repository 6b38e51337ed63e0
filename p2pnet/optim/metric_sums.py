"""Metrics of samples that are at many places, from sums of what each place counts.

A sum of the vectors of two sets of samples is the vector of both together, and every metric is a ratio of its entries:
so it is the same for any multiple of the vector, such as the mean over all places.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Final, final

import numpy as np
from numpy.typing import NDArray

from p2pnet.optim.arrays import AnyArray, Array
from p2pnet.optim.losses.base import Loss
from p2pnet.optim.metrics import log_losses

N_BINS: Final = 1000
"""Of the scores from which an AUC is found."""

MAX_LOGIT: Final = 16.0
"""Bins of scores are of one width in the logit, from minus this to this; scores beyond are in the last ones."""


class MetricSums(ABC):
    """The sums of one set of samples, (n_sums,), none of them negative, and the metrics that follow from them."""

    n_sums: int

    @abstractmethod
    def of(self, outputs: Array, Y: AnyArray) -> NDArray[np.float64]:
        """The sums of samples with these outputs of a model and these targets, (n_samples, …) each."""

    @abstractmethod
    def metrics(self, sums: Array) -> Mapping[str, float]:
        """Metrics by name, those that are no number left out; none where there are no samples."""


@final
class LabelSums(MetricSums):
    """Of labels: by class how many there are, how many are predicted, and how many of these rightly.

    With probabilities also the sum of −log p of each sample's own class, and for two classes how many samples of each
    have their score in which of `N_BINS` bins. Two samples in one bin count half in the AUC, as ties do; so it is off
    by at most half the share of pairs that are in one bin.
    """

    def __init__(self, loss: Loss, classes: tuple[str, ...]) -> None:
        self._loss = loss
        self._classes = classes
        self._has_scores = loss.has_probabilities and len(classes) == 2
        self.n_sums = 3 * len(classes) + loss.has_probabilities + 2 * N_BINS * self._has_scores

    def of(self, outputs: Array, Y: AnyArray) -> NDArray[np.float64]:
        n_classes = len(self._classes)
        predicted = outputs.argmax(axis=1) if outputs.shape[1] > 1 else (outputs[:, 0] > 0).astype(np.intp)
        counted = [Y, predicted, Y[predicted == Y]]
        sums = [np.bincount(labels, minlength=n_classes).astype(np.float64) for labels in counted]
        if self._loss.has_probabilities:
            probabilities = self._loss.inverse_link(outputs).astype(np.float64, copy=False)
            sums.append(np.array([log_losses(probabilities, Y).sum()]))
            if self._has_scores:
                places = _bins(probabilities)
                sums += [np.bincount(places[k == Y], minlength=N_BINS).astype(np.float64) for k in (0, 1)]
        return np.concatenate(sums)

    def metrics(self, sums: Array) -> Mapping[str, float]:
        n_classes = len(self._classes)
        support, predicted, hits = sums[: 3 * n_classes].reshape(3, n_classes)
        n_samples = float(support.sum())
        if n_samples <= 0.0:
            return {}
        recalls, f1 = _ratio(hits, support), _ratio(2.0 * hits, support + predicted)
        found = {
            "accuracy": float(hits.sum()) / n_samples,
            "balanced accuracy": float(recalls.sum()) / int((support > 0).sum()),
            "macro F1": float(f1.mean()),
        }
        if self._loss.has_probabilities:
            found["log loss"] = float(sums[3 * n_classes]) / n_samples
            if self._has_scores:
                found["AUC"] = _area(sums[-2 * N_BINS : -N_BINS], sums[-N_BINS:])
        for name, values, among in (
            ("recall", recalls, support),
            ("precision", _ratio(hits, predicted), predicted),
            ("F1", f1, support + predicted),
        ):
            found |= {
                f"{name} of {label}": float(value)
                for label, value, n in zip(self._classes, values, among, strict=True)
                if n > 0
            }
        return {name: value for name, value in found.items() if math.isfinite(value)}


@final
class ValueSums(MetricSums):
    """Of numbers: how many, Σ e², Σ |e|, Σ d², and Σ d of the positive and of the negative targets d; e is the error.

    Targets are as they are trained on; RMSE and MAE are in `target_scale` of that.
    """

    n_sums = 6

    def __init__(self, loss: Loss, target_scale: float = 1.0) -> None:
        self._loss = loss
        self._target_scale = target_scale

    def of(self, outputs: Array, Y: AnyArray) -> NDArray[np.float64]:
        errors = self._loss.inverse_link(outputs).astype(np.float64, copy=False) - Y
        parts = (np.square(errors), np.abs(errors), np.square(Y), np.maximum(Y, 0.0), np.maximum(-Y, 0.0))
        return np.array([len(Y), *(part.sum() for part in parts)], dtype=np.float64)

    def metrics(self, sums: Array) -> Mapping[str, float]:
        n_samples, squares, magnitudes, target_squares, above, below = sums.tolist()
        if n_samples <= 0.0:
            return {}
        spread = target_squares - (above - below) ** 2 / n_samples
        return {
            "R²": 1.0 - squares / spread if spread > 0 else 0.0,
            "RMSE": math.sqrt(squares / n_samples) * self._target_scale,
            "MAE": magnitudes / n_samples * self._target_scale,
        }


def _bins(probabilities: Array) -> AnyArray:
    """The bin of each sample's score, (n_samples,), the logit of class 1."""
    least = np.exp(-MAX_LOGIT)
    clipped = np.clip(probabilities, least, None)
    logits = np.log(clipped[:, 1] / clipped[:, 0])
    places = np.floor((logits + MAX_LOGIT) * (N_BINS / (2.0 * MAX_LOGIT)))
    return np.clip(places, 0, N_BINS - 1).astype(np.intp)


def _area(negative: Array, positive: Array) -> float:
    """The area under the curve of the counts by bin; not a number where one kind is missing."""
    pairs = float(negative.sum()) * float(positive.sum())
    if pairs <= 0.0:
        return math.nan
    below = np.cumsum(negative) - 0.5 * negative
    return float(positive @ below) / pairs


def _ratio(numerators: Array, denominators: Array) -> Array:
    """0 where the denominator is."""
    result: Array = numerators / np.where(denominators > 0, denominators, 1.0)
    return result
