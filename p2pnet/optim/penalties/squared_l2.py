"""The squared l2 norm: ridge, weight decay."""

from typing import final

from p2pnet.optim.arrays import Array, BoolArray
from p2pnet.optim.penalties.base import SmoothPenalty, checked_strength, in_precision_of, masked


@final
class SquaredL2(SmoothPenalty):
    """r(w) = strength/2 · Σ w_i² over the penalized parameters (ridge, weight decay).

    prox(w, s) = w / (1 + s strength).
    """

    def __init__(self, strength: float, penalized: BoolArray | None = None) -> None:
        self._strength = checked_strength("l2", strength)
        self._penalized = penalized
        self._weights = masked(strength, penalized)

    def describe(self) -> str:
        return f"l2 {self._strength:g}"

    def value(self, params: Array) -> float:
        return 0.5 * float(params @ self.gradient(params))

    def gradient(self, params: Array) -> Array:
        return in_precision_of(params, self._weights) * params

    def curvature(self) -> float | Array:
        return self._weights

    def prox(self, params: Array, step: float) -> Array:
        return params / (1.0 + step * in_precision_of(params, self._weights))
