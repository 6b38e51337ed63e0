"""Convex local models of an agent's cost, and the problem of a local step that they are used in.

A local model g̃ around w stands in for mean_k (see `local_cost`). It has mean_k's value and gradient at w, and beyond
first order an excess that is convex:

    g̃(w + d) = mean_k(w) + ∇mean_k(w)ᵀd + e(J d),     e(T) = h(T) − h(0) − ⟨∇h(0), T⟩ ≥ 0,

with J d the tangents of the predictions and h(T) the mean loss at predictions f(w) + T. Full linearisation has e = 0.
The problem of the local step (NEXT: Di Lorenzo and Scutari 2016; Scardapane and Di Lorenzo 2017) is then

    minimise over d     φ(d) = directionᵀd + scale·e(J d) + (τ/2)‖d‖² + r(w + d),

which is scale·g̃(w + d) + (direction − scale·∇g̃(w))ᵀd + (τ/2)‖d‖² + r(w + d) without its constant. `direction` is the
agent's estimate of the network's average gradient (without r). `scale` is what the agent's own mean counts: 1 takes its
curvature as a proxy for the network's, n_k/n̄ is its own term of the objective, n_k/(n̄ N) the paper's weighting. The
gradient of φ without r at d = 0 is `direction` for every surrogate and scale: all that NEXT asks of a surrogate.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import TypeAlias, final

import numpy as np

from p2pnet.errors import ConfigError
from p2pnet.optim.arrays import Array
from p2pnet.optim.hessians import Hessian
from p2pnet.optim.local_cost import Chunk, LocalCost, Map, cut, ordered_sum, serial_map
from p2pnet.optim.losses import Loss, LossPoint
from p2pnet.optim.models import Linearization, Model
from p2pnet.optim.penalties import Penalty

Tangents: TypeAlias = tuple[Array, ...]
"""Tangents or cotangents of the predictions: one array (n_samples, n_outputs) for each chunk of samples."""


def combined(start: Tangents, length: float, along: Tangents) -> Tangents:
    """The tangents start + length · along: those of a step, too, are linear in it."""
    return tuple(T + length * D for T, D in zip(start, along, strict=True))


class Curvature(ABC):
    """Jᵀ ∇²h J: the second derivative of a local model at one point, as an operator."""

    @abstractmethod
    def tangents_and_product(self, step: Array) -> tuple[Tangents, Array]:
        """J step, and Jᵀ ∇²h J step, (n_params,), a new array."""

    def product(self, step: Array) -> Array:
        """Jᵀ ∇²h J step, (n_params,); a new array."""
        return self.tangents_and_product(step)[1]

    @abstractmethod
    def diagonal(self) -> Array:
        """The diagonal of Jᵀ ∇²h J, (n_params,)."""

    @abstractmethod
    def factor(self) -> Array:
        """M, (n_rows, n_params), with MᵀM = Jᵀ ∇²h J. Formed in memory: for small problems."""


class LocalModel(ABC):
    """g̃ around w as a function of d = v − w: for all parameters, or for one block with the others held at w."""

    n_params: int
    value_at_origin: float
    """g̃(w) = mean_k(w)"""
    gradient_at_origin: Array
    """∇g̃(w) = ∇mean_k(w); exact also where the curvature is from a subsample"""
    is_quadratic: bool
    """whether ∇²g̃ is the same everywhere"""

    @property
    @abstractmethod
    def n_rows(self) -> int:
        """Predictions that the excess depends on: samples · outputs."""

    @property
    @abstractmethod
    def forms_jacobian(self) -> bool:
        """Whether `Curvature.factor` is cheaper than n_params products."""

    @abstractmethod
    def tangents(self, step: Array) -> Tangents:
        """T = J step."""

    @abstractmethod
    def no_tangents(self) -> Tangents:
        """T = 0: the tangents of no step."""

    @abstractmethod
    def excess_at(self, tangents: Tangents) -> float:
        """e(T) = h(T) − h(0) − ⟨∇h(0), T⟩."""

    @abstractmethod
    def slopes_at(self, tangents: Tangents) -> Tangents:
        """∇e(T) = ∇h(T) − ∇h(0)."""

    @abstractmethod
    def pulled_back(self, slopes: Tangents) -> Array:
        """Jᵀ slopes, (n_params,); a new array."""

    @abstractmethod
    def curvature_at(self, tangents: Tangents) -> Curvature:
        """Jᵀ ∇²h(T) J."""

    @abstractmethod
    def restricted(self, block: slice) -> "LocalModel":
        """The part of one block of parameters, for use in one thread beside those of other blocks."""

    def value(self, step: Array) -> float:
        """g̃(w + step)."""
        return self.value_at_origin + float(self.gradient_at_origin @ step) + self.excess_at(self.tangents(step))

    def gradient(self, step: Array) -> Array:
        """∇g̃(w + step), (n_params,)."""
        return self.pulled_back(self.slopes_at(self.tangents(step))) + self.gradient_at_origin

    def curvature(self, step: Array) -> Curvature:
        """∇²g̃(w + step)."""
        return self.curvature_at(self.tangents(step))


@final
class FirstOrderModel(LocalModel):
    """g̃(w + d) = mean_k(w) + ∇mean_k(w)ᵀd: no excess, no curvature."""

    is_quadratic = True
    n_rows = 0
    forms_jacobian = True

    def __init__(self, value: float, gradient: Array) -> None:
        self.n_params = len(gradient)
        self.value_at_origin = value
        self.gradient_at_origin = gradient

    def tangents(self, step: Array) -> Tangents:
        return ()

    def no_tangents(self) -> Tangents:
        return ()

    def excess_at(self, tangents: Tangents) -> float:
        return 0.0

    def slopes_at(self, tangents: Tangents) -> Tangents:
        return ()

    def pulled_back(self, slopes: Tangents) -> Array:
        return np.zeros_like(self.gradient_at_origin)

    def curvature_at(self, tangents: Tangents) -> Curvature:
        return _NoCurvature(self.gradient_at_origin)

    def restricted(self, block: slice) -> "FirstOrderModel":
        return FirstOrderModel(self.value_at_origin, self.gradient_at_origin[block])


@final
class _NoCurvature(Curvature):
    def __init__(self, like: Array) -> None:
        self._zeros = np.zeros_like(like)

    def tangents_and_product(self, step: Array) -> tuple[Tangents, Array]:
        return (), np.zeros_like(step)

    def diagonal(self) -> Array:
        return self._zeros

    def factor(self) -> Array:
        return self._zeros[np.newaxis, :]


@dataclass(frozen=True, slots=True, eq=False)
class _LinearizedChunk:
    """A chunk of samples with the network linearized on it."""

    chunk: Chunk
    linearization: Linearization
    loss: Loss
    point: LossPoint
    """the loss at w"""
    value: float
    """its part of mean_k(w)"""
    slopes: Array
    """its part of ∇h(0), (n_samples, n_outputs)"""

    def at(self, tangents: Array) -> LossPoint:
        samples = self.chunk.samples
        return self.loss.at(self.linearization.predictions + tangents, samples.targets, samples.weights)


def _linearized(model: Model, loss: Loss, params: Array, chunk: Chunk) -> _LinearizedChunk:
    samples = chunk.samples
    linearization = model.linearize(params, samples.X)
    point = loss.at(linearization.predictions, samples.targets, samples.weights)
    return _LinearizedChunk(
        chunk, linearization, loss, point, value=chunk.share * point.value(), slopes=chunk.share * point.gradient()
    )


@final
class LinearizedNetworkModel(LocalModel):
    """h(T) = mean loss at the predictions f(w) + T: the network linear, the loss as it is."""

    def __init__(self, parts: list[_LinearizedChunk], chunk_map: Map, value: float, gradient: Array) -> None:
        self._parts = parts
        self._map = chunk_map
        self.n_params = len(gradient)
        self.value_at_origin = value
        self.gradient_at_origin = gradient
        self.is_quadratic = parts[0].loss.is_quadratic
        self._no_tangents = tuple(np.zeros_like(part.slopes) for part in parts)
        self._latest: tuple[Tangents, list[LossPoint]] = (self._no_tangents, [part.point for part in parts])

    @property
    def n_rows(self) -> int:
        return sum(part.linearization.predictions.size for part in self._parts)

    @property
    def forms_jacobian(self) -> bool:
        return all(part.linearization.forms_jacobian for part in self._parts)

    def tangents(self, step: Array) -> Tangents:
        return tuple(self._map(lambda part: part.linearization.jvp(step), self._parts))

    def no_tangents(self) -> Tangents:
        return self._no_tangents

    def excess_at(self, tangents: Tangents) -> float:
        excess = 0.0
        for part, T, point in zip(self._parts, tangents, self._points_at(tangents), strict=True):
            excess += part.chunk.share * point.value() - part.value - float(np.vdot(part.slopes, T))
        return excess

    def slopes_at(self, tangents: Tangents) -> Tangents:
        points = zip(self._parts, self._points_at(tangents), strict=True)
        return tuple(part.chunk.share * point.gradient() - part.slopes for part, point in points)

    def pulled_back(self, slopes: Tangents) -> Array:
        pairs = zip(self._parts, slopes, strict=True)
        return ordered_sum(list(self._map(lambda pair: pair[0].linearization.vjp(pair[1]), pairs)))

    def curvature_at(self, tangents: Tangents) -> Curvature:
        points = zip(self._parts, self._points_at(tangents), strict=True)
        hessians = [point.hessian().scaled(part.chunk.share) for part, point in points]
        return _GaussNewton([part.linearization for part in self._parts], hessians, self._map)

    def restricted(self, block: slice) -> "LinearizedNetworkModel":
        parts = [replace(part, linearization=part.linearization.restricted(block)) for part in self._parts]
        # A block is worked on by one thread of the pool; it must not wait for others of the same pool.
        return LinearizedNetworkModel(parts, serial_map, self.value_at_origin, self.gradient_at_origin[block])

    def _points_at(self, tangents: Tangents) -> list[LossPoint]:
        # A solver asks for excess, slopes and curvature at one place before it goes to the next: they share their work.
        if self._latest[0] is not tangents:
            self._latest = tangents, [part.at(T) for part, T in zip(self._parts, tangents, strict=True)]
        return self._latest[1]


@final
class _GaussNewton(Curvature):
    """Σ over chunks of Jᵀ ∇²h J, the generalised Gauss-Newton matrix."""

    def __init__(self, linearizations: list[Linearization], hessians: list[Hessian], chunk_map: Map) -> None:
        self._parts = list(zip(linearizations, hessians, strict=True))
        self._map = chunk_map

    def tangents_and_product(self, step: Array) -> tuple[Tangents, Array]:
        def of_chunk(part: tuple[Linearization, Hessian]) -> tuple[Array, Array]:
            linearization, hessian = part
            tangents = linearization.jvp(step)
            return tangents, linearization.vjp(hessian.apply(tangents))

        results = list(self._map(of_chunk, self._parts))
        return tuple(tangents for tangents, _ in results), ordered_sum([product for _, product in results])

    def diagonal(self) -> Array:
        return ordered_sum(
            list(self._map(lambda part: part[0].squared_column_norms(part[1].root()), self._parts)),
        )

    def factor(self) -> Array:
        rows = []
        for linearization, hessian in self._parts:
            R = hessian.root()
            n_samples, n_outputs, rank = R.shape
            J = linearization.jacobian().reshape(n_samples, n_outputs, -1)
            rows.append(np.matmul(R.transpose(0, 2, 1), J).reshape(n_samples * rank, -1))
        return np.concatenate(rows)


class Surrogate(ABC):
    """How an agent's cost is made convex around its parameters."""

    name: str

    @abstractmethod
    def local_model(self, cost: LocalCost, params: Array, rng: np.random.Generator) -> LocalModel:
        """g̃ around `params`, which must not be changed while the model is in use. `rng` draws subsamples, if any."""


@final
class FullLinearization(Surrogate):
    """FL: the whole cost is linearised; the local step is one proximal-gradient step of length 1/τ."""

    name = "full"

    def local_model(self, cost: LocalCost, params: Array, rng: np.random.Generator) -> LocalModel:
        return FirstOrderModel(*cost.value_and_gradient(params))


@final
class PartialLinearization(Surrogate):
    """PL: only the network is linearised, the convex loss stays: ridge or lasso for the squared loss, (multinomial)
    logistic regression for cross-entropy.

    With `max_curvature_samples`, e is the mean over that many samples, drawn anew for each local model, where there
    are more; value and gradient at w stay those of all samples.
    """

    name = "partial"

    def __init__(self, max_curvature_samples: int | None = None) -> None:
        if max_curvature_samples is not None and max_curvature_samples < 1:
            raise ConfigError(f"partial linearisation from {max_curvature_samples} samples; at least 1 is needed")
        self._max_samples = max_curvature_samples

    def local_model(self, cost: LocalCost, params: Array, rng: np.random.Generator) -> LocalModel:
        if self._max_samples is None or self._max_samples >= len(cost.samples.X):
            parts = _linearize_all(cost, cost.chunks, params)
            value = sum(part.value for part in parts)
            gradients = cost.map(lambda part: part.linearization.vjp(part.slopes), parts)
            return LinearizedNetworkModel(parts, cost.map, value, ordered_sum(list(gradients)))
        weights = cost.samples.weights
        candidates = np.arange(len(cost.samples.X)) if weights is None else np.flatnonzero(weights)
        rows = rng.choice(candidates, min(self._max_samples, len(candidates)), replace=False)
        chunks = cut(cost.samples.taken(np.sort(rows)), len(cost.chunks))
        parts = _linearize_all(cost, chunks, params)
        return LinearizedNetworkModel(parts, cost.map, *cost.value_and_gradient(params))


def _linearize_all(cost: LocalCost, chunks: tuple[Chunk, ...], params: Array) -> list[_LinearizedChunk]:
    return list(cost.map(lambda chunk: _linearized(cost.model, cost.loss, params, chunk), chunks))


@dataclass(frozen=True, slots=True, eq=False)
class SurrogateProblem:
    """φ of the module's docstring. `params` is w; `proximal_weight` is τ > 0."""

    local_model: LocalModel
    params: Array
    direction: Array
    penalty: Penalty
    proximal_weight: float
    scale: float = 1.0

    def value(self, v: Array) -> float:
        """φ at the parameters v = w + d."""
        step = v - self.params
        return self.smooth_value_at(step, self.local_model.tangents(step)) + self.penalty.value(v)

    def smooth_gradient(self, v: Array) -> Array:
        """∇φ at the parameters v without r's part, (n_params,); `direction` at w."""
        step = v - self.params
        return self.smooth_gradient_at(step, self.local_model.slopes_at(self.local_model.tangents(step)))

    def smooth_value_at(self, step: Array, tangents: Tangents) -> float:
        """φ without r at w + step, given tangents = J step."""
        excess = self.local_model.excess_at(tangents)
        return float(self.direction @ step) + self.scale * excess + 0.5 * self.proximal_weight * float(step @ step)

    def smooth_gradient_at(self, step: Array, slopes: Tangents) -> Array:
        """∇φ at w + step without r's part, given slopes = ∇e(J step)."""
        gradient = self.local_model.pulled_back(slopes)
        gradient *= self.scale
        gradient += self.proximal_weight * step
        gradient += self.direction
        return gradient

    def restricted(self, block: slice) -> "SurrogateProblem":
        """φ as a function of the parameters of `block`, the others held at w."""
        return SurrogateProblem(
            self.local_model.restricted(block),
            self.params[block],
            self.direction[block],
            self.penalty.restricted(block),
            self.proximal_weight,
            self.scale,
        )
