"""Convex penalties r(w) of the parameters: value, proximal operator, and distance from optimality.

    prox(w, s)                 = argmin_v  r(v) + ‖v − w‖² / (2 s)
    optimality_distance(w, g)  = min { ‖g + q‖ : q ∈ ∂r(w) },  zero exactly where w minimises (gᵀw + r) to first order

`penalized`, (n_params,) of bool, says which parameters a penalty acts on (None: all). Biases are usually left out:
`penalty_by_name` leaves them out. On the others r is zero and prox the identity.

Every penalty here is separable over parameters, or over neurons for `GroupL2`.
"""

from abc import ABC, abstractmethod

import numpy as np

from p2pnet.errors import ConfigError
from p2pnet.optim.arrays import Array, BoolArray
from p2pnet.optim.penalties.active_set import ActiveSet


class Penalty(ABC):
    """A convex function r of the parameters with a prox in closed form."""

    @abstractmethod
    def describe(self) -> str:
        """Name and strength; agents compare it before they train together."""

    @abstractmethod
    def value(self, params: Array) -> float:
        """r(params); infinite where the constraints of a box are broken."""

    @abstractmethod
    def prox(self, params: Array, step: float) -> Array:
        """The v that minimises r(v) + ‖v − params‖² / (2 step), (n_params,); a new array."""

    def feasible(self, params: Array) -> Array:
        """The nearest parameters at which r is finite, the limit of prox for ever shorter steps; or the same array."""
        return self.prox(params, 0.0)

    @abstractmethod
    def optimality_distance(self, params: Array, gradient: Array) -> float:
        """Distance of −gradient to the subdifferential of r at params; infinite outside r's domain."""


class SmoothPenalty(Penalty):
    """A penalty with a gradient and a constant, diagonal second derivative."""

    @abstractmethod
    def gradient(self, params: Array) -> Array:
        """∇r(params), (n_params,)."""

    @abstractmethod
    def curvature(self) -> float | Array:
        """The diagonal of ∇²r, a number if it is the same for all, else (n_params,)."""

    def curvature_in_precision_of(self, params: Array) -> float | Array:
        """The same in the precision of these parameters."""
        return in_precision_of(params, self.curvature())

    def feasible(self, params: Array) -> Array:
        return params

    def optimality_distance(self, params: Array, gradient: Array) -> float:
        return float(np.linalg.norm(gradient + self.gradient(params)))


class NonsmoothPenalty(Penalty):
    """A penalty with kinks or bounds, smooth in the parameters outside the active set."""

    @abstractmethod
    def active_set(self, params: Array) -> ActiveSet:
        """The active set at `params`, where r must be finite."""


def checked_strength(name: str, strength: float) -> float:
    if not 0.0 <= strength < np.inf:
        raise ConfigError(f"{name}: strength is {strength}; it must be 0 or more")
    return strength


def in_precision_of(like: Array, weights: float | Array) -> float | Array:
    """Weights of parameters in the precision of `like`: float64 ones would turn into float64 all that a solver computes
    of a float32 model's parameters.
    """
    return weights.astype(like.dtype, copy=False) if isinstance(weights, np.ndarray) else float(weights)


def masked(strength: float, penalized: BoolArray | None) -> float | Array:
    return strength if penalized is None else np.where(penalized, strength, 0.0)
