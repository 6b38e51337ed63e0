"""Surrogates by their names."""

from collections.abc import Mapping

from p2pnet.catalogue.surrogates import SURROGATES
from p2pnet.optim.surrogates.base import Surrogate


def surrogate_by_name(name: str, settings: Mapping[str, object]) -> Surrogate:
    """The surrogate called `name`, with its arguments from `settings`, those of [algorithm]; ConfigError if there is
    none.
    """
    entry = SURROGATES[name]
    surrogate: Surrogate = entry.load()(**{argument: settings[key] for argument, key in entry.settings.items()})
    return surrogate
