"""The logistic sigmoid."""

from typing import final

import numpy as np

from p2pnet.optim.arrays import Array
from p2pnet.optim.models.activations.base import Activation


@final
class Sigmoid(Activation):
    """φ(z) = 1 / (1 + e⁻ᶻ), computed as (1 + tanh(z/2)) / 2, which never overflows; φ' = φ (1 − φ)."""

    name = "sigmoid"

    def value(self, Z: Array) -> Array:
        A: Array = np.tanh(0.5 * Z)
        A += 1.0
        A *= 0.5
        return A

    def value_and_slope(self, Z: Array) -> tuple[Array, Array]:
        A = self.value(Z)
        slope: Array = A * (1.0 - A)
        return A, slope
