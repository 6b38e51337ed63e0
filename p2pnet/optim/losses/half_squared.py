"""The half-squared loss."""

from typing import final

import numpy as np

from p2pnet.optim.arrays import AnyArray, Array
from p2pnet.optim.losses.base import ElementwiseLoss


@final
class HalfSquared(ElementwiseLoss):
    """h = (p − d)² / 2."""

    name = "half-squared"
    is_quadratic = True

    def elements(self, predictions: Array, targets: AnyArray) -> Array:
        return 0.5 * np.square(predictions - targets)

    def slopes(self, predictions: Array, targets: AnyArray) -> Array:
        return predictions - targets

    def curvatures(self, predictions: Array, targets: AnyArray) -> Array:
        return np.ones_like(predictions)
