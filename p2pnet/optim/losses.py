"""Convex losses of a network's predictions: value, gradient and curvature, each a mean over samples.

    loss(P) = Σ_i s_i ℓ(d_i, P_i) / Σ_i s_i,     P (n_samples, n_outputs), sample weights s_i (all 1 if None),

where ℓ sums over the outputs of a sample. All three functions take P, the targets as `encode` returned them, and the
sample weights (n_samples,) or None; gradient and curvature include the 1 / Σ s_i.

Targets come in as a data file gives them and are encoded once:

    regression losses       numbers, (n_samples,) or (n_samples, n_outputs)
    logistic, squared hinge one output: classes 0 and 1; several outputs: class indices, one against the rest
    softmax cross-entropy   class indices 0 … n_outputs − 1, (n_samples,)
"""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import final

import numpy as np
import numpy.typing as npt

from p2pnet.errors import ConfigError, DataError
from p2pnet.optim.arrays import AnyArray, Array
from p2pnet.optim.hessians import DiagonalHessian, Hessian, SoftmaxHessian


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

    def describe(self) -> str:
        """Name and parameters; agents compare it before they train together."""
        return self.name

    @abstractmethod
    def encode(self, Y: AnyArray, n_outputs: int) -> AnyArray:
        """The targets in the form that the other functions take; DataError if shape or labels do not fit."""

    @abstractmethod
    def at(self, predictions: Array, targets: AnyArray, sample_weights: Array | None = None) -> LossPoint:
        """The mean loss at these predictions."""

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
        return _numbers(Y, n_outputs, self.name)

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
        return _mean(self.loss.elements(self.predictions, self.targets), self.sample_weights)

    def gradient(self) -> Array:
        slopes = self.loss.slopes(self.predictions, self.targets)
        slopes *= _mean_weights(slopes, self.sample_weights)
        return slopes

    def hessian(self) -> Hessian:
        curvatures = self.loss.curvatures(self.predictions, self.targets)
        curvatures *= _mean_weights(curvatures, self.sample_weights)
        return DiagonalHessian(curvatures)


@final
class HalfSquared(ElementwiseLoss):
    """h = (p − d)² / 2."""

    name = "half-squared"
    is_quadratic = True

    def elements(self, predictions: Array, targets: AnyArray) -> Array:
        return 0.5 * np.square(predictions - targets)

    def slopes(self, predictions: Array, targets: AnyArray) -> Array:
        return predictions - targets

    def curvatures(self, predictions: Array, targets: AnyArray) -> Array:
        return np.ones_like(predictions)


@final
@dataclass(frozen=True, slots=True)
class Huber(ElementwiseLoss):
    """h = r²/2 where |r| ≤ δ, else δ |r| − δ²/2, with r = p − d (Huber 1964). δ is in the targets' unit."""

    delta: float = 1.0
    name = "huber"

    def __post_init__(self) -> None:
        if not self.delta > 0.0:
            raise ConfigError(f"huber: delta is {self.delta}; it must be positive")

    def describe(self) -> str:
        return f"huber delta={self.delta:g}"

    def elements(self, predictions: Array, targets: AnyArray) -> Array:
        distance = np.abs(predictions - targets)
        inside = np.minimum(distance, self.delta)
        return inside * (distance - 0.5 * inside)

    def slopes(self, predictions: Array, targets: AnyArray) -> Array:
        return np.clip(predictions - targets, -self.delta, self.delta)

    def curvatures(self, predictions: Array, targets: AnyArray) -> Array:
        return (np.abs(predictions - targets) <= self.delta).astype(predictions.dtype)


@final
class LogCosh(ElementwiseLoss):
    """h = log cosh(p − d): like r²/2 near zero, like |r| − log 2 far away, smooth everywhere."""

    name = "log-cosh"

    def elements(self, predictions: Array, targets: AnyArray) -> Array:
        distance = np.abs(predictions - targets)
        return distance + np.log1p(np.exp(-2.0 * distance)) - math.log(2.0)

    def slopes(self, predictions: Array, targets: AnyArray) -> Array:
        return np.tanh(predictions - targets)

    def curvatures(self, predictions: Array, targets: AnyArray) -> Array:
        slope = np.tanh(predictions - targets)
        return 1.0 - slope * slope


@final
class PoissonDeviance(ElementwiseLoss):
    """Half the deviance of counts d ≥ 0 with mean eᵖ: h = eᵖ − d p + d log d − d (0 for a perfect fit).

    The network predicts the logarithm of the mean. Where eᵖ overflows, the value is infinite.
    """

    name = "poisson-deviance"

    def encode(self, Y: AnyArray, n_outputs: int) -> AnyArray:
        targets = _numbers(Y, n_outputs, self.name)
        if targets.size and targets.min() < 0.0:
            raise DataError(f"poisson-deviance: target {targets.min():g} is negative; counts are 0 or more")
        return targets

    def elements(self, predictions: Array, targets: AnyArray) -> Array:
        saturated = np.where(targets > 0.0, targets * np.log(np.maximum(targets, 1e-30)), 0.0) - targets
        return _exp(predictions) - targets * predictions + saturated.astype(predictions.dtype)

    def slopes(self, predictions: Array, targets: AnyArray) -> Array:
        return _exp(predictions) - targets

    def curvatures(self, predictions: Array, targets: AnyArray) -> Array:
        return _exp(predictions)


class MarginLoss(ElementwiseLoss):
    """h(d p) with d = ±1: losses of a two-class decision, or of one class against the rest."""

    def encode(self, Y: AnyArray, n_outputs: int) -> AnyArray:
        classes = _class_indices(Y, max(n_outputs, 2), self.name)
        if n_outputs == 1:
            return 2.0 * classes[:, np.newaxis] - 1.0
        result: Array = 2.0 * (classes[:, np.newaxis] == np.arange(n_outputs)) - 1.0
        return result


@final
class Logistic(MarginLoss):
    """h = log(1 + exp(−d p)); p is the log-odds of class 1."""

    name = "logistic"

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

    def elements(self, predictions: Array, targets: AnyArray) -> Array:
        result: Array = 0.5 * np.square(np.maximum(1.0 - targets * predictions, 0.0))
        return result

    def slopes(self, predictions: Array, targets: AnyArray) -> Array:
        result: Array = -targets * np.maximum(1.0 - targets * predictions, 0.0)
        return result

    def curvatures(self, predictions: Array, targets: AnyArray) -> Array:
        return (targets * predictions < 1.0).astype(predictions.dtype)


@final
class SoftmaxCrossEntropy(Loss):
    """ℓ = log Σ_k exp p_k − p_d, d the class of the sample."""

    name = "softmax-cross-entropy"

    def encode(self, Y: AnyArray, n_outputs: int) -> AnyArray:
        if n_outputs < 2:
            raise DataError("softmax-cross-entropy needs one output per class, at least 2; use logistic for one output")
        return _class_indices(Y, n_outputs, self.name)

    def at(self, predictions: Array, targets: AnyArray, sample_weights: Array | None = None) -> LossPoint:
        return _SoftmaxPoint(predictions, targets, sample_weights)


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
        return _mean(values, self._sample_weights)

    def gradient(self) -> Array:
        slopes = self._probabilities.copy()
        slopes[self._of_class] -= 1.0
        slopes *= _mean_weights(slopes, self._sample_weights)
        return slopes

    def hessian(self) -> Hessian:
        return SoftmaxHessian(self._probabilities, _mean_weights(self._probabilities, self._sample_weights))


def loss_by_name(name: str, huber_delta: float = 1.0) -> Loss:
    """The loss called `name`; ConfigError if there is none."""
    known = {
        loss.name: loss
        for loss in (
            HalfSquared(),
            Huber(huber_delta),
            LogCosh(),
            Logistic(),
            SoftmaxCrossEntropy(),
            SquaredHinge(),
            PoissonDeviance(),
        )
    }
    try:
        return known[name]
    except KeyError:
        raise ConfigError(f"unknown loss {name!r}; known are {', '.join(sorted(known))}") from None


def _mean(values: Array, sample_weights: Array | None) -> float:
    """Of values (n_samples,), or (n_samples, n_outputs) to be summed over the outputs."""
    if sample_weights is None:
        return float(values.sum()) / len(values)
    return float(np.sum(sample_weights @ values)) / float(sample_weights.sum())


def _mean_weights(predictions: Array, sample_weights: Array | None) -> float | Array:
    """What each sample's term is multiplied by: 1/n, or its weight over the sum of weights, (n_samples, 1)."""
    if sample_weights is None:
        return 1.0 / len(predictions)
    result: Array = (sample_weights / sample_weights.sum())[:, np.newaxis]
    return result


def _shifted(predictions: Array) -> Array:
    """Predictions less something of their row's size, so that no exponential of them overflows or is all zero."""
    top = predictions.max()
    # One number for all rows is several times cheaper than one for each, and does where they lie close together.
    if top - predictions.min() < -0.8 * np.log(np.finfo(predictions.dtype).tiny):
        shifted: Array = predictions - top
    else:
        shifted = predictions - predictions.max(axis=1, keepdims=True)
    return shifted


def _exp(predictions: Array) -> Array:
    # An overflow is an honest infinity: solvers reject such a step.
    with np.errstate(over="ignore"):
        return np.exp(predictions)


def _numbers(Y: AnyArray, n_outputs: int, name: str) -> Array:
    targets = np.asarray(Y, dtype=np.result_type(Y, np.float32))
    if targets.ndim == 1:
        targets = targets[:, np.newaxis]
    if targets.ndim != 2 or targets.shape[1] != n_outputs:
        raise DataError(f"{name}: targets have shape {np.shape(Y)}; expected (n_samples, {n_outputs})")
    if not np.all(np.isfinite(targets)):
        raise DataError(f"{name}: a target is not a finite number; leave such rows out")
    return targets


def _class_indices(Y: AnyArray, n_classes: int, name: str) -> npt.NDArray[np.intp]:
    given = np.asarray(Y)
    if given.ndim == 2 and given.shape[1] == 1:
        given = given[:, 0]
    if given.ndim != 1:
        raise DataError(f"{name}: targets have shape {np.shape(Y)}; expected class indices, (n_samples,)")
    with np.errstate(invalid="ignore"):
        classes = given.astype(np.intp)
    if not np.array_equal(classes, given) or (classes.size and not 0 <= classes.min() <= classes.max() < n_classes):
        raise DataError(f"{name}: targets must be the whole numbers 0 to {n_classes - 1}")
    return classes
