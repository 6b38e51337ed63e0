"""Bounds on the parameters."""

from typing import final

import numpy as np

from p2pnet.errors import ConfigError
from p2pnet.optim.arrays import Array, BoolArray
from p2pnet.optim.penalties.active_set import ActiveSet, BoxActiveSet
from p2pnet.optim.penalties.base import NonsmoothPenalty, part_of_mask


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
        return np.clip(params, self._lower, self._upper).astype(params.dtype, copy=False)

    def optimality_distance(self, params: Array, gradient: Array) -> float:
        if not self._is_inside(params):
            return np.inf
        # At a bound only the part that would lead back inside counts.
        violation = np.where(params <= self._lower, np.minimum(gradient, 0.0), gradient)
        violation = np.where(params >= self._upper, np.maximum(violation, 0.0), violation)
        return float(np.linalg.norm(violation))

    def active_set(self, params: Array) -> ActiveSet:
        is_free = (params > self._lower) & (params < self._upper)
        return BoxActiveSet(is_free, np.zeros_like(params), self._lower, self._upper)

    def restricted(self, block: slice) -> "Box":
        return Box(*self._bounds, part_of_mask(self._penalized, block))

    def _is_inside(self, params: Array) -> bool:
        return bool(np.all(params >= self._lower) and np.all(params <= self._upper))


def non_negativity(penalized: BoolArray | None = None) -> Box:
    """r(w) = 0 where all penalized w_i ≥ 0, infinite elsewhere."""
    return Box(0.0, np.inf, penalized)
