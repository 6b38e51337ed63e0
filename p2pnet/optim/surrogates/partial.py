"""Partial linearisation: the network is linearised, the convex loss stays."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import final

import numpy as np

from p2pnet.errors import ConfigError
from p2pnet.optim.arrays import Array
from p2pnet.optim.blocks import LinearizationInBlocks
from p2pnet.optim.input_span import InputSpan
from p2pnet.optim.local_objective import Chunk, LocalObjective, Map, ordered_sum, serial_map
from p2pnet.optim.losses.base import Loss, LossPoint
from p2pnet.optim.losses.hessians import Hessian
from p2pnet.optim.models.base import Linearization, Model
from p2pnet.optim.surrogates.base import Curvature, LocalModel, Surrogate, Tangents
from p2pnet.optim.surrogates.spanned import SpannedModel


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

    def vjp(self, slopes: Tangents) -> Array:
        pairs = zip(self._parts, slopes, strict=True)
        return ordered_sum(list(self._map(lambda pair: pair[0].linearization.vjp(pair[1]), pairs)))

    def curvature_at(self, tangents: Tangents) -> Curvature:
        points = zip(self._parts, self._points_at(tangents), strict=True)
        hessians = [point.hessian().scaled(part.chunk.share) for part, point in points]
        return _GaussNewton([part.linearization for part in self._parts], hessians, self._map)

    def in_blocks(self, blocks: Sequence[slice], block_map: Map) -> "LinearizedNetworkModel":
        parts = [
            replace(part, linearization=LinearizationInBlocks(part.linearization, blocks, block_map))
            for part in self._parts
        ]
        # A thread of the pool that waits for others of the same pool may wait for ever.
        return LinearizedNetworkModel(parts, serial_map, self.value_at_origin, self.gradient_at_origin)

    def along(self, span: InputSpan) -> SpannedModel:
        thin_parts = [
            replace(part, linearization=part.linearization.along(span.scores(part.chunk.samples.X)))
            for part in self._parts
        ]
        gradient = span.projected(self.gradient_at_origin)
        thin = LinearizedNetworkModel(thin_parts, self._map, self.value_at_origin, gradient)
        return SpannedModel(thin, span, self.gradient_at_origin)

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


@final
class PartialLinearization(Surrogate):
    """PL: only the network is linearised, the convex loss stays: ridge or lasso for the squared loss, (multinomial)
    logistic regression for cross-entropy.

    With `max_curvature_samples`, e is the mean over that many samples, drawn anew for each local model, where there
    are more, and never over more than the objective's `max_linearized`, which bounds memory; value and gradient at w
    stay those of all samples.
    """

    name = "partial"

    def __init__(self, max_curvature_samples: int | None = None) -> None:
        if max_curvature_samples is not None and max_curvature_samples < 1:
            raise ConfigError(f"partial linearisation from {max_curvature_samples} samples; at least 1 is needed")
        self._max_samples = max_curvature_samples

    def local_model(self, objective: LocalObjective, params: Array, rng: np.random.Generator) -> LocalModel:
        max_samples = min(self._max_samples or objective.max_linearized, objective.max_linearized)
        if max_samples >= len(objective.samples.X):
            parts = _linearize_all(objective, objective.chunks, params)
            value = sum(part.value for part in parts)
            gradients = objective.map(lambda part: part.linearization.vjp(part.slopes), parts)
            return LinearizedNetworkModel(parts, objective.map, value, ordered_sum(list(gradients)))
        weights = objective.samples.weights
        candidates = np.arange(len(objective.samples.X)) if weights is None else np.flatnonzero(weights)
        rows = rng.choice(candidates, min(max_samples, len(candidates)), replace=False)
        chunks = objective.cut(objective.samples.taken(np.sort(rows)))
        parts = _linearize_all(objective, chunks, params)
        return LinearizedNetworkModel(parts, objective.map, *objective.value_and_gradient(params))


def _linearize_all(objective: LocalObjective, chunks: tuple[Chunk, ...], params: Array) -> list[_LinearizedChunk]:
    return list(objective.map(lambda chunk: _linearized(objective.model, objective.loss, params, chunk), chunks))
