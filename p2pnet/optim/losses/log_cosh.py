"""The log-cosh loss."""

import math
from typing import final

import numpy as np

from p2pnet.optim.arrays import AnyArray, Array
from p2pnet.optim.losses.base import ElementwiseLoss


@final
class LogCosh(ElementwiseLoss):
    """h = log cosh(p − d): like r²/2 near zero, like |r| − log 2 far away, smooth everywhere."""

    name = "log-cosh"

    def elements(self, predictions: Array, targets: AnyArray) -> Array:
        distance = np.abs(predictions - targets)
        return distance + np.log1p(np.exp(-2.0 * distance)) - math.log(2.0)

    def slopes(self, predictions: Array, targets: AnyArray) -> Array:
        return np.tanh(predictions - targets)

    def curvatures(self, predictions: Array, targets: AnyArray) -> Array:
        slope = np.tanh(predictions - targets)
        return 1.0 - slope * slope
