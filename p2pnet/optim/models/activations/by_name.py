"""Activations by their names."""

from typing import Final

from p2pnet.errors import ConfigError
from p2pnet.optim.models.activations.base import Activation
from p2pnet.optim.models.activations.gelu import Gelu
from p2pnet.optim.models.activations.identity import Identity
from p2pnet.optim.models.activations.relu import Relu
from p2pnet.optim.models.activations.sigmoid import Sigmoid
from p2pnet.optim.models.activations.softplus import Softplus
from p2pnet.optim.models.activations.tanh import Tanh

ACTIVATIONS: Final[dict[str, Activation]] = {
    activation.name: activation for activation in (Identity(), Tanh(), Sigmoid(), Relu(), Gelu(), Softplus())
}


def activation_by_name(name: str) -> Activation:
    """The activation called `name`; ConfigError if there is none."""
    try:
        return ACTIVATIONS[name]
    except KeyError:
        raise ConfigError(f"unknown activation {name!r}; known are {', '.join(sorted(ACTIVATIONS))}") from None
