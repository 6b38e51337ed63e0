"""No penalty."""

from typing import final

import numpy as np

from p2pnet.optim.arrays import Array, BoolArray
from p2pnet.optim.penalties.base import SmoothPenalty


@final
class NoPenalty(SmoothPenalty):
    """r = 0."""

    def __init__(self, penalized: BoolArray | None = None) -> None: ...

    def describe(self) -> str:
        return "none"

    def value(self, params: Array) -> float:
        return 0.0

    def gradient(self, params: Array) -> Array:
        return np.zeros_like(params)

    def curvature(self) -> float:
        return 0.0

    def prox(self, params: Array, step: float) -> Array:
        return params.copy()
