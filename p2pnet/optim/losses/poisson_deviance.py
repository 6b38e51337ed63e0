"""The Poisson deviance."""

from typing import final

import numpy as np

from p2pnet.errors import DataError
from p2pnet.optim.arrays import AnyArray, Array
from p2pnet.optim.losses.base import ElementwiseLoss
from p2pnet.optim.losses.targets import regression_targets


@final
class PoissonDeviance(ElementwiseLoss):
    """Half the deviance of counts d ≥ 0 with mean eᵖ: h = eᵖ − d p + d log d − d (0 for a perfect fit).

    The network predicts the logarithm of the mean. Where eᵖ overflows, the value is infinite.
    """

    name = "poisson-deviance"

    def encode(self, Y: AnyArray, n_outputs: int) -> AnyArray:
        targets = regression_targets(Y, n_outputs, self.name)
        if targets.size and targets.min() < 0.0:
            raise DataError(f"poisson-deviance: target {targets.min():g} is negative; counts are 0 or more")
        return targets

    def inverse_link(self, predictions: Array) -> Array:
        """eᵖ."""
        return _exp(predictions)

    def elements(self, predictions: Array, targets: AnyArray) -> Array:
        saturated = np.where(targets > 0.0, targets * np.log(np.maximum(targets, 1e-30)), 0.0) - targets
        return _exp(predictions) - targets * predictions + saturated.astype(predictions.dtype)

    def slopes(self, predictions: Array, targets: AnyArray) -> Array:
        return _exp(predictions) - targets

    def curvatures(self, predictions: Array, targets: AnyArray) -> Array:
        return _exp(predictions)


def _exp(predictions: Array) -> Array:
    # An overflow is an honest infinity: solvers reject such a step.
    with np.errstate(over="ignore"):
        return np.exp(predictions)
