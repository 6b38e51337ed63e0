"""Full linearisation: the local model has no curvature."""

from typing import final

import numpy as np

from p2pnet.optim.arrays import Array
from p2pnet.optim.local_objective import LocalObjective
from p2pnet.optim.surrogates.base import Curvature, LocalModel, Surrogate, Tangents


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

    def vjp(self, slopes: Tangents) -> Array:
        return np.zeros_like(self.gradient_at_origin)

    def curvature_at(self, tangents: Tangents) -> Curvature:
        return _NoCurvature(self.gradient_at_origin)


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


@final
class FullLinearization(Surrogate):
    """FL: the whole objective is linearised; the local step is one proximal-gradient step of length 1/τ."""

    name = "full"

    def local_model(self, objective: LocalObjective, params: Array, rng: np.random.Generator) -> LocalModel:
        return FirstOrderModel(*objective.value_and_gradient(params))
