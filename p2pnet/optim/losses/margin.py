"""Losses of the margin d p of a two-class decision, or of one class against all others."""

from abc import abstractmethod
from typing import final

import numpy as np

from p2pnet.optim.arrays import AnyArray, Array
from p2pnet.optim.losses.base import ElementwiseLoss
from p2pnet.optim.losses.targets import class_indices


class MarginLoss(ElementwiseLoss):
    """h(d p) with d = ±1: losses of a two-class decision, or of one class against all others."""

    def encode(self, Y: AnyArray, n_outputs: int) -> AnyArray:
        classes = class_indices(Y, max(n_outputs, 2), self.name)
        if n_outputs == 1:
            return 2.0 * classes[:, np.newaxis] - 1.0
        result: Array = 2.0 * (classes[:, np.newaxis] == np.arange(n_outputs)) - 1.0
        return result

    def inverse_link(self, predictions: Array) -> Array:
        """(1 − η, η) for one output; for several, each class against all others, η_k / Σ_j η_j, or all alike where
        every η is 0.
        """
        positive = self.positive_probability(predictions)
        if predictions.shape[1] == 1:
            return np.column_stack([1.0 - positive, positive])
        sums = positive.sum(axis=1, keepdims=True)
        shares: Array = np.where(sums > 0.0, positive, 1.0)
        shares /= shares.sum(axis=1, keepdims=True)
        return shares

    @abstractmethod
    def positive_probability(self, predictions: Array) -> Array:
        """η = P(d = 1 | x) where p minimises the expected loss, elementwise; a new array."""


@final
class Logistic(MarginLoss):
    """h = log(1 + exp(−d p)); p is the log-odds of class 1."""

    name = "logistic"
    has_probabilities = True

    def positive_probability(self, predictions: Array) -> Array:
        result: Array = 0.5 * (1.0 + np.tanh(0.5 * predictions))
        return result

    def elements(self, predictions: Array, targets: AnyArray) -> Array:
        return np.logaddexp(-targets * predictions, np.zeros((), predictions.dtype))

    def slopes(self, predictions: Array, targets: AnyArray) -> Array:
        result: Array = 0.5 * (np.tanh(0.5 * predictions) - targets)
        return result

    def curvatures(self, predictions: Array, targets: AnyArray) -> Array:
        half = np.tanh(0.5 * predictions)
        result: Array = 0.25 * (1.0 - half * half)
        return result


@final
class SquaredHinge(MarginLoss):
    """h = max(0, 1 − d p)² / 2."""

    name = "squared-hinge"
    has_probabilities = True

    def positive_probability(self, predictions: Array) -> Array:
        """(1 + p) / 2, clipped to [0, 1] (Zhang 2004, Annals of Statistics 32, table 1)."""
        result: Array = np.clip(0.5 * (1.0 + predictions), 0.0, 1.0)
        return result

    def elements(self, predictions: Array, targets: AnyArray) -> Array:
        result: Array = 0.5 * np.square(np.maximum(1.0 - targets * predictions, 0.0))
        return result

    def slopes(self, predictions: Array, targets: AnyArray) -> Array:
        result: Array = -targets * np.maximum(1.0 - targets * predictions, 0.0)
        return result

    def curvatures(self, predictions: Array, targets: AnyArray) -> Array:
        return (targets * predictions < 1.0).astype(predictions.dtype)
