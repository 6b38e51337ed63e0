"""The softplus function."""

from typing import final

import numpy as np

from p2pnet.optim.arrays import Array
from p2pnet.optim.models.activations.base import Activation
from p2pnet.optim.models.activations.sigmoid import Sigmoid


@final
class Softplus(Activation):
    """φ(z) = log(1 + eᶻ); φ' = sigmoid(z)."""

    name = "softplus"

    def value(self, Z: Array) -> Array:
        return np.logaddexp(Z, np.zeros((), Z.dtype))

    def value_and_slope(self, Z: Array) -> tuple[Array, Array]:
        return self.value(Z), Sigmoid().value(Z)
