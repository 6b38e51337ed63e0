"""The elastic net, and the l1 norm as its special case."""

from typing import final

import numpy as np

from p2pnet.errors import ConfigError
from p2pnet.optim.arrays import Array, BoolArray
from p2pnet.optim.penalties.active_set import ActiveSet, OrthantActiveSet
from p2pnet.optim.penalties.base import NonsmoothPenalty, checked_strength, in_precision_of, masked


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
        l1, l2 = self._weights(params)
        return float(np.sum(l1 * np.abs(params)) + 0.5 * np.sum(l2 * np.square(params)))

    def prox(self, params: Array, step: float) -> Array:
        l1, l2 = self._weights(params)
        shrunk = np.maximum(np.abs(params) - step * l1, 0.0)
        return (np.copysign(shrunk, params) / (1.0 + step * l2)).astype(params.dtype, copy=False)

    def optimality_distance(self, params: Array, gradient: Array) -> float:
        l1, l2 = self._weights(params)
        slope = gradient + l2 * params
        at_zero = np.maximum(np.abs(slope) - l1, 0.0)
        return float(np.linalg.norm(np.where(params == 0.0, at_zero, slope + l1 * np.sign(params))))

    def active_set(self, params: Array) -> ActiveSet:
        l1, l2 = self._weights(params)
        is_free = (params != 0.0) | (l1 == 0.0)
        signs = np.sign(params) * (l1 > 0.0)
        return OrthantActiveSet(is_free, l1 * signs + l2 * params, l2, signs)

    def _weights(self, params: Array) -> tuple[float | Array, float | Array]:
        """Those of Σ |w_i| and of ½ Σ w_i²."""
        return in_precision_of(params, self._l1), in_precision_of(params, self._l2)


def l1(strength: float, penalized: BoolArray | None = None) -> ElasticNet:
    """r(w) = strength · Σ |w_i| over the penalized parameters (lasso)."""
    return ElasticNet(strength, 1.0, penalized)
