"""Metrics of predictions: accuracy and R²."""

from collections.abc import Callable

import numpy as np

from p2pnet.optim.arrays import AnyArray, Array, BoolArray, IndexArray


def accuracy(predictions: Array, labels: AnyArray) -> float:
    """The fraction of samples whose predicted class is their label.

    predictions (n_samples, n_classes), the largest wins; or (n_samples, 1) for two classes, above zero being class 1.
    labels (n_samples,): class indices.
    """
    predicted = predictions.argmax(axis=1) if predictions.shape[1] > 1 else predictions[:, 0] > 0
    return float(np.mean(predicted == labels))


def r2_of(targets: AnyArray) -> Callable[[Array], float]:
    """R² = 1 − Σ‖d − f‖² / Σ‖d − mean(d)‖², over all outputs together, of predictions f for the targets d; both are
    (n_samples, n_outputs).

    Targets that do not vary give 0 for perfect predictions' sake only: nothing can be explained.
    """
    spread = float(np.sum((targets - targets.mean(axis=0)) ** 2))
    return lambda predictions: 1.0 - float(np.sum((targets - predictions) ** 2)) / spread if spread > 0 else 0.0


def r2_score(predictions: Array, targets: AnyArray) -> float:
    """R² of predictions (`r2_of`)."""
    return r2_of(targets)(predictions)


def confusion_matrix(predicted: AnyArray, labels: AnyArray, n_classes: int) -> IndexArray:
    """C[j, k]: samples of class j for which class k is predicted, (n_classes, n_classes)."""
    cells = np.asarray(labels, dtype=np.intp) * n_classes + np.asarray(predicted, dtype=np.intp)
    counts: IndexArray = np.bincount(cells, minlength=n_classes * n_classes).reshape(n_classes, n_classes)
    return counts


def balanced_accuracy(confusion: AnyArray) -> Array:
    """The mean recall over the classes that occur, (…,) for confusion matrices (…, n_classes, n_classes)."""
    support = confusion.sum(axis=-1)
    recalls = _ratio(np.diagonal(confusion, axis1=-2, axis2=-1), support)
    result: Array = recalls.sum(axis=-1) / np.maximum((support > 0).sum(axis=-1), 1)
    return result


def f1_scores(confusion: AnyArray) -> Array:
    """F1 = 2 TP / (2 TP + FP + FN) of each class, (…, n_classes); 0 where a class neither occurs nor is predicted."""
    hits = np.diagonal(confusion, axis1=-2, axis2=-1)
    return _ratio(2 * hits, confusion.sum(axis=-1) + confusion.sum(axis=-2))


def log_losses(probabilities: Array, labels: AnyArray) -> Array:
    """−log p of each sample's own class, (n_samples,); probabilities below the precision of numbers count as that."""
    own = probabilities[np.arange(len(labels)), labels]
    return -np.log(np.clip(own, np.finfo(probabilities.dtype).eps, 1.0))


def brier_scores(probabilities: Array, labels: AnyArray) -> Array:
    """Σ_k (p_k − [k is the sample's class])² of each sample, (n_samples,)."""
    errors = probabilities.copy()
    errors[np.arange(len(labels)), labels] -= 1.0
    result: Array = np.square(errors).sum(axis=1)
    return result


def roc_auc(scores: Array, is_positive: BoolArray) -> tuple[float, float]:
    """(AUC, its standard error): the chance that a positive sample's score is above a negative one's, ties as half,
    with the error of DeLong, DeLong and Clarke-Pearson (1988); not a number where one kind is missing.
    """
    n_positive = int(is_positive.sum())
    n_negative = len(is_positive) - n_positive
    if not (n_positive and n_negative):
        return np.nan, np.nan
    ranks = _mid_ranks(scores)
    above = (ranks[is_positive] - _mid_ranks(scores[is_positive])) / n_negative
    below = 1.0 - (ranks[~is_positive] - _mid_ranks(scores[~is_positive])) / n_positive
    variance = sum(np.var(part, ddof=1) / len(part) for part in (above, below) if len(part) > 1)
    return float(above.mean()), float(np.sqrt(variance))


def _mid_ranks(values: Array) -> Array:
    """Ranks from 1, those of equal values being their mean."""
    _, codes, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    ranks: Array = (last - 0.5 * (counts - 1))[codes]
    return ranks


def _ratio(numerators: AnyArray, denominators: AnyArray) -> Array:
    """0 where the denominator is."""
    result: Array = numerators / np.maximum(denominators, 1)
    return result
