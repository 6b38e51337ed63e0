"""Activation functions, elementwise, together with their derivative.

Each returns value and derivative in one call because a network's linearization needs both and they share most of
their work.
"""

from abc import ABC, abstractmethod

from p2pnet.optim.arrays import Array


class Activation(ABC):
    """a = φ(z), elementwise."""

    name: str
    variance_gain: float = 1.0
    """Factor on the variance 2 / (fan_in + fan_out) of the initial weights that keeps signals from fading."""

    @abstractmethod
    def value(self, Z: Array) -> Array:
        """φ(Z), same shape and dtype as Z."""

    @abstractmethod
    def value_and_slope(self, Z: Array) -> tuple[Array, Array]:
        """(φ(Z), φ'(Z)), both of Z's shape and dtype."""
