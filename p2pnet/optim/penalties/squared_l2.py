"""The squared l2 norm: ridge, weight decay."""

from typing import final

import numpy as np

from p2pnet.optim.arrays import Array, BoolArray
from p2pnet.optim.penalties.base import SmoothPenalty, checked_strength, masked


@final
class SquaredL2(SmoothPenalty):
    """r(w) = strength/2 · Σ w_i² over the penalized parameters (ridge, weight decay).

    prox(w, s) = w / (1 + s strength).
    """

    def __init__(self, strength: float, penalized: BoolArray | None = None) -> None:
        self._strength = checked_strength("l2", strength)
        self._penalized = penalized

    def describe(self) -> str:
        return f"l2 {self._strength:g}"

    def value(self, params: Array) -> float:
        return 0.5 * float(params @ self.gradient(params))

    def gradient(self, params: Array) -> Array:
        gradient = self._strength * params
        if self._penalized is not None:
            gradient *= self._penalized
        return gradient

    def curvature(self) -> float | Array:
        return masked(self._strength, self._penalized)

    def curvature_in_precision_of(self, params: Array) -> float | Array:
        return self._scaled(1.0, params)

    def prox(self, params: Array, step: float) -> Array:
        return params / (1.0 + self._scaled(step, params))

    def _scaled(self, factor: float, params: Array) -> float | Array:
        """The second derivative times a factor, in the precision of the parameters."""
        if self._penalized is None:
            return factor * self._strength
        scaled: Array = np.multiply(self._penalized, factor * self._strength, dtype=params.dtype)
        return scaled
