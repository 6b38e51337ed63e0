"""The hyperbolic tangent."""

from typing import final

import numpy as np

from p2pnet.optim.arrays import Array
from p2pnet.optim.models.activations.base import Activation


@final
class Tanh(Activation):
    """φ(z) = tanh z; φ' = 1 − φ²."""

    name = "tanh"

    def value(self, Z: Array) -> Array:
        return np.tanh(Z)

    def value_and_slope(self, Z: Array) -> tuple[Array, Array]:
        A = np.tanh(Z)
        slope = np.square(A)
        np.subtract(1.0, slope, out=slope)
        return A, slope
