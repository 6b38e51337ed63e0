"""Activations by their names."""

from p2pnet.catalogue.activations import ACTIVATIONS
from p2pnet.optim.models.activations.base import Activation


def activation_by_name(name: str) -> Activation:
    """The activation called `name`; ConfigError if there is none."""
    activation: Activation = ACTIVATIONS[name].load()()
    return activation
