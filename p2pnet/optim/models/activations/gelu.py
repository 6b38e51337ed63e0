"""The Gaussian error linear unit."""

from typing import Final, final

import numpy as np

from p2pnet.optim.arrays import Array
from p2pnet.optim.models.activations.base import Activation


@final
class Gelu(Activation):
    """φ(z) = z Φ(z) with the normal distribution function in its tanh form,

        Φ(z) ≈ (1 + tanh(√(2/π) (z + 0.044715 z³))) / 2        (Hendrycks and Gimpel 2016, arXiv 1606.08415),

    and the exact derivative of that form.
    """

    name = "gelu"
    variance_gain = 2.0

    _SCALE: Final = 0.7978845608028654
    _CUBIC: Final = 0.044715

    def value(self, Z: Array) -> Array:
        return 0.5 * Z * (1.0 + np.tanh(self._SCALE * Z * (1.0 + self._CUBIC * (Z * Z))))

    def value_and_slope(self, Z: Array) -> tuple[Array, Array]:
        square = Z * Z
        t = np.tanh(self._SCALE * Z * (1.0 + self._CUBIC * square))
        inner_slope = self._SCALE * (1.0 + 3.0 * self._CUBIC * square)
        return 0.5 * Z * (1.0 + t), 0.5 * (1.0 + t) + 0.5 * Z * (1.0 - t * t) * inner_slope
