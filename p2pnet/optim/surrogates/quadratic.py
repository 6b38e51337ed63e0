"""A local model whose curvature is a matrix: that of the network's mean loss, as far as it is known."""

from typing import final

import numpy as np

from p2pnet.optim.arrays import Array
from p2pnet.optim.surrogates.base import Curvature, LocalModel, Tangents


@final
class QuadraticModel(LocalModel):
    """e(M d) = ½ ‖M d‖² with MᵀM = B, the curvature."""

    is_quadratic = True
    forms_jacobian = True

    def __init__(self, factor: Array, value: float, gradient: Array) -> None:
        """`factor` is M, (n_rows, n_params)."""
        self._factor = factor
        self.n_params = len(gradient)
        self.value_at_origin = value
        self.gradient_at_origin = gradient

    @property
    def n_rows(self) -> int:
        return len(self._factor)

    def tangents(self, step: Array) -> Tangents:
        return (self._factor @ step,)

    def no_tangents(self) -> Tangents:
        return (np.zeros(len(self._factor)),)

    def excess_at(self, tangents: Tangents) -> float:
        return 0.5 * float(tangents[0] @ tangents[0])

    def slopes_at(self, tangents: Tangents) -> Tangents:
        return tangents

    def vjp(self, slopes: Tangents) -> Array:
        product: Array = self._factor.T @ slopes[0]
        return product

    def curvature_at(self, tangents: Tangents) -> Curvature:
        return _Matrix(self._factor)


@final
class _Matrix(Curvature):
    """B = MᵀM."""

    def __init__(self, factor: Array) -> None:
        self._factor = factor

    def tangents_and_product(self, step: Array) -> tuple[Tangents, Array]:
        tangents = self._factor @ step
        return (tangents,), self._factor.T @ tangents

    def diagonal(self) -> Array:
        diagonal: Array = np.einsum("ij,ij->j", self._factor, self._factor)
        return diagonal

    def factor(self) -> Array:
        return self._factor
