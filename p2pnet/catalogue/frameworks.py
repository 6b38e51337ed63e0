"""Libraries whose networks are models as they are, told by what a factory returns; no library is imported here."""

from dataclasses import dataclass
from typing import Any, Final, final

from p2pnet.catalogue.registry import Entry


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Framework(Entry):
    """A library of networks.

    Its target makes a model of a function that builds a network, a `optim.models.factory.ModelRequest`, and a text for
    messages.
    """

    packages: tuple[str, ...]
    """whose objects are its networks"""


FRAMEWORKS: Final = (
    Framework(name="torch", target="p2pnet.interop.torch:adapted", packages=("torch",)),
    Framework(name="jax", target="p2pnet.interop.jax:adapted", packages=("jax", "flax", "haiku")),
)


def framework_of(network: Any) -> Framework | None:
    """The library that a network is of; a pair of functions, init and apply, is JAX's. None: it is of no library."""
    packages = {base.__module__.partition(".")[0] for base in type(network).__mro__}
    is_pair = isinstance(network, tuple) and len(network) == 2 and all(map(callable, network))
    for framework in FRAMEWORKS:
        if packages.intersection(framework.packages) or (is_pair and framework.name == "jax"):
            return framework
    return None
