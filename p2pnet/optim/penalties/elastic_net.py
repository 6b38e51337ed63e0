"""The elastic net, and the l1 norm as its special case."""

from typing import final

import numpy as np

from p2pnet.errors import ConfigError
from p2pnet.optim.arrays import Array, BoolArray
from p2pnet.optim.penalties.active_set import ActiveSet, OrthantActiveSet
from p2pnet.optim.penalties.base import NonsmoothPenalty, checked_strength, masked, part_of_mask


@final
class ElasticNet(NonsmoothPenalty):
    """r(w) = strength · Σ ( ratio |w_i| + (1 − ratio)/2 w_i² ) over the penalized parameters (scikit-learn's scaling).

    prox(w, s) = sign(w) max(|w| − s strength ratio, 0) / (1 + s strength (1 − ratio)). `l1_ratio` 1 is the l1 penalty
    (lasso), which sets parameters to zero exactly.
    """

    def __init__(self, strength: float, l1_ratio: float = 0.5, penalized: BoolArray | None = None) -> None:
        if not 0.0 <= l1_ratio <= 1.0:
            raise ConfigError(f"elastic-net: l1_ratio is {l1_ratio}; it must be from 0 to 1")
        self._strength = checked_strength("l1" if l1_ratio == 1.0 else "elastic-net", strength)
        self._l1_ratio = l1_ratio
        self._penalized = penalized
        self._l1 = masked(strength * l1_ratio, penalized)
        self._l2 = masked(strength * (1.0 - l1_ratio), penalized)

    def describe(self) -> str:
        if self._l1_ratio == 1.0:
            return f"l1 {self._strength:g}"
        return f"elastic-net {self._strength:g} l1_ratio={self._l1_ratio:g}"

    def value(self, params: Array) -> float:
        return float(np.sum(self._l1 * np.abs(params)) + 0.5 * np.sum(self._l2 * np.square(params)))

    def prox(self, params: Array, step: float) -> Array:
        shrunk = np.maximum(np.abs(params) - step * self._l1, 0.0)
        return (np.copysign(shrunk, params) / (1.0 + step * self._l2)).astype(params.dtype, copy=False)

    def optimality_distance(self, params: Array, gradient: Array) -> float:
        slope = gradient + self._l2 * params
        at_zero = np.maximum(np.abs(slope) - self._l1, 0.0)
        return float(np.linalg.norm(np.where(params == 0.0, at_zero, slope + self._l1 * np.sign(params))))

    def active_set(self, params: Array) -> ActiveSet:
        is_free = (params != 0.0) | (self._l1 == 0.0)
        signs = np.sign(params) * (self._l1 > 0.0)
        return OrthantActiveSet(is_free, self._l1 * signs + self._l2 * params, self._l2, signs)

    def restricted(self, block: slice) -> "ElasticNet":
        return ElasticNet(self._strength, self._l1_ratio, part_of_mask(self._penalized, block))


def l1(strength: float, penalized: BoolArray | None = None) -> ElasticNet:
    """r(w) = strength · Σ |w_i| over the penalized parameters (lasso)."""
    return ElasticNet(strength, 1.0, penalized)
