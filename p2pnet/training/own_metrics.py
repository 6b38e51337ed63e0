"""How good parameters are on samples of the agent's own, for the log and the model file."""

from __future__ import annotations

import math

import numpy as np

from p2pnet.data.samples import Samples
from p2pnet.optim.arrays import Array
from p2pnet.optim.metrics import (
    accuracy,
    balanced_accuracy,
    confusion_matrix,
    f1_scores,
    log_losses,
    r2_score,
    roc_auc,
)
from p2pnet.training.problem import Problem


def own_metrics(problem: Problem, params: Array, samples: Samples, target_scale: float = 1.0) -> dict[str, float]:
    """Metrics by name on scaled samples; those that are no number, as an AUC where all have one label, are left out.

    Of a classification accuracy, balanced accuracy, macro F1, and where the loss has probabilities the log loss and for
    two classes the AUC; of a regression R², RMSE and MAE, the last two in the target's unit. None without samples.
    """
    if not samples.n_samples:
        return {}
    X = np.ascontiguousarray(samples.X, dtype=problem.model.dtype)
    outputs = problem.model.predict(params.astype(problem.model.dtype, copy=False), X)
    found = (
        _of_labels(problem, outputs, samples)
        if samples.classes
        else _of_values(problem, outputs, samples, target_scale)
    )
    return {name: value for name, value in found.items() if math.isfinite(value)}


def _of_labels(problem: Problem, outputs: Array, samples: Samples) -> dict[str, float]:
    labels = samples.Y
    predicted = outputs.argmax(axis=1) if outputs.shape[1] > 1 else (outputs[:, 0] > 0).astype(np.intp)
    confusion = confusion_matrix(predicted, labels, len(samples.classes))
    metrics = {
        "accuracy": accuracy(outputs, labels),
        "balanced accuracy": float(balanced_accuracy(confusion)),
        "macro F1": float(f1_scores(confusion).mean()),
    }
    if problem.loss.has_probabilities:
        probabilities = problem.loss.inverse_link(outputs)
        metrics["log loss"] = float(log_losses(probabilities, labels).mean())
        if len(samples.classes) == 2:
            metrics["AUC"], _ = roc_auc(probabilities[:, 1], labels == 1)
    return metrics


def _of_values(problem: Problem, outputs: Array, samples: Samples, target_scale: float) -> dict[str, float]:
    errors = (problem.loss.inverse_link(outputs) - samples.Y) * target_scale
    return {
        "R²": r2_score(outputs, samples.Y),
        "RMSE": float(np.sqrt(np.mean(np.square(errors)))),
        "MAE": float(np.mean(np.abs(errors))),
    }
