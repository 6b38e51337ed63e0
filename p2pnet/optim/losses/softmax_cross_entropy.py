"""The cross-entropy of softmax probabilities."""

from typing import final

import numpy as np

from p2pnet.errors import DataError
from p2pnet.optim.arrays import AnyArray, Array
from p2pnet.optim.losses.base import Loss, LossPoint, mean, mean_weights
from p2pnet.optim.losses.hessians import Hessian, SoftmaxHessian
from p2pnet.optim.losses.targets import class_indices


@final
class SoftmaxCrossEntropy(Loss):
    """ℓ = log Σ_k exp p_k − p_d, d the class of the sample."""

    name = "softmax-cross-entropy"
    has_probabilities = True

    def encode(self, Y: AnyArray, n_outputs: int) -> AnyArray:
        if n_outputs < 2:
            raise DataError("softmax-cross-entropy needs one output per class, at least 2; use logistic for one output")
        return class_indices(Y, n_outputs, self.name)

    def at(self, predictions: Array, targets: AnyArray, sample_weights: Array | None = None) -> LossPoint:
        return _SoftmaxPoint(predictions, targets, sample_weights)

    def inverse_link(self, predictions: Array) -> Array:
        """Exp p_k / Σ_j exp p_j."""
        # By each row's own largest, so that the probabilities of a sample do not depend on the samples beside it.
        exponentials: Array = np.exp(predictions - predictions.max(axis=1, keepdims=True))
        exponentials /= exponentials.sum(axis=1, keepdims=True)
        return exponentials


@final
class _SoftmaxPoint(LossPoint):
    def __init__(self, predictions: Array, targets: AnyArray, sample_weights: Array | None) -> None:
        self._of_class = np.arange(len(targets)), targets
        self._sample_weights = sample_weights
        self._shifted = _shifted(predictions)
        self._probabilities = np.exp(self._shifted)
        # A product with ones is twice as fast as a sum over so short an axis.
        self._sums: Array = self._probabilities @ np.ones(predictions.shape[1], dtype=predictions.dtype)
        self._probabilities /= self._sums[:, np.newaxis]

    def value(self) -> float:
        values: Array = np.log(self._sums) - self._shifted[self._of_class]
        return mean(values, self._sample_weights)

    def gradient(self) -> Array:
        slopes = self._probabilities.copy()
        slopes[self._of_class] -= 1.0
        slopes *= mean_weights(slopes, self._sample_weights)
        return slopes

    def hessian(self) -> Hessian:
        return SoftmaxHessian(self._probabilities, mean_weights(self._probabilities, self._sample_weights))


def _shifted(predictions: Array) -> Array:
    """Predictions less something of their row's size, so that no exponential of them overflows or is all zero."""
    top = predictions.max()
    # One number for all rows is several times cheaper than one for each, and does where they lie close together.
    if top - predictions.min() < -0.8 * np.log(np.finfo(predictions.dtype).tiny):
        shifted: Array = predictions - top
    else:
        shifted = predictions - predictions.max(axis=1, keepdims=True)
    return shifted
