"""Bounds on the parameters."""

from typing import final

import numpy as np

from p2pnet.errors import ConfigError
from p2pnet.optim.arrays import Array, BoolArray
from p2pnet.optim.penalties.active_set import ActiveSet, BoxActiveSet
from p2pnet.optim.penalties.base import NonsmoothPenalty, in_precision_of


@final
class Box(NonsmoothPenalty):
    """r(w) = 0 where lower ≤ w_i ≤ upper for all penalized parameters, infinite elsewhere; prox clips.

    lower = 0 and upper = ∞ is non-negativity.
    """

    def __init__(self, lower: float, upper: float, penalized: BoolArray | None = None) -> None:
        if not lower < upper:
            raise ConfigError(f"box [{lower}, {upper}]: the lower bound must be below the upper")
        self._bounds = lower, upper
        self._penalized = penalized
        self._lower: float | Array = lower if penalized is None else np.where(penalized, lower, -np.inf)
        self._upper: float | Array = upper if penalized is None else np.where(penalized, upper, np.inf)

    def describe(self) -> str:
        lower, upper = self._bounds
        return "non-negative" if lower == 0.0 and upper == np.inf else f"box {lower:g} {upper:g}"

    def value(self, params: Array) -> float:
        return 0.0 if self._is_inside(params) else np.inf

    def prox(self, params: Array, step: float) -> Array:
        return np.clip(params, *self._bounds_of(params))

    def optimality_distance(self, params: Array, gradient: Array) -> float:
        if not self._is_inside(params):
            return np.inf
        lower, upper = self._bounds_of(params)
        # At a bound only the part that would lead back inside counts.
        violation = np.where(params <= lower, np.minimum(gradient, 0.0), gradient)
        violation = np.where(params >= upper, np.maximum(violation, 0.0), violation)
        return float(np.linalg.norm(violation))

    def active_set(self, params: Array) -> ActiveSet:
        lower, upper = self._bounds_of(params)
        return BoxActiveSet((params > lower) & (params < upper), np.zeros_like(params), lower, upper)

    def _is_inside(self, params: Array) -> bool:
        lower, upper = self._bounds_of(params)
        return bool(np.all(params >= lower) and np.all(params <= upper))

    def _bounds_of(self, params: Array) -> tuple[float | Array, float | Array]:
        """Lower and upper, as numbers of the precision of `params`: what prox has clipped is inside."""
        return in_precision_of(params, self._lower), in_precision_of(params, self._upper)


def non_negativity(penalized: BoolArray | None = None) -> Box:
    """r(w) = 0 where all penalized w_i ≥ 0, infinite elsewhere."""
    return Box(0.0, np.inf, penalized)
