"""Local models whose curvature is that in the span of the main inputs."""

from typing import final

import numpy as np

from p2pnet.optim.arrays import Array
from p2pnet.optim.input_span import InputSpan
from p2pnet.optim.surrogates.base import Curvature, LocalModel, Tangents


@final
class SpannedModel(LocalModel):
    """g̃(w + d) = mean_k(w) + ∇mean_k(w)ᵀd + e(J B Bᵀ d): the gradient is that of all inputs, and only the excess
    takes those of their main directions, B the isometry of the span. What it leaves out of the curvature is measured
    as all that a model leaves out, and lands in the proximal weight.
    """

    forms_jacobian = False

    def __init__(self, thin: LocalModel, span: InputSpan, gradient: Array) -> None:
        self.thin = thin
        """the same as a function of coordinates in the span"""
        self.span = span
        self.n_params = span.n_params
        self.value_at_origin = thin.value_at_origin
        self.gradient_at_origin = gradient
        self.is_quadratic = thin.is_quadratic

    @property
    def n_rows(self) -> int:
        return self.thin.n_rows

    def tangents(self, step: Array) -> Tangents:
        return self.thin.tangents(self.span.projected(step))

    def no_tangents(self) -> Tangents:
        return self.thin.no_tangents()

    def excess_at(self, tangents: Tangents) -> float:
        return self.thin.excess_at(tangents)

    def slopes_at(self, tangents: Tangents) -> Tangents:
        return self.thin.slopes_at(tangents)

    def vjp(self, slopes: Tangents) -> Array:
        return self.span.expanded(self.thin.vjp(slopes))

    def curvature_at(self, tangents: Tangents) -> Curvature:
        return _SpannedCurvature(self.thin.curvature_at(tangents), self.span)


@final
class _SpannedCurvature(Curvature):
    """B C Bᵀ for C in coordinates."""

    def __init__(self, thin: Curvature, span: InputSpan) -> None:
        self._thin = thin
        self._span = span

    def tangents_and_product(self, step: Array) -> tuple[Tangents, Array]:
        tangents, product = self._thin.tangents_and_product(self._span.projected(step))
        return tangents, self._span.expanded(product)

    def diagonal(self) -> Array:
        diagonal: Array = np.square(self.factor()).sum(axis=0)
        return diagonal

    def factor(self) -> Array:
        return np.stack([self._span.expanded(row) for row in self._thin.factor()])
