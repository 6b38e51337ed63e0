"""Losses by their names."""

from collections.abc import Mapping

from p2pnet.catalogue.losses import LOSSES
from p2pnet.optim.losses.base import Loss


def loss_by_name(name: str, settings: Mapping[str, float] | None = None) -> Loss:
    """The loss called `name`, with its arguments from `settings`, those of [objective], or at their defaults;
    ConfigError if there is none.
    """
    entry = LOSSES[name]
    arguments = {} if settings is None else {argument: settings[key] for argument, key in entry.settings.items()}
    loss: Loss = entry.load()(**arguments)
    return loss
