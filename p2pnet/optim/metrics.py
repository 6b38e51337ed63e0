"""Metrics of predictions: accuracy and R²."""

import numpy as np

from p2pnet.optim.arrays import AnyArray, Array


def accuracy(predictions: Array, labels: AnyArray) -> float:
    """The fraction of samples whose predicted class is their label.

    predictions (n_samples, n_classes), the largest wins; or (n_samples, 1) for two classes, above zero being class 1.
    labels (n_samples,): class indices.
    """
    predicted = predictions.argmax(axis=1) if predictions.shape[1] > 1 else predictions[:, 0] > 0
    return float(np.mean(predicted == labels))


def r2_score(predictions: Array, targets: AnyArray) -> float:
    """R² = 1 − Σ‖d − f‖² / Σ‖d − mean(d)‖², over all outputs together; both are (n_samples, n_outputs).

    Targets that do not vary give 0 for perfect predictions' sake only: nothing can be explained.
    """
    spread = float(np.sum((targets - targets.mean(axis=0)) ** 2))
    return 1.0 - float(np.sum((targets - predictions) ** 2)) / spread if spread > 0 else 0.0
