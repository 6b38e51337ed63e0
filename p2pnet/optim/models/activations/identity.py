"""The identity."""

from typing import final

import numpy as np

from p2pnet.optim.arrays import Array
from p2pnet.optim.models.activations.base import Activation


@final
class IdentityActivation(Activation):
    """φ(z) = z."""

    name = "identity"

    def value(self, Z: Array) -> Array:
        return Z

    def value_and_slope(self, Z: Array) -> tuple[Array, Array]:
        return Z, np.ones_like(Z)
