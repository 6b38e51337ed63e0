"""Convex losses of a network's predictions: value, gradient and curvature, each a mean over samples.

    loss(P) = Σ_i s_i ℓ(d_i, P_i) / Σ_i s_i,     P (n_samples, n_outputs), sample weights s_i (all 1 if None),

where ℓ sums over the outputs of a sample. All three functions take P, the targets as `encode` returned them, and the
sample weights (n_samples,) or None; gradient and curvature include the 1 / Σ s_i.

Targets come in as a data file gives them and are encoded once:

    regression losses       numbers, (n_samples,) or (n_samples, n_outputs)
    logistic, squared hinge one output: classes 0 and 1; several outputs: class indices, each against all others
    softmax cross-entropy   class indices 0 … n_outputs − 1, (n_samples,)
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import final

import numpy as np

from p2pnet.optim.arrays import AnyArray, Array
from p2pnet.optim.losses.hessians import DiagonalHessian, Hessian
from p2pnet.optim.losses.targets import regression_targets


class LossPoint(ABC):
    """A mean loss at some predictions: value and derivatives there, which share what they can of the work."""

    @abstractmethod
    def value(self) -> float:
        """The weighted mean of ℓ."""

    @abstractmethod
    def gradient(self) -> Array:
        """The derivative of the value with respect to the predictions, (n_samples, n_outputs); a new array."""

    @abstractmethod
    def hessian(self) -> Hessian:
        """The second derivative of the value (a generalised one where the gradient has kinks)."""


class Loss(ABC):
    """A convex loss; see the module's docstring for scaling, shapes and targets."""

    name: str
    is_quadratic: bool = False
    """whether the Hessian is the same for all predictions"""
    has_probabilities: bool = False
    """whether `inverse_link` gives the probabilities of classes"""

    def describe(self) -> str:
        """Name and parameters; agents compare it before they train together."""
        return self.name

    @abstractmethod
    def encode(self, Y: AnyArray, n_outputs: int) -> AnyArray:
        """The targets in the form that the other functions take; DataError if shape or labels do not fit."""

    @abstractmethod
    def at(self, predictions: Array, targets: AnyArray, sample_weights: Array | None = None) -> LossPoint:
        """The mean loss at these predictions."""

    def inverse_link(self, predictions: Array) -> Array:
        """E[d | x] where the predictions minimise the expected loss: the mean of the target (n_samples, n_outputs), or
        the probabilities of the classes (n_samples, n_classes). The identity, unless a loss has another.
        """
        return predictions

    def value(self, predictions: Array, targets: AnyArray, sample_weights: Array | None = None) -> float:
        """The weighted mean of ℓ."""
        return self.at(predictions, targets, sample_weights).value()

    def gradient(self, predictions: Array, targets: AnyArray, sample_weights: Array | None = None) -> Array:
        """The derivative of `value` with respect to the predictions, (n_samples, n_outputs)."""
        return self.at(predictions, targets, sample_weights).gradient()

    def hessian(self, predictions: Array, targets: AnyArray, sample_weights: Array | None = None) -> Hessian:
        """The second derivative of `value` at these predictions (a generalised one where there are kinks)."""
        return self.at(predictions, targets, sample_weights).hessian()

    def curvature(
        self, predictions: Array, targets: AnyArray, tangents: Array, sample_weights: Array | None = None
    ) -> Array:
        """H t, (n_samples, n_outputs): the change of the gradient along `tangents`."""
        return self.hessian(predictions, targets, sample_weights).apply(tangents)


class ElementwiseLoss(Loss):
    """ℓ(d, p) = Σ_k h(d_k, p_k): a scalar function summed over the outputs."""

    def encode(self, Y: AnyArray, n_outputs: int) -> AnyArray:
        return regression_targets(Y, n_outputs, self.name)

    def at(self, predictions: Array, targets: AnyArray, sample_weights: Array | None = None) -> LossPoint:
        return _ElementwisePoint(self, predictions, targets, sample_weights)

    @abstractmethod
    def elements(self, predictions: Array, targets: AnyArray) -> Array:
        """h(d, p), elementwise."""

    @abstractmethod
    def slopes(self, predictions: Array, targets: AnyArray) -> Array:
        """∂h/∂p, elementwise; a new array."""

    @abstractmethod
    def curvatures(self, predictions: Array, targets: AnyArray) -> Array:
        """∂²h/∂p², elementwise; a new array."""


@final
@dataclass(frozen=True, slots=True, eq=False)
class _ElementwisePoint(LossPoint):
    loss: ElementwiseLoss
    predictions: Array
    targets: AnyArray
    sample_weights: Array | None

    def value(self) -> float:
        return mean(self.loss.elements(self.predictions, self.targets), self.sample_weights)

    def gradient(self) -> Array:
        slopes = self.loss.slopes(self.predictions, self.targets)
        slopes *= mean_weights(slopes, self.sample_weights)
        return slopes

    def hessian(self) -> Hessian:
        curvatures = self.loss.curvatures(self.predictions, self.targets)
        curvatures *= mean_weights(curvatures, self.sample_weights)
        return DiagonalHessian(curvatures)


def mean(values: Array, sample_weights: Array | None) -> float:
    """Of values (n_samples,), or (n_samples, n_outputs) to be summed over the outputs."""
    if sample_weights is None:
        return float(values.sum()) / len(values)
    return float(np.sum(sample_weights @ values)) / float(sample_weights.sum())


def mean_weights(predictions: Array, sample_weights: Array | None) -> float | Array:
    """What each sample's term is multiplied by: 1/n, or its weight over the sum of weights, (n_samples, 1)."""
    if sample_weights is None:
        return 1.0 / len(predictions)
    result: Array = (sample_weights / sample_weights.sum())[:, np.newaxis]
    return result
