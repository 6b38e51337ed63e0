"""The rectified linear unit."""

from typing import final

import numpy as np

from p2pnet.optim.arrays import Array
from p2pnet.optim.models.activations.base import Activation


@final
class Relu(Activation):
    """φ(z) = max(z, 0); φ' = 1 where z > 0, else 0."""

    name = "relu"
    variance_gain = 2.0

    def value(self, Z: Array) -> Array:
        return np.maximum(Z, 0.0)

    def value_and_slope(self, Z: Array) -> tuple[Array, Array]:
        return np.maximum(Z, 0.0), (Z > 0.0).astype(Z.dtype)
