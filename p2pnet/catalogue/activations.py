"""Activations by their names."""

from dataclasses import dataclass
from typing import Final, final

from p2pnet.catalogue.registry import Entry, Registry


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class ActivationEntry(Entry):
    """An activation; its target is a subclass of `optim.models.activations.base.Activation`."""

    is_smooth: bool = True
    """whether the derivative is continuous"""


_ROOM: Final = "p2pnet.optim.models.activations"

ACTIVATIONS: Final = Registry(
    "activation",
    "p2pnet.activations",
    ActivationEntry,
    (
        ActivationEntry(name="tanh", target=f"{_ROOM}.tanh:Tanh"),
        ActivationEntry(name="relu", target=f"{_ROOM}.relu:Relu", is_smooth=False),
        ActivationEntry(name="gelu", target=f"{_ROOM}.gelu:Gelu"),
        ActivationEntry(name="softplus", target=f"{_ROOM}.softplus:Softplus"),
        ActivationEntry(name="sigmoid", target=f"{_ROOM}.sigmoid:Sigmoid"),
        ActivationEntry(name="identity", target=f"{_ROOM}.identity:IdentityActivation"),
    ),
)
