"""Activation functions, elementwise, together with their derivative.

Each returns value and derivative in one call because a network's linearization needs both and they share most of
their work.
"""

from abc import ABC, abstractmethod
from typing import Final, final

import numpy as np

from p2pnet.errors import ConfigError
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


@final
class Identity(Activation):
    """φ(z) = z."""

    name = "identity"

    def value(self, Z: Array) -> Array:
        return Z

    def value_and_slope(self, Z: Array) -> tuple[Array, Array]:
        return Z, np.ones_like(Z)


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


@final
class Sigmoid(Activation):
    """φ(z) = 1 / (1 + e⁻ᶻ), computed as (1 + tanh(z/2)) / 2, which never overflows; φ' = φ (1 − φ)."""

    name = "sigmoid"

    def value(self, Z: Array) -> Array:
        A: Array = np.tanh(0.5 * Z)
        A += 1.0
        A *= 0.5
        return A

    def value_and_slope(self, Z: Array) -> tuple[Array, Array]:
        A = self.value(Z)
        slope: Array = A * (1.0 - A)
        return A, slope


@final
class Relu(Activation):
    """φ(z) = max(z, 0); φ' = 1 where z > 0, else 0."""

    name = "relu"
    variance_gain = 2.0

    def value(self, Z: Array) -> Array:
        return np.maximum(Z, 0.0)

    def value_and_slope(self, Z: Array) -> tuple[Array, Array]:
        return np.maximum(Z, 0.0), (Z > 0.0).astype(Z.dtype)


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


@final
class Softplus(Activation):
    """φ(z) = log(1 + eᶻ); φ' = sigmoid(z)."""

    name = "softplus"

    def value(self, Z: Array) -> Array:
        return np.logaddexp(Z, np.zeros((), Z.dtype))

    def value_and_slope(self, Z: Array) -> tuple[Array, Array]:
        return self.value(Z), Sigmoid().value(Z)


ACTIVATIONS: Final[dict[str, Activation]] = {
    activation.name: activation for activation in (Identity(), Tanh(), Sigmoid(), Relu(), Gelu(), Softplus())
}


def activation_by_name(name: str) -> Activation:
    """The activation called `name`; ConfigError if there is none."""
    try:
        return ACTIVATIONS[name]
    except KeyError:
        raise ConfigError(f"unknown activation {name!r}; known are {', '.join(sorted(ACTIVATIONS))}") from None
