"""The Huber loss."""

from dataclasses import dataclass
from typing import final

import numpy as np

from p2pnet.errors import ConfigError
from p2pnet.optim.arrays import AnyArray, Array
from p2pnet.optim.losses.base import ElementwiseLoss


@final
@dataclass(frozen=True, slots=True)
class Huber(ElementwiseLoss):
    """h = r²/2 where |r| ≤ δ, else δ |r| − δ²/2, with r = p − d (Huber 1964). δ is in the targets' unit."""

    delta: float = 1.0
    name = "huber"

    def __post_init__(self) -> None:
        if not self.delta > 0.0:
            raise ConfigError(f"huber: delta is {self.delta}; it must be positive")

    def describe(self) -> str:
        return f"huber delta={self.delta:g}"

    def elements(self, predictions: Array, targets: AnyArray) -> Array:
        distance = np.abs(predictions - targets)
        inside = np.minimum(distance, self.delta)
        return inside * (distance - 0.5 * inside)

    def slopes(self, predictions: Array, targets: AnyArray) -> Array:
        return np.clip(predictions - targets, -self.delta, self.delta)

    def curvatures(self, predictions: Array, targets: AnyArray) -> Array:
        return (np.abs(predictions - targets) <= self.delta).astype(predictions.dtype)
